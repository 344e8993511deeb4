"""The rules of the preparation, as values."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.commands import Finding, Preparation
from core.recipe import Repair, RepairKind, SplitMethod, SplitSpec
from crosslens.relational import JoinFacts, JoinKind, JoinProposal, QuerySpec, SampleMethod, SampleSpec
from crosslens.schema import FieldKind, FieldRole, FieldSchema, TimePart
from ui.desktop.draft import (
    Draft,
    add_join,
    apply_repair,
    can_train,
    change_join,
    findings,
    from_proposal,
    from_recipe,
    rename,
    set_bins,
    set_delimiter,
    set_kind,
    set_part,
    set_role,
    set_sample,
    set_split,
    set_time,
    set_used,
    take_back,
    with_checked,
    with_facts,
    with_join,
    with_measured,
    with_proposal,
)

from .shop import BRAND, CLICKED, CONNECTION, FIELDS, IMPRESSIONS, ITEM, PREPARATION, PROPOSAL, ref

ITEM_ID, TIME, PRICE, BRAND_NAME, CLICKS = (
    ref(name) for name in ("impressions.item_id", "impressions.shown_at", "items.price", "brands.name", "clicks")
)


def shop() -> Draft:
    return with_measured(from_proposal(CONNECTION, PROPOSAL), PREPARATION)


def role(draft: Draft, name: str) -> FieldRole:
    return draft.fields.field(name).role


def test_the_first_timestamp_orders_the_rows_and_makes_the_split_one_by_time() -> None:
    draft = shop()
    assert draft.query.time == TIME
    assert draft.split.method is SplitMethod.TIME


def test_a_former_label_is_ignored_and_not_a_feature() -> None:
    draft = set_role(shop(), [BRAND_NAME], FieldRole.CLICK)
    assert role(draft, "brands.name") is FieldRole.CLICK
    assert role(draft, "clicks") is FieldRole.IGNORE


def test_of_several_columns_only_the_first_becomes_the_user() -> None:
    draft = set_role(shop(), [BRAND_NAME, PRICE], FieldRole.USER)
    assert [field.name for field in draft.fields.with_role(FieldRole.USER)] == ["items.price"]


def test_several_columns_become_features_at_once() -> None:
    draft = set_role(shop(), [TIME, ITEM_ID], FieldRole.FEATURE)
    assert role(draft, "shown_at") is role(draft, "item_id") is FieldRole.FEATURE


def test_a_choice_takes_the_reason_away_and_no_choice_keeps_it() -> None:
    draft = set_role(shop(), [PRICE, BRAND_NAME], FieldRole.FEATURE)
    assert draft == shop()
    assert set_kind(draft, [PRICE], FieldKind.CATEGORICAL).fields.field("items.price").reason == ""


def test_unticking_ignores_and_ticking_makes_a_feature_but_labels_stay() -> None:
    draft = set_used(shop(), [PRICE, CLICKS], True)
    assert draft == shop()
    draft = set_used(draft, [PRICE], False)
    assert role(draft, "items.price") is FieldRole.IGNORE
    assert role(set_used(draft, [PRICE], True), "items.price") is FieldRole.FEATURE


def test_when_the_time_column_is_read_as_something_else_the_split_becomes_random() -> None:
    draft = set_kind(shop(), [TIME], FieldKind.CATEGORICAL)
    assert draft.query.time is None
    assert draft.split.method is SplitMethod.RANDOM


def test_without_a_time_column_there_is_no_split_by_time() -> None:
    assert set_time(shop(), None).split.method is SplitMethod.RANDOM


@pytest.mark.parametrize(
    ("name", "taken", "joins"),
    [
        ("items", False, ["clicks"]),
        ("brands", False, ["items", "clicks"]),
        ("clicks", False, ["items", "brands"]),
        ("clicks", True, ["items", "brands", "clicks"]),
    ],
)
def test_leaving_a_join_out_takes_those_along_that_need_it(name: str, taken: bool, joins: list[str]) -> None:
    query = with_join(shop(), name, taken)
    assert [join.name for join in query.joins] == joins
    assert query.columns == ()


def test_taking_a_join_takes_those_it_needs() -> None:
    draft = replace(shop(), query=replace(PROPOSAL.query, joins=()))
    assert [join.name for join in with_join(draft, "brands", True).joins] == ["items", "brands"]


def test_a_time_column_goes_with_its_join() -> None:
    draft = set_time(shop(), PRICE)
    assert with_join(draft, "items", False).time is None
    assert with_join(draft, "clicks", False).time == PRICE


def test_a_look_at_more_columns_keeps_what_the_user_chose() -> None:
    draft = rename(set_role(shop(), [PRICE], FieldRole.IGNORE), BRAND_NAME, "brand")
    again = with_measured(draft, PREPARATION)
    assert role(again, "items.price") is FieldRole.IGNORE
    assert again.fields.field("brand").column == BRAND_NAME


def test_a_new_column_does_not_take_the_label_away() -> None:
    labelled = set_role(shop(), [BRAND_NAME], FieldRole.CLICK)
    without = replace(labelled, fields=FieldSchema(tuple(f for f in labelled.fields if f.column != CLICKS)))
    again = with_measured(without, PREPARATION)
    assert again.label is not None
    assert again.label.column == BRAND_NAME
    assert role(again, "clicks") is FieldRole.IGNORE


def test_columns_left_out_of_a_source_stay_out_when_another_source_comes() -> None:
    """The items' price was never read; the brands are new."""
    few = tuple(field for field in FIELDS if field.column.source == "impressions")
    draft = replace(shop(), fields=FieldSchema(few[:2]), query=replace(shop().query, columns=()))
    again = with_measured(draft, PREPARATION)
    names = [field.name for field in again.fields]
    assert names == ["id", "item_id", "items.price", "brands.name", "clicks"]
    assert [column.column for column in again.query.columns] == ["id", "item_id", "price", "name", "*exists"]
    assert len(again.profiles) == 5


