"""The user's own SELECT: one statement that reads, or a sentence."""

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from crosslens.errors import QueryError
from db.own_select import MYSQL, POSTGRESQL, STANDARD, Lexicon, own_select, single_select


@pytest.mark.parametrize(
    ("text", "lexicon", "kept"),
    [
        ("select 1", STANDARD, "select 1"),
        ("  select 1 ;  ; -- done", STANDARD, "  select 1"),
        ("(select 1) union (select 2)", STANDARD, "(select 1) union (select 2)"),
        ("with a as (select 1) select * from a", STANDARD, "with a as (select 1) select * from a"),
        ("select ';' as \"a;b\" /* ; */ -- ;\n from t", STANDARD, "select ';' as \"a;b\" /* ; */ -- ;\n from t"),
        ("select 'it''s; )'", STANDARD, "select 'it''s; )'"),
        ("select $$;)$$, $a$ ' ; $$ $a$, E'\\';'", POSTGRESQL, "select $$;)$$, $a$ ' ; $$ $a$, E'\\';'"),
        ("select /* a /* b */ ; */ 1", POSTGRESQL, "select /* a /* b */ ; */ 1"),
        ("select 'a\\';)' as `x;` # ;", MYSQL, "select 'a\\';)' as `x;`"),
        ("select 5--3", MYSQL, "select 5--3"),
        ("select a.into_x, \"into\" from t where lock in (1, 2)", STANDARD, None),
        ("select x::int, :y from t", POSTGRESQL, None),
    ],
)  # fmt: skip
def test_one_statement_that_reads_is_kept_without_its_end(text: str, lexicon: Lexicon, kept: str | None) -> None:
    assert single_select(text, lexicon) == (text if kept is None else kept)


@pytest.mark.parametrize(
    ("text", "lexicon"),
    [
        ("", STANDARD), (";", STANDARD), ("-- nothing", STANDARD),
        ("select 1; select 2", STANDARD),
        ("select 1) as t; drop table x; --", STANDARD),
        ("select 1) union (select 2", STANDARD),
        ("select (1", STANDARD),
        ("delete from t", STANDARD), ("explain analyze delete from t", STANDARD), ("pragma x", STANDARD),
        ("select * into x from t", POSTGRESQL),
        ("select 1 into outfile '/x'", MYSQL),
        ("select 1 /*! into outfile '/x' */", MYSQL), ("select 1 /*M! into outfile '/x' */", MYSQL),
        ("select * from t for update", STANDARD), ("select * from t lock in share mode", MYSQL),
        ("select * from t for no key update", POSTGRESQL),
        ("select 'open", STANDARD), ('select "open', STANDARD), ("select /* open", STANDARD),
        ("select $$ open", POSTGRESQL),
        ("select /* a /* b */ ", POSTGRESQL),
        ("select 'a\\'; drop table x; -- '", STANDARD),  # here a backslash is a letter, so the text ends early
    ],
)  # fmt: skip
def test_anything_else_is_a_sentence(text: str, lexicon: Lexicon) -> None:
    with pytest.raises(QueryError) as caught:
        single_select(text, lexicon)
    assert caught.value.what
    assert caught.value.do


@given(st.text(alphabet="se ct1();'\"-/*\\$`#:\n", max_size=30))
def test_what_is_let_through_never_leaves_its_brackets(rest: str) -> None:
    for lexicon in (STANDARD, POSTGRESQL, MYSQL):
        try:
            kept = single_select(f"select {rest}", lexicon)
        except QueryError:
            continue
        # Wrapped in brackets it is still one statement by the same rules: nothing closed them early.
        assert single_select(f"select * from ({kept}\n) as t", lexicon)


@pytest.mark.parametrize("text", ["select ':a', x::int, '\\:b'", "select a:b", "select '%s %(x)s'"])
def test_colons_and_per_cent_signs_stay_what_they_are(text: str) -> None:
    wrapped = sa.select(sa.text("*")).select_from(own_select(text).columns().subquery("own"))
    assert text in str(wrapped)
