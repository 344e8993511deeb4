"""The command line: the same jobs as the window, with progress bars for people and JSON for machines.

Exit codes: 0 done, 1 the world failed (one sentence says what, why and what to do), 3 Crosslens failed (a traceback).
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from crosslens import __version__
from crosslens.errors import Stopped, UserError
from crosslens.models import DEVICES

from .parts import Parts
from .plugin_kit_parser import add_plugin_kit
from .plugins_parser import add_plugins
from .starting import with_notices
from .terminal import Terminal

__all__ = ["Parts", "run"]

RUN_HELP = "a run: its id, a part of it that no other has, a model (its latest run), or latest"
SAFE_MODE_VARIABLE = "CROSSLENS_SAFE_MODE"
"""Environment variable that leaves strangers' plugins out, here and in the processes started from here."""

DONE, USER_PROBLEM, OUR_FAULT = 0, 1, 3
_HEADLESS = "headless:"
"""Actions of processes that another one has started; that one begins, and tells."""


def run(arguments: Sequence[str], parts: Parts) -> int:
    """Do what the arguments ask; return the exit code."""
    options = _parser().parse_args(arguments)
    if options.safe_mode:
        os.environ[SAFE_MODE_VARIABLE] = "1"
    terminal = Terminal(as_json=getattr(options, "json", False))
    if not options.action.startswith(_HEADLESS):
        parts = with_notices(parts, terminal)
    try:
        return int(_action(options.action)(options, parts, terminal) or DONE)
    except Stopped as stopped:
        terminal.problem(str(stopped) or "Stopped.")
        return USER_PROBLEM
    except UserError as error:
        terminal.user_error(error)
        return USER_PROBLEM
    except KeyboardInterrupt:
        terminal.problem("Stopped.")
        return USER_PROBLEM
    except BrokenPipeError:
        # The reader of our output went away (a pager, `head`); that is not a failure. Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:  # noqa: BLE001  the last line of defence: anything not foreseen is our fault and said so
        terminal.internal_error(error, traceback.format_exc())
        return OUR_FAULT


