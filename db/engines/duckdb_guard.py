"""What a statement does, as DuckDB's own parser sees it: only plain reading is let through.

The type of a statement is not enough: `WITH x AS (COPY ... TO 'file') SELECT ...` counts as a SELECT, and it writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import duckdb

from crosslens.errors import QueryError

_READING = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_FORBIDDEN_FUNCTIONS = {
    "arrow_scan",  # these read memory at an address
    "arrow_scan_dumb",
    "pandas_scan",
    "python_arrow_scan",
    "python_map_function",
    "query",  # these run text as statements
    "json_execute_serialized_sql",
    "import_database",
    "copy_database",
    "write_log",
    "setval",
    "nextval",
}


def refuse_unless_reading(cursor: duckdb.DuckDBPyConnection, sql: str, name: str) -> None:
    """Raise QueryError unless `sql` is exactly one SELECT that only reads; `name` is what the database is called."""
    tree = json.loads(cursor.execute("SELECT json_serialize_sql($sql)", {"sql": sql}).fetchall()[0][0])
    if tree.get("error"):
        raise _refused(name, tree)
    if len(tree["statements"]) != 1:
        raise QueryError(
            f"{name} was asked for {len(tree['statements'])} statements at once.",
            why="Crosslens runs exactly one SELECT.",
            do="Keep one SELECT and remove the others.",
        )
    for word, is_function in _words(tree):
        if word in _FORBIDDEN_FUNCTIONS if is_function else word.endswith("_NODE") and word not in _READING:
            raise QueryError(
                f"{name} is only ever read.",
                why=f"The statement holds {_spoken(word, is_function)}, which Crosslens does not let through.",
                do="Use one SELECT that only reads.",
            )


def _refused(name: str, tree: dict[str, Any]) -> QueryError:
    if tree.get("error_type") == "parser":
        return QueryError(
            f"{name} does not understand the statement.",
            why=f"DuckDB says: {tree['error_message']}.",
            do="Mend the statement and try again.",
        )
    return QueryError(
        f"{name} is only ever read.",
        why="The statement is not a SELECT, or one of a form whose doings cannot be foretold (such as PIVOT without "
        "a list of values).",
        do="Use one SELECT that only reads.",
    )


def _words(tree: Any) -> Iterator[tuple[str, bool]]:
    """Yield the types of all nodes and the names of all functions (True) of a parse tree, without recursion."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            if isinstance(kind := node.get("type"), str):
                yield kind, False
            if isinstance(function := node.get("function_name"), str):
                yield function.lower(), True
            waiting += node.values()
        elif isinstance(node, list):
            waiting += node


def _spoken(word: str, is_function: bool) -> str:
    return (
        f"the function {word}" if is_function else word.removesuffix("_NODE").removesuffix("_QUERY").replace("_", " ")
    )
