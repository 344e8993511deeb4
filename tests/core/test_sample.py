import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pyarrow import parquet

from core.sample import DECOYS, PRESETS, generate_shop, shop_recipe
from core.sample.covariates import VALUES, draw_covariates
from core.sample.funnel import PLANTED, interaction
from crosslens import FieldRole, UserError
from crosslens.relational import ColumnRef

ROWS = 40_000

COLUMNS = {
    "users": ["id", "segment", "region", "age_band", "signed_up_at"],
    "brands": ["id", "name", "tier"],
    "categories": ["id", "name"],
    "items": ["id", "title", "category_id", "brand_id", "price", "price_band"],
    "campaigns": ["id", "name", "objective"],
    "sessions": ["id", "user_id", "device", "channel", "weekend", "started_at"],
    "impressions": ["id", "session_id", "item_id", "campaign_id", "position", "shown_at"],
    "clicks": ["id", "impression_id", "clicked_at"],
    "conversions": ["id", "click_id", "converted_at", "amount"],
}


@pytest.fixture(scope="module")
def shop():
    return generate_shop(ROWS)


@pytest.fixture(scope="module")
def covariates():
    return draw_covariates(20_000, PRESETS["default"], np.random.default_rng(3))


def column(table, name):
    return table.column(name).to_numpy(zero_copy_only=False)


def logit(values):
    return np.log(values / (1 - values))


def interaction_terms(codes):
    """Return (planted, N) columns of the planted interactions on these rows."""
    return np.stack(
        [
            interaction([codes[name] for name in each.fields], [np.array(VALUES[name].codes) for name in each.fields])
            for each in PLANTED
        ]
    )


def shop_codes(shop):
    """Return the position of every categorical value for every impression, read from the tables alone."""
    tables = shop.tables
    session = column(tables["impressions"], "session_id") - 1
    item = column(tables["impressions"], "item_id") - 1
    at = {
        "session": session,
        "user": column(tables["sessions"], "user_id")[session] - 1,
        "item": item,
        "category": column(tables["items"], "category_id")[item] - 1,
        "brand": column(tables["items"], "brand_id")[item] - 1,
        "campaign": column(tables["impressions"], "campaign_id") - 1,
    }
    names = {"session": "sessions", "user": "users", "item": "items", "category": "categories", "brand": "brands"}
    found = {}
    for field, values in VALUES.items():
        source, name = field.split(".")
        texts = column(tables[names.get(source, "campaigns")], name)[at[source]].astype(str)
        found[field] = np.array([values.names.index(text) for text in np.unique(texts)])[
            np.unique(texts, return_inverse=True)[1]
        ]
    return found


def test_the_same_seed_gives_the_same_bytes():
    first, second = generate_shop(2_000, seed=5), generate_shop(2_000, seed=5)
    assert all(first.tables[name].equals(second.tables[name]) for name in COLUMNS)
    assert first.truth.equals(second.truth)


def test_another_seed_gives_another_shop():
    first, second = generate_shop(2_000, seed=5), generate_shop(2_000, seed=6)
    assert not first.tables["sessions"].equals(second.tables["sessions"])
    assert not first.truth.equals(second.truth)


@pytest.mark.parametrize("rows", [100, 1_234])
def test_there_are_as_many_impressions_as_asked_for(rows):
    shop = generate_shop(rows)
    assert shop.tables["impressions"].num_rows == shop.truth.num_rows == rows


def test_every_table_has_exactly_the_columns_of_a_shop_and_none_of_the_truth(shop):
    assert {name: table.column_names for name, table in shop.tables.items()} == COLUMNS
    assert {str(field.type) for table in shop.tables.values() for field in table.schema} == {
        "int64",
        "double",
        "string",
    }


def test_nothing_in_the_database_tells_unclicked_impressions_that_would_convert():
    """Only a click may reveal z*: rows of unclicked impressions are the same whatever the targets of conversion."""
    low, high = generate_shop(5_000, preset="default"), generate_shop(5_000, preset="p3")
    assert column(high.truth, "would_convert").sum() > 1.5 * column(low.truth, "would_convert").sum()
    unlike = {name for name in COLUMNS if not low.tables[name].equals(high.tables[name])}
    assert unlike == {"conversions"}