def _action(name: str) -> Callable[..., int | None]:
    """Return the function behind "module:function"; imported now, so that no command pays for another's libraries."""
    module, function = name.split(":")
    found: Callable[..., int | None] = getattr(import_module(f".{module}", __package__), function)
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="crosslens",
        description="Point at a database, learn what drives clicks and conversions, see which fields interact and "
        "whether that is true, hand over a report. Without a command the window opens.",
    )
    parser.add_argument("--version", action="version", version=f"crosslens {__version__}")
    parser.add_argument("--safe-mode", action="store_true", help="leave all plugins out that are not built in")
    parser.set_defaults(action="windows:open_window", project=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for add in (
        _window, _demo, _sample, _recipe, _train, _tune, _runs, _explain,
        _recommend, _predict, _export_model, _report, _connections, _plugin, _doctor, _screenshots, _worker,
    ):  # fmt: skip
        add(commands)
    return parser


_PLUGINS = (
    "Plugins bring models and text encoders. They come as files, need no network, and run in their own processes."
)

Commands = argparse._SubParsersAction  # argparse has no public name for what add_subparsers returns


def _command(commands: Commands, name: str, action: str, help: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=help, description=help)
    command.add_argument("--json", action="store_true", help="print the result as JSON, and no progress")
    command.set_defaults(action=action)
    return command


def _with_project(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--project", type=Path, default=Path("crosslens-project"), metavar="DIR", help="project folder (%(default)s)"
    )


def _with_threads(command: argparse.ArgumentParser) -> None:
    command.add_argument("--threads", type=int, default=0, metavar="N", help="processor threads (all)")


def _with_device(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--device", choices=DEVICES, default="auto", help="where models train: a card if there is one (%(default)s)"
    )


_DATABASE = "a file (SQLite, DuckDB, CSV, Parquet, Arrow), a folder of files, or a URL: postgresql://USER@HOST/DATABASE"


def _with_passwords(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--password-variable", default="", metavar="NAME", help="environment variable that holds the server's password"
    )
    command.add_argument(
        "--save-password", action="store_true", help="keep the server's password in the system's keyring"
    )


def _window(commands: Commands) -> None:
    command = _command(commands, "open", "windows:open_window", "Open the window, on a project if one is given.")
    command.add_argument("project", nargs="?", type=Path, metavar="PROJECT")


def _demo(commands: Commands) -> None:
    command = _command(
        commands, "demo", "demo:demo", "Do the whole journey on the built-in sample: database, models, report."
    )
    command.add_argument("--out", type=Path, default=Path("crosslens-demo"), metavar="DIR", help="folder (%(default)s)")
    command.add_argument("--rows", type=int, default=40_000, metavar="N", help="impressions (%(default)s)")
    command.add_argument("--seed", type=int, default=7, metavar="N", help="seed of the sample (%(default)s)")
    command.add_argument("--preset", default="default", metavar="NAME", help="kind of sample (%(default)s)")
    command.add_argument("--no-window", action="store_true", help="do not open the window at the end")
    _with_threads(command)
    _with_device(command)


def _sample(commands: Commands) -> None:
    command = _command(commands, "sample", "actions:sample", "Write the synthetic shop database, the truth beside it.")
    command.add_argument("path", type=Path, metavar="PATH", help="the new SQLite file")
    command.add_argument("--rows", type=int, default=40_000, metavar="N", help="impressions (%(default)s)")
    command.add_argument("--seed", type=int, default=7, metavar="N", help="seed (%(default)s)")
    command.add_argument("--preset", default="default", metavar="NAME", help="kind of shop (%(default)s)")


def _recipe(commands: Commands) -> None:
    command = _command(
        commands, "recipe", "actions:recipe", "Look at a database and write a recipe with suggested joins and roles."
    )
    command.add_argument("database", metavar="DATABASE", help=_DATABASE)
    command.add_argument("--base", default="", metavar="TABLE", help="the table whose rows are predicted")
    command.add_argument("--label", default="", metavar="NAME", help='the label, as "source.column" or a flag\'s name')
    command.add_argument(
        "--guesses", action="store_true", help="take joins that only names suggest (files have no keys)"
    )
    command.add_argument(
        "--moment",
        default="",
        metavar="TEXT",
        help='when the prediction is made, such as "before the call": what is known later is named',
    )
    command.add_argument("--model", action="append", default=[], metavar="ID", help="a model; may be repeated")
    command.add_argument("--out", type=Path, default=None, metavar="FILE", help="where to write it (standard output)")
    _with_passwords(command)


def _train(commands: Commands) -> None:
    command = _command(commands, "train", "actions:train", "Train every model of a recipe and print how good they are.")
    command.add_argument("recipe", nargs="?", type=Path, metavar="RECIPE", help="a recipe (TOML)")
    command.add_argument("--resume", default="", metavar="RUN", help="go on with an interrupted run instead")
    command.add_argument(
        "--password-variable", default="", metavar="NAME", help="environment variable that holds the server's password"
    )
    _with_project(command)
    _with_threads(command)
    _with_device(command)


def _tune(commands: Commands) -> None:
    command = _command(
        commands, "tune", "tuning:tune", "Search a model's parameters on validation rows, within a budget."
    )
    command.add_argument("recipe", nargs="?", type=Path, metavar="RECIPE", help="a recipe (TOML)")
    command.add_argument("--model", default="", metavar="ID", help="which of the recipe's models")
    command.add_argument("--trials", type=int, default=20, metavar="N", help="trainings at most (%(default)s)")
    command.add_argument("--minutes", type=float, default=0.0, metavar="M", help="begin no trial after this (no limit)")
    command.add_argument("--resume", default="", metavar="SEARCH", help="go on with an earlier search instead")
    command.add_argument("--out", type=Path, default=None, metavar="FILE", help="write the recipe with the best values")
    _with_project(command)
    _with_threads(command)
    _with_device(command)


def _runs(commands: Commands) -> None:
    command = _command(commands, "runs", "actions:runs", "List the runs of a project.")
    _with_project(command)


def _explain(commands: Commands) -> None:
    command = _command(
        commands, "explain", "actions:explain", "Show what drives a run: fields, interactions, or one row."
    )
    command.add_argument("run", metavar="RUN", help=RUN_HELP)
    command.add_argument("--row", type=int, default=None, metavar="N", help="explain one row of the test part")
    command.add_argument(
        "--set", action="append", default=[], metavar="FIELD=VALUE", help="what if a field had another value"
    )
    command.add_argument("--top", type=int, default=10, metavar="N", help="how many interactions (%(default)s)")
    command.add_argument(
        "--output", default="", metavar="NAME", help="of a funnel: click, conversion or click_and_conversion"
    )
    _with_project(command)
    _with_threads(command)


def _recommend(commands: Commands) -> None:
    command = _command(
        commands, "recommend", "next_item:recommend", "Show what a next-item run recommends to a test user, and why."
    )
    command.add_argument("run", metavar="RUN", help=RUN_HELP)
    command.add_argument("--user", required=True, metavar="USER", help="a test user, as the source names them")
    command.add_argument("--top", type=int, default=10, metavar="N", help="length of the list (%(default)s)")
    command.add_argument("--why", type=int, default=1, metavar="RANK", help="explain the item at this rank; 0: none")
    _with_project(command)
    _with_threads(command)


def _predict(commands: Commands) -> None:
    command = _command(
        commands, "predict", "exporting:predict", "Score rows with a trained run, into a file or a new table."
    )
    command.add_argument("run", metavar="RUN", help=RUN_HELP)
    command.add_argument(
        "output", metavar="OUTPUT", help="a .csv, .parquet or .xlsx file; with --table a database (a file or a URL)"
    )
    command.add_argument("--database", default="", metavar="DATABASE", help="another database of this shape to read")
    command.add_argument(
        "--table", default="", metavar="NAME", help="the new table to make in OUTPUT, a database; none is replaced"
    )
    command.add_argument(
        "--columns", choices=("all", "key"), default="", help="beside the predictions (files: all, tables: key)"
    )
    command.add_argument(
        "--top", type=int, default=10, metavar="N", help="items per user, for a next-item run (%(default)s)"
    )
    _with_passwords(command)
    command.add_argument(
        "--table-password-variable", default="", metavar="NAME", help="the same for the database of --table"
    )
    _with_project(command)
    _with_threads(command)


def _export_model(commands: Commands) -> None:
    command = _command(
        commands, "export-model", "exporting:export_model", "Write a trained model for use outside: ONNX, or a folder."
    )
    command.add_argument("run", metavar="RUN", help=RUN_HELP)
    command.add_argument("output", type=Path, metavar="FILE.onnx|FOLDER", help="an ONNX file, or a new folder")
    _with_project(command)


def _report(commands: Commands) -> None:
    command = _command(commands, "report", "actions:report", "Write the report of one or more runs as HTML or PDF.")
    command.add_argument("runs", nargs="*", metavar="RUN", help="runs, each named as for explain (all finished ones)")
    command.add_argument("--out", type=Path, default=Path("report.html"), metavar="FILE", help=".html or .pdf")
    command.add_argument("--title", default="", metavar="TEXT")
    command.add_argument("--notes", default="", metavar="TEXT")
    _with_project(command)


def _connections(commands: Commands) -> None:
    command = _command(
        commands, "connections", "connections:connections", "List, rename or delete the saved connections of a project."
    )
    command.add_argument("project", type=Path, metavar="PROJECT", help="project folder")
    command.add_argument("what", choices=("list", "rename", "delete"), nargs="?", default="list")
    command.add_argument("names", nargs="*", metavar="NAME", help="rename: OLD NEW; delete: NAME (or its id)")
    command.add_argument("--yes", action="store_true", help="delete without asking")
    command.add_argument(
        "--keep-password", action="store_true", help="leave its password in the system's keyring when deleting"
    )


def _plugin(commands: Commands) -> None:
    parser = commands.add_parser("plugin", help="Install, list and write plugins.", description=_PLUGINS)
    plugins = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    add_plugins(plugins, _command)
    add_plugin_kit(plugins, _command)


def _doctor(commands: Commands) -> None:
    command = _command(commands, "doctor", "doctor:doctor", "Check what the machine lacks, and say how to mend it.")
    command.add_argument("--install", action="store_true", help="install missing system libraries (Debian, as root)")
    command.add_argument("--quiet", action="store_true", help="say only what is missing")


def _screenshots(commands: Commands) -> None:
    command = _command(commands, "screenshots", "windows:screenshots", "Render every page of the window as PNG files.")
    command.add_argument("folder", type=Path, metavar="DIR")
    command.add_argument("--project", type=Path, default=None, metavar="DIR", help="a project with runs")


def _worker(commands: Commands) -> None:
    command = _command(
        commands, "worker", "headless:worker", "Answer commands on stdin with JSON lines (for the window)."
    )
    command.add_argument("--plugins", default="", metavar="ID", help="the plugin whose models this worker runs")
    _with_threads(command)
    _with_device(command)
    command = _command(commands, "describe-plugin", "headless:describe", "Write what a plugin brings (for the window).")
    command.add_argument("plugins", metavar="ID", help="the plugin")
    command.add_argument("describe", type=Path, metavar="FILE", help="where to write it")
