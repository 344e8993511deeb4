"""Runs of next-item models side by side on the same users: what views, reports and the terminal tell of them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crosslens.runs import RunRecord, RunStatus

from ..formats import enumerated, format_interval, format_signed
from ..quality import PairedComparison
from .baselines import BACKBONES, BASELINES
from .ranking import compare_ranks
from .run_files import NextItemFiles
from .values import RankingQuality, SequenceFacts

Comparisons = tuple[tuple[str, str, PairedComparison], ...]
_DONE = (RunStatus.FINISHED, RunStatus.STOPPED)


@dataclass(frozen=True, slots=True, eq=False)
class NextItemStory:
    """Runs on the same held-out items by name, the best by validation first.

    `chosen` is the run asked about; `comparisons` are of every pair, by the headline NDCG.
    """

    chosen: str
    runs: Mapping[str, RunRecord]
    qualities: Mapping[str, RankingQuality]
    comparisons: Comparisons
    facts: SequenceFacts | None

    @property
    def best(self) -> str:
        """Return the name of the run that did best on the validation users."""
        return next(iter(self.runs))

    def against(self, name: str) -> Comparisons:
        """Return the comparisons a run takes part in, turned so that it comes first."""
        found: list[tuple[str, str, PairedComparison]] = []
        for first, second, result in self.comparisons:
            if first == name:
                found.append((first, second, result))
            elif second == name:
                found.append((second, first, _turned(result)))
        return tuple(found)


def is_next_item(folder: Path) -> bool:
    """Whether the run in a folder recommends items."""
    return NextItemFiles(folder).exists


def beside(run: RunRecord, runs: Sequence[RunRecord]) -> tuple[RunRecord, ...]:
    """Return a run with the newest of every other model that was asked the same, newest first in `runs`."""
    found = {run.model: run}
    for other in runs:
        same = other.data_fingerprint == run.data_fingerprint and other.status in _DONE and bool(other.metrics)
        if same and other.model not in found:
            found[other.model] = other
    return tuple(found.values())


def read_story(
    chosen: RunRecord, runs: Sequence[RunRecord], folder_of: Callable[[str], Path], *, compared: bool = True
) -> NextItemStory:
    """Read what some runs measured; those that measured nothing are left out. ProjectError if a file is damaged."""
    files = {run.id: NextItemFiles(folder_of(run.id)) for run in runs}
    names = _names([run for run in runs if files[run.id].exists])
    qualities = {run: quality for run in names if (quality := files[run].quality()) is not None}
    by_validation = sorted(names, key=lambda run: -_validated(files[run]))
    records = {run.id: run for run in runs}
    return NextItemStory(
        chosen=names.get(chosen.id, chosen.title),
        runs={names[run]: records[run] for run in by_validation},
        qualities={names[run]: qualities[run] for run in by_validation},
        comparisons=_compared({names[run]: files[run] for run in by_validation}, qualities) if compared else (),
        facts=files[chosen.id].facts() if chosen.id in files else None,
    )


def _names(runs: Sequence[RunRecord]) -> dict[str, str]:
    """Return a name for each run: the title of its model, numbered where several share it."""
    titles = [run.title or run.model for run in runs]
    counts, seen = Counter(titles), Counter[str]()
    names: dict[str, str] = {}
    for run, title in zip(runs, titles, strict=True):
        seen[title] += 1
        names[run.id] = f"{title} ({seen[title]})" if counts[title] > 1 else title
    return names


def _validated(files: NextItemFiles) -> float:
    quality = files.quality("validation")
    return quality.metric(f"ndcg@{quality.headline}").value if quality else 0.0


def _compared(files: Mapping[str, NextItemFiles], qualities: Mapping[str, RankingQuality]) -> Comparisons:
    ranks = {name: found for name, each in files.items() if (found := each.ranks()) is not None}
    k = next((quality.headline for quality in qualities.values()), 10)
    return tuple(
        (first, second, compare_ranks(ranks[first], ranks[second], k=k))
        for first, second in itertools.combinations(ranks, 2)
        if len(ranks[first]) == len(ranks[second])
    )


def _turned(result: PairedComparison) -> PairedComparison:
    return PairedComparison(
        metric=result.metric,
        first=result.second,
        second=result.first,
        difference=-result.difference,
        low=-result.high,
        high=-result.low,
        p_value=result.p_value,
        rows=result.rows,
    )


def common_warnings(story: NextItemStory) -> tuple[str, ...]:
    """Return the warnings of all runs, each once, with the names of its runs where it is not about all of them."""
    said: dict[str, list[str]] = {}
    for name, quality in story.qualities.items():
        for warning in quality.warnings:
            said.setdefault(warning, []).append(name)
    everybody = len(story.qualities)
    return tuple(
        warning if len(names) == everybody > 1 else f"{enumerated(names)}: {warning}" for warning, names in said.items()
    )


def verdicts(story: NextItemStory, name: str) -> tuple[str, ...]:
    """Return what the comparisons of a run say, a sentence each, those with baselines and its backbone first."""
    return tuple(_verdict(story, *each) for each in sorted(story.against(name), key=lambda each: _order(story, each)))


def _order(story: NextItemStory, comparison: tuple[str, str, PairedComparison]) -> int:
    own, other = story.runs[comparison[0]].model, story.runs[comparison[1]].model
    return 0 if BACKBONES.get(own) == other else 1 if other in BASELINES else 2


def _verdict(story: NextItemStory, first: str, second: str, result: PairedComparison) -> str:
    metric = result.metric.replace("ndcg", "NDCG")
    figure = f"{metric} {format_signed(result.difference, 4)} {format_interval(result.low, result.high, 4)}"
    own, other = story.runs[first].model, story.runs[second].model
    backbone = ", the same model without what it adds" if BACKBONES.get(own) == other else ""
    if not result.different:
        return f"No real difference between {first} and {second}{backbone} ({figure})."
    word = "better" if result.difference > 0 else "worse"
    return f"{first} is {word} than {second}{backbone} ({figure})."