@pytest.mark.parametrize("preset", ["default", "dirty"])
def test_every_key_refers_to_a_row(preset):
    shop = generate_shop(5_000, preset=preset)
    for info in shop.infos:
        table = shop.tables[info.ref.name]
        assert np.array_equal(np.unique(column(table, "id")), np.arange(1, table.num_rows + 1))
        for key in info.foreign_keys:
            values = table.column(key.columns[0]).drop_null().to_numpy()
            assert values.min() >= 1
            assert values.max() <= shop.tables[key.target.name].num_rows


def test_described_columns_are_the_columns(shop):
    assert [info.ref.name for info in shop.infos] == list(COLUMNS)
    assert {info.ref.name: [each.name for each in info.columns] for info in shop.infos} == COLUMNS
    parents = [(info.ref.name, key.target.name) for info in shop.infos for key in info.foreign_keys]
    assert len(parents) == 8
    order = list(COLUMNS)
    assert all(order.index(target) < order.index(name) for name, target in parents)


@pytest.mark.parametrize("name", ["default", "p1", "p2", "p3"])
def test_rates_are_near_their_targets(name):
    shop, preset = generate_shop(60_000, preset=name), PRESETS[name]
    clicks = shop.ctr * 60_000
    assert shop.ctr == pytest.approx(preset.ctr, abs=4 * np.sqrt(preset.ctr / 60_000))
    assert shop.cvr == pytest.approx(preset.cvr, abs=4 * np.sqrt(preset.cvr * (1 - preset.cvr) / clicks))
    assert column(shop.truth, "click_probability").mean() == pytest.approx(preset.ctr, rel=1e-6)


def test_outcomes_follow_the_stated_probabilities(shop):
    probability, clicked = column(shop.truth, "click_probability"), column(shop.truth, "clicked")
    for part in np.array_split(np.argsort(probability), 10):
        expected = probability[part].mean()
        assert clicked[part].mean() == pytest.approx(expected, abs=4 * np.sqrt(expected / len(part)))


def test_the_tables_hold_what_the_truth_says_happened(shop):
    clicked = column(shop.truth, "clicked")
    bought = clicked & column(shop.truth, "would_convert")
    impressions = column(shop.tables["clicks"], "impression_id")
    assert np.array_equal(np.sort(impressions), np.flatnonzero(clicked) + 1)
    sold = impressions[column(shop.tables["conversions"], "click_id") - 1]
    assert np.array_equal(np.sort(sold), np.flatnonzero(bought) + 1)


@pytest.mark.parametrize("preset", ["default", "dirty"])
def test_a_click_follows_its_impression_and_a_conversion_its_click(preset):
    shop = generate_shop(10_000, preset=preset)
    impressions, clicks, conversions = (shop.tables[name] for name in ("impressions", "clicks", "conversions"))
    shown = column(impressions, "shown_at")[column(clicks, "impression_id") - 1]
    assert (column(clicks, "clicked_at") > shown).all()
    clicked = conversions.filter(conversions.column("click_id").is_valid())
    before = column(clicks, "clicked_at")[column(clicked, "click_id") - 1]
    assert (column(clicked, "converted_at") > before).all()


def test_rows_are_in_the_order_of_time_and_a_session_starts_before_its_impressions(shop):
    impressions, sessions = shop.tables["impressions"], shop.tables["sessions"]
    shown = column(impressions, "shown_at")
    assert (shown[1:] >= shown[:-1]).all()
    assert (shown >= column(sessions, "started_at")[column(impressions, "session_id") - 1]).all()
    signed_up = column(shop.tables["users"], "signed_up_at")
    assert (column(sessions, "started_at") > signed_up[column(sessions, "user_id") - 1]).all()


def test_the_weekend_flag_is_what_the_calendar_says(shop):
    days = column(shop.tables["sessions"], "started_at").astype("datetime64[D]")
    assert np.array_equal(column(shop.tables["sessions"], "weekend"), 1 - np.is_busday(days))


def test_planted_interactions_are_orthogonal_to_their_lower_orders(covariates):
    codes = covariates.codes()
    for planted, term in zip(PLANTED, interaction_terms(codes), strict=True):
        assert term.std() == pytest.approx(1.0)
        for name in planted.fields:
            means = np.bincount(codes[name], term) / np.bincount(codes[name])
            assert np.abs(means).max() < 1e-9


