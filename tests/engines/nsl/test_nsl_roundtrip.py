"""nsl to Wolfram Language and back: every tree a program gives comes back the same."""

import random
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from nsrl.engines.nsl import evaluate, from_wolfram, to_wolfram
from nsrl.engines.wolfram.expr import S, mk, sym

sys.path.insert(0, str(Path(__file__).parent))
from problems import MORE, PROBLEMS

PROGRAMS = [p for p, _, _ in PROBLEMS.values()] + [p for _, p, _ in MORE] + [
    "f(x)=x²+1;f(3)", "s=0;for k in 1..10:(s+=k,s*=2)", "x=9;while x>1:x/=3;x", "1/2x", "-(a b)", "a-(b-c)", "-(2x)",
    "2^-x",
    "(-3)²", "(a^b)^c", "a^b^c", "x²y³", "1/(1/x)", "(a/b)/c", "a/(b c)", "|x|²", "√(√x)", "(√x)²", "x!²", "(x+1)!",
    "{1,{2,3}}", "L[2]²", "sin(x)²", "log(x)", "log(2,x)", "ln x", "round(x,2)", "x∈ℤ;x²=4;x>0", "a<b≤c;b",
    "not a and b",
    "5P2", "5 mod 3", "(a+b) mod c", "if(a>b,a,b)", "C+D", "E²", "30°", "x°", "2x°", "17 div 5", "-1*x*y", "x*-1",
    "0.5x", "1.50",
    "{a+b for a in 1..3 for b in 1..3 if a<b}", "x=1;x:=2;x", "60km/h→m/s?15,16", "dist(A,B)?1,2", "root(3,8)",
    "cbrt 8",
    "∠A=2∠B;∠A+∠B=9", "{1..5}", "x in {1,2}", "½x", "20% of x", "¾", "150%",
]  # fmt: skip


@pytest.mark.parametrize("program", PROGRAMS)
def test_programs_come_back(program):
    tree = to_wolfram(program)
    assert to_wolfram(from_wolfram(tree)) == tree


SHAPES = ["({0}+{1})", "({0})-({1})", "({0})*{1}", "({0})/({1})", "({0})^({1})", "-({0})", "√({0})", "({0})²",
"sin(({0})°)", "({0})!",
          "max{{{0},{1}}}", "abs({0})", "dist(({0},1),(2,{1}))", "(({0}) mod ({1}))", "2({0})", "({0})°", "C({0},{1})",
          "sum(k*({0}) for k in 1..({1}))", "round({0},2)", "mode{{{0},{1},3}}", "∛({0})"]  # fmt: skip
ATOMS = ["x", "y", "a1", "AB", "tall", "C", "E", "θ", "π", "0.25", "½", "7", "12", "60"]


def _expression(r: random.Random, depth: int) -> str:
    if depth == 0 or r.random() < 0.2:
        return r.choice(ATOMS)
    return r.choice(SHAPES).format(_expression(r, depth - 1), _expression(r, depth - 1))


def _statement(r: random.Random) -> str:
    """An equation, a condition, a definition, or a name set to a number."""
    kind = r.randrange(3)
    if kind == 2:
        return f"q{r.randrange(3)}:={r.randrange(9)}"
    left = "q" if kind else _expression(r, 2)
    left += " " if left.endswith("!") else ""  # n!=6 is refused
    return left + ("=" if kind else r.choice("=<≥≠")) + _expression(r, 2)


def test_generated_programs_come_back():
    seed = random.SystemRandom().randrange(1 << 32)
    r = random.Random(seed)
    for _ in range(400):
        program = ";".join([*(_statement(r) for _ in range(r.randrange(4))), _expression(r, 3)])
        tree = to_wolfram(program)
        written = from_wolfram(tree)
        assert to_wolfram(written) == tree, (seed, program, written)
        assert from_wolfram(to_wolfram(written)) == written, (seed, program)


def test_both_sides_of_a_linear_equation():
    seed = random.SystemRandom().randrange(1 << 32)
    r = random.Random(seed)
    for _ in range(100):
        a, b, c = r.choice([-7, -3, -1, 1, 2, 9]), r.randint(-20, 20), r.randint(-20, 20)
        program = f"{a}x+{b}={c};x".replace("+-", "-")
        result = evaluate(program)
        assert Fraction(result.text) == Fraction(c - b, a), (seed, program)
        assert result.text == evaluate(from_wolfram(to_wolfram(program))).text, (seed, program)


def test_a_tree_from_wolfram_reads_as_nsl():
    x = sym("x")
    tree = mk(S.ReplaceAll, x, mk(S.Solve, mk(S.Equal, mk(S.Power, x, 2), 9), x, S.Reals))
    assert from_wolfram(tree) == "x²=9;x"
