"""Joins that keys suggest, and where no key says so, that names suggest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice

from crosslens.relational import (
    ColumnInfo,
    ColumnRef,
    ColumnType,
    ForeignKey,
    JoinKind,
    JoinProposal,
    JoinSpec,
    TableInfo,
    TableRef,
)

from .compile import keys_are_unique
from .guesses import Keys, guess_keys, words
from .plan import alike_times

MAX_DEPTH = 3
"""How many keys away from the base a proposed table may be."""
MOST = 100
"""So many joins are proposed at most, the nearest."""
_TIME_WORDS = frozenset({"at", "time", "timestamp", "date", "datetime", "ts", "created", "updated", "day", "when"})
_MAYBE_TIMES = frozenset({ColumnType.INTEGER, ColumnType.TEXT, ColumnType.OTHER, ColumnType.FLOAT})

Tables = Mapping[TableRef, TableInfo]
Found = tuple[JoinProposal, TableInfo]
Path = tuple[TableRef, ...]


def propose_joins(base: TableInfo, tables: Tables) -> tuple[JoinProposal, ...]:
    """Return joins along keys, breadth first, parents before children, each under a name of its own; guesses last.

    LOOKUP follows the keys a table holds, a self-reference once; EXISTS the keys of tables that refer to the base, and
    of tables that refer to those; a table counts once, where it is nearest. COUNT is for other events of the same
    parent: what its user did before. VALUES reach through a table of pairs: the tags of its user.
    """
    walk = _Walk(base, tables)
    lookups = list(walk.levels([(base.ref.name, base, (base.ref,))], walk.lookups))
    exists = list(walk.levels([(base.ref.name, base, (base.ref,))], walk.referring))
    past = list(walk.past(lookups))
    links = list(walk.links(lookups))
    starts: list[tuple[str, TableInfo, Path]] = [(base.ref.name, base, (base.ref,))]
    starts += [(proposal.join.name, table, (base.ref, table.ref)) for proposal, table in lookups]
    walk.guessing = True
    guessed = list(walk.levels(starts, walk.lookups))
    referring = list(walk.levels(starts[:1], walk.referring))
    guessed_past = list(walk.past(guessed))
    guessed_links = list(walk.links([*lookups, *guessed]))
    found = (*lookups, *exists, *past, *links, *guessed, *referring, *guessed_past, *guessed_links)
    return tuple(proposal for proposal, _ in islice(found, MOST))


def best_time(table: TableInfo) -> str | None:
    """Return the column that most likely says when a row came to be known: a time by its type, else by its name."""
    for kind in (ColumnType.TIMESTAMP, ColumnType.DATE):
        typed = [column for column in table.columns if column.type is kind]
        if typed:
            return min(typed, key=_unlikely).name
    named = [column for column in table.columns if column.type in _MAYBE_TIMES and _sounds_like_time(column)]
    return min(named, key=_unlikely).name if named else None


def _sounds_like_time(column: ColumnInfo) -> bool:
    parts = words(column.name)
    return bool(parts) and (parts[-1] in _TIME_WORDS or parts[0] in {"created", "date", "time"})


def _unlikely(column: ColumnInfo) -> int:
    """Prefer when a row was made over when it was last touched."""
    return int(bool({"updated", "modified", "deleted", "birth", "end", "until"} & set(words(column.name))))


class _Names:
    """Names given so far; SQLite and others compare names without case."""

    def __init__(self, base: str) -> None:
        self._taken = {base.casefold()}

    def give(self, table: str, key: ForeignKey, parent: str, *, plain: bool) -> str:
        """Return the table's own name where it is free and says enough; else with the key's columns or the parent."""
        short = table if plain else f"{table} ({', '.join(key.columns)})"
        longer = f"{short} of {parent}"
        candidates = (short, longer, *(f"{longer} {number}" for number in range(2, 1000)))
        name = next(name for name in candidates if name.casefold() not in self._taken)
        self._taken.add(name.casefold())
        return name


@dataclass(slots=True)
class _Walk:
    """Walks from the base along keys; `guessing`: along those that names suggest, and below them along any."""

    base: TableInfo
    tables: Tables
    guessing: bool = False
    _names: _Names = field(init=False)
    _guesses: Keys = field(init=False)
    _referring: dict[TableRef, list[tuple[TableInfo, ForeignKey, bool]]] = field(init=False)
    _seen: set[TableRef] = field(init=False)
    _guessed: set[str] = field(default_factory=set)
    _many_of: dict[tuple[str, TableRef, tuple[str, ...]], JoinSpec] = field(default_factory=dict)
    """The joins to many rows by what they start from, their table and its key."""
    _linked: set[tuple[str, TableRef, TableRef]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._names = _Names(self.base.ref.name)
        self._guesses = guess_keys({**self.tables, self.base.ref: self.base}.values())
        self._referring = defaultdict(list)
        for table in self.tables.values():
            for key in table.foreign_keys:
                self._referring[key.target].append((table, key, False))
            for key in self._guesses.get(table.ref, ()):
                self._referring[key.target].append((table, key, True))
        self._seen = {self.base.ref}

    def levels(
        self,
        starts: Iterable[tuple[str, TableInfo, Path]],
        follow: Callable[[str, TableInfo, Path], Iterator[Found]],
    ) -> Iterator[Found]:
        """Walk breadth first, to at most `MOST` joins; `path` holds the tables from the base to here."""
        yield from islice(self._endless(starts, follow), MOST)

    def _endless(
        self,
        starts: Iterable[tuple[str, TableInfo, Path]],
        follow: Callable[[str, TableInfo, Path], Iterator[Found]],
    ) -> Iterator[Found]:
        level = list(starts)
        for _ in range(MAX_DEPTH):
            following = []
            for name, table, path in level:
                if len(path) > MAX_DEPTH:
                    continue
                for proposal, target in follow(name, table, path):
                    yield proposal, target
                    following.append((proposal.join.name, target, (*path, target.ref)))
            level = following

    def lookups(self, source: str, table: TableInfo, path: Path) -> Iterator[Found]:
        keys = list(self._keys(source, table))
        for key, is_guess in keys:
            target = self.tables.get(key.target)
            repeats = path.count(key.target)
            is_first_self_reference = key.target == table.ref and repeats == 1
            if target is None or not _usable(key, target) or (repeats and not is_first_self_reference):
                continue
            rivals = [other for other, _ in keys if other.target == key.target and _usable(other, target)]
            alone = len(rivals) == 1 and key.target != table.ref
            name = self._named(target, key, source, alone, is_guess or source in self._guessed)
            yield self._lookup(source, table, key, target, name, is_guess), target

    def referring(self, source: str, table: TableInfo, path: Path) -> Iterator[Found]:
        found: dict[TableRef, list[tuple[TableInfo, ForeignKey, bool]]] = defaultdict(list)
        for other, key, is_guess in self._referring.get(table.ref, ()):
            wanted = is_guess == self.guessing or source in self._guessed
            if other.ref not in self._seen and wanted and _usable(key, table):
                found[other.ref].append((other, key, is_guess))
        for links in found.values():
            for other, key, is_guess in links:
                self._seen.add(other.ref)
                name = self._named(other, key, source, len(links) == 1, is_guess or source in self._guessed)
                found_many = self._many(source, other, key, name, JoinKind.EXISTS, is_guess=is_guess)
                self._many_of[source, other.ref, key.columns] = found_many.join
                yield found_many, other

    def past(self, lookups: Iterable[Found]) -> Iterator[Found]:
        """Yield what else refers to a parent of the base, the base itself among it, where both have comparable times.

        What comes after the moment of a row must not be counted, so nothing is proposed without times.
        """
        moment = best_time(self.base)
        for proposal, parent in lookups:
            ours = {theirs: ref for ref, theirs in proposal.join.on}
            if moment is None or any(ref.source != self.base.ref.name for ref in ours.values()):
                continue
            for other, key, is_guess in self._referring.get(parent.ref, ()):
                time = best_time(other)
                mixed = is_guess != self.guessing or set(key.target_columns) != set(ours) or not _usable(key, parent)
                if mixed or time is None or not alike_times(self.base.column(moment), other.column(time)):
                    continue
                if other.ref in self._seen and other.ref != self.base.ref:
                    continue
                name = self._names.give(other.ref.name, key, self.base.ref.name, plain=other.ref != self.base.ref)
                on = tuple((ours[theirs], own) for own, theirs in zip(key.columns, key.target_columns, strict=True))
                join = JoinSpec(name, other.ref, on, JoinKind.COUNT, time, ColumnRef(self.base.ref.name, moment))
                reason = f"the same {parent.ref.name}: {_columns(other, key)}"
                kinds = (JoinKind.COUNT, JoinKind.LATEST, JoinKind.VALUES, JoinKind.EXISTS)
                self._many_of[proposal.join.name, other.ref, key.columns] = join
                yield JoinProposal(join, reason, self.guessing, kinds, join.up_to), other

    def links(self, lookups: Iterable[Found]) -> Iterator[Found]:
        """Yield what tables of pairs link to the base and to what it looks up, each behind its table of pairs."""
        starts = [(self.base.ref.name, self.base), *((proposal.join.name, table) for proposal, table in lookups)]
        for source, table in starts:
            for link, key, is_guess in self._referring.get(table.ref, ()):
                if link.ref != self.base.ref and _usable(key, table):
                    yield from self._through(source, link, key, is_guess)

    def _through(self, source: str, link: TableInfo, key: ForeignKey, is_guess: bool) -> Iterator[Found]:
        declared = [(other, False) for other in link.foreign_keys]
        for far, far_is_guess in (*declared, *((other, True) for other in self._guesses.get(link.ref, ()))):
            target = self.tables.get(far.target)
            place = (source, link.ref, far.target)
            guess = is_guess or far_is_guess or source in self._guessed
            if (
                target is None
                or guess != self.guessing
                or place in self._linked
                or not _is_link(link, key, far, target)
            ):
                continue
            self._linked.add(place)
            between = self._many_of.get((source, link.ref, key.columns))
            moment = self._moment(link)
            if between is None or (moment is not None and between.up_to is None):
                name = self._named(link, key, source, between is None, guess)
                beside = self._many(source, link, key, name, JoinKind.COUNT, is_guess=is_guess)
                between = replace(beside.join, up_to=moment)
                self._many_of[source, link.ref, key.columns] = between
                yield replace(beside, join=between), link
            name = self._named(target, far, between.name, True, guess)
            pairs = zip(far.columns, far.target_columns, strict=True)
            on = tuple((ColumnRef(between.name, ours), theirs) for ours, theirs in pairs)
            join = JoinSpec(name, target.ref, on, JoinKind.VALUES)
            reason = f"through {link.ref.name}: {_columns(link, key)}, {_columns(link, far)}"
            yield JoinProposal(join, reason, guess, _kinds(join)), target

    def _keys(self, source: str, table: TableInfo) -> Iterator[tuple[ForeignKey, bool]]:
        if not self.guessing or source in self._guessed:
            yield from ((key, False) for key in table.foreign_keys)
        if self.guessing:
            yield from ((key, True) for key in self._guesses.get(table.ref, ()))

    def _named(self, table: TableInfo, key: ForeignKey, source: str, plain: bool, guessed: bool) -> str:
        name = self._names.give(table.ref.name, key, source, plain=plain)
        if guessed:
            self._guessed.add(name)
        return name

    def _lookup(
        self, source: str, table: TableInfo, key: ForeignKey, target: TableInfo, name: str, is_guess: bool
    ) -> JoinProposal:
        pairs = zip(key.columns, key.target_columns, strict=True)
        on = tuple((ColumnRef(source, ours), theirs) for ours, theirs in pairs)
        kinds: tuple[JoinKind, ...] = (JoinKind.LOOKUP,)
        join = JoinSpec(name, target.ref, on)
        if not keys_are_unique(target, key.target_columns):
            join = replace(join, time=best_time(target))
            kinds = (JoinKind.LOOKUP, *_kinds(join))
        reason = _guess_reason(table, key) if is_guess else _reason(table, key)
        moment = self._moment(target) if len(kinds) > 1 else None
        return JoinProposal(join, reason, name in self._guessed, kinds, moment)

    def _many(
        self, source: str, other: TableInfo, key: ForeignKey, name: str, kind: JoinKind, *, is_guess: bool
    ) -> JoinProposal:
        pairs = zip(key.columns, key.target_columns, strict=True)
        on = tuple((ColumnRef(source, theirs), ours) for ours, theirs in pairs)
        join = JoinSpec(name, other.ref, on, kind, best_time(other))
        reason = _guess_reason(other, key) if is_guess else _reason(other, key)
        return JoinProposal(join, reason, name in self._guessed, _kinds(join), self._moment(other))

    def _moment(self, other: TableInfo) -> ColumnRef | None:
        """Return the base's time, where the other table has times to compare it with."""
        ours, theirs = best_time(self.base), best_time(other)
        if ours is None or theirs is None or not alike_times(self.base.column(ours), other.column(theirs)):
            return None
        return ColumnRef(self.base.ref.name, ours)


