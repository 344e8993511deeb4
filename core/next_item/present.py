"""From measured recommendations to pictures: pure functions for the window, the report and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..commands import EventEffect
from ..display import Align, BarList, Cell, LineChart, Series, Table, TableColumn
from ..formats import format_interval, format_metric, format_number, format_percent, format_signed
from ..present import comparison_words
from ..quality import PairedComparison
from .values import GroupQuality, RankingQuality

NAMES = {"hr": "HR", "ndcg": "NDCG", "mrr": "MRR"}
HELP = {
    "hr": "Share of users whose next item is among the first k.",
    "ndcg": "1 / log2(rank + 1) of the next item where it is among the first k, else 0; mean over users.",
    "mrr": "1 / rank of the next item where it is among the first k, else 0; mean over users.",
}


FEWEST_DRAWN = 20
"""The interval of a smaller group would hide all others in a chart."""


def metric_title(name: str) -> str:
    """Return how a metric is called: "NDCG@10"."""
    kind, _, k = name.partition("@")
    return f"{NAMES.get(kind, kind)}@{k}" if k else NAMES.get(kind, name)


def rank_table(qualities: Mapping[str, RankingQuality]) -> Table:
    """Return every metric with its interval, one row a model."""
    at = sorted({k for quality in qualities.values() for k in quality.at})
    first = next((quality.headline for quality in qualities.values()), 10)
    ordered = sorted(at, key=lambda k: (k != first, k))
    names = [f"{kind}@{k}" for k in ordered for kind in ("ndcg", "hr", "mrr")]
    columns = [TableColumn("Model")]
    columns += [TableColumn(metric_title(name), Align.RIGHT, help=HELP[name.partition("@")[0]]) for name in names]
    return Table(
        title="How well the next item is found",
        columns=tuple(columns),
        rows=tuple((model, *(_shown(quality, name) for name in names)) for model, quality in qualities.items()),
        note=protocol(next(iter(qualities.values()))) if qualities else "",
    )


def headline_table(qualities: Mapping[str, RankingQuality]) -> Table:
    """Return the metrics of the headline length alone, one row a model: fits a terminal."""
    k = next((quality.headline for quality in qualities.values()), 10)
    note = protocol(next(iter(qualities.values()))) if qualities else ""
    return replace(length_table(qualities, k), title="How well the next item is found", note=note)


def length_table(qualities: Mapping[str, RankingQuality], k: int) -> Table:
    """Return the metrics of lists of one length, one row a model: fits a page."""
    names = [f"{kind}@{k}" for kind in ("ndcg", "hr", "mrr")]
    return Table(
        title=f"Lists of {k}",
        columns=(TableColumn("Model"), *(TableColumn(metric_title(name), Align.RIGHT) for name in names)),
        rows=tuple((model, *(_shown(quality, name) for name in names)) for model, quality in qualities.items()),
    )


def _shown(quality: RankingQuality, name: str) -> Cell:
    try:
        return format_metric(quality.metric(name), 4)
    except KeyError:
        return None


def protocol(quality: RankingQuality) -> str:
    """Return how it was measured, in sentences."""
    seen = (
        "Items a user had before are not recommended" if quality.exclude_seen else "Items seen before stay in the list"
    )
    return (
        f"{quality.users:,} test users; each next item is ranked among all {quality.items:,} items. {seen}. Ties count "
        "as their mean over all orders. Intervals: 95 %, over users."
    )


def group_chart(qualities: Mapping[str, RankingQuality], by: str, metric: str = "ndcg") -> LineChart | None:
    """Return a metric by groups of users, one line a model; `by` is "length" or "popularity".

    Groups of few users stand in the table alone. None where fewer than two groups are left.
    """
    groups = {
        name: tuple(group for group in _groups(quality, by) if group.users >= FEWEST_DRAWN)
        for name, quality in qualities.items()
    }
    order = list(dict.fromkeys(group.name for each in groups.values() for group in each))
    if len(order) < 2:
        return None
    k = next(iter(qualities.values())).headline
    what = "length of the history" if by == "length" else "popularity of the next item"
    labels = ", ".join(f"{place}: {name}" for place, name in enumerate(order, start=1))
    return LineChart(
        title=f"{metric_title(f'{metric}@{k}')} by {what}",
        x_label=f"Group of users ({labels})",
        y_label=metric_title(f"{metric}@{k}"),
        series=tuple(_series(name, each, order, f"{metric}@{k}") for name, each in groups.items()),
        note="Bands are 95 % intervals over the users of the group.",
    )


def _groups(quality: RankingQuality, by: str) -> tuple[GroupQuality, ...]:
    return quality.by_length if by == "length" else quality.by_popularity


def _series(name: str, groups: Sequence[GroupQuality], order: Sequence[str], metric: str) -> Series:
    found = [(order.index(group.name) + 1, one) for group in groups for one in group.metrics if one.name == metric]
    return Series(
        name=name,
        x=tuple(float(place) for place, _ in found),
        y=tuple(one.value for _, one in found),
        low=tuple(one.low for _, one in found),
        high=tuple(one.high for _, one in found),
        points=True,
    )


def group_table(qualities: Mapping[str, RankingQuality], by: str, metric: str = "ndcg") -> Table:
    """Return a metric by groups of users: a row a group, a column a model, with the number of users."""
    groups = {name: _groups(quality, by) for name, quality in qualities.items()}
    order = list(dict.fromkeys(group.name for each in groups.values() for group in each))
    users = {group.name: group.users for each in groups.values() for group in each}
    k = next(iter(qualities.values())).headline if qualities else 10
    head = "Events in the history" if by == "length" else "The next item is among"
    what = "length of the history" if by == "length" else "popularity of the next item"
    return Table(
        title=f"{metric_title(f'{metric}@{k}')} by {what}",
        columns=(
            TableColumn(head),
            TableColumn("Users", Align.RIGHT),
            *(TableColumn(name, Align.RIGHT) for name in groups),
        ),
        rows=tuple(
            (name, users[name], *(_of_group(each, name, f"{metric}@{k}") for each in groups.values())) for name in order
        ),
    )


def _of_group(groups: Sequence[GroupQuality], name: str, metric: str) -> Cell:
    for group in groups:
        for one in group.metrics:
            if group.name == name and one.name == metric:
                return format_metric(one, 3)
    return None


def list_table(qualities: Mapping[str, RankingQuality]) -> Table:
    """Return what lists are like beyond being right, one row a model."""
    rows = []
    for name, quality in qualities.items():
        found = quality.lists
        if found is not None:
            diversity = None if found.diversity is None else format_number(found.diversity, 3)
            cells = (format_percent(found.coverage), format_number(found.gini, 3), format_number(found.novelty, 2))
            rows.append((name, *cells, diversity))
    k = next((quality.lists.k for quality in qualities.values() if quality.lists), 10)
    source = next((quality.lists.vectors for quality in qualities.values() if quality.lists), "")
    return Table(
        title=f"What lists of {k} are like",
        columns=(
            TableColumn("Model"),
            TableColumn("Coverage", Align.RIGHT, help="Share of all items that somebody is recommended."),
            TableColumn("Gini", Align.RIGHT, help="0: all items are recommended alike; 1: one item to everybody."),
            TableColumn("Novelty, bits", Align.RIGHT, help="Mean of -log2 of an item's share of training events."),
            TableColumn("Diversity", Align.RIGHT, help="Mean of 1 - cosine of the texts of two items of a list."),
        ),
        rows=tuple(rows),
        note=f"Diversity by vectors of the items' texts ({source})." if source else "Without texts no diversity.",
    )


def paired_table(comparisons: Sequence[tuple[str, str, PairedComparison]]) -> Table:
    """Return paired differences over the same users, with the words of each."""
    return Table(
        title="Differences on the same users",
        columns=(
            TableColumn("Metric"),
            TableColumn("Difference of"),
            TableColumn("Value", Align.RIGHT),
            TableColumn("95 % interval", Align.RIGHT),
            TableColumn("Verdict"),
        ),
        rows=tuple(_paired_row(*each) for each in comparisons),
        greyed=tuple(not result.different for _, _, result in comparisons),
    )


def _paired_row(first: str, second: str, result: PairedComparison) -> tuple[Cell, ...]:
    words = comparison_words(first, second, result).partition(":")[0]
    return (
        metric_title(result.metric),
        f"{first} − {second}",
        format_signed(result.difference, 4),
        format_interval(result.low, result.high, 4),
        words,
    )


def occlusion_bars(title: str, effects: Sequence[EventEffect], *, limit: int = 20) -> BarList:
    """Return what each event lends to the score of an item, largest first."""
    shown = sorted(effects, key=lambda effect: -abs(effect.score_change))[:limit]
    shown.sort(key=lambda effect: -effect.score_change)
    return BarList(
        title=f"What speaks for {title}",
        labels=tuple(effect.title for effect in shown),
        values=tuple(effect.score_change for effect in shown),
        unit="score",
        greyed=tuple(effect.score_change <= 0 for effect in shown),
        note="How much of the item's score is lost when the event is removed. Grey: removing it does not lower it.",
    )
