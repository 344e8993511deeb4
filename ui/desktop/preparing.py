"""What the Prepare page asks of the source: joins that keys suggest, what they would do, and a look at the columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QCoreApplication

from core.commands import JoinsMeasured, MeasureJoins, Preparation, PrepareFields, ProposeQuery, QueryProposal
from core.recipe_toml import recipe_from_toml
from crosslens.errors import UserError
from crosslens.relational import JoinSpec, TableRef

from .draft import (
    Draft,
    add_join,
    change_join,
    from_proposal,
    from_recipe,
    with_facts,
    with_join,
    with_measured,
    with_proposal,
)
from .session import Session
from .sources import is_same_source

SELECT_NAME = "query"
"""What the rows of the user's own SELECT are called in a query."""


def _tr(text: str) -> str:
    return QCoreApplication.translate("Preparing", text)


def use_table(session: Session, base: TableRef) -> None:
    """Prepare a base table: as it was left, or with the joins and meanings that are suggested."""
    if session.connection is None:
        return
    if (kept := _kept(session, base)) is not None and not kept.query.select:
        session.start_draft(kept)
        measure(session, kept, lambda draft: _begin(session, draft, look_for_joins=True))
        return
    _propose_and_begin(session, base, "")


def use_select(session: Session, select: str) -> None:
    """Prepare the rows of the user's own SELECT in place of a base table."""
    base = TableRef(SELECT_NAME)
    kept = _kept(session, base)
    if kept is not None and kept.query.select == select:
        session.start_draft(kept)
        measure(session, kept, lambda draft: _begin(session, draft, look_for_joins=True))
    else:
        _propose_and_begin(session, base, select)


def _propose_and_begin(session: Session, base: TableRef, select: str) -> None:
    connection = session.connection
    if connection is None:
        return

    def proposed(proposal: QueryProposal) -> None:
        draft = from_proposal(connection, proposal, title=base.name)
        measure(session, draft, lambda complete: _begin(session, complete))

    command = ProposeQuery(connection, base, select)
    session.ask("prepare", command, proposed, busy=_tr("Following the keys of {table}…").format(table=base.name))


def measure(
    session: Session, draft: Draft, then: Callable[[Draft], None], otherwise: Callable[[], None] = lambda: None
) -> None:
    """Look at the columns of a draft's query and go on with the completed draft."""
    if session.connection is None:
        return

    def measured(preparation: Preparation) -> None:
        then(with_measured(draft, preparation))

    command = replace(check_command(session, draft), connection=session.connection)
    session.ask("prepare", command, measured, busy=_tr("Looking at the columns…"), otherwise=otherwise)


def check_command(session: Session, draft: Draft) -> PrepareFields:
    """Return the question what a draft's columns are like; its fields are checked as set where it has all of them."""
    columns = {field.column for field in draft.fields}
    fields = draft.fields if columns and columns == set(draft.query.columns) else None
    return PrepareFields(session.connection or draft.source, draft.query, fields, draft.moment, draft.repairs)


def propose(session: Session) -> None:
    """Look for joins that could be added to the current draft."""
    draft, connection = session.draft, session.connection
    if draft is None or connection is None:
        return

    def proposed(proposal: QueryProposal) -> None:
        if session.draft is not None and session.draft.query.base == draft.query.base:
            session.set_draft(with_proposal(session.draft, proposal))

    command = ProposeQuery(connection, draft.query.base, draft.query.select)
    session.ask("joins", command, proposed, busy=_tr("Following the keys…"))


def take_join(session: Session, name: str, taken: bool) -> None:
    """Add a join (with those it needs) or leave it out (with those that need it); one step of undo."""
    draft = session.draft
    if draft is None or draft.has_join(name) == taken:
        return
    wanted = replace(draft, query=with_join(draft, name, taken))
    text = _tr("Join {name}") if taken else _tr("Leave out {name}")
    _measure_and_edit(session, wanted, text.format(name=name))


def set_join(session: Session, join: JoinSpec) -> None:
    """Set a join differently (its kind, its moment); a join that is taken is looked at again. One step of undo."""
    draft = session.draft
    if draft is None:
        return
    wanted = change_join(draft, join)
    text = _tr("Change the join {name}").format(name=join.name)
    if not draft.has_join(join.name):
        session.edit(text, wanted)
    elif wanted != draft:
        _measure_and_edit(session, wanted, text)


def take_new_join(session: Session, join: JoinSpec) -> None:
    """Add a join made by hand and take it; one step of undo."""
    draft = session.draft
    if draft is None:
        return
    offered = add_join(draft, join, reason=_tr("added by hand"))
    own = offered.proposals[-1].join
    wanted = replace(offered, query=with_join(offered, own.name, True))
    _measure_and_edit(session, wanted, _tr("Join {name}").format(name=own.name))


def _measure_and_edit(session: Session, wanted: Draft, text: str) -> None:
    def measured(complete: Draft) -> None:
        session.edit(text, complete)
        measure_joins(session)

    measure(session, wanted, measured, otherwise=session.preparationChanged.emit)


def measure_joins(session: Session) -> None:
    """Measure the joins of the draft as they are set now; the window goes on meanwhile."""
    draft, connection = session.draft, session.connection
    if draft is None or connection is None or not draft.query.joins:
        return

    def measured(answer: JoinsMeasured) -> None:
        now = session.draft
        if now is not None and now.query.joins == draft.query.joins:
            session.set_draft(with_facts(now, answer.facts))

    session.inquire("join-facts", MeasureJoins(connection, draft.query), measured, session.fail)


def _begin(session: Session, draft: Draft, *, look_for_joins: bool = False) -> None:
    session.start_draft(draft)
    session.navigate("prepare")
    if look_for_joins:
        propose(session)


def _kept(session: Session, base: TableRef) -> Draft | None:
    """Return the preparation of `base` as it was left in this project, or None."""
    wanted = f"{base.schema}.{base.name}" if base.schema else base.name
    if session.project is None or session.connection is None:
        return None
    for preparation in session.project.preparations():
        if preparation.id == wanted:
            try:
                recipe = recipe_from_toml(preparation.recipe, folder=session.project.folder)
            except UserError as error:  # written by another version; the suggestions take its place
                session.fail(error)
                return None
            return from_recipe(recipe) if is_same_source(recipe.source, session.connection) else None
    return None
