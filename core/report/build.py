"""From runs to a report: what drives the outcome, which fields interact, how good the models are, and what it rests on.

Validation rows choose the model the summary speaks of; test rows tell how good it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from crosslens.errors import ParameterError

from ..display import Align, Cell, Table, TableColumn
from ..evidence import InteractionEvidence, PairEvidence
from ..formats import (
    counted,
    enumerated,
    format_count,
    format_interval,
    format_metric,
    format_number,
    format_percent,
    format_seconds,
    format_signed,
)
from ..funnel_views import delays_table, output_words, outputs_table, selection_table, stage_bars, stages_table
from ..outputs import output_title
from ..present import (
    HARDLY,
    comparison_table,
    evidence_table,
    faithfulness_chart,
    faithfulness_words,
    field_bars,
    gains_chart,
    importance_bars,
    interaction_graph,
    interaction_heat_map,
    metrics_table,
    pair_heat_map,
    precision_recall_chart,
    reliability_chart,
    roc_chart,
    terms_table,
    training_chart,
)
from ..quality import PairedComparison
from ..recipe import Recipe, SplitMethod
from ..recipe_toml import recipe_from_toml, recipe_to_toml
from .document import Block, Callout, Code, Heading, Paragraph, PictureBlock, ReportDocument
from .inputs import ReportInputs, RunInputs, by_output, compared

__all__ = ["SECTIONS", "ReportInputs", "RunInputs", "build_report"]

_Comparisons: TypeAlias = Sequence[tuple[str, str, PairedComparison]]

_PAIRS_SHOWN = 15
_PAIRS_NAMED = 4
_FIELDS_NAMED = 3


def build_report(inputs: ReportInputs) -> ReportDocument:
    """Return the report of some runs as a document; ParameterError for an unknown section, ValueError without runs."""
    for name in inputs.sections:
        if name not in SECTIONS:
            raise ParameterError(f"A report has no section {name!r}.", do=f"It has {enumerated(tuple(SECTIONS))}.")
    if not inputs.runs:
        raise ValueError("a report needs at least one run")
    named = inputs.named_runs()
    main = next(iter(by_output(named)))  # the run of the summary is chosen among those that predict the same
    order = sorted(named, key=lambda name: (named[name].about != main, -named[name].validation_auc()))
    runs = {name: named[name] for name in order}
    best = order[0]
    story = _Story(inputs.notes, runs, best, compared(runs), recipe_from_toml(runs[best].recipe))
    wanted = inputs.sections or tuple(SECTIONS)
    blocks = [block for name, section in SECTIONS.items() if name in wanted for block in section(story)]
    when = f"{inputs.created:%Y-%m-%d %H:%M %Z}".rstrip()
    return ReportDocument(inputs.title, f"{story.run.facts.snapshot.source} · {when}", tuple(blocks))


@dataclass(frozen=True, slots=True, eq=False)
class _Story:
    """What the sections tell from. The validation rows order `runs` and choose `best`, the first."""

    notes: str
    runs: Mapping[str, RunInputs]
    best: str
    comparisons: Sequence[tuple[str, str, PairedComparison]]
    recipe: Recipe

    @property
    def run(self) -> RunInputs:
        """Return the run of the best model."""
        return self.runs[self.best]

    @property
    def outcome(self) -> str:
        """Return the label's name as a sentence uses it."""
        return _PLURALS.get(self.run.facts.label, self.run.facts.label)

    @property
    def funnel(self) -> tuple[str, RunInputs] | None:
        """Return the first run that knows a funnel, with its name."""
        return next(((name, run) for name, run in self.runs.items() if run.funnel is not None), None)


_PLURALS = {
    "click": "clicks",
    "conversion": "conversions of clicked rows",
    "click_and_conversion": "clicks that convert",
}


# ---- summary


