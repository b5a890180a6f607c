"""Arguments nobody would write: every builtin leaves the call as it stands, or says a message; none raises."""

import random

import pytest

from nsrl.engines import Limits, nsl
from nsrl.engines.wolfram import builtins, evaluate

ODD = [
    "0", "1", "-1", "7", "2^70", "1/2", "-3/4", "1.5", "0.0", "1*^400", "Pi", "I", "2 + 3 I", "Infinity", "-Infinity",
    "ComplexInfinity",
    "Indeterminate", "Null", "True", "False", "None", "All", "Automatic", "x", "y", "f", '""', '"a"', '"ab c"', '"12"',
    "{}", "{{}}", "{1}",
    "{1, 2, 3}", "{x, 1, \"a\"}", "{{1, 2}, {3, 4}}", "{{1, 2}, {3}}", "{1 -> 2}", "{x, 0, 1}", "{x, 1, Infinity}",
    "{x}", "x -> 1", "x :> y",
    "<||>", "<|1 -> 2|>", '<|"a" -> {1}|>', "Association[1, 1]", "Association[x]", "#&", "#1 + #2 &", "f[x]", "f[]",
    "x^2", "x + y", "Sin[x]",
    "x == 1", "x < 1", "x == 1 && y < 2", "x || y", "Not[x]", "_", "x_", "x_Integer", "__", "x | y", "1 ;; 2",
    "UpTo[2]", "List", "Plus",
    "Rule[1]", "Rule[1, 2, 3]", "Plus[]", "Power[x]", "Interval[{1, 2}]", "Quantity[1, \"m\"]", "Point[{0, 0}]",
    "Circle[]", "Line[{1}]",
    "Function[x]", "Function[{x}, x]", "Graph[{1 -> 2}]", "Sqrt[2]", "Missing[]", "$Failed", "Sequence[]",
    "Hold[1 + 1]", "Complex[1]",
    "Rational[1]", "String", "Integer", "Integers", "Reals", "SparseArray[{1 -> 1}]", "DateObject[{2020}]",
    "Root[#^3 - 2 &, 1]", "0 x",
]  # fmt: skip
# What a call may stand in, in Wolfram Language and in nsl.
PLACES = ["-{}", "1-{}", "{}^2", "{} x", "{}=3", "{}:=3", "x/.{}", "{}[[1]]", "Solve[{}==0,x]", "{}!", "{}[]", "N[{}]"]
NSL_PLACES = [
    "-{}",
    "{}²",
    "2{}",
    "{}=3",
    "{}:=3",
    "x={};x",
    "x+{}=1;x",
    "{}?1,2",
    "{}!",
    "{}∈ℤ",
    "f(x)={};f(2)",
    "|{}|",
]
NAMES = sorted(set(builtins.load()) - {"Quit", "Exit"})


@pytest.mark.parametrize("part", range(8))
def test_no_handler_raises(part):
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    wrong = {}
    for name in NAMES[part::8]:
        for count in (0, 1, 1, 2, 2, 3, 3, 4):
            call = f"{name}[{', '.join(rng.choices(ODD, k=count))}]"
            program = call if count else rng.choice(PLACES).format(call)
            try:
                evaluate(program, Limits(steps=3000, cpu_s=0.3, list_length=2000, integer_digits=3000))
            except Exception as error:
                wrong[program] = f"{type(error).__name__}: {error}"
        program = rng.choice(NSL_PLACES).format(f"{name}({rng.choice(['', '', 'x', '1', '{1,2}', 'x,1'])})")
        try:
            nsl.evaluate(program, Limits(steps=3000, cpu_s=0.3, list_length=2000, integer_digits=3000))
        except Exception as error:
            wrong[program] = f"{type(error).__name__}: {error}"
    assert not wrong, f"seed {seed}: {len(wrong)} programs raised\n" + "\n".join(
        f"{p}   {e}" for p, e in list(wrong.items())[:20]
    )


@pytest.mark.parametrize("program", ["MemberQ(x)?1,2", "Piecewise({1,2})∈ℤ", "x+Piecewise({1,2})=1;x", "Root({1,2})∈ℤ"])
def test_calls_without_their_arguments_stay_calls(program):
    assert nsl.evaluate(program, Limits(steps=3000)).status in ("ok", "unevaluated", "message")
