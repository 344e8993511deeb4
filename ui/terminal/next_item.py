"""Next-item runs on the command line: how well they find the next item, and what they recommend to one user."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from core.commands import ExplainRecommendation, RecommendationExplained, RecommendToUser, UserRecommended
from core.display import Align, Table, TableColumn
from core.formats import format_number
from core.jobs import perform
from core.next_item.present import headline_table, list_table
from core.next_item.run_files import NextItemFiles
from core.next_item.story import common_warnings, is_next_item, read_story, verdicts
from core.ports import ProjectStore
from crosslens.errors import ParameterError
from crosslens.plain import to_plain
from crosslens.runs import RunRecord

from .choosing import run_in
from .parts import Parts
from .terminal import Terminal


def print_next_item(
    records: Sequence[RunRecord], project: ProjectStore, terminal: Terminal, *, compared: bool = True
) -> None:
    """Print what next-item runs measured, those that were asked the same beside each other."""
    runs = [record for record in records if is_next_item(project.run_folder(record.id))]
    for fingerprint in dict.fromkeys(run.data_fingerprint for run in runs):
        same = [run for run in runs if run.data_fingerprint == fingerprint]
        story = read_story(same[-1], same, project.run_folder, compared=compared)
        terminal.table(_with_ids(headline_table(story.qualities), story.runs))
        if not compared:
            continue
        terminal.table(list_table(story.qualities))
        for sentence in (*verdicts(story, story.chosen), *common_warnings(story)):
            terminal.say(sentence)


def _with_ids(table: Table, runs: Mapping[str, RunRecord]) -> Table:
    """Return the table with the id of each run in front: other commands ask for it."""
    rows = tuple((runs[str(row[0])].id, *row) for row in table.rows)
    return Table(table.title, (TableColumn("Run"), *table.columns), rows, table.greyed, table.note)


def recommend(options: Namespace, parts: Parts, terminal: Terminal) -> None:
    """Print a test user's history, the items recommended, and what speaks for one of them."""
    services = parts.services(threads=options.threads)
    folder = options.project.absolute()
    project = services.projects.open(folder)
    try:
        record = run_in(project, options.run)
        user = _place_of(options.user, NextItemFiles(project.run_folder(record.id)).users())
    finally:
        project.close()
    with terminal.job() as control:
        found: UserRecommended = perform(RecommendToUser(folder, record.id, user, options.top), services, control)
        why = None
        if 0 < options.why <= len(found.items):
            item = found.items[options.why - 1].id
            why = perform(ExplainRecommendation(folder, record.id, user, item, options.top), services, control)
    _print_list(found, terminal)
    if why is not None:
        _print_reasons(why, terminal)
    terminal.result({"recommended": to_plain(found), "explained": None if why is None else to_plain(why)})


def _place_of(user: str, users: pa.Table | None) -> int:
    """Return the row of a user among the test users."""
    if users is None:
        raise ParameterError("This run has no test users.", do="Choose a finished run of a next-item model.")
    place = int(pc.index(users["user"].cast(pa.string()), pa.scalar(user)).as_py())
    if place < 0:
        example = users["user"][0].as_py() if users.num_rows else ""
        raise ParameterError(
            f"There is no test user {user!r}.", do=f"Write a user as the source does, for example {example}."
        )
    return place


def _print_list(found: UserRecommended, terminal: Terminal) -> None:
    events = tuple((event.time, event.title) for event in found.history[-20:])
    earlier = len(found.history) - len(events)
    note = f"{earlier} earlier events are not shown." if earlier else ""
    terminal.table(Table(f"History of {found.name}", (TableColumn("When"), TableColumn("Item")), events, note=note))
    rank = "not ranked: chosen before" if found.target_rank is None else f"rank {format_number(found.target_rank, 0)}"
    columns = (
        TableColumn("#", Align.RIGHT),
        TableColumn("Item"),
        TableColumn("Score", Align.RIGHT, 3),
        TableColumn("Note"),
    )
    rows = tuple((i.rank, i.title, i.score, "chosen next" if i.is_target else "") for i in found.items)
    terminal.table(Table("Recommended", columns, rows, note=f"Chosen next: {found.target.title} ({rank})."))


def _print_reasons(why: RecommendationExplained, terminal: Terminal) -> None:
    columns = (
        TableColumn("Event"),
        TableColumn("Lends to the score", Align.RIGHT, 3),
        TableColumn("Rank without it", Align.RIGHT, 0),
        TableColumn("Similar by text", Align.RIGHT, 2),
    )
    rows = tuple((effect.title, effect.score_change, effect.rank, effect.similarity) for effect in why.effects)
    greyed = tuple(effect.score_change <= 0 for effect in why.effects)
    terminal.table(Table(f"What speaks for {why.title}", columns, rows, greyed, note=why.method))
    if why.removal:
        terminal.say(f"Without {', '.join(why.removal)} it would not be among the first {why.top}.")
