"""A function of a list, of an unknown: it waits for the value, in conditions, in settings and in what is asked."""

from random import Random, SystemRandom

import pytest

from nsrl.engines import EnginePool
from nsrl.engines.nsl import evaluate
from nsrl.engines.result import Status
from tests.engines.nsl.waiting import at_a_value, over_ranges

ONE = "n²=144;n>0;"
PAIR = "a+b=10;ab=21;a<b;"
DICE = "x in 1..6;y in 1..6;"
THREE = DICE + "z in 1..6;"
VALUES = {
    # conditions on names that run over ranges
    "n∈ℤ;10≤n≤99;sum(digits(n))=9;count{n}": "9", "n in 1..200;sum(digits(n))=10;count{n}": "19",
    "n in 1..200;sum(digits(n))<4;count{n}": "16",
    "n∈ℤ;10≤n≤99;prod(digits(n))=12;{n}": "{26, 34, 43, 62}", "x∈ℤ;1≤x≤40;sum(divisors(x))=12;{x}": "{6, 11}",
    "n in 1..50;len(divisors(n))=4;count{n}": "15",
    "n in 1..50;len(divisors(n))>6;count{n}": "6", "n in 1..50;len(divisors(n))≥2;count{n}": "49",
    "n in 10..99;digits(n)[1]=3;count{n}": "10", "n in 10..99;first(digits(n))=3;count{n}": "10",
    "n in 10..99;last(digits(n))=3;count{n}": "9",
    "n in 100..200;digits(n)=rev(digits(n));count{n}": "10", "n in 10..99;len(unique(digits(n)))=1;count{n}": "9",
    "n in 1..100;len(digits(n))=2;count{n}": "90",
    "n in 1..200;n mod sum(digits(n))=0;count{n}": "59", "n in 1..30;range(digits(n))=2;count{n}": "3",
    "x in 1..9;y in 0..9;n=10x+y;sum(digits(n))=5;count{x}": "5",
    "n in 1..30;Total(IntegerDigits(n))=3;{n}": "{3, 12, 21, 30}", THREE + "len(unique{x,y,z})=3;count{x,y,z}": "120",
    THREE + "len(unique{x,y,z})=2;count{x,y,z}": "90",
    "x in 1..3;y in 1..3;z in 1..3;len(unique{x,y,z})=1;count{x,y,z}": "3", DICE + "sort{x,y}={2,5};count{x,y}": "2",
    DICE + "first(sort{x,y})=2;count{x,y}": "9",
    "n in 1..100;len(divisors(n))=3;{n}": "{4, 9, 25, 49}", "n in 10..99;n=7*sum(digits(n));{n}": "{21, 42, 63, 84}",
    "n in 1..50;sum(divisors(n))=2n;{n}": "{6, 28}",
    "n in 1..30;len(divisors(n))=2 or n=4;{n}": "{2, 3, 4, 5, 7, 11, 13, 17, 19, 23, 29}",
    "n in 1..9;not len(divisors(n))=2;{n}": "{1, 4, 6, 8, 9}",
    "n in 1..20;digits(n)={1,5};{n}": "{15}", "n in 1..30;x=len(divisors(n));x=8;{n}": "{24, 30}",
    "n in 1..30;x=len(divisors(n));max{x}": "8",
    "n in 1..10;x=n²;sum(digits(x))=9;{x}": "{9, 36, 81}", "n in 1..20;prime(n)=29;n": "10",
    "n in 1..30;C(n,2)=45;n": "10",
    "n in 1..50;gcd(n,50)=1;count{n}": "20", "n in 1..50;lcm(n,6)=12;{n}": "{4, 12}",
    "x in 1..20;x div 3=4;{x}": "{12, 13, 14}",
    "x in -3..3;y in -3..3;|x|+|y|=3;count{x,y}": "12", "x in divisors(12);sum{x}": "28",
    "y in divisors(12);isprime(y);{y}": "{2, 3}",
    "n in 1..30;len(divisors(n))=9;count{n}": "0", "n in 1..30;len(divisors(n))=9;len(unique{n})": "0",
    # functions of the program
    "f(n):=sum(digits(n));n in 10..99;f(n)=3;{n}": "{12, 21, 30}",
    "f(n):=n²;g(n):=sum(digits(f(n)));g(n)=9;n in 1..10;{n}": "{3, 6, 9}",
    "f(a,b):=len(unique{a,b});x in 1..3;y in 1..3;f(x,y)=1;count{x,y}": "3", "f(n):=len(divisors(n));x+5=17;f(x)": "6",
    "f(n):=len(divisors(n));n in 1..30;max{f(n)}": "8",
    "f(x):=x²;x in 1..4;y in 1..4;f(x)=y;count{x,y}": "2", "f(x):=x²;x in 1..4;f(x)>3;sum{f(x)}": "29",
    "f(x):=x(10-x);max(f(x))": "25",
    # settings before their names
    "a=sum(digits(n));n=2024;a": "8", "a=len(divisors(n));n=12;a": "6", "d=len(divisors(N1));N1=72;d": "12",
    "k=max(divisors(n));n=12;k": "12",
    "k=first(divisors(n));n=12;k": "1", "k=range(divisors(n));n=12;k": "11",
    "k=diffs(divisors(n));n=12;k": "{1, 1, 1, 2, 6}",
    "k=rev(divisors(n));n=12;k": "{12, 6, 4, 3, 2, 1}", "k=sum(digits(2^n));n=12;k": "19",
    "k=len(unique{a,b,c});a=1;b=1;c=2;k": "2",
    "k=sort{a,b,c};a=3;b=1;c=2;k": "{1, 2, 3}", "k=mode{a,b,c};a=1;b=1;c=2;k": "1",
    "k=count{a,b,c}1;a=1;b=1;c=2;k": "2",
    "k=unique{a,b};b=a;a=3;k": "{3}", "p=isprime(n);n=7;p?yes,no": "A", "k=if(isprime(n),1,0);n=7;k": "1",
    "L={x,2x,7};x=4;x+=1;sort(L)": "{5, 7, 10}",
    # the statistic of a list at the solution
    "x+5=17;sum(divisors(x))": "28", "x+5=17;len(divisors(x))": "6", ONE + "len(divisors(n))": "6",
    PAIR + "len(divisors(10a+b))": "2",
    "2n=4048;sum(digits(n))": "8", "n-1=2^4*3^2;len(divisors(n-1))": "15", ONE + "mean(digits(n))": "3/2",
    ONE + "median(divisors(n))": "7/2",
    ONE + "prod(digits(n))": "2", ONE + "rev(digits(n))": "{2, 1}", ONE + "unique(digits(11n))": "{1, 2, 3}",
    ONE + "sort(digits(7n))": "{4, 8}",
    ONE + "count(d for d in divisors(n) if d%2=0)": "4", ONE + "sum(d for d in divisors(n) if d<n)": "16",
    "x+5=17;count(k for k in 1..x if gcd(k,x)=1)": "4",
    PAIR + "count(k for k in a..b if isprime(k))": "3", PAIR + "len(a..b)": "5", PAIR + "mean(a..b)": "5",
    "x²=16;x>0;sum(2k for k in 1..x if k%2=0)": "12",
    "x²=16;x>0;len{k for k in 1..x}": "4", "x²=16;x>0;mean{k for k in 1..x}": "5/2", ONE + "2len(divisors(n))": "12",
    ONE + "sum(digits(n))+n": "15",
    PAIR + "Length(Range(a,b))": "5", PAIR + "Total(Range(a))": "6", PAIR + "Length(Subsets(Range(a)))": "8",
    "x²=16;len(divisors(x))": "3",
    "0.5x=6;sum(digits(x))": "3", "x+1=5;median{x,1,2}": "2", "2n=24;sum{digits(n)}": "3", "sum{digits(123)}": "6",
    "count{divisors(12)}": "6",
    "n in 1..30;max{len(divisors(n))}": "8", "x+5=17;max(divisors(x))": "12", "x+5=17;sum{x}": "12", "x²=4;len{x}": "2",
    # a condition on the solutions, with yes and no
    "x+5=17;len(divisors(x))=6?yes,no": "A", "x+5=17;x>3?yes,no": "A", "x+5=17;x²=145?yes,no": "B",
    "x²=4;x²>3?true,false": "A", "x+5=17;x>3 and isprime(x)?yes,no": "B",
    "t=sum(d for d in divisors(n) if d<n);n=28;t=n?yes,no": "A", "a=2b;b=3;a=6?yes,no": "A", "a=2b;b=3;a=7?yes,no": "B",
    "x²=2;x>0;x<1.5?yes,no": "A",
    # no negative number is prime
    "n∈ℤ;1≤n≤10;isprime(n²-12n+27);count{n}": "2", "n∈ℤ;n²<30;isprime(n);{n}": "{2, 3, 5}", "isprime(-7)?yes,no": "B",
    DICE + "isprime(x-y);count{x,y}": "8",
    DICE + "isprime(x²-y²);count{x,y}": "4", "a∈ℤ;a≤15;a≥-5;isprime(a);count{a}": "6",
    "{n for n in -7..7 if isprime(n)}": "{2, 3, 5, 7}",
    "count{n for n in -7..7 if not isprime(n)}": "11", "isprime({7,-7})": "{True, False}", "PrimeQ(-7)": "True",
    "n=-7;isprime(n)": "False",
    # numbers of choices, and points
    "C(n,r);n=5;r=2": "10", "P(n,r);n=5;r=2": "20", "C(n,2);n=6": "15", "C(n,2)+1;n=6": "16",
    "k=C(n,r);n=5;r=2;k": "10", "nCr;n=5;r=2": "10", "k=nCr;n=5;r=2;k": "10",
    "nP2;n=5": "20", "P(x,0);A(3,4);dist(P,A)=5;x>0;x": "6", "P(x,0);x=3;dist(P,(0,4))": "5",
    "P(x,y);x+y=3;x-y=1;dist(P,(0,0))": "Sqrt[5]",
    "A(0,0);B(4,0);C(4,3);area(A,B,C)": "6", "P(x)=3x²;P(2)": "12", "area(a,b)=ab;area(3,4)": "12",
    # a double root is one solution
    "(x-1)²(x-2)=0;mean{x}": "3/2", "x³-3x+2=0;median{x}": "-1/2", "x³-3x+2=0;mean{x}": "-1/2",
    "x³-3x+2=0;std{x}": "3/Sqrt[2]", "x³-3x+2=0;mode{x}": "{-2, 1}",
    "x²-4x+4=0;count{x}": "1", "x²=0;count{x}": "1", "x³-3x+2=0;x>0;count{x}": "1", "x³-3x+2=0;sum{x}": "-1",
    "x³-3x+2=0;prod{x}": "-2",
    # a function's name as an argument is the function
    "Select({1,2,3},EvenQ)": "{2}", "SortBy({3,1,2},Minus)": "{3, 2, 1}", "Map(Sqrt,{1,4})": "{1, 2}",
    "x∈ℤ;1≤x≤5;Select({x},EvenQ)": "{2, 4}",
    "x+5=17;Select(Divisors(x),EvenQ)": "{2, 4, 6, 12}", "Total=5;Max(Total,3)": "5",
    # e between bounds
    "int(1/x,x,1,e)": "1", "int(ln(x),x,1,e)": "1", "int(e²,e,0,3)": "9", "round(e,2)": "2.72",
}  # fmt: skip


