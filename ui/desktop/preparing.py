"""What the Prepare page asks of the source: joins that keys suggest, and a look at the columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from PySide6.QtCore import QCoreApplication

from core.commands import Preparation, PrepareFields, ProposeQuery, QueryProposal
from core.recipe_toml import recipe_from_toml
from crosslens.errors import UserError
from crosslens.relational import TableRef

from .draft import Draft, from_proposal, from_recipe, with_join, with_measured, with_proposal
from .session import Session


def _tr(text: str) -> str:
    return QCoreApplication.translate("Preparing", text)


def use_table(session: Session, base: TableRef) -> None:
    """Prepare a base table: as it was left, or with the joins and meanings that are suggested."""
    if session.connection is None:
        return
    if (kept := _kept(session, base)) is not None:
        session.start_draft(kept)
        measure(session, kept, lambda draft: _begin(session, draft, look_for_joins=True))
        return
    connection = session.connection
    command = ProposeQuery(connection, base)

    def proposed(proposal: QueryProposal) -> None:
        draft = from_proposal(connection, proposal, title=base.name)
        measure(session, draft, lambda complete: _begin(session, complete))

    session.ask("prepare", command, proposed, busy=_tr("Following the keys of {table}…").format(table=base.name))


def measure(
    session: Session, draft: Draft, then: Callable[[Draft], None], otherwise: Callable[[], None] = lambda: None
) -> None:
    """Look at the columns of a draft's query and go on with the completed draft."""
    if session.connection is None:
        return

    def measured(preparation: Preparation) -> None:
        then(with_measured(draft, preparation))

    command = PrepareFields(session.connection, draft.query)
    session.ask("prepare", command, measured, busy=_tr("Looking at the columns…"), otherwise=otherwise)


def propose(session: Session) -> None:
    """Look for joins that could be added to the current draft."""
    draft, connection = session.draft, session.connection
    if draft is None or connection is None:
        return

    def proposed(proposal: QueryProposal) -> None:
        if session.draft is not None and session.draft.query.base == draft.query.base:
            session.set_draft(with_proposal(session.draft, proposal))

    session.ask("joins", ProposeQuery(connection, draft.query.base), proposed, busy=_tr("Following the keys…"))


def take_join(session: Session, name: str, taken: bool) -> None:
    """Add a join (with those it needs) or leave it out (with those that need it); one step of undo."""
    draft = session.draft
    if draft is None or draft.has_join(name) == taken:
        return
    wanted = replace(draft, query=with_join(draft, name, taken))
    text = _tr("Join {name}") if taken else _tr("Leave out {name}")
    measure(
        session,
        wanted,
        lambda complete: session.edit(text.format(name=name), complete),
        otherwise=session.preparationChanged.emit,
    )


def _begin(session: Session, draft: Draft, *, look_for_joins: bool = False) -> None:
    session.start_draft(draft)
    session.navigate("prepare")
    if look_for_joins:
        propose(session)


def _kept(session: Session, base: TableRef) -> Draft | None:
    """Return the preparation of `base` as it was left in this project, or None."""
    wanted = f"{base.schema}.{base.name}" if base.schema else base.name
    if session.project is None:
        return None
    for preparation in session.project.preparations():
        if preparation.id == wanted:
            try:
                return from_recipe(recipe_from_toml(preparation.recipe, folder=session.project.folder))
            except UserError as error:  # written by another version; the suggestions take its place
                session.fail(error)
    return None