def _summary(story: _Story) -> Iterator[Block]:
    yield Heading("In short")
    if story.notes:
        yield Paragraph(story.notes)
    yield PictureBlock(table=_key_figures(story))
    yield Paragraph(_drivers(story.best, story.run, story.outcome))
    yield from _further_drivers(story)
    yield _interactions(story)
    if len(story.runs) > 1:
        yield _which_model(story)
    for name, run in story.runs.items():
        for view in run.views:
            what = f"{name}, {output_title(view.about)}" if run.further else name
            for warning in view.quality.warnings:
                yield Callout(f"{what}: {warning}", "warn")


def _key_figures(story: _Story) -> Table:
    """Return one row of figures; renderers may show it as tiles."""
    quality, evidence = story.run.quality, story.run.evidence
    auc = next((metric for metric in quality.metrics if metric.name == "auc"), None)
    figures: list[tuple[str, str]] = [("Rows", format_count(_all_rows(story.run)))]
    if quality.rows:
        figures.append(
            (f"{story.run.facts.label.capitalize()} rate (test)", format_percent(quality.positives / quality.rows))
        )
    if auc is not None:
        figures.append((f"AUC of {story.best}", format_metric(auc)))
    if evidence is not None:
        supported = sum(pair.supported for pair in evidence.pairs)
        figures.append(("Supported interactions", f"{supported} of {format_count(len(evidence.pairs))} pairs"))
    return Table(
        title="",
        columns=tuple(TableColumn(name, Align.LEFT) for name, _ in figures),
        rows=(tuple(value for _, value in figures),),
    )


def _all_rows(run: RunInputs) -> int:
    return run.facts.rows_train + run.facts.rows_validation + run.facts.rows_test


def _drivers(name: str, run: RunInputs, outcome: str) -> str:
    known = [effect for effect in run.effects if effect.supported]
    if not run.effects:
        return f"The effect of single fields on {outcome} was not measured."
    if not known:
        return f"No single field helps {name} to predict {outcome} on rows it has not seen."
    named = enumerated([f"{effect.field} ({format_number(effect.effect, 2)})" for effect in known[:_FIELDS_NAMED]])
    idle = [effect.field for effect in run.effects if not effect.supported]
    rest = f" {counted(len(idle), 'field')} of {len(run.effects)} make no measurable difference." if idle else ""
    return (
        f"What drives {outcome} most, by {name}: {named}. The figures say how many logits the prediction "
        f"moves (root mean square) when the field takes the value of another row.{rest}"
    )


def _further_drivers(story: _Story) -> Iterator[Block]:
    """Yield what drives the other outputs, each by the run that the validation rows choose for it."""
    for output, runs in list(by_output(story.runs).items())[1:]:
        name = max(runs, key=lambda name: runs[name].validation_auc())
        yield Paragraph(_drivers(name, runs[name], _PLURALS.get(output, output)))


def _interactions(story: _Story) -> Callout:
    evidence = story.run.evidence
    if evidence is None:
        return Callout("Interactions were not measured for this run.", "note")
    real = [pair for pair in evidence.pairs if pair.supported]
    if not real:
        return Callout(
            f"None of the {format_count(len(evidence.pairs))} pairs of fields has an interaction that held-out rows "
            "support. That is no proof that there is none: it takes enough positives to show one.",
            "note",
        )
    named = enumerated([_pair_words(pair) for pair in real[:_PAIRS_NAMED]])
    more = f" and {counted(len(real) - _PAIRS_NAMED, 'further pair')}" if len(real) > _PAIRS_NAMED else ""
    return Callout(f"Fields that really act together: {named}{more}. {_agreement(story, real)}".strip(), "good")


def _pair_words(pair: PairEvidence) -> str:
    effect = format_number(pair.effect, 2)
    return f"{pair.fields[0]} × {pair.fields[1]} (effect {effect} {_interval(pair)} logits)"


def _interval(pair: PairEvidence) -> str:
    return format_interval(pair.effect_low, pair.effect_high, 2)


def _agreement(story: _Story, real: Sequence[PairEvidence]) -> str:
    """Return how many of the supported pairs each other model supports as well."""
    wanted = {frozenset(pair.fields) for pair in real}
    said = []
    for name, run in story.runs.items():
        if name == story.best or run.evidence is None or not _combines(run.evidence):
            continue
        found = {frozenset(pair.fields) for pair in run.evidence.pairs if pair.supported} & wanted
        said.append(f"{name} finds {_share_words(len(found), len(wanted))}")
    return f"{'; '.join(said)}." if said else ""