def test_a_planted_triple_is_orthogonal_to_its_pairs(covariates):
    codes, triple = covariates.codes(), PLANTED[3]
    term = interaction_terms(codes)[3]
    first, second, third = (codes[name] for name in triple.fields)
    for pair in (first * 10 + second, first * 10 + third, second * 10 + third):
        totals = np.bincount(pair, term)
        assert np.abs(totals).max() < 1e-6


def test_the_logits_contain_exactly_the_planted_interactions():
    """Recovered from c and r by least squares with all main effects, users and items averaging out."""
    shop = generate_shop(120_000)
    codes = shop_codes(shop)
    terms = interaction_terms(codes)
    position = np.log(column(shop.tables["impressions"], "position"))
    mains = [np.eye(len(VALUES[name].names))[codes[name]] for name in VALUES]
    design = np.column_stack([*terms, position, *mains])
    for name, side in (("click_probability", "click"), ("conversion_probability", "conversion")):
        fit = np.linalg.lstsq(design, logit(column(shop.truth, name)), rcond=None)[0]
        assert fit[:4] == pytest.approx([getattr(each, side) for each in shop.planted], abs=0.06)


def test_decoys_occur_together_but_do_not_interact(shop):
    codes = shop_codes(shop)
    residual = logit(column(shop.truth, "click_probability"))
    position = np.log(column(shop.tables["impressions"], "position"))
    mains = [np.eye(len(VALUES[name].names))[codes[name]] for name in VALUES]
    design = np.column_stack([*interaction_terms(codes), position, *mains])
    residual = residual - design @ np.linalg.lstsq(design, residual, rcond=None)[0]
    for pair in DECOYS:
        first, second = (codes[name] for name in pair)
        counts = np.histogram2d(first, second, bins=[np.arange(first.max() + 2), np.arange(second.max() + 2)])[0]
        expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / counts.sum()
        assert ((counts - expected) ** 2 / expected).sum() / counts.sum() > 0.02
        sums = np.bincount(first * 20 + second, residual) ** 2
        sizes = np.bincount(first * 20 + second)
        assert (sums[sizes > 0] / sizes[sizes > 0]).sum() / len(residual) < 0.03


def test_planted_pairs_and_decoys_are_different_pairs(shop):
    pairs = {frozenset(pair) for pair in shop.decoys}
    assert len(pairs) == 5
    assert not any(pair <= set(each.fields) for pair in pairs for each in shop.planted)


def logits_agree(shop):
    """Return the correlation of the two logits."""
    clicks, sales = (logit(column(shop.truth, f"{name}_probability")) for name in ("click", "conversion"))
    return float(np.corrcoef(clicks, sales)[0, 1])


def test_selection_makes_what_sells_clicked(monkeypatch):
    monkeypatch.setitem(PRESETS, "free", replace(PRESETS["p1"], kappa=0.0))
    assert logits_agree(generate_shop(20_000, preset="p1")) > logits_agree(generate_shop(20_000, preset="free")) + 0.3


def test_with_selection_the_truth_says_how_conversion_interactions_act_on_clicks():
    triple = generate_shop(1_000, preset="p1").planted[3]
    assert triple.where == "both"
    assert 0 < triple.click < triple.conversion == triple.strength == 1.5


def test_shared_taste_makes_the_logits_agree(monkeypatch):
    monkeypatch.setitem(PRESETS, "shared", replace(PRESETS["p2"], rho=0.9))
    assert (
        logits_agree(generate_shop(20_000, preset="shared")) > logits_agree(generate_shop(20_000, preset="p2")) + 0.03
    )


def test_the_null_preset_shows_every_item_often_enough():
    shop = generate_shop(preset="p2")
    items = column(shop.tables["impressions"], "item_id")[column(shop.tables["clicks"], "impression_id") - 1]
    assert np.mean(np.bincount(items)[1:]) > 40


def test_a_hidden_confounder_moves_clicks_and_conversions_alike(monkeypatch):
    monkeypatch.setitem(PRESETS, "hidden", replace(PRESETS["p2"], gamma=1.0))
    assert (
        logits_agree(generate_shop(20_000, preset="hidden")) > logits_agree(generate_shop(20_000, preset="p2")) + 0.15
    )


def test_a_delay_hides_the_conversions_after_the_last_day():
    shop = generate_shop(20_000, preset="dirty")
    bought = int((column(shop.truth, "clicked") & column(shop.truth, "would_convert")).sum())
    sold = len(np.unique(shop.tables["conversions"].column("click_id").drop_null()))
    assert 0.8 * bought < sold < bought
    assert column(shop.tables["conversions"], "converted_at").max() < "2026-04-27 00:00:00"


