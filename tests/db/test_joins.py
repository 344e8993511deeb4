"""Which joins keys suggest, what they measure, and which are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from crosslens.errors import QueryError
from crosslens.relational import Comparison, FilterSpec, JoinFacts, JoinKind, JoinSpec, QuerySpec, TableRef
from db import sources
from db.joins import in_words

from .helpers import ODD_NAMES, SHOP, exists, lookup, make_database, opened, query, quoted, ref, rows_of


def _proposed(source, base: str) -> list[tuple[str, str, JoinKind]]:
    return [
        (proposal.join.name, proposal.join.on[0][0].source, proposal.join.kind)
        for proposal in source.propose_joins(TableRef(base))
    ]


def test_lookups_and_exists_are_proposed_breadth_first(shop) -> None:
    assert _proposed(shop, "impressions") == [
        ("users", "impressions", JoinKind.LOOKUP),
        ("items", "impressions", JoinKind.LOOKUP),
        ("brands", "items", JoinKind.LOOKUP),
        ("clicks", "impressions", JoinKind.EXISTS),
        ("conversions", "clicks", JoinKind.EXISTS),
        ("impressions (user_id)", "impressions", JoinKind.COUNT),
        ("impressions (item_id)", "impressions", JoinKind.COUNT),
    ]
    assert shop.propose_joins(TableRef("impressions"))[0].reason == "foreign key impressions.user_id"


def test_two_keys_to_one_table_get_distinct_names(tmp_path: Path) -> None:
    script = """
    CREATE TABLE users(id INTEGER PRIMARY KEY);
    CREATE TABLE messages(id INTEGER PRIMARY KEY, sender_id REFERENCES users(id), receiver_id REFERENCES users(id));
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        names = ["users (sender_id)", "users (receiver_id)"]
        assert _proposed(source, "messages") == [(name, "messages", JoinKind.LOOKUP) for name in names]
        names = ["messages (sender_id)", "messages (receiver_id)"]
        assert _proposed(source, "users") == [(name, "users", JoinKind.EXISTS) for name in names]


def test_a_self_reference_is_followed_once(tmp_path: Path) -> None:
    script = "CREATE TABLE categories(id INTEGER PRIMARY KEY, parent_id REFERENCES categories(id), name)"
    with opened(make_database(tmp_path / "x.db", script)) as source:
        assert _proposed(source, "categories") == [("categories (parent_id)", "categories", JoinKind.LOOKUP)]


def test_circles_end_and_missing_targets_are_left_out(tmp_path: Path) -> None:
    script = """
    CREATE TABLE a(id INTEGER PRIMARY KEY, b_id REFERENCES b(id), gone_id REFERENCES gone(id), odd REFERENCES b(nope));
    CREATE TABLE b(id INTEGER PRIMARY KEY, a_id REFERENCES a(id));
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        assert _proposed(source, "a") == [("b", "a", JoinKind.LOOKUP), ("b of a", "a", JoinKind.EXISTS)]


def test_names_stay_unique_when_one_table_is_reached_twice(tmp_path: Path) -> None:
    script = """
    CREATE TABLE brands(id INTEGER PRIMARY KEY);
    CREATE TABLE items(id INTEGER PRIMARY KEY, brand_id REFERENCES brands(id));
    CREATE TABLE campaigns(id INTEGER PRIMARY KEY, brand_id REFERENCES brands(id));
    CREATE TABLE ads(id INTEGER PRIMARY KEY, brand_id REFERENCES brands(id));
    CREATE TABLE views(item_id REFERENCES items(id), campaign_id REFERENCES campaigns(id), ad_id REFERENCES ads(id));
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        names = [proposal.join.name for proposal in source.propose_joins(TableRef("views"))]
    assert names == ["items", "campaigns", "ads", "brands", "brands of campaigns", "brands of ads"]


def test_lookups_go_three_keys_deep(tmp_path: Path) -> None:
    script = "".join(f"CREATE TABLE t{n}(id INTEGER PRIMARY KEY, up REFERENCES t{n + 1}(id));" for n in range(6))
    with opened(make_database(tmp_path / "x.db", script)) as source:
        assert [name for name, _, _ in _proposed(source, "t0")] == ["t1", "t2", "t3"]


USERS = lookup("users", "users", (ref("impressions", "user_id"), "id"))
CLICKS = exists("clicks", "clicks", (ref("impressions", "id"), "impression_id"))
CONVERSIONS = exists("conversions", "conversions", (ref("clicks", "id"), "click_id"))
CLICK_ROWS = lookup("clicks", "clicks", (ref("impressions", "id"), "impression_id"))