def _share_words(found: int, wanted: int) -> str:
    if found == wanted:
        return "it too" if wanted == 1 else "both too" if wanted == 2 else "all of them too"
    if found == 0:
        return "no support for it" if wanted == 1 else "no support for any of them"
    return f"{found} of them too"


def _combines(evidence: InteractionEvidence) -> bool:
    """Whether the model uses any pair of fields together; a linear one does not."""
    return any(pair.effect >= HARDLY for pair in evidence.pairs)


def _which_model(story: _Story) -> Callout:
    own = [each for each in story.comparisons if each[2].metric == "auc" and story.best in each[:2]]
    if not own:
        return Callout("The models were measured on different rows, so they cannot be compared.", "warn")
    phrases = [_against(story.best, *each) for each in own]
    return Callout(f"The validation rows chose {story.best}. On the test rows it has {enumerated(phrases)}.", "note")


def _against(best: str, first: str, second: str, result: PairedComparison) -> str:
    """Return the difference from the point of view of the best model."""
    sign = 1.0 if best == first else -1.0
    low, high = sorted((sign * result.low, sign * result.high))
    figure = f"({format_signed(sign * result.difference, 3)} {format_interval(low, high, 3)})"
    other = second if best == first else first
    if not result.different:
        return f"no real difference in AUC from {other} {figure}"
    return f"a {'higher' if sign * result.difference > 0 else 'lower'} AUC than {other} {figure}"


# ---- data


def _data(story: _Story) -> Iterator[Block]:
    facts = story.run.facts
    yield Heading("Data")
    yield Paragraph(
        f"{format_count(facts.snapshot.rows)} rows of {facts.snapshot.source}, {counted(len(facts.fields), 'field')} "
        f"to learn from, outcome {facts.label}. {_split_words(story)}"
    )
    yield PictureBlock(table=_parts(story))
    yield Paragraph(f"Fields: {', '.join(facts.fields)}.")
    yield Code(facts.snapshot.sql, "The query, as it was sent (read-only)")


_SPLITS = {
    SplitMethod.TIME: "The latest rows are the test, those before them validate: the future is predicted, as in use.",
    SplitMethod.USER: "Whole users were kept apart, so the test asks about people no model has seen.",
    SplitMethod.RANDOM: "Rows were parted at random; if behaviour changes over time, results in use will be weaker.",
}


def _split_words(story: _Story) -> str:
    return _SPLITS[story.recipe.split.method]


def _parts(story: _Story) -> Table:
    facts, run = story.run.facts, story.run
    positives: list[Cell] = [None, run.validation.positives if run.validation else None, run.quality.positives]
    rows = (facts.rows_train, facts.rows_validation, facts.rows_test)
    uses = ("the models learn from them", "they choose when to stop, and between models", "asked once, at the end")
    return Table(
        title="How the rows were used",
        columns=(
            TableColumn("Part"),
            TableColumn("Rows", Align.RIGHT),
            TableColumn("Positives", Align.RIGHT),
            TableColumn("Use"),
        ),
        rows=tuple(zip(("Training", "Validation", "Test"), rows, positives, uses, strict=True)),
    )


# ---- quality


def _quality(story: _Story) -> Iterator[Block]:
    yield Heading("How good are the predictions?")
    outputs = by_output(story.runs)
    if len(outputs) > 1:
        measured = {name: {view.about: view.quality for view in run.views} for name, run in story.runs.items()}
        yield PictureBlock(table=outputs_table(measured))
    for output, runs in outputs.items():
        if len(outputs) > 1:
            yield Heading(output_title(output), 2)
            yield Paragraph(output_words(output))
        yield from _quality_of(runs, story.comparisons if len(outputs) == 1 else compared(runs))