def test_a_dirty_shop_has_doubles_orphans_and_leaks():
    shop = generate_shop(20_000, preset="dirty")
    impressions, clicks, conversions = (shop.tables[name] for name in ("impressions", "clicks", "conversions"))
    assert clicks.num_rows > len(np.unique(column(clicks, "impression_id")))
    unclicked = conversions.filter(conversions.column("click_id").is_null())
    assert unclicked.num_rows > 0
    assert not np.isin(column(unclicked, "impression_id"), column(clicks, "impression_id")).any()
    click_ids = conversions.column("click_id").drop_null()
    assert len(click_ids) > len(np.unique(click_ids))
    assert np.array_equal(impressions.column("landing_page").is_valid().to_numpy(), column(shop.truth, "clicked"))


def test_dirt_leaves_covariates_and_outcomes_alone():
    clean, dirty = generate_shop(5_000), generate_shop(5_000, preset="dirty")
    assert clean.truth.equals(dirty.truth)
    assert clean.tables["sessions"].equals(dirty.tables["sessions"])


def test_an_unknown_preset_lists_the_presets():
    with pytest.raises(UserError, match="default, p1, p2, p3, dirty") as caught:
        generate_shop(1_000, preset="defualt")
    assert caught.value.do == "Did you mean default?"


@pytest.mark.parametrize(("rows", "seed"), [(99, 1), (0, 1), (1_000, -1)])
def test_an_impossible_size_or_seed_is_refused(rows, seed):
    with pytest.raises(UserError):
        generate_shop(rows, seed=seed)


def test_the_truth_is_written_beside_the_database(tmp_path, shop):
    path = shop.write_truth(tmp_path / "shop.db")
    assert path == tmp_path / "shop.truth.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    assert summary["planted"][0] == {
        "fields": ["user.segment", "category.name"],
        "where": "click",
        "order": 2,
        "strength": 1.2,
        "click": 1.2,
        "conversion": 0.0,
    }
    assert (summary["seed"], summary["preset"], summary["rows"]) == (7, "default", ROWS)
    assert summary["ctr"] == pytest.approx(0.1, abs=0.01)
    assert parquet.read_table(tmp_path / "shop.truth.parquet").equals(shop.truth)


def test_the_recipe_reads_only_columns_that_exist(shop):
    recipe = shop_recipe(Path("shop.db"))
    tables = {recipe.query.base.name: recipe.query.base.name} | {
        join.name: join.table.name for join in recipe.query.joins
    }
    for each in (*recipe.query.columns, *(ref for join in recipe.query.joins for ref, _ in join.on)):
        assert each.column == ColumnRef.EXISTS or each.column in COLUMNS[tables[each.source]]
    assert recipe.query.time in recipe.query.columns


def test_the_recipe_names_every_planted_field_and_decoy_as_a_feature(shop):
    features = {field.name for field in shop_recipe(Path("shop.db")).fields.features}
    assert {name for each in shop.planted for name in each.fields} <= features
    assert {name for pair in shop.decoys for name in pair} <= features


def test_the_recipe_has_one_user_one_item_and_both_labels():
    fields = shop_recipe(Path("shop.db")).fields
    roles = (FieldRole.USER, FieldRole.ITEM, FieldRole.CLICK, FieldRole.CONVERSION)
    assert [[field.name for field in fields.with_role(role)] for role in roles] == [
        ["session.user_id"],
        ["item_id"],
        ["clicks"],
        ["conversions"],
    ]


def test_interactions_are_learnable_an_oracle_with_the_pair_beats_one_without(shop):
    """Log loss of the true probability against the best that knows everything but segment x category."""
    codes = shop_codes(shop)
    score = logit(column(shop.truth, "click_probability"))
    clicked = column(shop.truth, "clicked")
    without = score - shop.planted[0].click * interaction_terms(codes)[0]

    def auc(values):
        ranks = np.empty(len(values))
        ranks[np.argsort(values)] = np.arange(1, len(values) + 1)
        positives = clicked.sum()
        return (ranks[clicked].sum() - positives * (positives + 1) / 2) / (positives * (len(clicked) - positives))

    assert auc(score) > 0.78
    assert auc(score) - auc(without) > 0.05
