"""SQL that a model wrote: SQLite in memory, which may only read, in bounded steps. Never raises for model text."""

from __future__ import annotations

import sqlite3
from typing import Any

READS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
STEPS = 1_000_000  # of SQLite's machine, for a query: well below a second
LONGEST = 2_000  # bytes of a value, and of the query; what is sorted on the way is a step's worth each
ROWS = 200


def rows(schema: str, query: str) -> list[tuple[Any, ...]] | str:
    """What a query gives on the data base that `schema` (statements of the data set's) makes: at most 200 rows, sorted,
    or what is wrong with it, beginning with `error: `. Raises `sqlite3.Error` for a schema that is wrong.

    Files, other data bases, writes and pragmas are refused, values are at most 2,000 bytes long, and a query that takes
    more than a million steps is ended.
    """
    base = sqlite3.connect(":memory:")
    try:
        base.executescript(schema)
        base.set_authorizer(lambda action, *_: sqlite3.SQLITE_OK if action in READS else sqlite3.SQLITE_DENY)
        for limit in (sqlite3.SQLITE_LIMIT_LENGTH, sqlite3.SQLITE_LIMIT_SQL_LENGTH):
            base.setlimit(limit, LONGEST)
        base.setlimit(sqlite3.SQLITE_LIMIT_COLUMN, 100)
        base.set_progress_handler(lambda: 1, STEPS)
        try:
            return sorted(base.execute(query).fetchmany(ROWS), key=repr)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:  # ValueError: a NUL, half a surrogate pair
            return f"error: {str(error)[:200]}"
    finally:
        base.close()
