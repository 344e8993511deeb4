"""The main job on the built-in sample: database, models, explanations, report, predictions."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.commands import MakeReport, MakeSample, ReportMade, SampleMade, Score, Train, Trained
from core.files import read_json, write_text
from core.jobs import JobControl, Services, perform
from core.ports import ProjectStore
from core.present import evidence_table, runs_table
from core.recipe import ModelChoice, Recipe
from core.recipe_toml import recipe_from_toml, recipe_to_toml
from core.report import ReportDocument
from core.run_folder import RunFolder
from core.summary import against, planted_found, summarise
from crosslens.errors import StorageError
from crosslens.runs import RunRecord

from .doctor import has_display, missing_packages
from .parts import Parts
from .terminal import Terminal, without_nan

MODELS = ("arm-net", "lightgbm", "logistic")
_BASELINE = "logistic"
_MARK = ".crosslens-demo"


@dataclass(frozen=True, slots=True)
class _Made:
    """What the demo leaves behind."""

    sample: SampleMade
    runs: tuple[str, ...]
    report: Path
    pdf: Path | None
    predictions: Path
    seconds: float


def run_demo(options: Namespace, parts: Parts, terminal: Terminal) -> Path:
    """Do everything, print the result table, and return the project folder."""
    out = _fresh_folder(options.out.absolute())
    started = time.perf_counter()
    services = parts.services(threads=options.threads, device=options.device)
    with terminal.job() as control:
        made = _make(out, options, parts, services, control, started)
    project = services.projects.open(out / "project")
    try:
        records = tuple(project.run(run) for run in made.runs)
        summary = _summary(records, made, project)
        write_text(out / "summary.json", json.dumps(without_nan(summary), ensure_ascii=False, indent=1))
        _print(records, made, project, summary, terminal)
    finally:
        project.close()
    terminal.result(summary)
    return out / "project"


def _fresh_folder(out: Path) -> Path:
    """Return an empty folder; a folder that is not an earlier demo is never emptied."""
    if out.exists() and any(out.iterdir()):
        if not (out / _MARK).exists():
            raise StorageError(
                f"{out} is not empty.",
                why="The demo writes into a folder of its own and never touches other files.",
                do="Choose another folder with --out.",
            )
        shutil.rmtree(out)
    out.mkdir(parents=True, exist_ok=True)
    (out / _MARK).write_text("made by `crosslens demo`; may be replaced by the next one\n", encoding="utf-8")
    return out


def _make(
    out: Path, options: Namespace, parts: Parts, services: Services, control: JobControl, started: float
) -> _Made:
    sample: SampleMade = perform(
        MakeSample(out / "shop.db", options.rows, options.seed, options.preset), services, control
    )
    recipe = _demo_recipe(sample)
    write_text(out / "shop.toml", recipe_to_toml(recipe))
    project = out / "project"
    trained: Trained = perform(Train(project, recipe_to_toml(recipe)), services, control)
    seconds = time.perf_counter() - started
    report: ReportMade = perform(
        MakeReport(project, trained.runs, out / "report.html", title="What drives clicks in the sample shop"),
        services,
        control,
    )
    pdf = _pdf(report, out, parts)
    report.document.unlink()
    predictions = out / "predictions.parquet"
    perform(Score(project, trained.runs[0], predictions), services, control)
    return _Made(sample, trained.runs, report.html, pdf, predictions, seconds)


def _demo_recipe(sample: SampleMade) -> Recipe:
    recipe = recipe_from_toml(sample.recipe, folder=sample.database.parent)
    return replace(recipe, models=tuple(ModelChoice(model) for model in MODELS))


def _pdf(report: ReportMade, out: Path, parts: Parts) -> Path | None:
    if missing_packages():
        return None
    parts.write_pdf(read_json(report.document, ReportDocument), out / "report.pdf")
    return out / "report.pdf"


def _summary(records: tuple[RunRecord, ...], made: _Made, project: ProjectStore) -> dict[str, Any]:
    return {
        "sample": {"database": str(made.sample.database), "truth": str(made.sample.truth)},
        "seconds": made.seconds,
        "models": summarise(records, project),
        "against_logistic": against(records, _BASELINE, project),
        "planted": planted_found(records, made.sample.truth, project),
        "report": str(made.report),
        "pdf": str(made.pdf) if made.pdf else None,
        "predictions": str(made.predictions),
    }


def _print(
    records: tuple[RunRecord, ...], made: _Made, project: ProjectStore, summary: dict[str, Any], terminal: Terminal
) -> None:
    terminal.table(runs_table(records))
    for record in records:
        evidence = RunFolder(project.run_folder(record.id)).evidence()
        if evidence and record.model != _BASELINE:
            terminal.say(f"\n{record.title}: strongest interactions")
            terminal.table(evidence_table(evidence, limit=5))
    terminal.say(f"\nSample to report in {made.seconds:.0f} s.")
    terminal.say(f"Report       {made.report}")
    if made.pdf:
        terminal.say(f"             {made.pdf}")
    else:
        terminal.say("             no PDF: Qt's system libraries are missing; `crosslens doctor` says which")
    terminal.say(f"Predictions  {made.predictions}")
    terminal.say(f"Summary      {made.predictions.with_name('summary.json')}")


def demo(options: Namespace, parts: Parts, terminal: Terminal) -> int:
    """Do the whole journey on the sample, then open the window if there is a display."""
    project = run_demo(options, parts, terminal)
    if options.no_window or options.json or not has_display() or missing_packages():
        return 0
    terminal.say("Opening the window on this project; close it to come back.")
    # A process of its own: this one has drawn a PDF without a window and holds torch, which a window never does.
    return subprocess.run([*parts.program, "open", str(project)], check=False).returncode
