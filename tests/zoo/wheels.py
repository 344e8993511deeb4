"""Writes wheels and bundles as tests need them, honest and other ones: a wheel is a zip with a list of hashes."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from uuid import NAMESPACE_DNS, uuid5

MODEL = """
from dataclasses import dataclass

from crosslens import ModelSpec, Task, hookimpl, parameter


@dataclass(frozen=True)
class Parameters:
    share: float = parameter(0.5, label="Share", minimum=0.0, maximum=1.0)


def build(parameters):
    from .model import Estimator
    return Estimator(parameters)


def load(folder):
    from .model import Model
    return Model.load(folder)


@hookimpl
def crosslens_register_models():
    return [ModelSpec("{model}", "{title}", "Predicts the mean.", Task.CTR, Parameters, build, load)]
"""

ESTIMATOR = """
import json

import numpy as np

from crosslens import Contributions, FitProgress, Predictions
from crosslens.plain import from_plain, to_plain
from crosslens.data import EncodedSchema


class Estimator:
    def __init__(self, parameters):
        self.parameters = parameters

    def fit(self, data, context):
        mean = float(np.clip(data.train.target.mean(), 1e-6, 1 - 1e-6))
        context.progress(FitProgress(1, 1, 1, 1, loss=0.5, metrics={"loss": 0.5}))
        return Model(data.train.schema, float(np.log(mean / (1 - mean))))


class Model:
    def __init__(self, schema, logit):
        self.schema, self.logit = schema, logit

    def predict(self, data):
        return Predictions({"click": np.full(len(data), self.logit)})

    def explain(self, data, kinds, context):
        zeros = np.zeros((len(data), len(data.schema.names)))
        logits = np.full(len(data), self.logit)
        return (Contributions(data.schema.names, zeros, logits, logits, "none"),)

    def save(self, folder):
        (folder / "mean.json").write_text(json.dumps({"logit": self.logit, "schema": to_plain(self.schema)}))

    @classmethod
    def load(cls, folder):
        plain = json.loads((folder / "mean.json").read_text())
        return cls(from_plain(EncodedSchema, plain["schema"]), plain["logit"])
"""


def plugin_id(name: str) -> str:
    """Return the UUID of the test plugin of that name."""
    return str(uuid5(NAMESPACE_DNS, name))


def manifest(name: str, release: str = "1.0", /, *, model: str = "", **changes: str) -> str:
    """Return the manifest of a plugin whose package is `name`; `changes` are TOML texts by key."""
    facts = {
        "id": f'"{plugin_id(name)}"',
        "name": f'"{name}"',
        "version": f'"{release}"',
        "api": '["1"]',
        "entry": f'"{name}"',
        "authors": '["A. Author"]',
        "licence": '"MIT"',
        **changes,
    }
    lines = [f"{key} = {value}" for key, value in facts.items()]
    return "\n".join([*lines, "[[models]]", f'id = "{model or name}"', f'title = "{name}"', 'task = "ctr"', ""])


def make_wheel(
    folder: Path,
    name: str,
    files: Mapping[str, str | bytes],
    *,
    version: str = "1.0",
    requires: Sequence[str] = (),
    headers: Sequence[str] = (),
    tags: str = "py3-none-any",
    record: Mapping[str, str] | None = None,
) -> Path:
    """Write a wheel; `record` replaces lines of its RECORD (path: "sha256=...", or "" to leave a line out)."""
    about = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *headers]
    content = {
        **files,
        f"{about}/METADATA": "\n".join([*lines, *(f"Requires-Dist: {each}" for each in requires), ""]),
        f"{about}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n",
    }
    plain = {path: text.encode() if isinstance(text, str) else text for path, text in content.items()}
    hashes = {path: f"sha256={_hash(text)}" for path, text in plain.items()} | dict(record or {})
    rows = [f"{path},{found},{len(plain.get(path, b''))}" for path, found in hashes.items() if found]
    plain[f"{about}/RECORD"] = "\n".join([*rows, f"{about}/RECORD,,", ""]).encode()
    path = folder / f"{name}-{version}-{tags}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, text in plain.items():
            archive.writestr(entry, text)
    return path


def make_plugin(
    folder: Path,
    name: str,
    *,
    version: str = "1.0",
    code: str = "",
    model: str = "",
    files: Mapping[str, str | bytes] | None = None,
    requires: Sequence[str] = (),
    changes: Mapping[str, str] | None = None,
    estimator: str = ESTIMATOR,
    headers: Sequence[str] = (),
    tags: str = "py3-none-any",
    record: Mapping[str, str] | None = None,
) -> Path:
    """Write the wheel of a plugin that predicts the mean, or does what `code` (its `__init__.py`) says."""
    content = {
        f"{name}/__init__.py": code or MODEL.format(model=model or name, title=name.title()),
        f"{name}/model.py": estimator,
        f"{name}/crosslens_plugin.toml": manifest(name, version, model=model, **(changes or {})),
        **(files or {}),
    }
    return make_wheel(
        folder, name, content, version=version, requires=requires, headers=headers, tags=tags, record=record
    )


def make_bundle(path: Path, plugin: Path, wheels: Sequence[Path] = (), *, sums: str | None = None) -> Path:
    """Write a bundle of a plugin and its private wheels."""
    entries = {plugin.name: plugin} | {f"wheelhouse/{wheel.name}": wheel for wheel in wheels}
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {name}" for name, file in entries.items()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in entries.items():
            archive.write(file, name)
        archive.writestr("SHA256SUMS", "\n".join(lines) + "\n" if sums is None else sums)
    return path


def _hash(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
