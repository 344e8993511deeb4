"""The preparation as the window edits it: one frozen value, and every edit a function from value to value.

No Qt here: undo keeps the values before and after, tests compare them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace

from core.commands import Finding, Preparation, QueryProposal
from core.empty import CHECK as NO_ROWS
from core.recipe import ModelChoice, NextItemSpec, Recipe, Repair, RepairKind, SplitMethod, SplitSpec
from crosslens.relational import (
    ColumnProfile,
    ColumnRef,
    ConnectionSpec,
    JoinFacts,
    JoinKind,
    JoinProposal,
    JoinSpec,
    QuerySpec,
    SampleMethod,
    SampleSpec,
)
from crosslens.schema import Field, FieldKind, FieldRole, FieldSchema, TimePart

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


SAID_HERE = ("no-label", "no-features")
"""Checks of roles, which are known here at every edit: what the worker found about them may be out of date."""

NO_FIELDS = FieldSchema(())


@dataclass(frozen=True, slots=True)
class Draft:
    """Query, fields and split as chosen so far, with what was measured about them.

    `profiles` go with `fields` by column; `rows` is None until the columns have been looked at. `checked` is what
    `found` was found on: where it differs from `to_check`, the checks have to be made again.
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
    hash_buckets: int = 0
    moment: str = ""
    repairs: tuple[Repair, ...] = ()
    next_item: NextItemSpec = field(default_factory=NextItemSpec)
    checked: tuple[object, ...] = field(default=(), repr=False)

    @property
    def to_check(self) -> tuple[object, ...]:
        """Return all that the checks look at."""
        return self.query, tuple(replace(each, reason="") for each in self.fields), self.moment, self.repairs

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
        own = (JoinProposal(join, "", kinds=tuple(JoinKind)) for join in self.query.joins if join.name not in known)
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
            hash_buckets=self.hash_buckets,
            moment=self.moment,
            repairs=self.repairs,
            next_item=self.next_item,
        )


def from_proposal(source: ConnectionSpec, proposal: QueryProposal, *, title: str = "") -> Draft:
    """Return the draft for a base table whose joins were just proposed; its fields are not known yet."""
    return Draft(source, proposal.query, proposals=proposal.proposals, facts=proposal.facts, title=title)


def from_recipe(recipe: Recipe) -> Draft:
    """Return the draft a recipe describes; nothing is measured yet."""
    return Draft(
        recipe.source, recipe.query, recipe.fields, recipe.split, recipe.title,
        minimum_count=recipe.minimum_count, seed=recipe.seed, hash_buckets=recipe.hash_buckets,
        moment=recipe.moment, repairs=recipe.repairs, next_item=recipe.next_item,
    )  # fmt: skip


def with_measured(draft: Draft, measured: Preparation) -> Draft:
    """Return `draft` with what a look at the columns found.

    Fields the draft already has keep kind, role and name (a recipe or the user chose them); new ones come as
    suggested. A suggested role that only one field can have yields to the field that has it. Columns that a recipe left
    out of a source it reads stay out.
    """
    known = {field.column: field for field in draft.fields}
    left_out = _left_out(measured, known)
    whole = bool(known) and set(draft.query.columns) == set(known)
    taken = {field.role for field in draft.fields if field.role in ONLY_ONE}
    fields = tuple(
        _merge(field, known.get(field.column), taken) for field in measured.fields if field.column not in left_out
    )
    columns = tuple(column for column in measured.query.columns if column not in left_out)
    query = _ordered(replace(measured.query, columns=columns), fields, draft.query.time)
    complete = replace(
        draft,
        query=query,
        fields=FieldSchema(_unique_names(fields)),
        split=_default_split(query) if not draft.fields else _possible_split(draft.split, query, fields),
        profiles=tuple(profile for profile in measured.profiles if profile.column not in left_out),
        rows=measured.rows,
        found=measured.findings,
        sql=measured.sql,
    )
    looked_at = replace(complete, query=measured.query, fields=complete.fields if whole else measured.fields)
    return replace(complete, checked=looked_at.to_check)


