"""No silent second meaning: what could be read in two ways has one value, or is refused with a hint."""

import pytest

from nsrl.engines.nsl import evaluate
from nsrl.engines.result import Status

VALUES = {
    # optimisation
    "max(x(20-x))": "100", "min(x²-4x+7)": "3", "x+y=20;max(xy)": "100", "0<x<10;max(x(10-x))": "25",
    "y=x(20-x);max(y)": "100",
    "x²-5x+6=0;max(x)": "3", "x²+y²=25;max(x+y)": "5*Sqrt[2]", "max(3,8)": "8",
    # sets of solutions, counts of them
    "x²-5x+6=0;{x}": "{2, 3}", "x²-5x+6=0;sum{x}": "5", "x²-5x+6=0;count{x}": "2", "x²+1=0;count{x}": "0",
    "x²=4;{x²}": "{4}",
    "x∈ℤ;2x+1>7;x<9;count{x}": "5", "x∈ℤ;2x+1>7;x<9;{x}": "{4, 5, 6, 7, 8}", "x∈N;x<10;len{x}": "9",
    "x∈1..9;x²=4;x": "2",
    "x∈{1,2,3};x²=4;x": "2", "x∈{1,2,3};x>1;{x}": "{2, 3}",
    # numbers
    "1e3": "1000", "1E3": "1000", "2e3x": "2000*x", "1.5e3": "1500.", "2.5e-3": "0.0025", "1e-3": "0.001",
    "1E-3x": "0.001*x", "1e+3": "1000", "5!!": "15", "(3!)!": "720", "6!!": "48",
    "2e+3b=12;e+b=5;e": "3",
    "50%": "1/2", "20%*50": "10", "20% of 50": "10", "n=17;n%5": "2", "17 mod 5": "2", "20%+5": "26/5", "(17)%5": "2",
    "sum{0.1,0.2}": "0.3", "mean{0.1,0.2}": "0.15", "∛8": "2", "∛27+1": "4", "∜16": "2", "∛x=2;x": "8",
    "round(2.5)": "3", "round(-2.5)": "-3", "round(0.125,2)": "0.13", "round(2.675,2)": "2.68", "round(7/2)": "4",
    "mode{1,2,2}": "2", "mode{1,1,2,2,3}": "{1, 2}",
    # what stands before the last statement: conditions, and one value with what its names are
    "x∈ℤ;1≤x≤100;isprime(x);count{x}": "25", "x∈ℤ;1≤x≤20;x%2=0;isprime(x);{x}": "{2}",
    "x∈ℤ;1≤x≤20;not isprime(x);count{x}": "12",
    "x∈ℤ;1≤x≤20;isprime(x) and x>5;{x}": "{7, 11, 13, 17, 19}", "x∈ℤ;1≤x≤9;isprime(x) or x=4;{x}": "{2, 3, 4, 5, 7}",
    "x∈ℤ;1≤x≤9;EvenQ(x);{x}": "{2, 4, 6, 8}", "x∈ℤ;1≤x≤5;not x in {2,3};{x}": "{1, 4, 5}",
    "0.5x=1.5;isprime(x);x": "3.",
    "x=5;x+=2;isprime(x);x": "7", "x=7;isprime(x)": "True", "x=8;true;x": "8",
    "π r²;r=3": "9*Pi", "n(n+1)/2;n=10": "55", "2x+1;x=4": "9", "a+b;a=2b;b=3": "9", "x²;x:=5": "25",
    "f(2)+f(3);f(x)=x²": "13",
    "πr²;r=3?6π,9π": "B", "diff(x³,x);x=2": "12", "x=2;diff(x³,x)": "12", "x=2;f=x³;diff(f,x)": "12",
    "x=2;y=x²;diff(y²,x)": "32",
    # lengths, truth values, pairs
    'len"banana"': "6", 'len("abc def")': "7", 's="banana";len(s)': "6", 's="banana";count(s,a)': "3",
    's="ab";k=0;for j in 1..3:k+=len(s);k': "6",
    "len{1,2}": "2", "L={3,4};len(L)": "2", "x∈ℤ;y∈ℤ;x²+y²=25;count{x,y}": "12", "x∈ℤ;y∈ℤ;x²+y²=25;count{(x,y)}": "12",
    "count{c,s}": "2",
    "f(n)=n%2=0;{n for n in 1..5 if f(n)}": "{2, 4}", "done=false;k=0;while not done:(k+=1,done=(k>4));k": "5",
    "{n for n in 1..9 if isprime(n) and n>2}": "{3, 5, 7}", "x+y=7;x-y=1;max{x,y}": "4",
    "100% of 50": "50", "½ of 40": "20", "2/3 of 60": "40", "0.2 of 40": "8.", "x=20;x% of 80": "16",
    "V=12;A=4;V/A": "3", "C=5;30°*C": "150*Degree", "sin(x°)²=1/4;0≤x<360;count{x}": "4",
    "sin(πx)=0;0<x<90;count{x}": "89", "vt=90;v=45;y=sin(πt);y": "0",
    # e and i: constants, unless the program says otherwise
    "e": "E", "e^2": "E^2", "ln e": "1", "ln(e²)": "2", "e^x=5;x": "Log[5]", "e=5;e+1": "6", "e+2=5;e": "3",
    "count{a,e,e}e": "2",
    "3p+2e=12;p+e=5;e": "3", "e²=49;e>0;4e": "28", "i²": "-1", "(2+3i)(1-i)": "5 + I", "sum(i for i in 1..3)": "6",
    "pi*3": "3*Pi",
    "ln x=1;x?1,e,10": "B",
    # products of letters
    "E=mc²;m=2;c=3;E": "18", "E=mc²;m=2;c=3": "18", "F=ma;m=2;a=3": "6", "A=bh/2;b=3;h=4;A": "6",
    "ax²+bx+c=0;a=1;b=-4;c=4;x": "2",
    "Q=mcT;m=2;c=3;T=5;Q": "30", "xy=12;x+y=7;x>y;x": "4", "a=2;b=3;c=ab": "6", "I=prt;p=100;r=0.05;t=2;I": "10.",
    # letters in terms of the rest
    "V=πr²h/3;h": "(3*V)/(Pi*r^2)", "x+y=5;x": "5 - y", "1/f=1/u+1/v;f": "(u*v)/(u + v)",
    "A=πr²;r>0;r": "Sqrt[A]/Sqrt[Pi]",
    "F=9C/5+32;C": "(5*(-32 + F))/9", "v=u+at;t": "(-u + v)/a",
    "x²+bx+c=0;{x}": "{(-b - Sqrt[b^2 - 4*c])/2, (-b + Sqrt[b^2 - 4*c])/2}",
    # sums without numeric bounds
    "sum(1/2^k for k in 0..∞)": "2", "sum(k for k in 1..n)": "(n*(1 + n))/2", "sum(1..n)": "(n*(1 + n))/2",
    "n=10;sum(1..n)": "55",
    "prod(k for k in 1..n)": "n!", "k=5;sum(k for k in 1..3)": "6", "x=2;int(x²,x,0,3)": "9",
    # options that are words
    "3>2?yes,no": "A", "3>5?yes,no": "B", "x=5;x>3?no,yes": "B", "5 in {1,2}?true,false": "B",
    # units
    "10km/2h→km/h": "5", "100J/5s→W": "20", "3dollar*4→cent": "1200", "5N*2m→J": "10", "230V*2A→W": "460",
    "1/4→%": "25",
    "asin(1/2)→°": "30", "½h→min": "30",
    # points against permutations, functions and logarithms to a base
    "P(1,2);Q(4,6);dist(P,Q)": "5", "C(1,2);C": "{1, 2}", "P(5,2)": "20", "C(5,2)": "10", "log₂8": "3", "log_2(8)": "3",
    "log2(8)": "3", "log10(100)": "2", "sin²30°": "1/4", "sin^2 30°": "1/4", "sin^2(30°)": "1/4",
    "lim(sin(x)/x,x→0)": "1",
    "f=x²+1;diff(f,x)": "2*x", "Sum(k,{k,1,4})": "10", "f(x)=x²-4x;f(x)=5;x>0;x": "5",
    # A factorial equals a number; ≠ stands alone, with a blank, or in a condition
    "n! = 720;n": "6", "n!=0 and n=3": "3", "k!+3=27;k": "4", "n∈N;n! =24;n": "4", "x²=4;x != -2;x": "2",
    "x²=4 and x!=2;x": "-2", "{n for n in 1..5 if n%2!=0}": "{1, 3, 5}",
    # shares by name
    "d=25%;price=80;price-d*price": "60", "rate=5%;100(1+rate)²": "441/4", "p=20%;q=30%;p+q": "1/2",
    "p=20%;q=30%;p+q+r=1;r": "1/2", "d=25%;price(1-d)=60;price": "80",
    # functions that call themselves, and their ends
    "f(0)=1;f(n)=n*f(n-1);f(5)": "120", "f(0):=1;f(n):=n*f(n-1);f(5)": "120",
    "f(n):=f(n-1)+f(n-2);f(1):=1;f(2):=1;f(10)": "55", "a(1)=2;a(n)=a(n-1)+3;a(20)": "59",
    "f(n):=if(n=0,1,n*f(n-1));f(5)": "120", "f(0)=1;f(2)=5;f(x)=ax+b;a": "2",
    # what is said of a name that has a value is checked, also where it is counted
    "n=2;n in 30..77;count{n}": "0", "x=2;x>5;count{x}": "0", "x=2;x>1;count{x}": "1", "x=2;y=x+1;y>5;count{y}": "0",
    "x in 1..9;x>20;count{x}+1": "1", "x²=-1;count{1,2,3}": "3",
    # steps and choices
    "max(x,3-x)=5;{x}": "{-2, 5}", "floor(n/5)+floor(n/25)=12;n∈N;{n}": "{50, 51, 52, 53, 54}",
    "|x|+|x-2|=4;{x}": "{-1, 3}",
}  # fmt: skip


