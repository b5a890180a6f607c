"""What a result says: the value where there is one, and otherwise why not."""

import time

import pytest

from nsrl.engines.nsl import evaluate
from nsrl.engines.result import Limits, Status

OK, MANY, NONE, LEFT = Status.OK, Status.AMBIGUOUS, Status.NO_SOLUTION, Status.LEFTOVER

CASES = [
    ("2x+3=11;x", OK, "4"),
    ("w(w+2)=48;w>0", OK, "6"),
    ("w(w+2)=48;w", MANY, "{-8, 6}"),
    ("w(w+2)=48;w<-9;w", NONE, "{}"),
    ("x²+1=0;x", NONE, "{}"),
    ("x=2;x=3;x", NONE, "{}"),
    ("x=x+1;x", NONE, "{}"),
    ("x+y=5;x", OK, "5 - y"),
    ("x=y+1;x", OK, "1 + y"),
    ("x+y=5;z=2;z", LEFT, "2"),
    ("r:=h/2;πr²h/3", OK, "(h^3*Pi)/12"),
    ("3a=4b;a/b", OK, "4/3"),
    ("a=2b;a/b", OK, "2"),
    ("x²=4;x²+1", OK, "5"),
    ("a+b=10;a-b=2", OK, "{a -> 6, b -> 4}"),
    ("a+b=10;a-b=2;a,b", OK, "{6, 4}"),
    ("a+b=10;a-b=2;c=ab;c", OK, "24"),
    ("x=20;x=x-3;x", OK, "17"),
    ("x=3;2x=6", OK, "True"),
    ("x=5;x<3", OK, "False"),
    ("x=5;x<3;x", NONE, "{}"),
    ("|x-3|=2;x", MANY, "{1, 5}"),
    ("√(x+1)=-3;x", NONE, "{}"),
    ("√(x+1)=x-1;x", OK, "3"),
    ("1/(x-1)=1/(x-1)²;x", OK, "2"),
    ("x²=2;x>0;x", OK, "Sqrt[2]"),
    ("x³-6x²+11x-6=0;x>2;x", OK, "3"),
    ("xy=12;x²+y²=25;x>y;y>0;x", OK, "4"),
    ("(x,y)=(1,2)+(3,4);x", OK, "4"),
    ("(A+(3,4))/2=(2,3);A", OK, "{1, 2}"),
    ("mid((1,2),B)=(3,4);B", OK, "{5, 6}"),
    ("mid(A,B)=(3,4);A=(1,1);dist(A,B)", OK, "2*Sqrt[13]"),
    ("A=(0,0);B=(k,4);dist(A,B)=5;k>0;B", OK, "{3, 4}"),
    ("x=3 or x=4;x>3.5;x", OK, "4"),
    ("x∈ℤ;3<x<5;2x<9;x", OK, "4"),
    ("x∈ℤ;3<x<6;2x<11;x", MANY, "{4, 5}"),
    ("3x+5y=31;x∈N;y∈N;x>3;x", OK, "7"),
    ("0.1x+0.2x=0.9;x", OK, "3."),
    ("x%5=2;x∈N;5<x<10;x", OK, "7"),
    ("y=2x+1;x=3;y", OK, "7"),
    ("|(1,1)-(4,5)|", OK, "5"),
    ("let x=5;x+1", OK, "6"),
    ("0.1+0.2", OK, "0.3"),
    ("2x+3>7", OK, "x > 2"),
    ("x²<4", OK, "-2 < x < 2"),
    ("w²=36?-6,4,9", OK, "A"),
    ("w²=36;w?6,-6,9", MANY, None),
    ("7?1,2,3", NONE, "7"),
    ("22/7?3.14,3.15", OK, "A"),
    ("2/3?0.67,0.66", OK, "A"),
    ("x+1=3;x?{1,2,3}", OK, "B"),
    ("2x+3>7?x<2,x>2", OK, "B"),
    ("mode{a,b,b}?a,b", OK, "B"),
    ("60?30°,60°", OK, "B"),
    ("3kg→m", Status.UNEVALUATED, ""),
    ("cos(x)=1/2;0<x<π;x", OK, "Pi/3"),
    ("foo x", LEFT, "foo*x"),
    ("x+y=5;2x", LEFT, "10 - 2*y"),
    ("1/0", Status.MESSAGE, "ComplexInfinity"),
    ("s=0;while s≥0:s+=1", Status.TIMEOUT, ""),
    ("10^10^9", Status.MEMORY, None),
    ("len(1..10^9)", Status.MEMORY, None),
]


@pytest.mark.parametrize("program,status,text", CASES)
def test_status(program, status, text):
    result = evaluate(program)
    assert result.status is status
    assert text is None or result.text == text
    if status not in (OK, Status.MESSAGE):
        assert result.messages


def test_results_are_equal_and_carry_values():
    one, two = evaluate("a+b=10;a-b=2;a,b"), evaluate("a+b=10;a-b=2;a,b")
    assert one == two and one.value == ["List", 6, 4] and one.engine == "nsl"
    assert evaluate("5?4,5").value == ["String", "B"]


def test_limits_bound_a_program():
    assert evaluate("s=0;for k in 1..10^6:s+=k", Limits(steps=10_000)).status is Status.TIMEOUT
    assert evaluate("{n for n in 1..1000}", Limits(output_bytes=100)).status is Status.MEMORY


def test_a_thousand_simple_programs_a_second():
    rates = []
    for c in (11, 12, 13):  # the best of three: another process's caches are not this engine's time
        programs = [f"{a}x+{b}={c};x" for a in range(1, 11) for b in range(20)]
        evaluate(programs[0])
        began = time.process_time()
        for p in programs:
            evaluate(p)
        rates.append(len(programs) / (time.process_time() - began))
    assert max(rates) > 1000
