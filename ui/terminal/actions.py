"""What each command does: ask a job, then print its result."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from core.commands import (
    ExplainRow,
    Finding,
    MakeReport,
    MakeSample,
    ReportMade,
    RowExplained,
    RowField,
    SampleMade,
    Train,
    Trained,
)
from core.display import Align, Table, TableColumn
from core.files import read_json
from core.jobs import perform
from core.next_item.story import is_next_item
from core.ports import ProjectStore
from core.present import evidence_table, runs_table, terms_table
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.report import ReportDocument
from core.run_folder import OutputFolder, RunFolder
from core.summary import summarise
from crosslens.errors import ParameterError, ProjectError, UserError
from crosslens.plain import to_plain
from crosslens.runs import RunRecord

from .choosing import chosen_run, run_in
from .connecting import named_source, unlocked
from .funnel import evidence_by_output, print_funnel
from .next_item import print_next_item
from .parts import Parts
from .recipes import write_recipe
from .terminal import Terminal


def sample(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Write the sample database and a recipe beside it."""
    made = _sample(options.path, options, parts, terminal)
    recipe = made.database.with_suffix(".toml")
    write_recipe(recipe, made.recipe, terminal)
    terminal.say(f"The shop is in {made.database}, the truth beside it in {made.truth.name}.")
    terminal.say(f"Next: crosslens train {recipe}")
    terminal.result({"database": str(made.database), "truth": str(made.truth), "recipe": str(recipe)})


def _sample(path: Path, options: Namespace, parts: Parts, terminal: Terminal) -> SampleMade:
    request = MakeSample(path, options.rows, options.seed, options.preset)
    with terminal.job() as control:
        made: SampleMade = perform(request, parts.services(), control)
    return made


