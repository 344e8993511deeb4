"""Everything the app relies on in a plugin, looked at as its users will get it, on one page.

    file        builds, may be installed, brings or shares all it needs
    manifest    says what it is, who made it and under which licence
    needs       every package it imports is one of its dependencies
    import      takes less than 2 s, needs neither Qt nor a training library, prints nothing
    registers   the hooks give what the manifest announces
    contract    the tests of crosslens.testing, once per model and text encoder
    own tests   those of the project, where there are some

Strangers' code runs in processes of its own, each with a time limit.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from core.plugins.archive import PluginFile
from core.plugins.manifest import Manifest
from core.plugins.wheels import unpack_wheel
from crosslens._scratch import scratch
from crosslens.errors import PluginError

from .bundle import as_plugin_file
from .dependencies import Undeclared, undeclared
from .suite import Failure, Outcome, run_suite

_IMPORT_SECONDS, _IMPORT_LIMIT = 2.0, 30.0
_XOR = "test_it_learns_xor_of_two_fields"
_ROOT = Path(__file__).resolve().parents[2]


class Verdict(StrEnum):
    """PASSED, FAILED: the plugin is not fit to be given away; NOTED: it is, but something could be better."""

    PASSED = "passed"
    NOTED = "noted"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the page: what was looked at, how it was, and what there is to say, each entry a sentence.

    `tests` are the names of those that failed.
    """

    name: str
    verdict: Verdict
    said: tuple[str, ...]
    seconds: float = 0.0
    tests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Checked:
    """The page. `title` is what the plugin calls itself."""

    title: str
    findings: tuple[Finding, ...]

    @property
    def fit(self) -> bool:
        """Return whether nothing failed."""
        return all(finding.verdict is not Verdict.FAILED for finding in self.findings)


def check_plugin(
    path: Path,
    *,
    wheelhouse: Path | None = None,
    seconds: float = 600.0,
    say: Callable[[str], None] = lambda _: None,
) -> Checked:
    """Look at a project folder, a wheel or a bundle. `seconds` limits each run of tests; `say` hears what goes on.

    Whatever is wrong with the plugin is a finding; nothing is raised for it.
    """
    started = time.monotonic()
    say("Looking at the file")
    try:
        with as_plugin_file(path, wheelhouse=wheelhouse) as plugin, scratch() as folder:
            file = _file(plugin, time.monotonic() - started)
            home = _unpacked(plugin, folder)
            needs = _needs(undeclared(plugin, home.site))
            findings = [file, _manifest(plugin.manifest), needs, *_behaviour(plugin.manifest, home, seconds, say)]
            if path.is_dir() and (path / "tests").is_dir():
                say("Running the project's own tests")
                findings.append(
                    _own_tests(path, home, seconds, {each for finding in findings for each in finding.tests})
                )
            return Checked(f"{plugin.manifest.name} {plugin.manifest.version}", tuple(findings))
    except PluginError as error:
        sentences = (error.what, error.why, error.do)
        said = tuple(sentence for sentence in sentences if sentence)
        return Checked(path.name, (Finding("file", Verdict.FAILED, said, time.monotonic() - started),))


@dataclass(frozen=True, slots=True)
class _Home:
    """Where the plugin is unpacked for the check, and the path on which Python finds it as in the app's worker."""

    folder: Path

    @property
    def site(self) -> Path:
        return self.folder / "site"

    @property
    def deps(self) -> Path:
        return self.folder / "deps"

    def environment(self) -> dict[str, str]:
        path = os.pathsep.join((str(self.deps), str(self.site), str(_ROOT)))
        return dict(os.environ, PYTHONPATH=path, PYTHONDONTWRITEBYTECODE="1", PYTHONSAFEPATH="1")


def _unpacked(plugin: PluginFile, folder: Path) -> _Home:
    home = _Home(folder)
    for wheels, place in (((plugin.wheel,), home.site), (plugin.needs.private, home.deps)):
        for wheel in wheels:
            unpack_wheel(wheel, place)
    return home