@pytest.mark.parametrize("program", VALUES)
def test_has_one_value(program):
    result = evaluate(program)
    assert (result.status, result.text) == (Status.OK, VALUES[program])


# program: what the hint says
REFUSED = {
    "max x(20-x)": "max(…)", "min x²-4x+7": "min(…)", "max 3,8": "max(…)", "mean 3,8,1": "mean(…)",
    "sum 1..10": "sum(…)",
    "floor 7/2": "floor(…)", "log 2,8": "log(…)", "sin π/2": "sin(…)", "sin 2π/3": "sin(…)", "ln 1/2": "ln(…)",
    "sin x(x+1)": "sin(…)",
    "abs -5": "abs(…)", "count(2x+1>7,x<9)": "count{x}", "max(x>3)": "max{x}", "solve(x²-4,x)": "solve(x²=4,x)",
    "1,000*3": "thousands", "12,345+1": "thousands", "{1,000}": "thousands", "2e-3=5": "10^-3", "e^2+2e-3": "10^-3",
    "007": "begin with 0", "2024-01-01": "a date",
    "20%50": "20% of x", "20%(50)": "20% of x", "x=50;20%x": "20% of x", "17%5": "17 mod 5",
    "len{d for d in 1..60 if 60%d=0}": "mod",
    "12x13": "*", "12 x 13": "*", "C2=4;5C2": "choose", "3:4": "a/b", "x=?": ";x", "{1,2,...,10}": "1..10",
    "x∈(0,5);x²=4;x": "a<x<b", "x∈[0,5];x²=4;x": "a<x<b", "avg{3,5}": "no function", "avg(3,5)": "no function",
    "sin(30)": "30°", "sin⁻¹(1/2)": "asin", "sin^-1(x)": "asin", "Log(5)": "ln(x)",
    "a=3;b=4": "what is asked", "x+y=7;x-y=1;c=3": "what is asked", "A=(0,0);B=(4,3);AB": "dist(A,B)",
    "P=UI;U=230;I=2;P": "U*I",
    "PV=nRT;P=1;V=2;n=1;R=8;T": "P*V", "a=3;d=2;n=10;an=a+(n-1)d;an": "name it otherwise", "12→dozen": "unit",
    "1 to 10": "unit",
    "x∈ℤ;1≤x≤9;x²;count{x}": "used for nothing", "x∈ℤ;1≤x≤9;prime x;count{x}": "used for nothing",
    "y=2x+1;y=-x+7;x;y": "used for nothing",
    "πr²;r=3;h=4": "used for nothing", "5;x=3": "used for nothing", "3p;2a+3p=13;4a+p=11": "used for nothing",
    "x²;2x;x=3": "used for nothing",
    "{n for n in 1..20 if prime(n)}": "isprime(n)", "sum(n for n in 1..20 if prime(n))": "isprime(n)",
    "if(prime(3),1,2)": "isprime(n)",
    "{n for n in 1..20 if n>2 and prime(n)}": "isprime(n)", "{n for n in 1..9 if n%2}": "n%2=0",
    "x=3;{n for n in 1..5 if x}": "n%2=0",
    "f(n)=n%2;{n for n in 1..5 if f(n)}": "n%2=0", "x=3;while x:x-=1": "n%2=0", "x=3;x-=1 until x": "n%2=0",
    "x>2 and x-3;x": "n%2=0",
    "len(12345)": "digits(n)", "n!!=15": "blank", "5!!!": "(n!)!", "20 of 80→%": "20/80", "3 of 4": "20*80",
    "x=2;x of 4": "20/80",
    "s=0;for k in 1..3:s+k": "s+=k", "d=false;k=0;while not d:(k+=1,d=k>4)": "in brackets",
    "L={1,2};for k in 1..2:L[k]=0": "s+=k", "12V/4A": "brackets", "10km/2h": "brackets", "20°C": "temperature",
    "68°F": "temperature", "L={5,3};L[0]": "L[1]", "nth({5,3},0)": "L[1]",
    "sin²x=1/4;0≤x<360;count{x}": "sin(x°)", "cos x=1/2;x>0 and x<90;x": "sin(x°)",
    "A+B+C=180;A=B;sin(A)=1/2;C": "sin(A°)",
    "n!=720;n": "n! = 720", "5!=120": "n≠720", "(n+1)!=24;n": "factorial", "x in 1..4;x!=3;{x}": "n≠720",
    "discount=25%;price=80;price-discount": "x*(1-discount)", "d=25%;price-d;price=80": "d is a percentage",
    "p=20%;x=p;50+x": "x is a percentage", "x=80;d=25%;x-=d": "x*=(1-d)",
    "f(n):=n*f(n-1);f(5)": "f(0)=…", "a(n)=a(n-1)+a(n-2);a(9)": "without end",
    "f(x)=x²;f(1)+f'(3)": "diff(f(x),x)", "m=3;5m→m": "unit",
}  # fmt: skip


