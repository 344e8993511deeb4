"""The preparation as the window edits it: one frozen value, and every edit a function from value to value.

No Qt here: undo keeps the values before and after, tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from core.commands import Finding, Preparation, QueryProposal
from core.recipe import ModelChoice, Recipe, SplitMethod, SplitSpec
from crosslens.relational import (
    ColumnProfile,
    ColumnRef,
    ConnectionSpec,
    JoinFacts,
    JoinProposal,
    JoinSpec,
    QuerySpec,
)
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema

ONLY_ONE = {
    FieldRole.CLICK: FieldRole.IGNORE,
    FieldRole.CONVERSION: FieldRole.IGNORE,
    FieldRole.USER: FieldRole.FEATURE,
    FieldRole.ITEM: FieldRole.FEATURE,
    FieldRole.WEIGHT: FieldRole.IGNORE,
}
"""Roles one field can have at a time, and what a field becomes when another takes its role.

A former label is ignored: as a feature it would give the answer away.
"""


NO_FIELDS = FieldSchema(())


@dataclass(frozen=True, slots=True)
class Draft:
    """Query, fields and split as chosen so far, with what was measured about them.

    `profiles` go with `fields` by column; `rows` is None until the columns have been looked at.
    """

    source: ConnectionSpec
    query: QuerySpec
    fields: FieldSchema = NO_FIELDS
    split: SplitSpec = field(default_factory=SplitSpec)
    title: str = ""
    proposals: tuple[JoinProposal, ...] = ()
    facts: tuple[JoinFacts, ...] = ()
    profiles: tuple[ColumnProfile, ...] = ()
    rows: int | None = None
    found: tuple[Finding, ...] = ()
    sql: str = ""
    minimum_count: int = 2
    seed: int = 0

    @property
    def label(self) -> Field | None:
        """Return the field to predict, or None."""
        return next((field for field in self.fields if field.role is FieldRole.CLICK), None)

    def profile(self, column: ColumnRef) -> ColumnProfile | None:
        """Return what is known about the values of a column."""
        return next((profile for profile in self.profiles if profile.column == column), None)

    def fact(self, join: str) -> JoinFacts | None:
        """Return what was measured about a join."""
        return next((fact for fact in self.facts if fact.name == join), None)

    def has_join(self, name: str) -> bool:
        """Whether the query takes the join of that name."""
        return any(join.name == name for join in self.query.joins)

    @property
    def joins(self) -> tuple[JoinProposal, ...]:
        """Return all joins to offer: the proposed ones, and those a recipe brought that keys do not suggest."""
        known = {proposal.join.name for proposal in self.proposals}
        own = (JoinProposal(join, "") for join in self.query.joins if join.name not in known)
        return self.proposals + tuple(own)

    @property
    def time_columns(self) -> tuple[ColumnRef, ...]:
        """Return the columns rows can be ordered by."""
        return tuple(field.column for field in self.fields if field.kind is FieldKind.TIMESTAMP)

    def recipe(self, models: Iterable[ModelChoice] = ()) -> Recipe:
        """Return the recipe that trains `models` on this preparation."""
        return Recipe(
            source=replace(self.source, secret=None),
            query=self.query,
            fields=self.fields,
            split=self.split,
            models=tuple(models),
            title=self.title,
            seed=self.seed,
            minimum_count=self.minimum_count,
        )


def from_proposal(source: ConnectionSpec, proposal: QueryProposal, *, title: str = "") -> Draft:
    """Return the draft for a base table whose joins were just proposed; its fields are not known yet."""
    return Draft(source, proposal.query, proposals=proposal.proposals, facts=proposal.facts, title=title)


def from_recipe(recipe: Recipe) -> Draft:
    """Return the draft a recipe describes; nothing is measured yet."""
    return Draft(
        recipe.source, recipe.query, recipe.fields, recipe.split, recipe.title,
        minimum_count=recipe.minimum_count, seed=recipe.seed,
    )  # fmt: skip


def with_measured(draft: Draft, measured: Preparation) -> Draft:
    """Return `draft` with what a look at the columns found.

    Fields the draft already has keep kind, role and name (a recipe or the user chose them); new ones come as
    suggested. A suggested role that only one field can have yields to the field that has it.
    """
    known = {field.column: field for field in draft.fields}
    taken = {field.role for field in draft.fields if field.role in ONLY_ONE}
    fields = tuple(_merge(field, known.get(field.column), taken) for field in measured.fields)
    query = _ordered(measured.query, fields, draft.query.time)
    return replace(
        draft,
        query=query,
        fields=FieldSchema(_unique_names(fields)),
        split=_default_split(query) if not draft.fields else _possible_split(draft.split, query, fields),
        profiles=measured.profiles,
        rows=measured.rows,
        found=measured.findings,
        sql=measured.sql,
    )


def with_proposal(draft: Draft, proposal: QueryProposal) -> Draft:
    """Return `draft` with the joins that could be added; its own query stays, under the names it uses."""
    names: dict[str, str] = {}
    proposals = tuple(_renamed(each, draft.query.joins, names) for each in proposal.proposals)
    facts = tuple(replace(fact, name=names.get(fact.name, fact.name)) for fact in proposal.facts)
    return replace(draft, proposals=proposals, facts=facts)


def _renamed(proposal: JoinProposal, joins: tuple[JoinSpec, ...], names: dict[str, str]) -> JoinProposal:
    """Return a proposal under the name the query has for the same join, and note the name in `names`."""
    join = proposal.join
    on = tuple((replace(column, source=names.get(column.source, column.source)), other) for column, other in join.on)
    same = (own.name for own in joins if (own.table, own.on, own.kind) == (join.table, on, join.kind))
    names[join.name] = next(same, join.name)
    return replace(proposal, join=replace(join, name=names[join.name], on=on))


def set_role(draft: Draft, columns: Collection[ColumnRef], role: FieldRole) -> Draft:
    """Give fields a role; of several, only the first gets a role that one field alone can have."""
    wanted = [field.column for field in draft.fields if field.column in columns]
    chosen = set(wanted[:1] if role in ONLY_ONE else wanted)

    def change(field: Field) -> Field:
        if field.column in chosen:
            return field if field.role is role else replace(field, role=role, reason="")
        return replace(field, role=ONLY_ONE[role]) if role in ONLY_ONE and field.role is role else field

    return _each(draft, change)


def set_kind(draft: Draft, columns: Collection[ColumnRef], kind: FieldKind) -> Draft:
    """Read fields as another kind."""

    def change(field: Field) -> Field:
        if field.column not in columns or field.kind is kind:
            return field
        return replace(field, kind=kind, bins=0, reason="")

    changed = _each(draft, change)
    if changed.query.time is None or changed.query.time in changed.time_columns:
        return changed
    return set_time(changed, next(iter(changed.time_columns), None))


def set_used(draft: Draft, columns: Collection[ColumnRef], used: bool) -> Draft:
    """Use fields as features, or ignore them; labels and other special roles that are used already stay."""

    def change(field: Field) -> Field:
        if field.column not in columns or (field.role is not FieldRole.IGNORE) == used:
            return field
        return replace(field, role=FieldRole.FEATURE if used else FieldRole.IGNORE, reason="")

    return _each(draft, change)


def rename(draft: Draft, column: ColumnRef, name: str) -> Draft:
    """Give a field another display name; an empty or taken name changes nothing."""
    name = name.strip()
    if not name or any(field.name == name for field in draft.fields):
        return draft
    return _each(draft, lambda field: replace(field, name=name) if field.column == column else field)


def set_split(draft: Draft, split: SplitSpec) -> Draft:
    """Part the rows differently."""
    return replace(draft, split=split)


def set_time(draft: Draft, column: ColumnRef | None) -> Draft:
    """Order the rows by another column; without one, a split by time becomes a random one."""
    query = replace(draft.query, time=column)
    return replace(draft, query=query, split=_possible_split(draft.split, query, draft.fields.fields))


def with_join(draft: Draft, name: str, taken: bool) -> QuerySpec:
    """Return the query with a join taken (and those it needs) or left (and those that need it).

    The columns are empty: a look at the source fills them.
    """
    by_name = {proposal.join.name: proposal.join for proposal in draft.joins}
    names = {join.name for join in draft.query.joins}
    names = names | _ancestors(by_name, name) if taken else names - _descendants(by_name, name)
    joins = tuple(proposal.join for proposal in draft.joins if proposal.join.name in names)
    time = draft.query.time
    kept = time if time is None or time.source in names | {draft.query.base.name} else None
    return replace(draft.query, joins=joins, columns=(), time=kept)


def findings(draft: Draft) -> tuple[Finding, ...]:
    """Return what stands in the way of training first, then warnings; those about ignored columns are settled."""
    ignored = {name for field in draft.fields if field.role is FieldRole.IGNORE for name in _names(field)}
    still = [finding for finding in draft.found if not finding.columns or not ignored.issuperset(finding.columns)]
    order = {"stop": 0, "warn": 1, "note": 2}
    return tuple(sorted([*_missing_roles(draft), *still], key=lambda finding: order.get(finding.severity, 3)))


def can_train(draft: Draft | None) -> bool:
    """Whether nothing stands in the way of training."""
    return (
        draft is not None
        and draft.rows is not None
        and not any(finding.severity == "stop" for finding in findings(draft))
    )


def _names(field: Field) -> tuple[str, str]:
    return field.name, str(field.column)


def _missing_roles(draft: Draft) -> list[Finding]:
    problems = []
    if draft.fields and draft.label is None:
        problems.append(Finding("stop", "No column is the click label. Choose what to predict under “Label”."))
    if draft.fields and not draft.fields.features:
        problems.append(Finding("stop", "No column is a feature, so there is nothing to learn from."))
    if draft.split.method is SplitMethod.USER and not draft.fields.with_role(FieldRole.USER):
        problems.append(Finding("stop", "A split by user needs a column with the role “user”."))
    return problems


def _each(draft: Draft, change: Callable[[Field], Field]) -> Draft:
    fields = tuple(change(field) for field in draft.fields)
    return draft if fields == draft.fields.fields else replace(draft, fields=FieldSchema(fields))


def _merge(suggested: Field, known: Field | None, taken: Collection[FieldRole]) -> Field:
    if known is not None:
        return known if known.reason or known.role is not suggested.role else replace(known, reason=suggested.reason)
    return replace(suggested, role=ONLY_ONE[suggested.role]) if suggested.role in taken else suggested


def _unique_names(fields: tuple[Field, ...]) -> tuple[Field, ...]:
    """Number display names that meet when joins are added one after the other."""
    seen: set[str] = set()
    unique = []
    for each in fields:
        name, number = each.name, 2
        while name in seen:
            name, number = f"{each.name} {number}", number + 1
        seen.add(name)
        unique.append(each if name == each.name else replace(each, name=name))
    return tuple(unique)


def _ordered(query: QuerySpec, fields: tuple[Field, ...], wanted: ColumnRef | None) -> QuerySpec:
    """Order by the column the draft wants, or else the first timestamp of the base, or of any source."""
    times = [field.column for field in fields if field.kind is FieldKind.TIMESTAMP]
    if wanted in query.columns:
        return replace(query, time=wanted)
    times.sort(key=lambda column: column.source != query.base.name)
    return replace(query, time=times[0] if times else None)


def _default_split(query: QuerySpec) -> SplitSpec:
    return SplitSpec(method=SplitMethod.TIME if query.time is not None else SplitMethod.RANDOM)


def _possible_split(split: SplitSpec, query: QuerySpec, fields: tuple[Field, ...]) -> SplitSpec:
    no_time = split.method is SplitMethod.TIME and query.time is None
    no_user = split.method is SplitMethod.USER and all(field.role is not FieldRole.USER for field in fields)
    return replace(split, method=SplitMethod.RANDOM) if no_time or no_user else split


def _ancestors(joins: dict[str, JoinSpec], name: str) -> set[str]:
    """Return `name` and every join it needs."""
    found: set[str] = set()
    todo = [name]
    while todo:
        current = todo.pop()
        if current in joins and current not in found:
            found.add(current)
            todo.extend(column.source for column, _ in joins[current].on)
    return found


def _descendants(joins: dict[str, JoinSpec], name: str) -> set[str]:
    """Return `name` and every join that needs it."""
    return {other for other in joins if name in _ancestors(joins, other)}