def _left_out(measured: Preparation, known: Collection[ColumnRef]) -> set[ColumnRef]:
    """Return the columns that are new although their source is not: a source none of whose columns is known is new."""
    sources = {column.source for column in measured.query.columns if column in known}
    return {column for column in measured.query.columns if column.source in sources and column not in known}


def with_checked(draft: Draft, checked: Preparation) -> Draft:
    """Return `draft` with what another look at its columns found; nothing the user has set changes."""
    return replace(
        draft,
        found=checked.findings,
        profiles=checked.profiles,
        rows=checked.rows,
        sql=checked.sql,
        checked=draft.to_check,
    )


def with_facts(draft: Draft, facts: Iterable[JoinFacts]) -> Draft:
    """Return `draft` with joins measured again; those not among `facts` keep what was known of them."""
    measured = {fact.name: fact for fact in facts}
    kept = tuple(measured.pop(fact.name, fact) for fact in draft.facts)
    return replace(draft, facts=(*kept, *measured.values()))


def with_proposal(draft: Draft, proposal: QueryProposal) -> Draft:
    """Return `draft` with the joins that could be added; its own joins stay as they are set, under their names."""
    names: dict[str, str] = {}
    proposals = tuple(_renamed(each, draft.query.joins, names) for each in proposal.proposals)
    facts = tuple(replace(fact, name=names.get(fact.name, fact.name)) for fact in proposal.facts)
    return with_facts(replace(draft, proposals=proposals, facts=draft.facts), facts)


def _renamed(proposal: JoinProposal, joins: tuple[JoinSpec, ...], names: dict[str, str]) -> JoinProposal:
    """Return a proposal as the query has taken it, if it has, and note the name in `names`."""
    join = proposal.join
    on = tuple((replace(column, source=names.get(column.source, column.source)), other) for column, other in join.on)
    same = [own for own in joins if (own.table, own.on) == (join.table, on)]
    own = next((own for own in same if own.kind is join.kind), same[0] if same else replace(join, on=on))
    names[join.name] = own.name
    return replace(proposal, join=own)


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
        return replace(field, kind=kind, bins=0, delimiter="", parts=(), reason="")

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


def set_bins(draft: Draft, columns: Collection[ColumnRef], bins: int) -> Draft:
    """Part numbers into quantile bins (0: leave them as they are); other kinds stay."""
    return _each_of(draft, columns, FieldKind.NUMERICAL, lambda each: replace(each, bins=bins))


def set_delimiter(draft: Draft, columns: Collection[ColumnRef], delimiter: str) -> Draft:
    """Part the text of several values at `delimiter`; other kinds stay."""
    return _each_of(draft, columns, FieldKind.MULTI_VALUED, lambda each: replace(each, delimiter=delimiter))


def set_part(draft: Draft, columns: Collection[ColumnRef], part: TimePart, taken: bool) -> Draft:
    """Give a part of moments to the models, or keep it from them; other kinds stay."""

    def change(each: Field) -> Field:
        chosen = {*each.parts, part} if taken else {*each.parts} - {part}
        return replace(each, parts=tuple(one for one in TimePart if one in chosen))

    return _each_of(draft, columns, FieldKind.TIMESTAMP, change)


def set_sample(draft: Draft, sample: SampleSpec | None) -> Draft:
    """Read only a sample of the rows, or all of them; a sample by user needs the column of the users."""
    if sample is not None and sample.method is SampleMethod.USERS:
        users = draft.fields.with_role(FieldRole.USER)
        if not users:
            return draft
        sample = replace(sample, column=users[0].column)
    return replace(draft, query=replace(draft.query, sample=sample))


def apply_repair(draft: Draft, repair: Repair) -> Draft:
    """Choose a repair; fields it is about are ignored where that is the repair."""
    if repair in draft.repairs:
        return draft
    changed = replace(draft, repairs=(*draft.repairs, repair))
    return _ignore(changed, repair, True)


def take_back(draft: Draft, repair: Repair) -> Draft:
    """Choose a repair no longer; ignored fields are features again."""
    changed = replace(draft, repairs=tuple(each for each in draft.repairs if each != repair))
    return _ignore(changed, repair, False)