def test_a_join_of_another_kind_brings_its_new_column() -> None:
    count = replace(CLICKS, column="*count")
    counted = replace(
        PREPARATION,
        query=replace(PREPARATION.query, columns=(*PREPARATION.query.columns[:5], count)),
        fields=FieldSchema((*FIELDS.fields[:5], replace(FIELDS.fields[5], column=count, name="clicks.count"))),
    )
    assert with_measured(shop(), counted).fields.fields[-1].column == count


def test_names_that_meet_are_numbered() -> None:
    draft = rename(shop(), PRICE, "brands.name 2")
    draft = replace(draft, fields=FieldSchema(tuple(f for f in draft.fields if f.column != BRAND_NAME)))
    suggested = tuple(replace(f, name="items.price") if f.column == BRAND_NAME else f for f in FIELDS)
    names = [f.name for f in with_measured(draft, replace(PREPARATION, fields=FieldSchema(suggested))).fields]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", ["", "  ", "clicks"])
def test_a_name_that_is_empty_or_taken_changes_nothing(name: str) -> None:
    assert rename(shop(), PRICE, name) == shop()


def test_without_a_label_training_is_stopped_with_a_sentence() -> None:
    draft = set_role(shop(), [CLICKS], FieldRole.IGNORE)
    assert not can_train(draft)
    assert findings(draft)[0].severity == "stop"
    assert can_train(shop())


def test_a_split_by_user_needs_a_user() -> None:
    draft = set_split(shop(), SplitSpec(SplitMethod.USER))
    assert not can_train(draft)
    assert can_train(set_role(draft, [ITEM_ID], FieldRole.USER))


def test_a_warning_about_an_ignored_column_is_settled() -> None:
    assert [finding.severity for finding in findings(shop())] == ["warn"]
    assert findings(set_used(shop(), [PRICE], False)) == ()


