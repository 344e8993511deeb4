"""What leaves on the command line: predictions as a file or a new table, and trained models."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import replace
from pathlib import Path

from core.commands import ExportModel, ModelExported, Score, Scored
from core.connections import FILE_DIALECTS
from core.jobs import perform
from core.recipe_toml import recipe_from_toml
from crosslens.errors import ParameterError
from crosslens.relational import ConnectionSpec

from .choosing import chosen_run
from .connecting import named_source, named_target, unlocked
from .parts import Parts
from .terminal import Terminal

_DATABASE_ENDINGS = {".duckdb": "duckdb", ".ddb": "duckdb"}
_DATABASES = {*_DATABASE_ENDINGS, ".db", ".sqlite", ".sqlite3"}


def predict(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Score a database into a file, or into a new table."""
    services = parts.services(threads=options.threads)
    source: ConnectionSpec | None = None
    into = _target(options, parts, terminal)
    run = chosen_run(options.run, options.project, parts)
    if options.database:
        source, services = named_source(options.database, options, services, terminal)
    else:
        project = services.projects.open(options.project.absolute())
        try:
            recipe = recipe_from_toml(project.run(run).recipe)
        finally:
            project.close()
        services = unlocked(recipe.source, services, terminal)
    columns = options.columns or ("all" if into is None else "key")
    request = Score(
        options.project.absolute(),
        run,
        Path(options.output).absolute() if into is None else Path(),
        source,
        options.top,
        keys_only=columns == "key",
        into=into,
        table=options.table,
    )
    with terminal.job() as control:
        scored: Scored = perform(request, services, control)
    if scored.table:
        terminal.say(f"{scored.rows:,} predictions are in the new table {scored.table} of {scored.place}.")
        terminal.result({"database": scored.place, "table": scored.table, "rows": scored.rows})
    else:
        terminal.say(f"{scored.rows:,} predictions are in {scored.output}.")
        terminal.result({"output": str(scored.output), "rows": scored.rows})


def _target(options: Namespace, parts: Parts, terminal: Terminal) -> ConnectionSpec | None:
    """Return the database for the new table, None for a file; a file that is not there yet is told by its ending."""
    if not options.table:
        _check_file(options.output)
        return None
    found = named_target(options.output, options.table_password_variable, parts.services(), terminal)
    return _file_target(found) if found.dialect in FILE_DIALECTS else found


def _check_file(output: str) -> None:
    """Refuse a database that is named like a file to write."""
    if "://" in output or Path(output).suffix.lower() in _DATABASES:
        raise ParameterError(
            f"{output} is a database, and no table is named.",
            do="Name the new table to make in it, for example: --table scores",
        )


def _file_target(found: ConnectionSpec) -> ConnectionSpec:
    path = Path(found.database)
    if path.exists():
        return found
    return replace(found, dialect=_DATABASE_ENDINGS.get(path.suffix.lower(), "sqlite"))


def export_model(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Write a trained model as ONNX or as a folder."""
    run = chosen_run(options.run, options.project, parts)
    request = ExportModel(options.project.absolute(), run, options.output.absolute())
    with terminal.job() as control:
        made: ModelExported = perform(request, parts.services(), control)
    terminal.say(f"The model is in {made.output}.")
    if made.files:
        terminal.say("README.md in it tells how to use it.")
    terminal.result({"output": str(made.output), "files": list(made.files)})
