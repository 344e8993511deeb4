"""What the whole run should say at its end."""

from __future__ import annotations

import pytest


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
