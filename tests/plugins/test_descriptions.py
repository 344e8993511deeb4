"""Descriptions of items by a server on this machine: a real small one that answers what a test wants."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crosslens import Catalogue, DataError, EncodeContext, ParameterError, Stopped
from crosslens.data import Float32Array
from crosslens.testing import sequences
from plugins.text_encoders import DescriptionParameters
from plugins.text_encoders.descriptions import Descriptions

_TEXTS = ("", "", "Sneaker", "Trainer", "Garden hose", "")
_WORDS = {"Sneaker": "sport footwear", "Trainer": "sport footwear", "Garden hose": "water plants"}


@dataclass(eq=False)
class Server:
    """What it was asked, and what it answers: (status, body) by the number of the question."""

    address: str = ""
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answer: Callable[[int, str], tuple[int, bytes]] = lambda _, text: (200, said(_WORDS[text]))
    headers: dict[str, str] = field(default_factory=dict)


def said(text: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.asked.append(body)
            server.paths.append(self.path)
            text = body["messages"][0]["content"].split("\n\n")[-1]
            status, content = server.answer(len(server.asked), text)
            self.send_response(status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            return None

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            return None

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        server.address = f"http://127.0.0.1:{listening.server_port}/v1"
        thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as listening:
        yield listening


def encode(address: str, folder: Path | None = None, *, stop_after: int = 10_000, **others: Any) -> Float32Array:
    asked = iter(range(1_000_000))
    parameters = DescriptionParameters(
        **{"address": address, "model": "tiny", "folder": str(folder or ""), "timeout": 5.0, **others}
    )
    train = sequences(Catalogue(len(_TEXTS), _TEXTS, _TEXTS), [[2, 3, 4]])
    context = EncodeContext(should_stop=lambda: next(asked) >= stop_after)
    return Descriptions(parameters).encode(train, context)


def test_items_with_alike_descriptions_are_alike(server: Server) -> None:
    vectors = encode(server.address)
    assert vectors[2] @ vectors[3] > 0.3
    assert abs(vectors[2] @ vectors[4]) < 1e-5
    np.testing.assert_array_equal(vectors[5], 0)


def test_the_server_is_asked_once_per_item_in_the_words_of_the_protocol(server: Server) -> None:
    encode(server.address, prompt="What is it?")
    assert server.paths == ["/v1/chat/completions"] * 3
    assert server.asked[0]["model"] == "tiny"
    assert server.asked[0]["messages"] == [{"role": "user", "content": "What is it?\n\nSneaker"}]


def test_what_was_described_is_not_asked_again(server: Server, tmp_path: Path) -> None:
    first = encode(server.address, tmp_path)
    np.testing.assert_array_equal(encode(server.address, tmp_path), first)
    assert len(server.asked) == 3
    encode(server.address, tmp_path, model="another")
    assert len(server.asked) == 6


def test_a_run_that_was_stopped_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        encode(server.address, tmp_path, stop_after=2)
    assert len(server.asked) == 2
    encode(server.address, tmp_path)
    assert len(server.asked) == 3


def test_a_line_cut_short_by_a_crash_is_asked_for_again(server: Server, tmp_path: Path) -> None:
    whole = encode(server.address, tmp_path)
    path = tmp_path / "descriptions.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    np.testing.assert_array_equal(encode(server.address, tmp_path), whole)
    assert len(server.asked) == 4
    np.testing.assert_array_equal(encode(server.address, tmp_path), whole)
    assert len(server.asked) == 4


def test_a_busy_server_is_asked_again(server: Server) -> None:
    server.answer = lambda number, text: (503, b"busy") if number == 1 else (200, said(_WORDS[text]))
    assert encode(server.address).any()
    assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("status", "content", "why"),
    [
        (404, b"no such model", "404"),
        (500, b"", "500"),
        (200, b"<html>", "not of the expected form"),
        (200, b"{}", "not of the expected form"),
        (200, b'{"choices": []}', "not of the expected form"),
        (200, b"[]", "not of the expected form"),
        (200, said(None), "holds no text"),
        (200, said("  "), "holds no text"),
    ],
)
def test_a_bad_answer_is_said_in_a_sentence(server: Server, status: int, content: bytes, why: str) -> None:
    server.answer = lambda *_: (status, content)
    with pytest.raises(DataError) as failure:
        encode(server.address)
    assert why in failure.value.why
    assert server.address in failure.value.what


def test_what_was_described_before_a_failure_is_kept(server: Server, tmp_path: Path) -> None:
    server.answer = lambda number, text: (200, said(_WORDS[text])) if number <= 2 else (400, b"")
    with pytest.raises(DataError):
        encode(server.address, tmp_path)
    server.answer = lambda _, text: (200, said(_WORDS[text]))
    encode(server.address, tmp_path)
    assert [body["messages"][0]["content"].split("\n\n")[-1] for body in server.asked[3:]] == ["Garden hose"]


def test_a_server_that_never_answers_is_given_up(server: Server) -> None:
    def slow(*_: Any) -> tuple[int, bytes]:
        time.sleep(0.6)
        return 200, said("late")

    server.answer = slow
    with pytest.raises(DataError) as failure:
        encode(server.address, timeout=0.2)
    assert "in time" in failure.value.why or "timed out" in failure.value.why


def test_a_server_that_is_not_there_is_said() -> None:
    with serving(Server()) as gone:
        address = gone.address
    with pytest.raises(DataError) as failure:
        encode(address)
    assert "could not be reached" in failure.value.why


@pytest.mark.parametrize("address", ["http://192.0.2.1/v1", "https://93.184.216.34/v1", "http://[2001:db8::1]/v1"])
def test_other_machines_are_refused_unless_allowed(address: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        encode(address)
    assert "not this machine" in refusal.value.what


@pytest.mark.parametrize("address", ["", "127.0.0.1:80", "ftp://127.0.0.1", "file:///etc/hosts", "http://"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ParameterError) as refusal:
        encode(address)
    assert "address" in refusal.value.what


def test_a_model_must_be_named(server: Server) -> None:
    with pytest.raises(ParameterError):
        encode(server.address, model=" ")
    assert server.asked == []


def test_a_redirection_to_elsewhere_is_not_followed(server: Server) -> None:
    with serving(Server()) as elsewhere:
        server.headers = {"Location": elsewhere.address + "/chat/completions"}
        server.answer = lambda *_: (302, b"")
        with pytest.raises(DataError):
            encode(server.address)
        assert elsewhere.asked == []


def test_proxies_of_the_environment_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Server()) as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        encode(server.address)
        assert proxy.asked == []


def test_a_folder_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    with pytest.raises(Exception, match="cannot be kept"):
        encode(server.address, file)