def _quality_of(runs: Mapping[str, RunInputs], comparisons: _Comparisons) -> Iterator[Block]:
    """Yield how good some runs are at one output."""
    qualities = {name: run.quality for name, run in runs.items()}
    yield PictureBlock(table=metrics_table(qualities))
    if comparisons:
        yield PictureBlock(table=comparison_table(comparisons))
    elif len(runs) > 1:
        yield Callout("The runs rest on different rows; their figures must not be compared.", "warn")
    if any(quality.roc.x for quality in qualities.values()):
        yield PictureBlock(lines=roc_chart(qualities))
        yield PictureBlock(lines=precision_recall_chart(qualities))
        yield PictureBlock(lines=gains_chart(qualities))
    if any(quality.reliability for quality in qualities.values()):
        yield PictureBlock(lines=reliability_chart(qualities))


# ---- funnel


def _funnel(story: _Story) -> Iterator[Block]:
    """Yield counts, delays and selection; nothing where no run is one of a funnel."""
    if story.funnel is None:
        return
    name, run = story.funnel
    report = run.funnel
    assert report is not None, "the run was chosen because it has a funnel"
    yield Heading("The funnel")
    for warning in report.warnings:
        yield Callout(warning, "warn")
    yield PictureBlock(table=stages_table(report))
    yield PictureBlock(bars=stage_bars(report))
    delays = delays_table(report)
    if delays is not None:
        yield PictureBlock(table=delays)
    if report.delays_unknown:
        yield Paragraph(report.delays_unknown)
    for name, run in story.runs.items():
        if run.funnel is not None and run.funnel.selection is not None:
            selection = selection_table(run.funnel.selection)
            yield PictureBlock(table=replace(selection, title=f"{selection.title}, by {name}"))


# ---- why


def _why(story: _Story) -> Iterator[Block]:
    yield Heading("What drives it, and which fields interact?")
    yield Paragraph(
        "Everything in the first part is measured at the output of the finished model, on rows it has not seen: fields "
        "are given the values of other rows, and the prediction is watched. It means the same for every model. What "
        "a model publishes about itself stands apart, below."
    )
    outputs = by_output(story.runs)
    for output, runs in outputs.items():
        if len(outputs) > 1:
            yield Heading(f"What drives {output_title(output)}", 2)
            yield Paragraph(output_words(output))
        for name, run in runs.items():
            if run.effects or run.evidence:
                yield from _measured(name, run, alone=len(story.runs) == 1, level=2 if len(outputs) == 1 else 3)
    published = [block for name, run in story.runs.items() for block in _published(name, run)]
    if published:
        yield Heading("What the models say of themselves", 2)
        yield Paragraph(
            "These figures describe the inside of a model. They explain how it works, but they prove nothing about the "
            "data: a large weight may be undone further on."
        )
        yield from published


def _measured(name: str, run: RunInputs, *, alone: bool, level: int) -> Iterator[Block]:
    yield Heading("Measured at the output" if alone else name, level)
    if run.effects:
        yield PictureBlock(bars=field_bars(run.effects))
    combines = run.evidence is not None and _combines(run.evidence)
    if run.evidence is not None and combines:
        yield PictureBlock(heat_map=interaction_heat_map(run.evidence))
        yield PictureBlock(graph=interaction_graph(run.evidence, run.effects))
    if run.faithfulness is not None:
        yield PictureBlock(lines=faithfulness_chart(run.faithfulness))
    if run.evidence is not None and combines:
        yield PictureBlock(table=evidence_table(run.evidence, limit=_PAIRS_SHOWN))
    elif run.evidence is not None:
        yield Paragraph(f"{name} combines no fields: no pair moves its prediction beyond what both fields do alone.")


def _published(name: str, run: RunInputs) -> Iterator[Block]:
    if run.importance is None and run.terms is None and run.pairs is None:
        return
    yield Heading(name, 3)
    if run.importance is not None:
        yield PictureBlock(bars=importance_bars(run.importance))
    if run.pairs is not None:
        yield PictureBlock(heat_map=pair_heat_map(run.pairs))
    if run.terms is not None and run.terms.terms:
        yield PictureBlock(table=terms_table(run.terms))


