"""`python -m benchmarks NAME`: measure one part of Crosslens beside its peers, on the same rows or arrays."""

from __future__ import annotations

import argparse
import importlib
import json
import sys
from pathlib import Path

_NAMES = ("armnet", "data", "funnel", "models", "quality", "scaling", "sra-cl")
_GIVEN = ("rows", "repeats", "threads", "big_rows", "postgresql", "folder", "peers", "seeds", "keep")


def main() -> int:
    """Run the benchmark that is asked for, print its table, and write its figures if a file is given."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=_NAMES)
    parser.add_argument(
        "--rows", type=int, default=0, help="rows to train on or to read (0: the benchmark's own choice)"
    )
    parser.add_argument("--repeats", type=int, default=0, help="times each side is measured (0: its own choice)")
    parser.add_argument("--threads", type=int, default=0, help="threads of each side (0: all cores)")
    parser.add_argument("--big-rows", type=int, help="rows of the table that is paged through (data)")
    parser.add_argument("--postgresql", help="URL of a database to write a copy into and read it from (data)")
    parser.add_argument("--folder", type=Path, help="where databases are kept for the next time (data)")
    parser.add_argument("--peers", type=Path, help="the interpreter in which peers are installed (models, quality)")
    parser.add_argument(
        "--seeds", type=int, default=0, help="trainings that differ in their seed (quality, funnel, models)"
    )
    parser.add_argument("--keep", type=Path, help="where trainings that have ended are kept, to go on from (quality)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    benchmark = importlib.import_module(f"{__package__}.{arguments.name.replace('-', '_')}")
    values = {name: getattr(arguments, name) for name in _GIVEN}
    given = {name: value for name, value in values.items() if value or (name == "big_rows" and value is not None)}
    figures = benchmark.measure(**given)
    print(benchmark.table(figures))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
