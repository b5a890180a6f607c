"""Queries that a model wrote: rows against a plain filter, and everything else is a text, soon and without a trace."""

import random
import sqlite3
import time

import pytest

from nsrl.engines.queries import LONGEST, ROWS, rows

RNG = random.Random(random.randrange(10**9))
SCHEMA = "create table t (a integer, b text); insert into t values (1, 'x'), (2, 'y');"


def test_rows_are_those_of_a_filter():
    table = [(RNG.randrange(9), RNG.choice("xyz")) for _ in range(300)]
    schema = "create table t (a integer, b text);" + "".join(f"insert into t values ({a}, '{b}');" for a, b in table)
    for _ in range(20):
        least, letter = RNG.randrange(9), RNG.choice("xyz")
        found = rows(schema, f"select b, a from t where a >= {least} and b = '{letter}'")
        assert found == sorted(((b, a) for a, b in table if a >= least and b == letter), key=repr)
    assert len(rows(schema, "select * from t, t as other")) == ROWS


@pytest.mark.parametrize(
    "query",
    ["", "nonsense", "select * from absent", "select 1; select 2", "select \0", "select '\ud800'", "(" * 5000,
     "select " + "(" * 900,
     "insert into t values (3, 'z')", "drop table t", "attach 'file.db' as f", "pragma user_version = 1",
     "vacuum into 'file.db'", "create table u (a)", "begin", "select load_extension('x')",
     "select zeroblob(1000000000)",
     "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c",
     "with recursive c(n) as (select 1 union all select n + 1 from c) select n, printf('%01900d', n) from c order by 2",
     "select " + "x" * LONGEST],
)  # fmt: skip
def test_what_is_no_reading_query_is_a_text(query, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    found = rows(SCHEMA, query)
    assert isinstance(found, str) or found == [], query
    assert time.process_time() - began < 10 and not list(tmp_path.iterdir())
    assert rows(SCHEMA, "select a from t") == [(1,), (2,)]


def test_a_schema_that_is_wrong_is_the_data_sets():
    with pytest.raises(sqlite3.Error):
        rows("create tabel t", "select 1")