def test_what_was_never_looked_at_cannot_be_trained() -> None:
    assert not can_train(from_recipe(shop().recipe()))
    assert not can_train(None)


def test_a_draft_survives_the_way_through_its_recipe() -> None:
    draft = set_split(rename(shop(), PRICE, "price"), SplitSpec(SplitMethod.RANDOM, 0.15, 0.25, 3))
    back = with_measured(from_recipe(draft.recipe()), PREPARATION)
    assert (back.query, back.fields, back.split) == (draft.query, draft.fields, draft.split)


def test_a_recipe_never_holds_a_secret() -> None:
    draft = replace(shop(), source=replace(CONNECTION, secret="s3cret"))
    assert draft.recipe().source.secret is None


def test_a_proposed_join_takes_the_name_the_query_gave_it() -> None:
    item = replace(ITEM, name="thing")
    brand = replace(BRAND, name="maker", on=((ref("thing.brand_id"), "id"),))
    draft = replace(shop(), query=QuerySpec(IMPRESSIONS, (), (item, brand)), proposals=(), facts=())
    offered = with_proposal(draft, PROPOSAL)
    assert [proposal.join.name for proposal in offered.joins] == ["thing", "maker", "clicks"]
    assert isinstance(offered.fact("maker"), JoinFacts)


def test_a_join_no_key_suggests_is_still_offered() -> None:
    draft = replace(shop(), proposals=(JoinProposal(ITEM, "key"),))
    assert [proposal.join for proposal in draft.joins] == [ITEM, BRAND, CLICKED]


def test_findings_that_stop_come_first() -> None:
    found = (Finding("note", "n"), Finding("warn", "w"), Finding("stop", "s"))
    assert [finding.message for finding in findings(replace(shop(), found=found))] == ["s", "w", "n"]


def test_measuring_brings_rows_profiles_and_sql() -> None:
    draft = shop()
    assert isinstance(PREPARATION, Preparation)
    assert (draft.rows, draft.sql, len(draft.profiles)) == (1200, "SELECT 1", 6)


DUPLICATES = Repair(RepairKind.DROP_DUPLICATES)


def test_a_repaired_finding_is_settled_until_its_repair_is_taken_back() -> None:
    copies = Finding("stop", "copies", (), repairs=(DUPLICATES,))
    draft = replace(shop(), found=(copies,))
    assert not can_train(draft)
    repaired = apply_repair(draft, DUPLICATES)
    assert can_train(repaired)
    assert apply_repair(repaired, DUPLICATES) is repaired
    assert take_back(repaired, DUPLICATES) == draft


def test_what_the_user_changed_has_to_be_checked_again_and_what_was_measured_has_not() -> None:
    draft = replace(shop(), checked=())
    checked = with_checked(draft, PREPARATION)
    assert checked.checked == checked.to_check
    for edited in (
        set_used(checked, [PRICE], False),
        replace(checked, moment="before the call"),
        apply_repair(checked, DUPLICATES),
        set_sample(checked, SampleSpec(SampleMethod.RANDOM, 10)),
    ):
        assert edited.checked != edited.to_check


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        (lambda draft, all: set_bins(draft, all, 10), "items.price", {"bins": 10}),
        (lambda draft, all: set_part(draft, all, TimePart.HOUR, True), "shown_at", {"parts": (TimePart.HOUR,)}),
        (lambda draft, all: set_delimiter(draft, all, ";"), None, {}),
    ],
    ids=["bins", "parts", "delimiter"],
)
def test_details_change_only_the_kinds_that_have_them(change: Any, name: str | None, value: dict[str, Any]) -> None:
    before, after = shop(), change(shop(), {field.column for field in FIELDS})
    changed = [field for field, old in zip(after.fields, before.fields, strict=True) if field != old]
    assert [field.name for field in changed] == ([name] if name else [])
    assert all(getattr(field, key) == wanted for field in changed for key, wanted in value.items())


