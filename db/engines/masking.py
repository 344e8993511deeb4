"""No password in a sentence: what a driver says is quoted in errors, and a driver may repeat what it was given.

Only a driver's words are masked, never ours: a password “wrong” must not make holes in “The password is wrong”.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

MASK = "•••"
_LONG = 5

_USERINFO = re.compile(r"(://[^\s/:@]*:)[^\s@]+(?=@)")
_KEY_VALUE = re.compile(
    r"""(\b(?:ssl)?pass(?:word|wd)\s*=\s*|\bpwd\s*=\s*)('(?:[^'\\]|\\.)*'|"[^"]*"|\{[^}]*\}|[^\s;,&'")]+)""",
    re.IGNORECASE,
)


def mask_of(secret: str | None) -> Callable[[str], str]:
    """Return what takes passwords out of a driver's text: the one given, and those of any connection string."""
    forms = _forms(secret) if secret else ()
    own = re.compile("|".join(map(_pattern, forms))) if forms else None

    def masked(text: str) -> str:
        text = _KEY_VALUE.sub(rf"\1{MASK}", _USERINFO.sub(rf"\1{MASK}", text))
        return text if own is None else own.sub(MASK, text)

    return masked


def _pattern(form: str) -> str:
    # Short ones as whole words only: a password of one letter would hide half of every text, and so tell itself.
    if len(form) >= _LONG:
        return re.escape(form)
    before, behind = (r"(?<!\w)" if re.match(r"\w", form[0]) else ""), (r"(?!\w)" if re.match(r"\w", form[-1]) else "")
    return f"{before}{re.escape(form)}{behind}"


def _forms(secret: str) -> tuple[str, ...]:
    """Return the ways a driver may write a password, long ones first."""
    written = {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    written.add(" ".join(secret.split()))  # sentences have single spaces
    return tuple(sorted(filter(None, written), key=len, reverse=True))
