"""The report of some runs: one document, kept as HTML and as JSON for the PDF."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from crosslens.errors import ProjectError
from crosslens.runs import RunRecord, RunStatus

from ..commands import MakeReport, Phase, ReportMade
from ..files import write_json, write_text
from ..ports import ProjectStore
from ..report import ReportDocument
from ..report.build import ReportInputs, RunInputs, build_report
from ..report.document import Heading
from ..report.html import render_html
from ..run_folder import RunFolder
from ..services import JobControl, Services
from .next_item_report import next_item_document, parted


def make_report(request: MakeReport, services: Services, control: JobControl) -> ReportMade:
    """Write the report; runs without results are refused by name."""
    control.say(Phase.WRITING, "Building the report")
    project = services.projects.open(request.project)
    try:
        document = report_document(request, project)
    finally:
        project.close()
    html = request.output.absolute().with_suffix(".html")
    document_file = html.with_suffix(".report.json")
    write_text(html, render_html(document))
    write_json(document_file, document)
    return ReportMade(html, document_file)


def report_document(request: MakeReport, project: ProjectStore) -> ReportDocument:
    """Return the report as a document."""
    records = [project.run(run) for run in request.runs] or [run for run in project.runs() if _has_results(run)]
    if not records:
        raise ProjectError("There is nothing to report.", why="No run has finished yet.", do="Train a model first.")
    of_rows, of_items = parted(records, project)
    created = datetime.now(UTC)
    recommended = next_item_document(request, of_items, project, created) if of_items else None
    if recommended is not None and not of_rows:
        return recommended
    document = build_report(
        ReportInputs(
            title=request.title or "What drives the outcome",
            notes=request.notes,
            created=created,
            runs=tuple(_inputs(record, project) for record in of_rows),
            sections=request.sections,
        )
    )
    if recommended is None:
        return document
    return replace(document, blocks=(*document.blocks, Heading("Next items"), *recommended.blocks))


def _has_results(run: RunRecord) -> bool:
    return run.status in (RunStatus.FINISHED, RunStatus.STOPPED) and bool(run.metrics)


def _inputs(record: RunRecord, project: ProjectStore) -> RunInputs:
    if not _has_results(record):
        raise ProjectError(
            f"The run {record.id} has no results to report.",
            why=f"It is {record.status}.",
            do="Resume it, or leave it out of the report.",
        )
    folder = RunFolder(project.run_folder(record.id))
    return RunInputs.read(record, folder)