def test_another_kind_forgets_the_details_of_the_former_one() -> None:
    draft = set_kind(set_bins(shop(), [PRICE], 10), [PRICE], FieldKind.MULTI_VALUED)
    draft = set_kind(set_delimiter(draft, [PRICE], ","), [PRICE], FieldKind.NUMERICAL)
    field = draft.fields.field("items.price")
    assert (field.bins, field.delimiter, field.parts) == (0, "", ())


def test_parts_of_a_time_keep_their_order_whatever_the_clicks() -> None:
    draft = set_part(set_part(shop(), [TIME], TimePart.AGE, True), [TIME], TimePart.HOUR, True)
    assert draft.fields.field("shown_at").parts == (TimePart.HOUR, TimePart.AGE)
    assert set_part(draft, [TIME], TimePart.AGE, False).fields.field("shown_at").parts == (TimePart.HOUR,)


def test_a_sample_by_user_takes_the_column_of_the_users() -> None:
    sample = SampleSpec(SampleMethod.USERS, 100)
    assert set_sample(shop(), sample).query.sample is None
    with_user = set_role(shop(), [BRAND_NAME], FieldRole.USER)
    assert set_sample(with_user, sample).query.sample == replace(sample, column=BRAND_NAME)
    assert set_sample(set_sample(with_user, sample), None).query.sample is None


def test_a_join_made_by_hand_gets_a_name_of_its_own_and_is_offered() -> None:
    draft = add_join(shop(), replace(CLICKED, kind=JoinKind.COUNT), reason="added by hand")
    own = draft.proposals[-1]
    assert (own.join.name, own.reason, own.kinds) == ("clicks 2", "added by hand", tuple(JoinKind))
    assert not draft.has_join("clicks 2")
    assert [join.name for join in with_join(draft, "clicks 2", True).joins][-1] == "clicks 2"


def test_a_join_set_differently_asks_for_its_columns_again_only_where_it_is_taken() -> None:
    counted = replace(CLICKED, kind=JoinKind.COUNT)
    taken = change_join(shop(), counted)
    assert taken.query.joins[2] == counted
    assert taken.query.columns == ()
    offered = replace(shop(), query=replace(shop().query, joins=(ITEM, BRAND)))
    assert change_join(offered, counted).query == offered.query
    assert change_join(offered, counted).joins[2].join == counted


def test_a_proposal_comes_as_the_query_has_set_it() -> None:
    counted = replace(CLICKED, kind=JoinKind.COUNT, up_to=TIME, time="at")
    draft = change_join(shop(), counted)
    assert with_proposal(draft, PROPOSAL).joins[2].join == counted
    assert len(with_proposal(draft, PROPOSAL).joins) == 3


def test_joins_measured_again_replace_their_facts_only() -> None:
    again = with_facts(shop(), [JoinFacts("clicks", 0.5, 9, 1, 9), JoinFacts("new", 1.0, 1, 1, 1)])
    assert [fact.name for fact in again.facts] == ["items", "brands", "clicks", "new"]
    assert again.fact("clicks").max_partners == 9
    assert again.fact("items") == shop().fact("items")


def test_moment_repairs_and_hashing_go_to_the_recipe_and_come_back() -> None:
    draft = replace(shop(), moment="before the call", repairs=(DUPLICATES,), hash_buckets=500, minimum_count=7)
    back = from_recipe(draft.recipe())
    assert (back.moment, back.repairs) == (draft.moment, draft.repairs)
    assert (back.hash_buckets, back.minimum_count) == (500, 7)


def test_of_an_empty_table_nothing_else_is_said() -> None:
    empty = Finding("stop", "“impressions” has no rows.", check="no-rows")
    draft = replace(shop(), found=(empty, Finding("warn", "untidy", check="duplicates")))
    assert findings(draft) == (empty,)
    assert not can_train(draft)
