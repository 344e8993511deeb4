"""A data folder of its own for the whole run, and what it should say at its end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep tests, and the processes they start, away from the plugins of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CROSSLENS_DATA", str(tmp_path_factory.mktemp("data")))
        yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how many tests wanted a database server and found none, and how to run them."""
    left_out = [
        report for report in terminalreporter.stats.get("skipped", []) if "no server: set" in str(report.longrepr)
    ]
    if left_out:
        terminalreporter.write_line(
            f"{len(left_out)} tests need a real PostgreSQL or MariaDB server and were left out; "
            "`make test-servers` starts both and runs them."
        )