@pytest.mark.parametrize("program", REFUSED)
def test_is_refused_with_a_hint(program):
    result = evaluate(program)
    assert result.status is Status.SYNTAX and result.text == ""
    assert REFUSED[program] in result.messages[0].text and result.messages[0].text.startswith("at ")


# What is no syntax error, and no value either: (status, part of the message)
UNDECIDED = {
    "x=30;sin(x)": (Status.UNEVALUATED, "°"), "3kg→m": (Status.UNEVALUATED, "units"),
    "x∈N;x>3;count{x}": (Status.UNEVALUATED, ""), "3h15min→min": (Status.LEFTOVER, "h15"),
    "isprime(x);1<x<10": (Status.UNEVALUATED, "isprime"), "x=8;isprime(x);x": (Status.NO_SOLUTION, ""),
    "n=12345;len(n)": (Status.UNEVALUATED, "digits"),
    "isprime(x);x∈ℤ;1≤x≤9": (Status.AMBIGUOUS, "4 solutions"), "L={5,3};k=0;L[k]": (Status.UNEVALUATED, "L[1]"),
    "len(q)": (Status.UNEVALUATED, "no list"),
    "L={5,3,9};s=0;for k in 0..2:s+=L[k]": (Status.UNEVALUATED, "L[1]"), "x<3;max(x)": (Status.UNEVALUATED, ""),
    "len{k for k in 1..n}": (Status.UNEVALUATED, ""), "sum(1/k for k in 1..∞)": (Status.UNEVALUATED, ""),
    "total=12;totl/3": (Status.LEFTOVER, "totl"), "The answer is 5": (Status.LEFTOVER, "answer"),
    "a=3;b=4;AB": (Status.LEFTOVER, "AB"),
    "f=2x;f(3)": (Status.LEFTOVER, "x"), "x²+bx+c=0;x": (Status.AMBIGUOUS, "2 solutions"),
    "x²-5x+6=0": (Status.AMBIGUOUS, "2 solutions"),
    "x+y=5;xy": (Status.LEFTOVER, "y"), "3/4h→min": (Status.UNEVALUATED, "units"), "y=sin(x);x": (Status.LEFTOVER, "x"),
}  # fmt: skip