def _file(plugin: PluginFile, seconds: float) -> Finding:
    private = ", ".join(f"{wheel.name} {wheel.version}" for wheel in plugin.needs.private)
    said = [f"{plugin.wheel.path.name}: {plugin.files} files, {plugin.unpacked / 1024:,.0f} KiB."]
    if private:
        said.append(f"Brings {private}.")
    return Finding("file", Verdict.PASSED, tuple(said), seconds)


def _manifest(manifest: Manifest) -> Finding:
    missing = [word for word in ("summary", "authors", "licence") if not getattr(manifest, word)]
    if missing:
        said = f"It does not say: {', '.join(missing)}. Users see this before they install it."
        return Finding("manifest", Verdict.NOTED, (said,))
    said = f"{manifest.licence}, by {', '.join(manifest.authors)}: {manifest.summary}"
    return Finding("manifest", Verdict.PASSED, (said,))


def _needs(found: Undeclared) -> Finding:
    """Return what the plugin takes for granted."""
    said = []
    if found.missing:
        said.append(
            f"It imports {', '.join(found.missing)}, not among the dependencies in pyproject.toml: "
            "it would fail wherever that is not installed by chance."
        )
    if found.shared:
        said.append(
            f"It imports {', '.join(found.shared)}; name them among the dependencies in pyproject.toml, "
            "so that an app with another version of them refuses it in a sentence."
        )
    if found.rooms:
        said.append(f"It imports {', '.join(found.rooms)} of Crosslens, which changes without notice.")
    verdict = Verdict.FAILED if found.missing else Verdict.NOTED if said else Verdict.PASSED
    return Finding("needs", verdict, tuple(said) or ("Every package it imports is one of its dependencies.",))


def _behaviour(manifest: Manifest, home: _Home, seconds: float, say: Callable[[str], None]) -> list[Finding]:
    say("Importing")
    found = _probed(manifest.entry, home)
    if isinstance(found, Finding):
        return [found]
    findings = [_import(found), _registers(manifest, found)]
    if findings[1].verdict is Verdict.FAILED:
        return findings
    if find_spec("pytest") is None:
        said = ("The contract is made of tests and pytest is not installed.", "Run: pip install pytest")
        return [*findings, Finding("contract", Verdict.FAILED, said)]
    ids = [each["id"] for each in (*found["models"], *found["text_encoders"])]
    for each in ids:
        say(f"Running the contract of {each}")
        findings.append(_contract(each, len(ids) > 1, manifest.entry, home, seconds))
    return findings


def _probed(entry: str, home: _Home) -> dict[str, Any] | Finding:
    answer = home.folder / "probe.json"
    command = [sys.executable, "-m", "core.plugin_kit.probe", entry, str(answer)]
    try:
        done = subprocess.run(
            command,
            cwd=home.folder,
            env=home.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_IMPORT_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Finding("import", Verdict.FAILED, (f"Importing {entry} took more than {_IMPORT_LIMIT:.0f} s.",))
    if not answer.exists():
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else "no reason given"
        return Finding(
            "import", Verdict.FAILED, (f"Importing {entry} ended its process (exit code {done.returncode}): {reason}",)
        )
    found: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return found


def _import(found: dict[str, Any]) -> Finding:
    said, verdict = [], Verdict.PASSED
    if found["seconds"] > _IMPORT_SECONDS:
        verdict = Verdict.FAILED
        said.append(f"It took {found['seconds']:.1f} s; the app allows {_IMPORT_SECONDS:.0f} s.")
    if found["heavy"]:
        verdict = Verdict.FAILED
        said.append(f"It brings {', '.join(found['heavy'])}; import these inside build() and load().")
    if found["printed"] and verdict is Verdict.PASSED:
        verdict = Verdict.NOTED
    if found["printed"]:
        said.append("It prints while it is imported; use logging instead.")
    return Finding("import", verdict, tuple(said) or ("No Qt and no training library.",), found["seconds"])


def _registers(manifest: Manifest, found: dict[str, Any]) -> Finding:
    problems = list(found["problems"])
    announced = [
        {
            "id": model.id,
            "title": model.title,
            "task": model.task.value,
            "needs": sorted(role.value for role in model.needs),
            "explains": sorted(kind.value for kind in model.explains),
        }
        for model in manifest.models
    ]
    problems += _differences("model", announced, found["models"])
    encoders = [{"id": encoder.id, "title": encoder.title} for encoder in manifest.text_encoders]
    problems += _differences("text encoder", encoders, found["text_encoders"])
    if problems:
        return Finding("registers", Verdict.FAILED, tuple(problems))
    silent = [
        f"The manifest does not say what {model['id']} {word}: {', '.join(model[word])}."
        for told in announced
        for model in found["models"]
        if model["id"] == told["id"]
        for word in ("needs", "explains")
        if model[word] and not told[word]
    ]
    brought = [f"{model['id']} ({model['task']})" for model in found["models"]]
    brought += [f"{encoder['id']} (text encoder)" for encoder in found["text_encoders"]]
    return Finding("registers", Verdict.NOTED if silent else Verdict.PASSED, (", ".join(brought) + ".", *silent))


def _differences(word: str, announced: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]]) -> list[str]:
    """Return in sentences where the manifest and the code differ."""
    expected, there = ({each["id"]: each for each in side} for side in (announced, found))
    said = [
        f"The manifest announces the {word} {name}, the code registers none."
        for name in sorted(expected.keys() - there)
    ]
    said += [
        f"The code registers the {word} {name}, the manifest does not announce it."
        for name in sorted(there.keys() - expected)
    ]
    for name in sorted(expected.keys() & there):
        told, true = expected[name], there[name]
        said += [
            f"The manifest says of {name}: {key} = {_toml(told[key])}; the code says {_toml(true[key])}."
            for key in told
            if told[key] and told[key] != true[key]
        ]
    return said