def recipe(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Write a recipe for a database from what its keys and columns suggest."""
    from core.jobs.suggest import suggest_recipe

    connection, services = named_source(options.database, options, parts.services(), terminal)
    models = tuple(ModelChoice(name) for name in options.model or ("lightgbm", "arm-net"))
    with terminal.job() as control:
        suggested = suggest_recipe(
            connection,
            base=options.base,
            label=options.label,
            models=models,
            services=services,
            control=control,
            guesses=options.guesses,
            moment=options.moment,
        )
    toml = recipe_to_toml(suggested.recipe)
    if options.out:
        write_recipe(options.out, toml, terminal)
        terminal.say(f"The recipe is in {options.out}. Next: crosslens train {options.out}")
    elif not terminal.as_json:
        print(toml, end="")  # noqa: T201  the recipe itself is the output
    _say_findings(suggested.findings, terminal)
    terminal.result({"recipe": toml, "findings": to_plain(suggested.findings)})


def train(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Train every model of a recipe, or resume a run."""
    if bool(options.recipe) == bool(options.resume):
        raise UserError("Name either a recipe or a run to resume.", do="For example: crosslens train shop.toml")
    toml = "" if options.resume else recipe_to_toml(_with_variable(read_recipe(options.recipe), options))
    trained = _train(Train(options.project.absolute(), toml, resume=options.resume), options, parts, terminal)
    with_project(parts, options.project, lambda project: _print_runs(trained.runs, project, terminal))


def _say_findings(findings: Sequence[Finding], terminal: Terminal) -> None:
    for finding in findings:
        terminal.say(f"{finding.severity}: {finding.message}")


def _train(request: Train, options: Namespace, parts: Parts, terminal: Terminal) -> Trained:
    services = parts.services(threads=options.threads, device=options.device)
    recipe = recipe_from_toml(request.recipe) if request.recipe else _run_recipe(request.resume, options, parts)
    services = unlocked(recipe.source, services, terminal)
    with terminal.job() as control:
        trained: Trained = perform(request, services, control)
    return trained


def _with_variable(recipe: Recipe, options: Namespace) -> Recipe:
    if not options.password_variable:
        return recipe
    return replace(recipe, source=replace(recipe.source, password_variable=options.password_variable))


def _run_recipe(run: str, options: Namespace, parts: Parts) -> Recipe:
    found: list[Recipe] = []
    with_project(parts, options.project, lambda project: found.append(recipe_from_toml(project.run(run).recipe)))
    return found[0]


def read_recipe(path: Path) -> Recipe:
    """Return the recipe in a file; relative databases are looked for beside it."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        do = f"Check the path; to have one written: crosslens recipe DATABASE --out {path}"
        raise UserError(f"There is no recipe {path}.", do=do) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"The recipe {path} cannot be read.", why=f"{error}.", do="Check the path.") from error
    return recipe_from_toml(text, folder=path.absolute().parent)


def with_project(parts: Parts, folder: Path, use: object) -> None:
    """Open a project, use it, close it."""
    project = parts.services().projects.open(folder.absolute())
    try:
        use(project)  # type: ignore[operator]
    finally:
        project.close()


def _print_runs(run_ids: tuple[str, ...], project: ProjectStore, terminal: Terminal) -> None:
    records = tuple(project.run(run_id) for run_id in run_ids)
    of_rows = tuple(record for record in records if not is_next_item(project.run_folder(record.id)))
    if of_rows:
        terminal.table(runs_table(of_rows))
    print_next_item(records, project, terminal)
    if records:
        _say_findings(RunFolder(project.run_folder(records[0].id)).facts().findings, terminal)
    print_funnel(of_rows, project, terminal)
    for record in of_rows:
        for title, evidence in evidence_by_output(record, RunFolder(project.run_folder(record.id))).items():
            terminal.table(replace(evidence_table(evidence, limit=5), title=f"{title}: strongest interactions"))
    terminal.result(summarise(records, project))


def runs(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """List the runs of a project."""

    def show(project: ProjectStore) -> None:
        records = project.runs()
        of_rows = tuple(record for record in records if not is_next_item(project.run_folder(record.id)))
        if of_rows or not records:
            terminal.table(runs_table(of_rows))
        print_next_item(records, project, terminal, compared=False)
        terminal.result([to_plain(record) for record in records])

    with_project(parts, options.project, show)


def explain(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Show what drives a run, or why one row has its prediction."""
    if options.row is not None:
        _explain_row(options, parts, terminal)
        return

    def show(project: ProjectStore) -> None:
        record = run_in(project, options.run)
        folder = RunFolder(project.run_folder(record.id))
        output = _output(options.output, record, folder)
        evidence, terms = output.evidence(), output.terms()
        if evidence is None:
            raise ProjectError(f"The run {record.id} has no explanations.", why=f"It is {record.status}.")
        terminal.table(evidence_table(evidence, limit=options.top))
        if terms:
            terminal.table(terms_table(terms, limit=options.top))
        terminal.result(summarise((record,), project, top=options.top))

    with_project(parts, options.project, show)


def _output(name: str, record: RunRecord, folder: RunFolder) -> OutputFolder:
    known = folder.facts().predicted if (folder.path / "facts.json").exists() else ()
    if name and name not in known:
        raise ParameterError(f"The run {record.id} has no output {name!r}.", do=f"It has {', '.join(known) or 'none'}.")
    return folder.output(name)


def _explain_row(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    changes = dict(_change(text) for text in options.set)
    run = chosen_run(options.run, options.project, parts)
    request = ExplainRow(options.project.absolute(), run, options.row, changes, options.output)
    with terminal.job() as control:
        found: RowExplained = perform(request, parts.services(threads=options.threads), control)
    heads = (TableColumn("field"), TableColumn("value"), TableColumn("share of the logit", Align.RIGHT, decimals=3))
    ordered = sorted(found.fields, key=lambda field: -abs(field.contribution))
    rows = tuple((field.name, _value(field), field.contribution) for field in ordered)
    note = f"Probability {found.probability:.4f}"
    if changes:
        note += f", {found.original_probability:.4f} before the changes"
    terminal.table(Table(f"Test row {found.row}", heads, rows, note=note))
    terminal.result(to_plain(found))


def _value(field: RowField) -> str | None:
    return f"{field.value} (unknown to the model)" if field.unknown else field.value


def _change(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise ParameterError(f"{text!r} is not a change.", do="Write FIELD=VALUE, for example users.region=North.")
    return name, value


def report(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Write the report of some runs."""
    chosen = tuple(chosen_run(each, options.project, parts) for each in options.runs)
    made = make_report(options.out, chosen, options, parts, terminal)
    terminal.say(f"The report is in {made}.")
    terminal.result({"report": str(made)})


def make_report(out: Path, runs: tuple[str, ...], options: Namespace, parts: Parts, terminal: Terminal) -> Path:
    """Write the report as HTML or PDF, by the ending of `out`; return what was written."""
    if out.suffix.lower() not in (".html", ".htm", ".pdf"):
        raise UserError(f"{out.name} has an ending that cannot be written.", do="Use .html or .pdf.")
    request = MakeReport(options.project.absolute(), runs, out.absolute(), options.title, options.notes)
    with terminal.job() as control:
        made: ReportMade = perform(request, parts.services(), control)
        if out.suffix.lower() == ".pdf":
            parts.write_pdf(read_json(made.document, ReportDocument), out.absolute())
            made.html.unlink()
        made.document.unlink()
    return out.absolute()
