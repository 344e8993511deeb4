"""`python -m benchmarks NAME`: measure one part of Crosslens beside its peers, in one process, on the same arrays."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

_NAMES = ("armnet",)


def main() -> int:
    """Run the benchmark that is asked for, print its table, and write its figures if a file is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=_NAMES)
    parser.add_argument("--rows", type=int, default=0, help="rows to train on (0: the benchmark's own choice)")
    parser.add_argument("--repeats", type=int, default=0, help="times each side is measured (0: its own choice)")
    parser.add_argument("--threads", type=int, default=0, help="threads of each side (0: all cores)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    benchmark = importlib.import_module(f"{__package__}.{arguments.name}")
    given = {name: getattr(arguments, name) for name in ("rows", "repeats", "threads") if getattr(arguments, name)}
    figures = benchmark.measure(**given)
    print(benchmark.table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
