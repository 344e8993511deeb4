"""Names taken apart into words."""

from __future__ import annotations

import pytest

from core import words


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user_id", ("user", "id")),
        ("userId", ("user", "id")),
        ("User ID", ("user", "id")),
        ("KäuferNr.", ("kaeufer", "nr")),
        ("Straße", ("strasse",)),
        ("artículo", ("articulo",)),
        ("имя", ("имя",)),
        ("%s; --", ("s",)),
        ("", ()),
    ],
)
def test_names_fall_into_words(name: str, expected: tuple[str, ...]) -> None:
    assert words.words(name) == expected


@pytest.mark.parametrize("name", ["id", "user_id", "itemId", "userid", "customer uuid", "Kunden-Nr", "session_key"])
def test_identifiers_are_recognised_by_name(name: str) -> None:
    assert words.is_id(name)


@pytest.mark.parametrize("name", ["paid", "valid", "grid", "idea", "user", ""])
def test_other_names_are_no_identifiers(name: str) -> None:
    assert not words.is_id(name)


@pytest.mark.parametrize(
    ("name", "vocabulary"),
    [
        ("customers", words.USER),
        ("visitorid", words.USER),
        ("Artikel", words.ITEM),
        ("has_clicked", words.CLICK),
        ("bestellungen", words.CONVERSION),
        ("Käufe", words.CONVERSION),
        ("is_conversion", words.CONVERSION),
    ],
)
def test_words_say_what_a_thing_is_for(name: str, vocabulary: frozenset[str]) -> None:
    assert words.names_one_of(name, vocabulary)


def test_no_word_is_both_a_click_and_a_conversion() -> None:
    assert not words.CLICK & words.CONVERSION
    assert not words.USER & words.ITEM
