"""The same programs give the same bytes: across runs, hash seeds, worker counts, order and company."""

import json
import os
import random
import subprocess
import sys

import pytest

from nsrl.engines import LANGUAGES, languages

HERE = [language for language in LANGUAGES if languages.present(language)]

WOLFRAM = [
    "{n}+1/3", "Sqrt[{n}]+Pi", "Solve[x^2-{n}x+6==0,x]", "Expand[(a+b+{n})^3]", "Factor[x^2-{n}^2]",
    "Union[{{c,b,a,{n}}},{{z,a}}]", "GroupBy[Range[{n}],Mod[#,3]&]", "Table[i^2,{{i,1,{n}}}]",
    "Tally[Mod[Range[{n}],4]]",
    "Sort[{{\"b\",\"a\",x,{n},y[1]}}]", "Module[{{x={n},y}},y+x]", "f[x_]:=x^2;f[{n}]",
    "Simplify[Sin[x]^2+Cos[x]^2+{n}]",
    "<|\"a\"->{n},\"b\"->2|>", "1/0+{n}", "D[Sin[x]^{n},x]", "FactorInteger[{n}]", "N[Sqrt[{n}],30]",
    "RandomInteger[{n}]",
    "StringJoin[\"a\",ToString[{n}]]",
]  # fmt: skip
NSL = [
    "{n}+1/3", "2a+3p={n};4a+p=11;p", "w(w+2)={n}+48;w>0;w", "√{n}+π", "x²={n};x", "{n}/7", "max{{1,{n},3}}", "{n}!",
    "x+{n}",
    "count{{a,b,a,{n}}}a",
]  # fmt: skip
SYMPY = [
    "from sympy import *\nx, y = symbols('x y')\nprint(solve([x + y - {n}, x - y - 1], [x, y]))",
    "from sympy import *\nx = symbols('x')\nfactor(x**3 - {n}*x)", "print({{'b', 'a', 'c', '{n}'}})", "hash('a{n}')",
    "print(print, {n})",
    "import random\nprint(random.random() + {n})",
    "from sympy import *\nprint(FiniteSet(*'zyxw').union(FiniteSet({n})))",
    "from sympy import *\na, b, c = symbols('a b c')\nprint(expand((a + b + c)**2 + {n}))", "1/0 + {n}",
    "print({{frozenset, int, str, {n}}})", "from sympy import *\nprint(list(Poly(Symbol('q')**2 + {n}).free_symbols))",
]  # fmt: skip
COUNTS = {"wolfram": 500, "nsl": 400, "sympy": 100}
PATTERNS = {"wolfram": WOLFRAM, "nsl": NSL, "sympy": SYMPY}


def run(language, rows, workers, seed):
    done = subprocess.run(
        [sys.executable, "-m", "nsrl.engines", "batch", "--language", language, "--quiet", "--workers", str(workers),
         "--cpu-s", "5", "--wall-s", "20"],
        input="\n".join(map(json.dumps, rows)).encode(), capture_output=True, env={**os.environ,
        "PYTHONHASHSEED": seed},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return {json.loads(line)["id"]: line for line in done.stdout.splitlines()}


@pytest.mark.parametrize("language", HERE)
def test_results_are_byte_identical(language):
    patterns = PATTERNS[language]
    programs = [patterns[n % len(patterns)].format(n=n // len(patterns) + 2) for n in range(COUNTS[language])]
    rows = [{"id": n, "program": program} for n, program in enumerate(programs)]
    first = run(language, rows, workers=1, seed="1")
    assert len(first) == COUNTS[language]
    random.Random(7).shuffle(rows)
    other = run(language, rows, workers=3, seed="2")
    changed = [n for n in first if first[n] != other[n]]
    assert not changed, "\n".join(f"{programs[n]}\n  {first[n]!r}\n  {other[n]!r}" for n in changed[:3])
