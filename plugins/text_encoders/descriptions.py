"""Descriptions of items by a language model behind an OpenAI-compatible server on this machine.

Only items are described, never users. Every answer is appended to a file at once, so a run that is stopped or fails
goes on where it was. Redirections and proxies are refused: texts do not leave the machine unless that is allowed.

    descriptions.jsonl   {"key": hash of model, question and text, "description": "..."} per line
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from crosslens import Catalogue, DataError, EncodeContext, ParameterError, SequenceDataset, StorageError, UserError
from crosslens.data import Float32Array

from . import DescriptionParameters, TfidfParameters
from .vectors import described, in_batches
from .words import TfidfSvd

_FILE = "descriptions.jsonl"
_MOST_BYTES = 1 << 20
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Descriptions:
    """Items are alike when their texts and descriptions share rare words."""

    parameters: DescriptionParameters

    def encode(self, train: SequenceDataset, context: EncodeContext) -> Float32Array:
        """Return float32 (I, D); ParameterError for another machine, DataError when the server does not answer.

        Stopped if told to stop; what was described so far is kept.
        """
        check_address(self.parameters)
        ids, texts = described(train)
        known = _Kept.open(self.parameters)
        for batch in in_batches(texts, 1, context):
            if batch[0] not in known:
                known.add(batch[0], ask(self.parameters, batch[0]))
        words = list(train.catalogue.texts)
        for item, text in zip(ids, texts, strict=True):
            words[item] = f"{text}\n{known.of(text)}"
        catalogue = Catalogue(train.catalogue.size, train.catalogue.titles, words)
        tfidf = TfidfSvd(TfidfParameters(width=self.parameters.width))
        return tfidf.encode(replace(train, catalogue=catalogue), replace(context, progress=lambda _: None))


def check_address(parameters: DescriptionParameters) -> None:
    """Raise ParameterError if the address is none, or not of this machine and that is not allowed."""
    parts = urlsplit(parameters.address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ParameterError(
            f"{parameters.address!r} is no address of a server.",
            do="Write it like http://127.0.0.1:11434/v1.",
            parameter="address",
        )
    if not parameters.allow_remote and not _is_loopback(parts.hostname):
        raise ParameterError(
            f"{parts.hostname} is not this machine.",
            why="The texts of the items would be sent there.",
            do="Give an address like http://127.0.0.1:11434/v1, or allow other machines.",
            parameter="address",
        )
    if not parameters.model.strip():
        raise ParameterError("No model was named.", do="Give the model's name on the server.", parameter="model")


def _is_loopback(host: str) -> bool:
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    return all(ipaddress.ip_address(address.split("%")[0]).is_loopback for address in found)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


def ask(parameters: DescriptionParameters, text: str) -> str:
    """Return the server's description of one item; DataError if it gives none."""
    body = {
        "model": parameters.model,
        "messages": [{"role": "user", "content": f"{parameters.prompt}\n\n{text}"}],
        "temperature": 0,
        "stream": False,
    }
    request = urllib.request.Request(
        parameters.address.rstrip("/") + "/chat/completions",
        data=json.dumps(body).encode("utf-8"),
        headers={"Content-Type": "application/json"},
    )
    try:
        return _said(_tried(request, parameters.timeout))
    except (OSError, HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
        raise DataError(
            f"The server at {parameters.address} gave no description.",
            why=_reason(error),
            do="Check that it runs and knows the model; what it described so far is kept.",
            address=parameters.address,
        ) from error


def _tried(request: urllib.request.Request, timeout: float) -> bytes:
    """Return the answer; a server that is busy (429, 5xx) is asked again at once, a few times."""
    for left in reversed(range(_TRIES)):
        try:
            with _OPENER.open(request, timeout=timeout) as answer:
                content: bytes = answer.read(_MOST_BYTES)
                return content
        except urllib.error.HTTPError as error:
            with error:
                if not left or (error.code != 429 and error.code < 500):
                    raise
    raise AssertionError("the last try returns or raises")


def _said(content: bytes) -> str:
    said = json.loads(content)["choices"][0]["message"]["content"]
    if not isinstance(said, str) or not said.strip():
        raise ValueError("the answer holds no text")
    return said.strip()


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"It answered {error.code} {error.reason}."
    if isinstance(error, urllib.error.URLError):
        return f"It could not be reached: {error.reason}."
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    if isinstance(error, OSError):
        return f"It could not be reached: {error}."
    return f"Its answer is not of the expected form: {error}."


@dataclass(eq=False)
class _Kept:
    """Descriptions by text, in memory and in a file that only grows."""

    parameters: DescriptionParameters
    path: Path | None
    found: dict[str, str]

    @classmethod
    def open(cls, parameters: DescriptionParameters) -> _Kept:
        """Read what was described before; without a folder, descriptions last as long as the run."""
        if not parameters.folder:
            return cls(parameters, None, {})
        path = Path(parameters.folder) / _FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _end_last_line(path)
            return cls(parameters, path, dict(_lines(path)))
        except OSError as error:
            raise _cannot_keep(path, error) from error

    def __contains__(self, text: str) -> bool:
        return self._key(text) in self.found

    def of(self, text: str) -> str:
        """Return the description of a text."""
        return self.found[self._key(text)]

    def add(self, text: str, description: str) -> None:
        """Keep a description; StorageError if the file cannot be written."""
        key = self._key(text)
        self.found[key] = description
        if self.path is None:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "description": description}, ensure_ascii=True) + "\n")
        except OSError as error:
            raise _cannot_keep(self.path, error) from error

    def _key(self, text: str) -> str:
        meaning = json.dumps([self.parameters.model, self.parameters.prompt, text])
        return hashlib.blake2b(meaning.encode("utf-8"), digest_size=16).hexdigest()


def _end_last_line(path: Path) -> None:
    """End a line that was cut short, so that the next one stands by itself."""
    if path.is_file() and path.stat().st_size:
        with path.open("rb+") as file:
            file.seek(-1, 2)
            if file.read(1) != b"\n":
                file.write(b"\n")


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        return
    with path.open(encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                entry = json.loads(line)
                yield str(entry["key"]), str(entry["description"])
            except (ValueError, KeyError, TypeError):
                continue  # a line cut short by a crash: that item is asked for again


def _cannot_keep(path: Path, error: OSError) -> UserError:
    return StorageError(
        f"The descriptions cannot be kept in {path}.", why=str(error), do="Choose another folder.", path=str(path)
    )
