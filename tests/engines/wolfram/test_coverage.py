"""The coverage page is what the tables and the tested programs say, and its examples hold in a worker."""

from nsrl.engines import EnginePool
from tests.engines.wolfram import coverage


def test_the_page_is_up_to_date():
    assert coverage.PAGE.read_text() == coverage.page(), "run python -m tests.engines.wolfram.coverage"


def test_every_implemented_name_has_an_example_that_holds():
    found = coverage.examples()
    names = [n for n in coverage.builtins.load().keys() & coverage.known_names() if coverage.status(n) == "implemented"]
    assert not [n for n in names if not found.get(n)]
    rows = sorted({found[n] for n in names})
    with EnginePool(workers=1) as pool:
        results = pool.map("wolfram", [program for program, _ in rows])
    plain = lambda text: text.replace('"', "").replace(" ", "")
    wrong = [(*row, r.text, r.status.value) for row, r in zip(rows, results) if plain(r.text) != plain(row[1])]
    assert not wrong


def test_a_name_is_implemented_or_absent():
    for name in coverage.known_names():
        assert (coverage.status(name) == "absent") == (name not in coverage.builtins.load())