def test_facts_of_a_lookup_are_its_match_rate(shop) -> None:
    facts = shop.join_facts(query("impressions"), USERS)
    assert facts == JoinFacts("users", match_rate=0.75, max_partners=1, rows_before=4, rows_after=4)


def test_facts_of_a_join_to_many_say_what_it_would_multiply(shop) -> None:
    facts = shop.join_facts(query("impressions"), CLICKS)
    assert facts == JoinFacts("clicks", match_rate=0.5, max_partners=2, rows_before=4, rows_after=5)
    assert shop.join_facts(query("impressions"), CLICK_ROWS) == facts


def test_facts_of_a_chain_count_through_its_parents(shop) -> None:
    facts = shop.join_facts(query("impressions", joins=(CLICKS,)), CONVERSIONS)
    assert facts == JoinFacts("conversions", match_rate=0.25, max_partners=2, rows_before=4, rows_after=5)


def test_facts_of_an_empty_base_are_zero(tmp_path: Path) -> None:
    with opened(make_database(tmp_path / "x.db", SHOP + "DELETE FROM impressions;")) as source:
        assert source.join_facts(query("impressions"), USERS) == JoinFacts("users", 0.0, 0, 0, 0)


def test_facts_of_a_large_base_rest_on_a_sample(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(sources, "SAMPLE_ROWS", 1000)
    script = """
    CREATE TABLE users(id INTEGER PRIMARY KEY); CREATE TABLE seen(id INTEGER PRIMARY KEY, user_id REFERENCES users(id));
    WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 20000)
    INSERT INTO seen SELECT x, x % 4 FROM n;
    INSERT INTO users VALUES (0), (1), (2);
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        facts = source.join_facts(query("seen"), lookup("users", "users", (ref("seen", "user_id"), "id")))
    assert 900 < facts.rows_before <= 1000
    assert facts.match_rate == pytest.approx(0.75, abs=0.02)


@pytest.mark.parametrize("action", ["extract", "profile"])
def test_a_lookup_that_multiplies_rows_is_refused_with_both_numbers(shop, tmp_path: Path, action: str) -> None:
    wanted = query("impressions", ("impressions", "id"), ("clicks", "id"), joins=(CLICK_ROWS,))
    with pytest.raises(QueryError, match="“clicks” would turn 4 rows into 5"):
        shop.extract(wanted, tmp_path / "out") if action == "extract" else shop.profile(wanted)
    assert not (tmp_path / "out").exists()


def test_a_lookup_without_a_declared_key_is_fine_when_no_row_has_two_partners(tmp_path: Path) -> None:
    path = make_database(
        tmp_path / "x.db", SHOP + "CREATE TABLE scores(user, score); INSERT INTO scores VALUES (1, 5);"
    )
    scores = lookup("scores", "scores", (ref("impressions", "user_id"), "user"))
    with opened(path) as source:
        wanted = query("impressions", ("impressions", "id"), ("scores", "score"), joins=(scores,))
        assert rows_of(source.extract(wanted, tmp_path / "out")) == [(1, 5), (2, 5), (3, None), (4, None)]


def test_a_key_that_only_compares_as_unique_is_caught_while_reading(tmp_path: Path) -> None:
    script = """
    CREATE TABLE a(id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE); CREATE TABLE b(code TEXT PRIMARY KEY, v);
    INSERT INTO a VALUES (1, 'x'); INSERT INTO b VALUES ('x', 1), ('X', 2);
    """
    with opened(make_database(tmp_path / "x.db", script)) as source:
        wanted = query("a", ("a", "id"), ("b", "v"), joins=(lookup("b", "b", (ref("a", "code"), "code")),))
        with pytest.raises(QueryError, match="its base has 1"):
            source.extract(wanted, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


SHOWN = ref("impressions", "shown_at")
TIMED = JoinSpec(
    "timed", TableRef("impressions"), ((ref("impressions", "user_id"), "user_id"),), JoinKind.COUNT, "shown_at"
)
LATER = lookup("later", "impressions", (ref("impressions", "id"), "id"))
CYCLE = lookup("ring", "users", (ref("ring", "id"), "id"))
BAD: dict[str, tuple[QuerySpec, str]] = {
    "two joins of one name": (query("impressions", joins=(USERS, USERS)), "are called “users”"),
    "names that differ in case only": (query("impressions", joins=(USERS, replace(USERS, name="USERS"))), "are called"),
    "the name of the base": (query("impressions", joins=(replace(USERS, name="impressions"),)), "are called"),
    "no key": (query("impressions", joins=(replace(USERS, on=()),)), "has no key"),
    "a join before its parent": (query("impressions", joins=(CONVERSIONS, CLICKS)), "no table or join “clicks”"),
    "a join to itself": (query("impressions", joins=(CYCLE,)), "no table or join “ring”"),
    "an unknown table": (query("impressions", joins=(replace(USERS, table=TableRef("user")),)), "no table “user”"),
    "an unknown key": (
        query("impressions", joins=(lookup("u", "users", (ref("impressions", "id"), "x")),)),
        "no column “x”",
    ),
    "columns of an exists join": (query("impressions", ("clicks", "id"), joins=(CLICKS,)), "offers no columns"),
    "a lookup behind an exists": (
        query("impressions", joins=(CLICKS, lookup("c", "conversions", (ref("clicks", "id"), "click_id")))),
        "cannot be joined to “clicks”",
    ),
    "columns of a count": (
        query("impressions", ("clicks", "id"), joins=(replace(CLICKS, kind=JoinKind.COUNT),)),
        "how many rows exist",
    ),
    "the latest of no time": (query("impressions", joins=(replace(CLICKS, kind=JoinKind.LATEST),)), "time of its rows"),
    "a moment without a time": (query("impressions", joins=(replace(CLICKS, up_to=SHOWN),)), "time of its rows"),
    "a time that is not there": (
        query("impressions", joins=(replace(TIMED, time="nope"),)),
        "no column “nope”",
    ),
    "a moment of another kind": (
        query("impressions", joins=(replace(TIMED, up_to=ref("impressions", "id")),)),
        "cannot be compared",
    ),
    "a moment of many rows": (
        query("impressions", joins=(CLICKS, replace(TIMED, up_to=ref("clicks", "id")))),
        "offers no columns",
    ),
    "a lookup with a moment": (query("impressions", joins=(replace(USERS, up_to=SHOWN),)), "looks up one row"),
    "a filter by several values": (
        query(
            "impressions",
            joins=(replace(CLICKS, kind=JoinKind.VALUES),),
            filters=(FilterSpec(ref("clicks", "id"), Comparison.EQUAL, 1),),
        ),
        "several values with one",
    ),
    "two moments in one chain": (
        query(
            "impressions",
            joins=(
                LATER,
                replace(TIMED, up_to=SHOWN),
                replace(TIMED, name="b", on=((ref("timed", "id"), "id"),), up_to=ref("later", "shown_at")),
            ),
        ),
        "limited by different times",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_query_that_makes_no_sense_is_refused(case: str, shop) -> None:
    wanted, words = BAD[case]
    with pytest.raises(QueryError, match=words):
        shop.count(wanted)


@pytest.mark.parametrize(
    ("count", "words"), [(7, "7"), (999_999, "999,999"), (5_200_000, "5.2 M"), (41_300_000, "41 M"), (2e9, "2,000 M")]
)
def test_counts_read_well(count: int, words: str) -> None:
    assert in_words(count) == words


INTERNAL = ("known", "moments", "present", "passed", "seen", "line", "anon_1", "t", "wanted", "at", "n")


@pytest.mark.parametrize("name", [*ODD_NAMES, *INTERNAL, "ы" * 63, "a long name " * 9])
def test_no_name_of_a_table_a_column_or_a_join_gets_in_the_way(name: str, tmp_path: Path) -> None:
    table, key, at = quoted(name), quoted(f"{name} k"), quoted(f"{name} at")
    script = f"""
    CREATE TABLE {table}(id INTEGER PRIMARY KEY, {key} INTEGER, {at} INTEGER);
    INSERT INTO {table} VALUES (1, 7, 10), (2, 7, 20), (3, 8, 30), (4, 7, 40);
    """
    base, on = ref(name, f"{name} at"), ((ref(name, f"{name} k"), f"{name} k"),)
    past = JoinSpec(f"{name} count", TableRef(name), on, JoinKind.COUNT, f"{name} at", base)
    last = JoinSpec(f"{name} last", TableRef(name), on, JoinKind.LATEST, f"{name} at", base)
    every = JoinSpec(f"{name} all", TableRef(name), on, JoinKind.VALUES, f"{name} at", base)
    columns = (ref(name, "id"), ref(past.name, "*count"), ref(last.name, "id"), ref(every.name, "id"))
    wanted = QuerySpec(TableRef(name), (*columns, ref(every.name, f"{name} at")), (past, last, every))
    with opened(make_database(tmp_path / "x.db", script)) as source:
        rows = rows_of(source.extract(wanted, tmp_path / "out"))
        assert source.join_facts(QuerySpec(TableRef(name), ()), past).max_partners == 3
    assert [row[:3] for row in rows] == [(1, 0, None), (2, 1, 1), (3, 0, None), (4, 2, 2)]
    assert [row[3] for row in rows] == [None, '["1"]', None, '["1","2"]']