# ---- limits


def _limits(story: _Story) -> Iterator[Block]:
    yield Heading("Warnings and limits")
    said = set()
    for run in story.runs.values():
        for finding in run.facts.findings:
            if finding.message not in said:
                said.add(finding.message)
                yield Callout(finding.message, "note" if finding.severity == "note" else "warn")
        for note in run.facts.notes:
            yield Callout(note, "note")
    for name, run in story.runs.items():
        if run.faithfulness is not None and run.faithfulness.low <= 0:
            yield Callout(f"{name}: {faithfulness_words(run.faithfulness)}", "warn")
    yield Paragraph(
        "A model finds what goes together with the outcome in these rows. That is not yet a cause: to learn what an "
        "intervention does, try it on some users and not on others."
    )
    yield Paragraph(
        "An interaction counts as supported when held-out rows are predicted better with it than without it, at a "
        f"false discovery rate of {format_percent(0.05, 0)} over all pairs. Of two fields that say nearly the same, a "
        "model may use either, and the other then looks idle. Effects are averages over rows: a strong effect in a "
        "rare group can be small overall."
    )


# ---- provenance


def _provenance(story: _Story) -> Iterator[Block]:
    yield Heading("Where it comes from")
    for name, run in story.runs.items():
        yield PictureBlock(table=_run_facts(name, run))
        if len(run.history) > 1:
            yield PictureBlock(lines=training_chart(run.history))
    for recipe, names in _recipes(story):
        repeats = "the run" if len(names) == 1 else "the runs"
        yield Code(recipe_to_toml(recipe), f"Recipe of {enumerated(names)}: training by this file repeats {repeats}")


def _recipes(story: _Story) -> Iterator[tuple[Recipe, list[str]]]:
    """Yield recipes with the names of their runs; runs that differ in nothing but the model share one."""
    groups: list[tuple[Recipe, list[str]]] = []
    for name, run in story.runs.items():
        recipe = recipe_from_toml(run.recipe)
        for place, (known, names) in enumerate(groups):
            if replace(known, models=recipe.models) == recipe:
                groups[place] = (replace(known, models=(*known.models, *recipe.models)), [*names, name])
                break
        else:
            groups.append((recipe, [name]))
    yield from groups


def _run_facts(name: str, run: RunInputs) -> Table:
    facts, recipe = run.facts, recipe_from_toml(run.recipe)
    split = recipe.split
    rows = [
        ("Run", run.record.id),
        ("Status", run.record.status.value),
        ("Model", f"{facts.model_title} ({facts.model}, version {facts.model_version})"),
        ("Started", run.record.created.strftime("%Y-%m-%d %H:%M:%S UTC")),
        ("Time by phase", ", ".join(f"{phase} {format_seconds(each)}" for phase, each in facts.seconds.items())),
        ("Data fingerprint", facts.snapshot.fingerprint),
        ("Split", f"{split.method.value}, {format_percent(split.validation, 0)} validation, "
                  f"{format_percent(split.test, 0)} test, seed {split.seed}"),
        ("Seed", str(recipe.seed)),
        ("Threads", str(facts.threads)),
        ("Device", facts.device or "cpu"),
        ("Versions", ", ".join(f"{package} {version}" for package, version in facts.versions.items())),
    ]  # fmt: skip
    best = next((entry.best_epoch for entry in reversed(run.history) if entry.best_epoch is not None), None)
    if best is not None:
        rows.append(("Best epoch", f"{best} of {run.history[-1].epoch}"))
    return Table(
        title=f"{name}: how to repeat it",
        columns=(TableColumn("What"), TableColumn("Value")),
        rows=tuple((what, value) for what, value in rows if value),
    )


SECTIONS: Mapping[str, Callable[[_Story], Iterator[Block]]] = {
    "summary": _summary,
    "data": _data,
    "quality": _quality,
    "funnel": _funnel,
    "why": _why,
    "limits": _limits,
    "provenance": _provenance,
}
"""The sections of a report, in order, by the names a request may choose from."""