@pytest.mark.parametrize("program", UNDECIDED)
def test_says_that_it_is_undecided(program):
    result = evaluate(program)
    status, said = UNDECIDED[program]
    assert result.status is status and said in result.messages[-1].text


SAME = [
    ("20%50", "20%(50)", "x=50;20%x"),
    ("1e3", "1E3", "10^3"),
    ("max(x(20-x))", "max(20x-x²)"),
    ("log₂8", "log(2,8)", "log_2 8"),
]


@pytest.mark.parametrize("programs", SAME)
def test_ways_to_write_it_mean_one_thing(programs):
    results = [evaluate(p) for p in programs]
    assert len({(r.status, r.text) for r in results}) == 1


@pytest.mark.parametrize("program", [
    "isprime(5)+1", "f(x)=x>1;f(3)+2", "f(x)=x>1;f(3)w=5;w", "f(x)=x²+∞∈1;f(3)x+w(w+2)=48;w>0;w", "√isprime(4)",
    "sum(isprime(n) for n in 1..20)",
    "max(n>2 for n in 1..3)", "mean{isprime(2),isprime(4)}", "f(n)=n%3=0;sum(f(n) for n in 1..9)",
])  # fmt: skip
def test_what_is_true_or_false_is_no_number(program):
    result = evaluate(program)
    assert result.status is Status.SYNTAX and "true" in result.messages[0].text, result
