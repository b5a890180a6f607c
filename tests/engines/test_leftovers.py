"""Nothing a program does outlives it in a reused worker: not a name, not a definition, not a random state."""

import random
import string

import pytest

from nsrl.engines import EnginePool, Limits, languages
from nsrl.engines.pool.sandbox import LINUX

psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.skipif(not LINUX, reason="looks at the memory of the pool's processes")

# Programs that make names (@, #), in every way there is.
WOLFRAM = [
    'NameQ["@"]', 'Scan[NameQ,Table["@"<>ToString[k],{k,500}]]', 'ToExpression["@"<>ToString[#]]&/@Range[50]',
    'Symbol["@"]', 'ToExpression["@=1"]', "@=3;#=@+1;#", "f@[#_]:=#^2;f@[3]", "Module[{@=2},@^2]", "Solve[@^2==4,@]",
    "D[@^3,@]", "Integrate[@^2,@]", "Table[@,{@,3}]", "<|@->1|>", '<|"@"->1|>["@"]', 'StringLength["@"]', "Unique[@]",
    "@::usage",
    'StringMatchQ["ab",RegularExpression["@"]]', "Function[{@},@+1][2]", "Expand[(@+#)^2]", "@[1]", "x/.@->#", "@`#",
    "ClearAll[@];@",
    "Simplify[Sin[@]^2+Cos[@]^2]", "Factor[@^2-#^2]", "Sum[@,{@,5}]", "Limit[Sin[@]/@,@->0]", 'Quantity[3,"@"]',
    "RandomInteger[9]",
    "SeedRandom[7];RandomReal[]", "Attributes[@]", "SetAttributes[@,Flat]", "Protect[@]", 'Names["@"]', 'Context["@"]',
    "#@@@",
    "Reduce[@>1&&@<#,@]", "DSolve[@'[#]==@[#],@[#],#]", 'ToExpression["@[#]"]', 'Interpreter["@"]',
    "Block[{$RecursionLimit=300},@]",
]  # fmt: skip
NSL = [
    "@=3;@+1",
    "@+#=5;@-#=1;@",
    "@(x)=x²;@(3)",
    "@²=4;@>0",
    "{@,#,@}",
    'count"@"a',
    "@",
    "3@→#",
    "len{@ for @ in 1..3}",
    "∠@=30;2∠@",
    "max(@,#)",
]
# What a program could have changed, and the random numbers.
NEXT = [
    ("wolfram", "{RandomInteger[10^9],RandomReal[]}"), ("wolfram", "Solve[x^3-6x^2+11x-6==0,x]"), ("wolfram",
    "Integrate[x^2 Exp[x],x]"),
    ("wolfram", "{a,f[2],Attributes[a],x}"), ("wolfram", "DSolve[y'[x]==y[x],y[x],x]"), ("wolfram", "Module[{q},q]"),
    ("wolfram", "N[Pi,30]"),
    ("wolfram", "Factor[a^4-b^4]+Expand[(c+d)^3]"), ("nsl", "a+b=3;a-b=1;(a,b)"), ("nsl", "x³-6x²+11x-6=0;x>2;x"),
    ("nsl", "q"),
]  # fmt: skip


def resident(pool):
    """Bytes of the pool's native workers, which are this process's grandchildren."""
    zygotes = {zygote.process.pid for zygote in pool._manager.supervisor.zygotes.values()}
    return max(p.memory_info().rss for z in zygotes for p in psutil.Process(z).children(recursive=True))


def test_thousands_of_programs_leave_nothing(monkeypatch):
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    kinds = [language for language in ("wolfram", "nsl") if languages.present(language)]
    name = lambda: "".join(rng.choices(string.ascii_letters, k=rng.randint(6, 200)))

    def some(count):
        for _ in range(count):
            language = rng.choice(kinds)
            form = rng.choice(WOLFRAM if language == "wolfram" else NSL)
            yield language, form.replace("@", name()).replace("#", name())

    after = [(language, program) for language, program in NEXT if language in kinds]
    limits = Limits(cpu_s=5, wall_s=30)
    with EnginePool(workers=1, limits=limits, languages=kinds, cache=0, recycle=10**9) as pool:
        fresh = [pool.run(language, program) for language, program in after]

        def run(count):
            for future in [pool.submit(*program) for program in some(count)]:
                future.result(timeout=120)

        run(2000)  # SymPy's caches, which are bounded, fill up
        before = resident(pool)
        run(4000)
        grown = resident(pool) - before
        again = [pool.run(language, program) for language, program in after]
        assert pool.stats()["recycled"] == pool.stats()["restarts"] == 0, seed
    assert [(program, a.to_json()) for (_, program), a in zip(after, again)] == [
        (p, f.to_json()) for (_, p), f in zip(after, fresh)
    ], seed
    assert grown < 6e6, (seed, grown)  # SymPy's caches still fill up; one name of 500 in the list kept would be 8 MB


def test_no_name_of_a_program_is_kept_for_ever():
    from nsrl.engines.wolfram import expr, run

    for form in WOLFRAM:  # loads what is loaded late
        run.evaluate(form.replace("@", "name").replace("#", "other"))
    kept = set(expr._SYSTEM)
    for form in WOLFRAM:
        run.evaluate(form.replace("@", "qName").replace("#", "rName"))
    assert {name for name in set(expr._SYSTEM) - kept if "qName" in name or "rName" in name} == set()