@pytest.mark.parametrize("program", VALUES)
def test_has_the_value(program):
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, VALUES[program])


# neither a value nor "no solution": (status, part of the message)
UNDECIDED = {
    "sum(sum(digits(k)) for k in 1..n)": (Status.UNEVALUATED, "IntegerDigits"), "len(1..n)=5": (Status.UNEVALUATED,
    "could not be decided"),
    "count{n,4,6}n=2": (Status.UNEVALUATED, "could not be decided"), "len(divisors(n))": (Status.UNEVALUATED,
    "Divisors"),
    "sum(digits(n))=5;n": (Status.UNEVALUATED, "could not be decided"), "len(x)=3": (Status.UNEVALUATED, ""),
    "x in 1..9;len(x)=1": (Status.UNEVALUATED, "digits(n)"),
    "n in 1..20;digits(n)=5;{n}": (Status.UNEVALUATED, "no list"),
    "n in 1..20;not digits(n)=5;{n}": (Status.UNEVALUATED, "no list"),
    "s=0;for k in 1..5:s+=len(divisors(n));n=12;s": (Status.UNEVALUATED, "before it has a value"),
    "x+y=5;sort{x,y}": (Status.LEFTOVER, "y"),
    "x²=-1;len(divisors(x))": (Status.NO_SOLUTION, "no real"), "x²=-1;x>3?yes,no": (Status.NO_SOLUTION, "no real"),
    "x in 1..3;x>5;min{len(divisors(x))}": (Status.NO_SOLUTION, ""),
    "x²=4;x>0?yes,no": (Status.AMBIGUOUS, ""), "x+y=5;x>0?yes,no": (Status.UNEVALUATED, "decided"),
    "n in 1..30;sum{n%7}": (Status.UNEVALUATED, "unique"),
    "nC2=28;n in 1..10;max{n}": (Status.SYNTAX, "C(n,2)"), "nCr=35;r=3;n in 1..9;max{n}": (Status.SYNTAX, "C(n,r)"),
    "max(factors(64))": (Status.SYNTAX, "pairs"), "sum(factors(12))": (Status.SYNTAX, "pairs"),
    "n in 1..9;len(factors(n))=2;{n}": (Status.SYNTAX, "pairs"),
    "C(n,2);n=6;C": (Status.SYNTAX, "C=(n,2)"), "P(n,r);n=5;r=2;P+1": (Status.SYNTAX, "P=(n,r)"),
    "mod(x,7)": (Status.SYNTAX, "a mod b"), "x=9;div(x,7)": (Status.SYNTAX, "a div b"),
}  # fmt: skip


@pytest.mark.parametrize("program", UNDECIDED)
def test_is_undecided(program):
    result = evaluate(program)
    status, said = UNDECIDED[program]
    assert result.status is status and said in result.messages[-1].text, result


def test_random_programs_agree_with_brute_force():
    """No value and no "no solution" that brute force does not give, and hardly a program without an answer."""
    seed = SystemRandom().randrange(2**32)
    r = Random(seed)
    cases = [(over_ranges if r.random() < 0.7 else at_a_value)(r) for _ in range(250)]
    with EnginePool(workers=1, languages=["nsl"], cache=0) as pool:
        results = pool.map("nsl", [program for program, _ in cases])
    wrong = [(program, value, result.status, result.text) for (program, value), result in zip(cases, results)
             if (result.status is Status.OK and result.text != value) or (result.status is Status.NO_SOLUTION and value is not None)]  # fmt: skip
    assert not wrong, (seed, wrong)
    asked = [result.status for (_, value), result in zip(cases, results) if value != "refused"]
    answered = sum(status in (Status.OK, Status.NO_SOLUTION) for status in asked)
    assert answered >= 0.95 * len(asked), (seed, answered, len(asked))
