"""The report of next-item runs, read from their folders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from crosslens.runs import RunRecord

from ..commands import MakeReport
from ..next_item.report import NextItemReport, build_next_item_report
from ..next_item.story import is_next_item, read_story
from ..ports import ProjectStore
from ..report import ReportDocument
from ..run_folder import RunFolder

TITLE = "What users choose next"


def parted(records: Sequence[RunRecord], project: ProjectStore) -> tuple[list[RunRecord], list[RunRecord]]:
    """Return the runs that predict rows, and those that recommend items."""
    items = [record for record in records if is_next_item(project.run_folder(record.id))]
    return [record for record in records if record not in items], items


def next_item_document(
    request: MakeReport, records: Sequence[RunRecord], project: ProjectStore, created: datetime
) -> ReportDocument:
    """Return the report of next-item runs; those asked something else than the first are told apart by a note."""
    same = [record for record in records if record.data_fingerprint == records[0].data_fingerprint]
    story = read_story(same[0], same, project.run_folder)
    folders = {name: RunFolder(project.run_folder(run.id)) for name, run in story.runs.items()}
    others = len(records) - len(same)
    left_out = f"{others} of the chosen runs were asked something else and are left out." if others else ""
    return build_next_item_report(
        NextItemReport(
            story=story,
            facts={name: folder.facts() for name, folder in folders.items()},
            history={name: folder.history() for name, folder in folders.items()},
            title=request.title or TITLE,
            notes=" ".join(part for part in (request.notes, left_out) if part),
            created=created,
            sections=request.sections,
        )
    )