def _toml(value: str | list[str]) -> str:
    """Return a value as it is written in the manifest, to be copied."""
    return json.dumps(value, ensure_ascii=False)


def _contract(name: str, several: bool, entry: str, home: _Home, seconds: float) -> Finding:
    title = f"contract {name}" if several else "contract"
    suite = home.folder / f"test_{name.replace('-', '_')}.py"
    suite.write_text(
        f"from core.plugin_kit.contracts import contract\n\nTestContract = contract({entry!r}, {name!r})\n"
    )
    outcome = run_suite(suite, cwd=home.folder, environment=home.environment(), seconds=seconds, bare=True)
    return _told(title, outcome, forgiven={_XOR})


def _own_tests(project: Path, home: _Home, seconds: float, known: set[str]) -> Finding:
    outcome = run_suite(
        project.resolve() / "tests", cwd=project, environment=home.environment(), seconds=seconds, bare=False
    )
    return _told("own tests", outcome, known=known)


def _told(name: str, outcome: Outcome, *, forgiven: Set[str] = frozenset(), known: Set[str] = frozenset()) -> Finding:
    """Return the line of a run of tests. `forgiven` may fail; failures that are `known` are told already."""
    if outcome.broken:
        return Finding(name, Verdict.FAILED, (outcome.broken,), outcome.seconds)
    bad = [failure for failure in outcome.failures if failure.test not in forgiven]
    counts = {"passed": outcome.passed, "failed": len(bad), "do not apply": outcome.skipped}
    said = [", ".join(f"{count} {word}" for word, count in counts.items() if count or word == "passed") + "."]
    said += _by_reason([failure for failure in bad if failure.test not in known])
    if again := sum(failure.test in known for failure in bad):
        said.append(f"{again} of them as above.")
    if len(bad) < len(outcome.failures):
        said.append("It does not learn XOR of two fields: it is additive, or learns too little.")
    verdict = Verdict.FAILED if bad else Verdict.NOTED if outcome.failures else Verdict.PASSED
    return Finding(name, verdict, tuple(said), outcome.seconds, tuple(failure.test for failure in bad))


def _by_reason(failures: Sequence[Failure]) -> list[str]:
    """Return a line per reason: where a package is missing, every test fails for the same one."""
    tests: dict[str, list[str]] = {}
    for failure in failures:
        tests.setdefault(failure.message, []).append(failure.sentence)
    return [
        f"{first}{f' and {len(others)} more' if others else ''}: {reason}" for reason, (first, *others) in tests.items()
    ]