def _kinds(join: JoinSpec) -> tuple[JoinKind, ...]:
    latest = () if join.time is None else (JoinKind.LATEST,)
    return (JoinKind.EXISTS, JoinKind.COUNT, *latest, JoinKind.VALUES)


def _is_link(link: TableInfo, key: ForeignKey, far: ForeignKey, target: TableInfo) -> bool:
    """Whether a table holds pairs: each pair once, or nothing besides; what has more or comes twice is an event."""
    pair = {*key.columns, *far.columns}
    if set(key.columns) & set(far.columns) or far.target == key.target or not _usable(far, target):
        return False
    if not keys_are_unique(target, far.target_columns):
        return False
    return keys_are_unique(link, pair) or {column.name for column in link.columns} == pair | set(link.primary_key)


def _usable(key: ForeignKey, target: TableInfo) -> bool:
    known = {column.name for column in target.columns}
    return len(key.columns) == len(key.target_columns) and known >= set(key.target_columns)


def _reason(table: TableInfo, key: ForeignKey) -> str:
    return f"foreign key {_columns(table, key)}"


def _guess_reason(table: TableInfo, key: ForeignKey) -> str:
    pairs = zip(key.columns, key.target_columns, strict=True)
    return "names match: " + ", ".join(
        f"{table.ref.name}.{ours} = {key.target.name}.{theirs}" for ours, theirs in pairs
    )


def _columns(table: TableInfo, key: ForeignKey) -> str:
    return ", ".join(f"{table.ref.name}.{column}" for column in key.columns)
