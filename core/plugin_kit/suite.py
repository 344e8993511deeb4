"""Runs tests with pytest in a process of their own, and says what came of them in words."""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from crosslens._scratch import scratch

_LETTERS = 300


@dataclass(frozen=True, slots=True)
class Failure:
    """A test that failed and the first line of the reason."""

    test: str
    message: str

    @property
    def sentence(self) -> str:
        """Return the name of the test as words."""
        return self.test.removeprefix("test_").replace("_", " ")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run; `broken` says why there is no result, in a sentence."""

    passed: int = 0
    skipped: int = 0
    failures: tuple[Failure, ...] = ()
    broken: str = ""
    seconds: float = 0.0


def run_suite(tests: Path, *, cwd: Path, environment: Mapping[str, str], seconds: float, bare: bool) -> Outcome:
    """Run the tests below `tests` within a time limit. `bare`: without plugins of pytest and without settings."""
    started = time.monotonic()
    with scratch() as folder:
        results = folder / "results.xml"
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}",
            f"--basetemp={folder / 'files'}", str(tests),
        ]  # fmt: skip
        variables = dict(environment)
        if bare:
            variables["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
            command[4:4] = ["-c", str(_settings(folder)), "--rootdir", str(cwd)]
        try:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=variables,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Outcome(broken=f"The tests took more than {seconds:.0f} s.", seconds=seconds)
        return _outcome(results, done, time.monotonic() - started)


def _settings(folder: Path) -> Path:
    settings = folder / "pytest.ini"
    settings.write_text("[pytest]\n")
    return settings


def _outcome(results: Path, done: subprocess.CompletedProcess[str], seconds: float) -> Outcome:
    if done.returncode not in (0, 1) or not results.exists():
        lines = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("E ")]
        telling = (errors or lines or ["no reason given"])[-1]
        reason = _shortened(telling.removeprefix("E ").strip())
        return Outcome(broken=f"The tests did not run (exit code {done.returncode}): {reason}", seconds=seconds)
    cases = ElementTree.parse(results).getroot().findall(".//testcase")  # written by pytest just now
    failures = tuple(
        Failure(case.get("name", "?"), _first_line(bad.get("message", "")))
        for case in cases
        for bad in (*case.findall("failure"), *case.findall("error"))
    )
    skipped = sum(1 for case in cases if case.find("skipped") is not None)
    return Outcome(len(cases) - skipped - len({failure.test for failure in failures}), skipped, failures, "", seconds)


def _first_line(message: str) -> str:
    """Return what a failure says first; "AssertionError: " in front of a sentence says nothing."""
    lines = [line.strip() for line in message.splitlines() if line.strip(" :")]
    said = next((line for line in lines if line != "AssertionError:"), "no reason given")
    sentence = said.removeprefix("AssertionError: ")
    return _shortened(said if sentence.startswith("assert ") else sentence)


def _shortened(text: str) -> str:
    """Return at most so many letters, whole words."""
    return text if len(text) <= _LETTERS else f"{text[:_LETTERS].rpartition(' ')[0]} …"
