"""nsl to Wolfram Language and back: every tree a program gives comes back the same."""

import sys
from pathlib import Path

import pytest

from nsrl.engines.nsl import evaluate, from_wolfram, to_wolfram
from nsrl.engines.wolfram.expr import S, mk, sym

sys.path.insert(0, str(Path(__file__).parent))
from problems import MORE, PROBLEMS

hypothesis = pytest.importorskip("hypothesis")
st = hypothesis.strategies

PROGRAMS = [p for p, _, _ in PROBLEMS.values()] + [p for _, p, _ in MORE] + [
    "f(x)=x²+1;f(3)", "s=0;for k in 1..10:(s+=k,s*=2)", "x=9;while x>1:x/=3;x", "1/2x", "-(a b)", "a-(b-c)", "-(2x)", "2^-x",
    "(-3)²", "(a^b)^c", "a^b^c", "x²y³", "1/(1/x)", "(a/b)/c", "a/(b c)", "|x|²", "√(√x)", "(√x)²", "x!²", "(x+1)!",
    "{1,{2,3}}", "L[2]²", "sin(x)²", "log(x)", "log(2,x)", "ln x", "round(x,2)", "x∈ℤ;x²=4;x>0", "a<b≤c;b", "not a and b",
    "5P2", "5 mod 3", "(a+b) mod c", "if(a>b,a,b)", "C+D", "E²", "30°", "x°", "2x°", "17 div 5", "-1*x*y", "x*-1", "0.5x", "1.50",
    "{a+b for a in 1..3 for b in 1..3 if a<b}", "x=1;x:=2;x", "60km/h→m/s?15,16", "dist(A,B)?1,2", "root(3,8)", "cbrt 8",
    "∠A=2∠B;∠A+∠B=9", "{1..5}", "x in {1,2}", "½x", "20% of x", "¾", "150%",
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_come_back(program):
    tree = to_wolfram(program)
    assert to_wolfram(from_wolfram(tree)) == tree


NAMES = st.sampled_from(["x", "y", "a1", "AB", "tall", "C", "E", "θ"])
ATOMS = st.one_of(st.integers(0, 99).map(str), NAMES, st.sampled_from(["π", "0.25", "½"]))


def _grow(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        pair.map(lambda p: f"({p[0]}+{p[1]})"), pair.map(lambda p: f"({p[0]})-({p[1]})"), pair.map(lambda p: f"({p[0]})*{p[1]}"),
        pair.map(lambda p: f"({p[0]})/({p[1]})"), pair.map(lambda p: f"({p[0]})^({p[1]})"), inner.map(lambda x: f"-({x})"),
        inner.map(lambda x: f"√({x})"), inner.map(lambda x: f"({x})²"), inner.map(lambda x: f"sin(({x})°)"),
        pair.map(lambda p: f"max{{{p[0]},{p[1]}}}"), inner.map(lambda x: f"abs({x})"), inner.map(lambda x: f"({x})!"),
        pair.map(lambda p: f"dist(({p[0]},1),(2,{p[1]}))"), pair.map(lambda p: f"(({p[0]}) mod ({p[1]}))"),
        inner.map(lambda x: f"2({x})"), inner.map(lambda x: f"({x})°"), pair.map(lambda p: f"C({p[0]},{p[1]})"),
    )  # fmt: skip


EXPRESSIONS = st.recursive(ATOMS, _grow, max_leaves=8)
RELATIONS = st.tuples(EXPRESSIONS, st.sampled_from(["=", "<", "≥", "≠"]), EXPRESSIONS).map("".join)
STATEMENTS = st.one_of(RELATIONS, EXPRESSIONS.map(lambda e: f"q={e}"), EXPRESSIONS.map(lambda e: f"q:={e}"))
WHOLE = st.tuples(st.lists(STATEMENTS, max_size=3), EXPRESSIONS).map(lambda p: ";".join([*p[0], p[1]]))


@hypothesis.settings(max_examples=300, deadline=None, database=None, print_blob=True)
@hypothesis.given(WHOLE)
def test_generated_programs_come_back(program):
    tree = to_wolfram(program)
    written = from_wolfram(tree)
    assert to_wolfram(written) == tree
    assert from_wolfram(to_wolfram(written)) == written


@hypothesis.settings(max_examples=100, deadline=None, database=None, print_blob=True)
@hypothesis.given(st.integers(-9, 9).filter(bool), st.integers(-20, 20), st.integers(-20, 20))
def test_both_sides_of_a_linear_equation(a, b, c):
    program = f"{a}x+{b}={c};x".replace("+-", "-")
    assert evaluate(program).text == evaluate(from_wolfram(to_wolfram(program))).text


def test_a_tree_from_wolfram_reads_as_nsl():
    x = sym("x")
    tree = mk(S.ReplaceAll, x, mk(S.Solve, mk(S.Equal, mk(S.Power, x, 2), 9), x, S.Reals))
    assert from_wolfram(tree) == "x²=9;x"
