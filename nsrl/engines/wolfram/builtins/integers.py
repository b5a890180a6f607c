"""Functions of whole numbers: division, modular arithmetic, combinatorics."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, S, boolean, is_list, lst, mk, norm, plus, times
from nsrl.engines.wolfram.numbers import is_real, sign, to_float
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"


def ints(args: tuple) -> bool:
    """Whether all arguments are integers."""
    return all(type(a) is int for a in args)


@builtin("GCD", "Flat Listable OneIdentity Orderless")
def gcd(ev: Evaluator, args: tuple) -> Any:
    if ints(args):
        return math.gcd(*args)
    if all(type(a) in (int, Fraction) for a in args):
        fs = [Fraction(a) for a in args]
        d = math.lcm(*[f.denominator for f in fs])
        return norm(Fraction(math.gcd(*[int(f * d) for f in fs]), d))
    return None


@builtin("LCM", "Flat Listable OneIdentity Orderless")
def lcm(ev: Evaluator, args: tuple) -> Any:
    if ints(args) and args:
        ev.need_bits(sum(a.bit_length() for a in args))
        return math.lcm(*args)
    if args and all(type(a) in (int, Fraction) for a in args):
        fs = [Fraction(a) for a in args]
        d = math.gcd(*[f.denominator for f in fs])
        return norm(Fraction(math.lcm(*[f.numerator for f in fs]), d))
    return None


@builtin("ExtendedGCD", arity=2)
def extended_gcd(ev: Evaluator, args: tuple) -> Any:
    if not ints(args):
        return None
    a, b = args
    x0, x1, y0, y1 = 1, 0, 0, 1
    while b:
        q, a, b = a // b, b, a % b
        x0, x1 = x1, x0 - q * x1
        y0, y1 = y1, y0 - q * y1
    return lst((a, lst((x0, y0)))) if a >= 0 else lst((-a, lst((-x0, -y0))))


@builtin("Mod", _NUMERIC, arity=(2, 3))
def mod(ev: Evaluator, args: tuple) -> Any:
    m, n = args[0], args[1]
    d = args[2] if len(args) > 2 else 0
    if ints(args):
        if n == 0:
            ev.message("Mod", "indet", f"Indeterminate expression Mod[{ev.text(m)}, 0] encountered.")
            return S.Indeterminate
        return (m - d) % n + d
    if all(map(is_real, args)) and sign(n):
        if all(type(a) in (int, Fraction) for a in args):
            return norm((Fraction(m) - d) % n + d)
        if float in map(type, args):
            a, b, c = to_float(m), to_float(n), to_float(d)
            return (a - c) % b + c
    from nsrl.engines.wolfram.builtins.arithmetic import is_numeric

    if all(map(is_numeric, args)):
        q = ev.eval(mk(S.Floor, mk(S.Divide, mk(S.Subtract, m, d), n)))
        if type(q) is int:
            return mk(S.Subtract, m, mk(S.Times, q, n))
    return None


@builtin("Quotient", _NUMERIC, arity=(2, 3))
def quotient(ev: Evaluator, args: tuple) -> Any:
    m, n = args[0], args[1]
    d = args[2] if len(args) > 2 else 0
    if ints(args):
        if n == 0:
            ev.message("Quotient", "infy", f"Infinite expression Quotient[{m}, 0] encountered.")
            return S.ComplexInfinity
        return (m - d) // n
    if all(map(is_real, args)) and sign(n):
        return ev.call(S.Floor, ev.eval(mk(S.Divide, mk(S.Subtract, m, d), n)))
    return None


@builtin("QuotientRemainder", arity=2)
def quotient_remainder(ev: Evaluator, args: tuple) -> Any:
    return lst((ev.call(S.Quotient, *args), ev.call(S.Mod, *args)))


@builtin("Divisible", "Listable", arity=2)
def divisible(ev: Evaluator, args: tuple) -> Any:
    if all(type(a) in (int, Fraction) for a in args) and args[1] != 0:
        return boolean((Fraction(args[0]) / args[1]).denominator == 1)
    return None


@builtin("CoprimeQ")
def coprime_q(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 2 and any(map(is_list, args)):
        return ev.eval(mk(S.Thread, mk(S.Unevaluated, Expr(S.CoprimeQ, args))))
    if not ints(args):
        return None
    return boolean(all(math.gcd(args[i], args[j]) == 1 for i in range(len(args)) for j in range(i + 1, len(args))))


@builtin("PowerMod", "Listable", arity=3)
def power_mod(ev: Evaluator, args: tuple) -> Any:
    if not ints(args) or args[2] == 0:
        return None
    try:
        return pow(*args)
    except ValueError:
        ev.message("PowerMod", "ninv", f"{args[0]} is not invertible modulo {args[2]}.")
        return None


@builtin("ModularInverse", "Listable", arity=2)
def modular_inverse(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.PowerMod, args[0], -1, args[1]) if ints(args) else None


# -- combinatorics -------------------------------------------------------------------------------------------------
def _need_factorial(ev: Evaluator, n: int) -> None:
    ev.need_bits(int(n * math.log2(max(n, 2))) - int(1.4427 * n))


@builtin("Factorial", _NUMERIC, arity=1)
def factorial(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is int:
        if n < 0:
            return S.ComplexInfinity
        _need_factorial(ev, n)
        return math.factorial(n)
    if type(n) is Fraction and n.denominator == 2:
        return ev.call(S.Gamma, norm(n + 1))
    if type(n) is float:
        return ev.call(S.Gamma, n + 1)
    return S.Infinity if n is S.Infinity else None


@builtin("Factorial2", _NUMERIC, arity=1)
def factorial2(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < -1:
        return None
    _need_factorial(ev, max(n, 1))
    return math.prod(range(n, 0, -2))


@builtin("Subfactorial", _NUMERIC, arity=1)
def subfactorial(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    _need_factorial(ev, n)
    d = 1
    for k in range(1, n + 1):
        d = d * k + (-1) ** k
    return d


@builtin("Binomial", _NUMERIC, arity=2)
def binomial(ev: Evaluator, args: tuple) -> Any:
    n, k = args
    if ints(args):
        if k < 0:
            return 0 if n >= 0 or k > n else (-1) ** (n - k) * math.comb(-k - 1, n - k)
        ev.need_bits(min(k, abs(n - k) + 1) * max(abs(n).bit_length(), 1))
        return math.comb(n, k) if n >= 0 else (-1) ** k * math.comb(k - n - 1, k)
    if type(k) is int and 0 <= k <= 20:
        if type(n) is Fraction or type(n) is float:
            out: Any = 1
            for i in range(k):
                out = out * (n - i) / (i + 1)
            return norm(out) if type(n) is Fraction else out
        if k == 0:
            return 1
        if k == 1:
            return n
    return 1 if n == k and type(n) is type(k) else None


@builtin("Multinomial", "Listable NumericFunction Orderless")
def multinomial(ev: Evaluator, args: tuple) -> Any:
    if not ints(args) or any(a < 0 for a in args):
        return None
    _need_factorial(ev, sum(args))
    return math.factorial(sum(args)) // math.prod(map(math.factorial, args))


@builtin("CatalanNumber", _NUMERIC, arity=1)
def catalan_number(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    ev.need_bits(2 * n)
    return math.comb(2 * n, n) // (n + 1)


def _fibonacci(n: int) -> tuple[int, int]:
    if n == 0:
        return 0, 1
    a, b = _fibonacci(n >> 1)
    c, d = a * (2 * b - a), a * a + b * b
    return (d, c + d) if n & 1 else (c, d)


@builtin("Fibonacci", _NUMERIC, arity=(1, 2))
def fibonacci(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int:
        return None
    if len(args) == 2:
        x, a, b = args[1], 0, 1
        if n > 200 or n < 0:
            return None
        for _ in range(n):
            a, b = b, ev.eval(mk(S.Expand, mk(S.Plus, mk(S.Times, x, b), a)))
        return a
    ev.need_bits(abs(n))
    f = _fibonacci(abs(n))[0]
    return f if n > 0 or n % 2 else -f


@builtin("LucasL", _NUMERIC, arity=1)
def lucas(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    ev.need_bits(n)
    a, b = _fibonacci(n)
    return 2 * b - a


@builtin("StirlingS2 StirlingS1", "Listable", arity=2)
def stirling2(ev: Evaluator, args: tuple) -> Any:
    return _stirling(ev, args, lambda k, n: k)


def _stirling(ev: Evaluator, args: tuple, weight: Any) -> Any:
    if not ints(args) or min(args) < 0:
        return None
    n, k = args
    ev.step(n * n // 8)
    row = [1]
    for m in range(1, n + 1):
        row = [(row[j - 1] if j else 0) + weight(j, m - 1) * (row[j] if j < m else 0) for j in range(m + 1)]
    return row[k] if k <= n else 0


TABLE["StirlingS1"].handler = lambda ev, args: _stirling(ev, args, lambda k, n: -n)


@builtin("BellB", "Listable", arity=1)
def bell(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 <= n <= 2000:
        return None
    ev.step(n * n // 4)
    row = [1]
    for _ in range(n):
        new = [row[-1]]
        for x in row:
            new.append(new[-1] + x)
        row = new
    return row[0]


@builtin("PartitionsP", "Listable", arity=1)
def partitions_p(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n > 20_000:
        return None
    if n < 0:
        return 0
    p = [1] + [0] * n
    for k in range(1, n + 1):
        ev.step(1 + n // 64)
        for i in range(k, n + 1):
            p[i] += p[i - k]
    return p[n]


@builtin("IntegerPartitions", arity=(1, 4))
def integer_partitions(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    lengths, allowed, most = (*args[1:], *(S.All,) * (4 - len(args)))
    low, high = 0, n
    if type(lengths) is int:
        high = lengths
    elif is_list(lengths) and len(lengths.args) in (1, 2):
        low, high = lengths.args[0], lengths.args[-1]
        high = n if high is S.Infinity else high
    elif lengths is not S.All:
        return None
    if type(low) is not int or type(high) is not int or not (most is S.All or (type(most) is int and most >= 0)):
        return None
    if is_list(allowed) and all(type(a) is int and a > 0 for a in allowed.args):
        parts = sorted(set(allowed.args), reverse=True)
    elif allowed is S.All:
        parts = list(range(n, 0, -1))
    else:
        return None
    out: list[Any] = []

    def go(left: int, at: int, chosen: tuple) -> None:
        ev.step()
        if left == 0:
            if low <= len(chosen) <= high:
                out.append(lst(chosen))
                ev.need_length(len(out))
            return
        if len(chosen) >= high:
            return
        for i in range(at, len(parts)):
            if parts[i] <= left:
                go(left - parts[i], i, (*chosen, parts[i]))

    go(n, 0, ())
    return lst(out if most is S.All else out[:most])


@builtin("Pochhammer", _NUMERIC, arity=2)
def pochhammer(ev: Evaluator, args: tuple) -> Any:
    a, n = args
    if type(n) is not int or not 0 <= n <= 2000:
        return None
    return Expr(S.Times, tuple([plus(a, k) for k in range(n)])) if n else 1


@builtin("FactorialPower", _NUMERIC, arity=(2, 3))
def factorial_power(ev: Evaluator, args: tuple) -> Any:
    x, n, h = args[0], args[1], args[2] if len(args) > 2 else 1
    if type(n) is not int or not 0 <= n <= 2000:
        return None
    return Expr(S.Times, tuple([plus(x, times(-k, h)) for k in range(n)])) if n else 1


@builtin("BernoulliB", "Listable", arity=1)
def bernoulli(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 <= n <= 300:
        return None
    if n == 1:
        return Fraction(-1, 2)
    ev.step(n * n // 4)
    row = [Fraction(0)] * (n + 1)
    for m in range(n + 1):
        row[m] = Fraction(1, m + 1)
        for j in range(m, 0, -1):
            row[j - 1] = j * (row[j - 1] - row[j])
    return norm(row[0])


@builtin("EulerE", "Listable", arity=1)
def euler_e(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 <= n <= 200:
        return None
    e = [1]
    for m in range(1, n + 1):
        e.append(-sum(math.comb(m, k) * e[k] for k in range(m) if (m - k) % 2 == 0) if m % 2 == 0 else 0)
    return e[n]


@builtin("PartitionsQ", "Listable", arity=1)
def partitions_q(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n > 5000:
        return None
    q = [1] + [0] * max(n, 0)
    for k in range(1, n + 1):
        ev.step(1 + n // 64)
        for i in range(n, k - 1, -1):
            q[i] += q[i - k]
    return q[n] if n >= 0 else 0


@builtin("FrobeniusNumber", arity=1, takes="positives")
def frobenius(ev: Evaluator, args: tuple) -> Any:
    ns = sorted(args[0].args)
    if math.gcd(*ns) != 1:
        return S.Infinity
    if ns[0] == 1:
        return -1
    m = ns[0]
    ev.need_length(m)
    dist = [math.inf] * m
    dist[0] = 0
    changed = True
    while changed:
        changed = False
        ev.step(m)
        for i in range(m):
            for n in ns[1:]:
                j = (i + n) % m
                if dist[i] + n < dist[j]:
                    dist[j] = dist[i] + n
                    changed = True
    return int(max(dist)) - m


@builtin("FrobeniusSolve", arity=(2, 3), takes="positives integer")
def frobenius_solve(ev: Evaluator, args: tuple) -> Any:
    """All non-negative solutions of a1 x1 + a2 x2 + ... == n, in the order of their first numbers."""
    coins, out, most = args[0].args, [], args[2] if len(args) > 2 else None
    if most is not None and (type(most) is not int or most < 0):
        return None

    def go(left: int, chosen: tuple) -> None:
        ev.step()
        if most is not None and len(out) >= most:
            return
        if len(chosen) == len(coins) - 1:
            if left % coins[-1] == 0:
                out.append(lst((*chosen, left // coins[-1])))
                ev.need_length(len(out) * len(coins))
            return
        for k in range(left // coins[len(chosen)] + 1):
            go(left - k * coins[len(chosen)], (*chosen, k))

    if args[1] >= 0:
        go(args[1], ())
    return lst(out)
