"""Speed of the engine pool on 2 workers. `pytest bench/test_engines.py -s` prints the table of docs/engines.md line by
line, behind the times of pytest-benchmark; each floor is asserted.

Knows nothing of models: the programs are simple on purpose, so that the numbers are the pool's own cost.
"""

import importlib
import time

import pytest

from nsrl.engines import LANGUAGES, EnginePool, Limits, Status, languages

HERE = [language for language in LANGUAGES if languages.present(language)]
NATIVE = [language for language in HERE if language != "sympy"]
SIMPLE = {
    "nsl": ["{n}+1/3", "2(3+{n})²", "max{{70,80,{n}}}-20", "√{n}", "{n}/7"],
    "wolfram": ["{n}+1/3", "2*(3+{n})^2", "Max[{{70,80,{n}}}]-20", "Length[{{a,b,{n}}}]", "x={n};x/7"],
    "sympy": ["print({n}+1)", "from sympy import *\nprint(sqrt({n}))", "v = [70, 80, {n}]\nprint(max(v) - min(v))"],
}
FLOOR = {"nsl": 2000, "wolfram": 2000, "sympy": 80}  # programs per second on 2 workers
LOOP = {"sympy": "while True: {n}", "wolfram": "While[True,{n}]"}
_fresh = iter(range(10**9))


def programs(language, count):
    """Programs no one has run before: the cache must not answer."""
    patterns = SIMPLE[language]
    return [patterns[k % len(patterns)].format(n=next(_fresh)) for k in range(count)]


def say(what, measured, asked=""):
    print(f"\n| {what} | {measured} | {asked} |")


@pytest.fixture(scope="module")
def pool():
    with EnginePool(workers=2, cache=0) as running:
        for language in running.languages:
            running.map(language, programs(language, 50))
        yield running


@pytest.mark.parametrize("language", HERE)
def test_programs_per_second(benchmark, pool, language):
    count = 4000 if language != "sympy" else 200
    batches = lambda: ((language, programs(language, count)), {})
    results = benchmark.pedantic(pool.map, setup=batches, rounds=5, warmup_rounds=1)
    assert {result.status for result in results} == {Status.OK}, [r for r in results if r.status is not Status.OK][:3]
    rate = count / benchmark.stats.stats.min
    benchmark.extra_info["programs_per_s"] = round(rate)
    say(f"simple {language} programs through the pool, 2 workers", f"{rate:,.0f} /s", f"{FLOOR[language]:,} /s")
    assert rate >= FLOOR[language]


@pytest.mark.parametrize("language", HERE)
def test_latency_of_one_program(benchmark, pool, language):
    benchmark.pedantic(pool.run, setup=lambda: ((language, programs(language, 1)[0]), {}), rounds=50, warmup_rounds=5)
    say(f"one {language} program, run to Result", f"{1e3 * benchmark.stats.stats.median:.2f} ms")


def test_repeated_program_comes_from_the_cache(benchmark):
    language = HERE[0]
    with EnginePool(workers=1, languages=[language]) as pool:
        pool.run(language, "1+1")
        benchmark(pool.run, language, "1+1")
    say("a repeated program, from the cache", f"{1e3 * benchmark.stats.stats.median:.4f} ms")


@pytest.mark.parametrize("language", HERE)
def test_start_up(benchmark, language):
    """From nothing to the first Result."""

    def start():
        with EnginePool(workers=2, languages=[language]) as pool:
            assert pool.run(language, "1+1").text == "2"

    benchmark.pedantic(start, rounds=5, warmup_rounds=1)
    if language != "sympy":  # its warm-up goes on behind a pool that is ready for the others
        assert benchmark.stats.stats.min < 2


def test_start_up_of_all_languages(benchmark):
    """Until the pool takes programs; SymPy warms up behind."""
    made = []

    def close_the_last():
        while made:
            made.pop().close()

    benchmark.pedantic(lambda: made.append(EnginePool(workers=2)), setup=close_the_last, rounds=5)
    close_the_last()
    say("start-up of the pool, all languages, until it takes programs", f"{benchmark.stats.stats.min:.2f} s", "2 s")
    assert benchmark.stats.stats.min < 2


@pytest.mark.parametrize("language", [language for language in HERE if language in LOOP])
def test_hostile_members_cost_their_timeouts(pool, language, record_property):
    """A batch with 10 programs that never end takes at most 10 timeouts / 2 workers longer, and 10% of that."""
    limits, count = Limits(cpu_s=30, wall_s=0.5, steps=10**9), 200
    started = time.perf_counter()
    pool.map(language, programs(language, count), limits)
    alone = time.perf_counter() - started
    mixed = programs(language, count)
    for k in range(10):
        mixed.insert(k * 21, LOOP[language].format(n=next(_fresh)))
    started = time.perf_counter()
    results = pool.map(language, mixed, limits)
    together = time.perf_counter() - started
    assert sum(result.status is Status.TIMEOUT for result in results) == 10
    record_property("alone_s", alone)
    record_property("together_s", together)
    say(
        f"{count} {language} programs with 10 that never end (0.5 s each, 2 workers: 2.5 s)",
        f"+{together - alone:.2f} s",
    )
    assert together - alone <= 10 * limits.wall_s / 2 * 1.1 + 0.1


PARSED = {
    "wolfram": ["2Sqrt[(3+2)^2-3^2]", "m*5+b/.Solve[{m+b==2,3m+b==8}][[1]]", "Max[#]-Min[#]&@{70,80,20,60,50,30}",
                "f := Module[{w},\n    sol = Solve[w*(w + 2) == 48 && w > 0, w];\n    w /. sol[[1]]\n];",
                "EuclideanDistance[{0,0},{3,4}]"],
    "nsl": ["2√((3+2)²-3²)", "m+b=2;3m+b=8;5m+b", "max{70,80}-min{20,30}", "w(w+2)=48;w>0;w", "2a+3p=13;4a+p=11;p"],
}  # fmt: skip


@pytest.mark.parametrize("language", NATIVE)
def test_parse_time(benchmark, language):
    """Programs as models write them, parsed in this process; the number is for all five."""
    parse = importlib.import_module(f"nsrl.engines.{language}.parser").parse
    benchmark(lambda: [parse(text) for text in PARSED[language]])
    benchmark.extra_info["ms_per_program"] = 1e3 * benchmark.stats.stats.median / len(PARSED[language])
    say(f"parse, median: {language}", f"{1e3 * benchmark.stats.stats.median / len(PARSED[language]):.3f} ms", "0.1 ms")
    assert benchmark.stats.stats.median / len(PARSED[language]) < 1e-4
