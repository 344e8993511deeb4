"""The report of next-item runs: how well the next item is found, beside what, for whom, and what it rests on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from crosslens.models import FitProgress

from ..display import Align, Table, TableColumn
from ..formats import counted, enumerated, format_count, format_metric, format_seconds
from ..present import training_chart
from ..recipe import NextItemSplit, Recipe
from ..recipe_toml import recipe_from_toml
from ..report.document import Block, Callout, Code, Heading, Paragraph, PictureBlock, ReportDocument
from ..run_folder import RunFacts
from .present import group_chart, group_table, headline_table, length_table, list_table, metric_title, paired_table
from .story import NextItemStory, common_warnings, verdicts


@dataclass(frozen=True, slots=True)
class NextItemReport:
    """What the report is made of: the runs side by side, and by name what each rests on and how it learned."""

    story: NextItemStory
    facts: Mapping[str, RunFacts]
    history: Mapping[str, tuple[FitProgress, ...]]
    title: str
    notes: str
    created: datetime
    sections: Sequence[str] = ()


def build_next_item_report(report: NextItemReport) -> ReportDocument:
    """Return the report as a document; sections it does not have ("why") are left out."""
    wanted = report.sections or tuple(_SECTIONS)
    blocks = [block for name, section in _SECTIONS.items() if name in wanted for block in section(report)]
    when = f"{report.created:%Y-%m-%d %H:%M %Z}".rstrip()
    source = report.facts[report.story.best].snapshot.source
    return ReportDocument(report.title, f"{source} · {when}", tuple(blocks))


def _summary(report: NextItemReport) -> Iterator[Block]:
    story = report.story
    yield Heading("In short")
    if report.notes:
        yield Paragraph(report.notes)
    yield PictureBlock(table=_figures(story))
    yield Paragraph(
        f"The validation users chose {story.best}. The figures below are of test users, whose held-out item no model "
        "has seen."
    )
    for sentence in verdicts(story, story.best):
        yield Callout(sentence, "note")
    for warning in common_warnings(story):
        yield Callout(warning, "warn")


def _figures(story: NextItemStory) -> Table:
    quality = story.qualities[story.best]
    figures = [("Users", format_count(quality.users)), ("Items", format_count(quality.items))]
    for kind in ("ndcg", "hr"):
        metric = quality.metric(f"{kind}@{quality.headline}")
        figures.append((f"{metric_title(metric.name)} of {story.best}", format_metric(metric, 4)))
    return Table("", tuple(TableColumn(name) for name, _ in figures), (tuple(value for _, value in figures),))


_SPLITS = {
    NextItemSplit.LEAVE_ONE_OUT: "The last item of every user is the test, the one before validates, the rest trains.",
    NextItemSplit.TIME: "What came before a moment trains; the first item a user chose after a later one is the test.",
}


def _data(report: NextItemReport) -> Iterator[Block]:
    story, facts = report.story, report.facts[report.story.best]
    recipe = _recipe(report)
    yield Heading("Data")
    yield Paragraph(
        f"{format_count(facts.snapshot.rows)} rows of {facts.snapshot.source}. {_SPLITS[recipe.next_item.split]}"
    )
    found = story.facts
    if found is not None:
        rows: list[tuple[str, int]] = [
            ("Events in sequences", found.events), ("Users", found.users), ("Items", found.items),
            ("Events for training", found.trained_events), ("Validation users", found.validation_users),
            ("Test users", found.test_users),
        ]  # fmt: skip
        columns = (TableColumn("What"), TableColumn("Count", Align.RIGHT))
        yield PictureBlock(table=Table("What the sequences hold", columns, tuple(rows)))
    yield Code(facts.snapshot.sql, "The query, as it was sent (read-only)")


def _quality(report: NextItemReport) -> Iterator[Block]:
    story = report.story
    yield Heading("How well is the next item found?")
    yield PictureBlock(table=headline_table(story.qualities))
    best = story.qualities[story.best]
    for k in best.at:
        if k != best.headline:
            yield PictureBlock(table=length_table(story.qualities, k))
    if story.comparisons:
        yield PictureBlock(table=paired_table(story.comparisons))
    for by in ("length", "popularity"):
        chart = group_chart(story.qualities, by)
        if chart is not None:
            yield PictureBlock(lines=chart)
        yield PictureBlock(table=group_table(story.qualities, by))
    yield PictureBlock(table=list_table(story.qualities))


def _limits(report: NextItemReport) -> Iterator[Block]:
    yield Heading("Warnings and limits")
    for finding in report.facts[report.story.best].findings:
        yield Callout(finding.message, "note" if finding.severity == "note" else "warn")
    yield Paragraph(
        "What users chose was among what they were shown: an item that nobody was shown cannot be found right. "
        "Held-out items tell how well habits are continued, not what a recommendation changes; that takes an "
        "experiment."
    )


def _provenance(report: NextItemReport) -> Iterator[Block]:
    yield Heading("Where it comes from")
    for name, run in report.story.runs.items():
        yield PictureBlock(table=_run_facts(name, report))
        history = report.history.get(name, ())
        if len(history) > 1:
            metric = next(iter(history[-1].metrics), "loss")
            yield PictureBlock(lines=training_chart(history, metric))
        yield Code(run.recipe, f"Recipe of {name}: training by this file repeats the run")


def _run_facts(name: str, report: NextItemReport) -> Table:
    facts, run = report.facts[name], report.story.runs[name]
    rows = [
        ("Run", run.id),
        ("Model", f"{facts.model_title} ({facts.model}, version {facts.model_version})"),
        ("Started", run.created.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Time by phase", ", ".join(f"{phase} {format_seconds(each)}" for phase, each in facts.seconds.items())),
        ("Data fingerprint", facts.snapshot.fingerprint),
        ("Threads", str(facts.threads)),
        ("Device", facts.device or "cpu"),
        ("Versions", ", ".join(f"{package} {version}" for package, version in facts.versions.items())),
        ("Described by", enumerated(list(facts.fields)) or counted(0, "field")),
    ]
    return Table(f"{name}: how to repeat it", (TableColumn("What"), TableColumn("Value")), tuple(rows))


def _recipe(report: NextItemReport) -> Recipe:
    return recipe_from_toml(report.story.runs[report.story.best].recipe)


_SECTIONS = {
    "summary": _summary,
    "data": _data,
    "quality": _quality,
    "limits": _limits,
    "provenance": _provenance,
}
