"""A password never stands in a sentence, and a sentence never loses a word because a password is one."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crosslens.errors import UserError
from db.engines.masking import MASK, mask_of
from db.engines.mysql_errors import mysql_error
from db.engines.postgresql_errors import postgresql_error

FACTS = {"host": "db", "port": 5432, "user": "server", "database": "password"}


class Refused(Exception):
    """A driver's error with the server's code."""

    sqlstate = "28P01"


@pytest.mark.parametrize("secret", ["wrong", "The", "password", "administrator", "server", "e"])
def test_our_own_words_stay_whatever_the_password_is(secret: str) -> None:
    said = postgresql_error(Refused("no"), FACTS, mask_of(secret))
    assert said.what == "The password for “server” is wrong."
    assert said.why == "The server says: no."
    assert said.do == "Type it again, or ask the database's administrator."
    other = mysql_error(Exception(1045, "no"), FACTS, mask_of(secret))
    assert MASK not in f"{other.what}{other.why}{other.do}"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("cannot open postgresql://ann:hush@db/shop", f"cannot open postgresql://ann:{MASK}@db/shop"),
        ("cannot open mysql://ann:other-one@db", f"cannot open mysql://ann:{MASK}@db"),
        ("host=db password=other user=ann", f"host=db password={MASK} user=ann"),
        ("password='two words' user=ann", f"password={MASK} user=ann"),
        ("PWD={a;b};UID=ann", f"PWD={MASK};UID=ann"),
        ("Passwd = x, host", f"Passwd = {MASK}, host"),
        ("sslpassword=x", f"sslpassword={MASK}"),
        ("he said hush.", f"he said {MASK}."),
        ("hushed", "hushed"),
        ("password authentication failed", "password authentication failed"),
        ("postgresql://ann@db/shop", "postgresql://ann@db/shop"),
    ],
)
def test_a_drivers_words_lose_what_looks_like_a_password(text: str, masked: str) -> None:
    assert mask_of("hush")(text) == masked


@given(
    st.text(min_size=1).filter(lambda text: text.strip() == text and text != MASK),
    st.sampled_from(["“{}”", "{}", "<{}>"]),
)
def test_no_way_of_writing_a_password_gets_through(secret: str, around: str) -> None:
    mask = mask_of(secret)
    for written in (secret, quote(secret, safe=""), repr(secret)[1:-1], " ".join(secret.split())):
        if written:
            said: UserError = mysql_error(Exception(9, around.format(written)), FACTS, mask)
            assert said.why == f"The server says: {around.format(MASK)}."


def test_without_a_password_nothing_is_taken_away() -> None:
    assert mask_of(None)("as it is") == mask_of("")("as it is") == "as it is"
