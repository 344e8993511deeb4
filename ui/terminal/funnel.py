"""Funnels on the terminal: every output on rows of its own, then stages, delays and selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from core.evidence import InteractionEvidence
from core.funnel_views import delays_table, outputs_table, selection_table, stages_table
from core.outputs import output_title
from core.ports import ProjectStore
from core.quality import Quality
from core.run_folder import RunFolder
from crosslens.runs import RunRecord

from .terminal import Terminal


def print_funnel(records: Sequence[RunRecord], project: ProjectStore, terminal: Terminal) -> None:
    """Print what the funnel models among some runs found; nothing where there is none."""
    folders = {record.title: RunFolder(project.run_folder(record.id)) for record in records if record.metrics}
    reports = {title: report for title, folder in folders.items() if (report := folder.funnel()) is not None}
    if not reports:
        return
    terminal.table(outputs_table({title: _qualities(folder) for title, folder in folders.items()}))
    first = next(iter(reports.values()))
    terminal.table(stages_table(first))
    delays = delays_table(first)
    if delays is not None:
        terminal.table(delays)
    for title, report in reports.items():
        if report.selection is not None:
            table = selection_table(report.selection)
            terminal.table(replace(table, title=f"{title}: {table.title[0].lower()}{table.title[1:]}"))
    said = [words for report in reports.values() for words in (report.delays_unknown, *report.warnings)]
    for words in dict.fromkeys(filter(None, said)):
        terminal.say(f"warn: {words}")


def evidence_by_output(record: RunRecord, folder: RunFolder) -> dict[str, InteractionEvidence]:
    """Return what is proved about each output of a run, by a title that names it where there are several."""
    if not (folder.path / "facts.json").exists():
        return {}
    outputs = folder.facts().predicted
    found = {output: folder.output(output).evidence() for output in outputs}
    several = len(outputs) > 1
    return {
        f"{record.title}, {output_title(output)}" if several else record.title: evidence
        for output, evidence in found.items()
        if evidence is not None
    }


def _qualities(folder: RunFolder) -> dict[str, Quality]:
    outputs = folder.facts().predicted
    found = {output: folder.output(output).quality("test") for output in outputs}
    return {output: quality for output, quality in found.items() if quality is not None}