def _ignore(draft: Draft, repair: Repair, ignored: bool) -> Draft:
    if repair.kind is not RepairKind.IGNORE_FIELD:
        return draft
    columns = [each.column for each in draft.fields if {each.name, str(each.column)} & set(repair.fields)]
    return set_used(draft, columns, not ignored)


def add_join(draft: Draft, join: JoinSpec, *, reason: str) -> Draft:
    """Offer a join made by hand, under a name of its own; it is not taken yet."""
    own = replace(join, name=free_name(draft, join.name))
    return replace(draft, proposals=(*draft.joins, JoinProposal(own, reason, kinds=tuple(JoinKind))))


def change_join(draft: Draft, join: JoinSpec) -> Draft:
    """Set the join of that name differently, wherever it stands; its columns are to be looked at again."""
    proposals = tuple(replace(each, join=join) if each.join.name == join.name else each for each in draft.joins)
    joins = tuple(join if own.name == join.name else own for own in draft.query.joins)
    columns = draft.query.columns if joins == draft.query.joins else ()
    return replace(draft, proposals=proposals, query=replace(draft.query, joins=joins, columns=columns))


def free_name(draft: Draft, wanted: str) -> str:
    """Return `wanted`, numbered if a source of the query has that name."""
    taken = {draft.query.base.name, *(each.join.name for each in draft.joins)}
    names = (wanted, *(f"{wanted} {number}" for number in range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def rename(draft: Draft, column: ColumnRef, name: str) -> Draft:
    """Give a field another display name; an empty or taken name changes nothing."""
    name = name.strip()
    if not name or any(field.name == name for field in draft.fields):
        return draft
    return _each(draft, lambda field: replace(field, name=name) if field.column == column else field)


def set_next_item(draft: Draft, spec: NextItemSpec) -> Draft:
    """Make and test sequences of items differently."""
    return replace(draft, next_item=spec)


def has_sequences(draft: Draft) -> bool:
    """Whether the columns say who chose what and when: what next-item models need."""
    roles = (FieldRole.USER, FieldRole.ITEM)
    return draft.query.time is not None and all(draft.fields.with_role(role) for role in roles)


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
    if empty := tuple(each for each in draft.found if each.check == NO_ROWS):
        return empty
    ignored = {name for field in draft.fields if field.role is FieldRole.IGNORE for name in _names(field)}
    known = [each for each in draft.found if each.check not in SAID_HERE]
    still = [each for each in known if not _is_settled(each, ignored, draft.repairs)]
    order = {"stop": 0, "warn": 1, "note": 2}
    return tuple(sorted([*_missing_roles(draft), *still], key=lambda finding: order.get(finding.severity, 3)))


def _is_settled(finding: Finding, ignored: Collection[str], repairs: Collection[Repair]) -> bool:
    """Whether a finding is about ignored columns only, or one of its repairs has been chosen."""
    about_ignored = bool(finding.columns) and set(finding.columns) <= set(ignored)
    return about_ignored or any(repair in repairs for repair in finding.repairs)


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
    if draft.fields and draft.label is None and has_sequences(draft):
        problems.append(Finding("note", "No column is the click label: only next items can be predicted."))
    elif draft.fields and draft.label is None:
        problems.append(Finding("stop", "No column is the click label. Choose what to predict under “Label”."))
    if draft.fields and not draft.fields.features:
        problems.append(Finding("stop", "No column is a feature, so there is nothing to learn from."))
    if draft.split.method is SplitMethod.USER and not draft.fields.with_role(FieldRole.USER):
        problems.append(Finding("stop", "A split by user needs a column with the role “user”."))
    return problems


def _each(draft: Draft, change: Callable[[Field], Field]) -> Draft:
    fields = tuple(change(field) for field in draft.fields)
    return draft if fields == draft.fields.fields else replace(draft, fields=FieldSchema(fields))


def _each_of(draft: Draft, columns: Collection[ColumnRef], kind: FieldKind, change: Callable[[Field], Field]) -> Draft:
    """Change those of the fields that are read as `kind`; a choice takes the reason away."""

    def chosen(each: Field) -> Field:
        if each.column not in columns or each.kind is not kind or change(each) == each:
            return each
        return replace(change(each), reason="")

    return _each(draft, chosen)


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
