"""T1: integer functions: division, divisors, primes, digits, combinatorics."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from nsrl.engines.result import Status
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import Expr, S, boolean, is_list, lst, mk, norm
from nsrl.engines.wolfram.numbers import is_real, sign, to_float
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"


def _ints(args: tuple) -> bool:
    return all(type(a) is int for a in args)


@builtin("GCD", "Flat Listable OneIdentity Orderless")
def gcd(ev: Any, args: tuple) -> Any:
    if _ints(args):
        return math.gcd(*args)
    if all(type(a) in (int, Fraction) for a in args):
        fs = [Fraction(a) for a in args]
        d = math.lcm(*[f.denominator for f in fs])
        return norm(Fraction(math.gcd(*[int(f * d) for f in fs]), d))
    return None


@builtin("LCM", "Flat Listable OneIdentity Orderless")
def lcm(ev: Any, args: tuple) -> Any:
    if _ints(args) and args:
        ev.need_bits(sum(a.bit_length() for a in args))
        return math.lcm(*args)
    if args and all(type(a) in (int, Fraction) for a in args):
        fs = [Fraction(a) for a in args]
        d = math.gcd(*[f.denominator for f in fs])
        return norm(Fraction(math.lcm(*[f.numerator for f in fs]), d))
    return None


@builtin("ExtendedGCD", arity=2)
def extended_gcd(ev: Any, args: tuple) -> Any:
    if not _ints(args):
        return None
    a, b = args
    x0, x1, y0, y1 = 1, 0, 0, 1
    while b:
        q, a, b = a // b, b, a % b
        x0, x1 = x1, x0 - q * x1
        y0, y1 = y1, y0 - q * y1
    return lst((a, lst((x0, y0)))) if a >= 0 else lst((-a, lst((-x0, -y0))))


@builtin("Mod", _NUMERIC, arity=(2, 3))
def mod(ev: Any, args: tuple) -> Any:
    m, n = args[0], args[1]
    d = args[2] if len(args) > 2 else 0
    if _ints(args):
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
def quotient(ev: Any, args: tuple) -> Any:
    m, n = args[0], args[1]
    d = args[2] if len(args) > 2 else 0
    if _ints(args):
        if n == 0:
            ev.message("Quotient", "infy", f"Infinite expression Quotient[{m}, 0] encountered.")
            return S.ComplexInfinity
        return (m - d) // n
    if all(map(is_real, args)) and sign(n):
        return ev.call(S.Floor, ev.eval(mk(S.Divide, mk(S.Subtract, m, d), n)))
    return None


@builtin("QuotientRemainder", arity=2)
def quotient_remainder(ev: Any, args: tuple) -> Any:
    return lst((ev.call(S.Quotient, *args), ev.call(S.Mod, *args)))


@builtin("Divisible", "Listable", arity=2)
def divisible(ev: Any, args: tuple) -> Any:
    if all(type(a) in (int, Fraction) for a in args) and args[1] != 0:
        return boolean((Fraction(args[0]) / args[1]).denominator == 1)
    return None


@builtin("CoprimeQ")
def coprime_q(ev: Any, args: tuple) -> Any:
    if len(args) == 2 and any(map(is_list, args)):
        return ev.eval(mk(S.Thread, mk(S.Unevaluated, Expr(S.CoprimeQ, args))))
    if not _ints(args):
        return None
    return boolean(all(math.gcd(args[i], args[j]) == 1 for i in range(len(args)) for j in range(i + 1, len(args))))


@builtin("PowerMod", "Listable", arity=3)
def power_mod(ev: Any, args: tuple) -> Any:
    if not _ints(args) or args[2] == 0:
        return None
    try:
        return pow(*args)
    except ValueError:
        ev.message("PowerMod", "ninv", f"{args[0]} is not invertible modulo {args[2]}.")
        return None


@builtin("ModularInverse", "Listable", arity=2)
def modular_inverse(ev: Any, args: tuple) -> Any:
    return ev.call(S.PowerMod, args[0], -1, args[1]) if _ints(args) else None


# -- primes --------------------------------------------------------------------------------------------------------
_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(n: int) -> bool:
    """Primality of n: deterministic below 3.3e24, a strong probable prime to 12 bases above."""
    if n < 2:
        return False
    for p in _WITNESSES:
        if n % p == 0:
            return n == p
    d, s = n - 1, 0
    while d % 2 == 0:
        d, s = d // 2, s + 1
    for a in _WITNESSES:
        x = pow(a, d, n)
        if x in (1, n - 1):
            continue
        for _ in range(s - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def factor(ev: Any, n: int) -> dict[int, int]:
    """Prime factorisation of n >= 1, by trial division and Pollard's rho; counts steps."""
    out: dict[int, int] = {}
    for p in (2, 3, 5, 7, 11, 13):
        while n % p == 0:
            out[p] = out.get(p, 0) + 1
            n //= p
    d = 17
    while d * d <= n and d < 3000:
        while n % d == 0:
            out[d] = out.get(d, 0) + 1
            n //= d
        d += 2
    todo = [n] if n > 1 else []
    while todo:
        m = todo.pop()
        if m < 9_000_000 or is_prime(m):
            out[m] = out.get(m, 0) + 1
            continue
        g = _rho(ev, m)
        todo += [g, m // g]
    return dict(sorted(out.items()))


def _rho(ev: Any, n: int) -> int:
    r = math.isqrt(n)
    if r * r == n:
        return r
    for c in range(1, 100):
        x = y = 2
        d = 1
        while d == 1:
            ev.step(1 + n.bit_length() // 64)
            x = (x * x + c) % n
            y = (y * y + c) % n
            y = (y * y + c) % n
            d = math.gcd(abs(x - y), n)
        if d != n:
            return d
    raise LimitReached(Status.TIMEOUT, "factorisation")


def primes_up_to(n: int) -> list[int]:
    """All primes <= n."""
    if n < 2:
        return []
    sieve = bytearray([1]) * (n + 1)
    sieve[0:2] = b"\0\0"
    for i in range(2, math.isqrt(n) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, n + 1, i)))
    return [i for i in range(n + 1) if sieve[i]]


@builtin("PrimeQ", "Listable", arity=(1, 2))
def prime_q(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int:
        return boolean(False)
    if n.bit_length() > 4096:
        ev.step(n.bit_length() * 8)
    return boolean(is_prime(abs(n)))


@builtin("CompositeQ", "Listable", arity=1)
def composite_q(ev: Any, args: tuple) -> Any:
    n = args[0]
    return boolean(type(n) is int and n > 3 and not is_prime(n))


@builtin("PrimePowerQ", "Listable", arity=1)
def prime_power_q(ev: Any, args: tuple) -> Any:
    n = args[0]
    return boolean(type(n) is int and n > 1 and len(factor(ev, n)) == 1)


@builtin("SquareFreeQ", "Listable", arity=1)
def square_free_q(ev: Any, args: tuple) -> Any:
    n = args[0]
    return boolean(n != 0 and all(e == 1 for e in factor(ev, abs(n)).values())) if type(n) is int else None


@builtin("FactorInteger", "Listable", arity=(1, 2))
def factor_integer(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is Fraction:
        top, bottom = factor(ev, abs(n.numerator)), factor(ev, n.denominator)
        rows = {**top, **{p: -k for p, k in bottom.items()}}
        items = [lst((p, rows[p])) for p in sorted(rows)]
        return lst([lst((-1, 1)), *items] if n < 0 else items)
    if type(n) is not int:
        return None
    if n in (0, 1, -1):
        return lst((lst((n, 1)),))
    items = [lst(pk) for pk in factor(ev, abs(n)).items()]
    return lst([lst((-1, 1)), *items] if n < 0 else items)


@builtin("PrimeOmega PrimeNu MoebiusMu LiouvilleLambda", "Listable", arity=1)
def prime_omega(ev: Any, args: tuple) -> Any:
    return sum(factor(ev, abs(args[0])).values()) if type(args[0]) is int and args[0] else None


TABLE["PrimeNu"].handler = lambda ev, args: len(factor(ev, abs(args[0]))) if type(args[0]) is int and args[0] else None
TABLE["LiouvilleLambda"].handler = lambda ev, args: (-1) ** sum(factor(ev, abs(args[0])).values()) if type(args[0]) is int and args[0] else None


def _moebius(ev: Any, args: tuple) -> Any:
    if type(args[0]) is not int or args[0] == 0:
        return 0 if args[0] == 0 else None
    f = factor(ev, abs(args[0]))
    return 0 if any(k > 1 for k in f.values()) else (-1) ** len(f)


TABLE["MoebiusMu"].handler = _moebius


def divisors_of(ev: Any, n: int) -> list[int]:
    """All divisors of n >= 1, ascending."""
    out = [1]
    for p, k in factor(ev, n).items():
        ev.need_length(len(out) * (k + 1))
        out = [d * p**i for d in out for i in range(k + 1)]
    return sorted(out)


@builtin("Divisors", "Listable", arity=1)
def divisors(ev: Any, args: tuple) -> Any:
    return lst(divisors_of(ev, abs(args[0]))) if type(args[0]) is int and args[0] else None


@builtin("DivisorSigma", "Listable", arity=2)
def divisor_sigma(ev: Any, args: tuple) -> Any:
    k, n = args
    if type(n) is not int or n < 1 or type(k) is not int or k < 0:
        return None
    ev.need_bits(n.bit_length() * k)
    return sum(d**k for d in divisors_of(ev, n))


@builtin("EulerPhi", _NUMERIC, arity=1)
def euler_phi(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 1:
        return 0 if n == 0 else None
    out = n
    for p in factor(ev, n):
        out -= out // p
    return out


@builtin("Prime", _NUMERIC, arity=1)
def prime(ev: Any, args: tuple) -> Any:
    k = args[0]
    if type(k) is not int or k < 1:
        if type(k) is int:
            ev.message("Prime", "intpp", f"Positive integer argument expected in Prime[{k}].")
        return None
    if k > 500_000:
        raise LimitReached(Status.TIMEOUT, "Prime of so large an index")
    bound = 20 if k < 6 else int(k * (math.log(k) + math.log(math.log(k)))) + 10
    ev.step(bound // 200)
    return primes_up_to(bound)[k - 1]


@builtin("PrimePi", _NUMERIC, arity=1)
def prime_pi(ev: Any, args: tuple) -> Any:
    x = args[0]
    if not is_real(x):
        return None
    n = math.floor(to_float(x))
    if n > 10_000_000:
        raise LimitReached(Status.TIMEOUT, "PrimePi of so large a number")
    ev.step(max(n, 0) // 200)
    return len(primes_up_to(n))


@builtin("NextPrime", "Listable", arity=(1, 2))
def next_prime(ev: Any, args: tuple) -> Any:
    n, k = args[0], args[1] if len(args) > 1 else 1
    if not is_real(n) or type(k) is not int:
        return None
    p = math.floor(to_float(n)) if type(n) is not int else n
    step = 1 if k > 0 else -1
    if step < 0 and type(n) is not int and p < to_float(n):
        p += 1
    for _ in range(abs(k)):
        p += step
        while not is_prime(abs(p)):
            ev.step()
            p += step
    return p


@builtin("RandomPrime", arity=(1, 2))
def random_prime(ev: Any, args: tuple) -> Any:
    bounds = args[0].args if is_list(args[0]) else (2, args[0])
    if not _ints(tuple(bounds)) or bounds[1] > 10**6:
        return None
    ps = [p for p in primes_up_to(bounds[1]) if p >= bounds[0]]
    return ev.call(S.RandomChoice, lst(ps), *args[1:])


# -- combinatorics -------------------------------------------------------------------------------------------------
def _need_factorial(ev: Any, n: int) -> None:
    ev.need_bits(int(n * math.log2(max(n, 2))) - int(1.4427 * n))


@builtin("Factorial", _NUMERIC, arity=1)
def factorial(ev: Any, args: tuple) -> Any:
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
def factorial2(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < -1:
        return None
    _need_factorial(ev, max(n, 1))
    return math.prod(range(n, 0, -2))


@builtin("Subfactorial", _NUMERIC, arity=1)
def subfactorial(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    _need_factorial(ev, n)
    d = 1
    for k in range(1, n + 1):
        d = d * k + (-1) ** k
    return d


@builtin("Binomial", _NUMERIC, arity=2)
def binomial(ev: Any, args: tuple) -> Any:
    n, k = args
    if _ints(args):
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
def multinomial(ev: Any, args: tuple) -> Any:
    if not _ints(args) or any(a < 0 for a in args):
        return None
    _need_factorial(ev, sum(args))
    return math.factorial(sum(args)) // math.prod(map(math.factorial, args))


@builtin("CatalanNumber", _NUMERIC, arity=1)
def catalan_number(ev: Any, args: tuple) -> Any:
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
def fibonacci(ev: Any, args: tuple) -> Any:
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
def lucas(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    ev.need_bits(n)
    a, b = _fibonacci(n)
    return 2 * b - a


@builtin("StirlingS2 StirlingS1", "Listable", arity=2)
def stirling2(ev: Any, args: tuple) -> Any:
    return _stirling(ev, args, lambda k, n: k)


def _stirling(ev: Any, args: tuple, weight: Any) -> Any:
    if not _ints(args) or min(args) < 0:
        return None
    n, k = args
    ev.step(n * n // 8)
    row = [1]
    for m in range(1, n + 1):
        row = [(row[j - 1] if j else 0) + weight(j, m - 1) * (row[j] if j < m else 0) for j in range(m + 1)]
    return row[k] if k <= n else 0


TABLE["StirlingS1"].handler = lambda ev, args: _stirling(ev, args, lambda k, n: -n)


@builtin("BellB", "Listable", arity=1)
def bell(ev: Any, args: tuple) -> Any:
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
def partitions_p(ev: Any, args: tuple) -> Any:
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
def integer_partitions(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 0:
        return None
    low, high = 0, n
    if len(args) > 1:
        spec = args[1]
        if type(spec) is int:
            high = spec
        elif is_list(spec):
            low, high = (spec.args[0], spec.args[0]) if len(spec.args) == 1 else spec.args[:2]
            high = n if high is S.Infinity else high
    parts = sorted({a for a in args[2].args if type(a) is int and a > 0}, reverse=True) if len(args) > 2 and is_list(args[2]) else list(range(n, 0, -1))
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
    return lst(out)


# -- digits ----------------------------------------------------------------------------------------------------------
def digits(ev: Any, n: int, base: int = 10) -> list[int]:
    """Digits of |n|, most significant first; [0] for 0."""
    if type(base) is not int or base < 2:
        raise ValueError(f"a base of at least 2 was expected, got {base!r}")
    n = abs(n)
    if n == 0:
        return [0]
    if base == 10:
        from nsrl.engines.wolfram.printer import int_text

        return [ord(c) - 48 for c in int_text(n)]
    if base == 2:
        return [ord(c) - 48 for c in bin(n)[2:]]
    out = []
    ev.step(n.bit_length() ** 2 >> 14)
    while n:
        n, d = divmod(n, base)
        out.append(d)
    return out[::-1]


@builtin("IntegerDigits", "Listable", arity=(1, 3))
def integer_digits(ev: Any, args: tuple) -> Any:
    if not _ints(args[:1]) or (len(args) > 1 and type(args[1]) is not int):
        return None
    base = args[1] if len(args) > 1 else 10
    if base < 2:
        return None
    ds = digits(ev, args[0], base)
    if len(args) == 3 and type(args[2]) is int:
        ev.need_length(args[2])
        ds = [0] * (args[2] - len(ds)) + ds[max(0, len(ds) - args[2]) :]
    return lst(ds)


@builtin("FromDigits", arity=(1, 2))
def from_digits(ev: Any, args: tuple) -> Any:
    e, base = args[0], args[1] if len(args) > 1 else 10
    if type(e) is str:
        if type(base) is int:
            try:
                values = [int(c, 36) for c in e]
            except ValueError:
                return None
            items: tuple = tuple(values)
        else:
            return None
    elif is_list(e):
        items = e.args
    else:
        return None
    if type(base) is int and _ints(items):
        ev.need_bits(len(items) * max(base.bit_length(), 1))
        out = 0
        for d in items:
            out = out * base + d
        return out
    total: Any = 0
    for d in items:
        total = ev.call(S.Plus, mk(S.Times, total, base), d)
    return total


@builtin("DigitCount", "Listable", arity=(1, 3))
def digit_count(ev: Any, args: tuple) -> Any:
    if not _ints(args):
        return None
    base = args[1] if len(args) > 1 else 10
    ds = digits(ev, args[0], base)
    if len(args) == 3:
        return ds.count(args[2])
    return lst([ds.count(d) for d in range(1, base)] + [ds.count(0) if args[0] else 1])


@builtin("DigitSum", "Listable", arity=(1, 2))
def digit_sum(ev: Any, args: tuple) -> Any:
    return sum(digits(ev, args[0], *args[1:])) if _ints(args) else None


@builtin("IntegerLength", "Listable", arity=(1, 2))
def integer_length(ev: Any, args: tuple) -> Any:
    return (len(digits(ev, *args)) if args[0] else 0) if _ints(args) else None


@builtin("IntegerReverse", "Listable", arity=(1, 2))
def integer_reverse(ev: Any, args: tuple) -> Any:
    return ev.call(S.FromDigits, lst(digits(ev, *args)[::-1]), *args[1:]) if _ints(args) else None


@builtin("IntegerExponent", "Listable", arity=(1, 2))
def integer_exponent(ev: Any, args: tuple) -> Any:
    n, b = args[0], args[1] if len(args) > 1 else 10
    if type(n) is not int or type(b) is not int or b < 2:
        return None
    if n == 0:
        return S.Infinity
    k = 0
    while n % b == 0:
        n //= b
        k += 1
    return k


@builtin("IntegerString", "Listable", arity=(1, 3))
def integer_string(ev: Any, args: tuple) -> Any:
    n, b = args[0], args[1] if len(args) > 1 else 10
    if type(n) is not int:
        return None
    if b == "Roman":
        return ev.call(S.RomanNumeral, n)
    if type(b) is not int or not 2 <= b <= 36:
        return None
    s = "".join("0123456789abcdefghijklmnopqrstuvwxyz"[d] for d in digits(ev, n, b))
    if len(args) == 3 and type(args[2]) is int:
        ev.need_text(args[2])
        s = s.rjust(args[2], "0")[-args[2] :]
    return s


_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
_TENS = ["_", "_", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]


def _below_thousand(n: int) -> str:
    words = []
    if n >= 100:
        words.append(f"{_ONES[n // 100]} hundred")
        n %= 100
    if n >= 20:
        words.append(_TENS[n // 10] + (f"\u2010{_ONES[n % 10]}" if n % 10 else ""))
    elif n or not words:
        words.append(_ONES[n])
    return " ".join(words)


@builtin("IntegerName", "Listable", arity=(1, 2))
def integer_name(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or abs(n) >= 10**15 or len(args) > 1:
        return None
    if n < 0:
        return f"negative {integer_name(ev, (-n,))}"
    if n < 1000:
        return _below_thousand(n)
    parts = []
    for scale, name in ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand")):
        if n >= scale:
            parts.append(f"{n // scale} {name}")
            n %= scale
    return " ".join(parts + ([str(n)] if n else []))


@builtin("RomanNumeral", "Listable", arity=1)
def roman_numeral(ev: Any, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 < n < 4000:
        return "N" if n == 0 else None
    out = ""
    for v, s in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):
        out += s * (n // v)
        n %= v
    return out


@builtin("FromRomanNumeral", "Listable", arity=1)
def from_roman_numeral(ev: Any, args: tuple) -> Any:
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    s = args[0]
    if type(s) is not str or any(c not in values for c in s.upper()):
        return None
    ns = [values[c] for c in s.upper()]
    return sum(-a if b > a else a for a, b in zip(ns, [*ns[1:], 0]))


@builtin("BitLength", "Listable", arity=1)
def bit_length_(ev: Any, args: tuple) -> Any:
    return (args[0] if args[0] >= 0 else ~args[0]).bit_length() if _ints(args) else None


def _bitwise(name: str, op: Any, start: int) -> None:
    @builtin(name, "Flat Listable OneIdentity Orderless")
    def bitwise(ev: Any, args: tuple) -> Any:
        if not _ints(args):
            return None
        out = start
        for a in args:
            out = op(out, a)
        return out


_bitwise("BitAnd", lambda a, b: a & b, -1)
_bitwise("BitOr", lambda a, b: a | b, 0)
_bitwise("BitXor", lambda a, b: a ^ b, 0)


@builtin("BitNot", "Listable", arity=1)
def bit_not(ev: Any, args: tuple) -> Any:
    return ~args[0] if _ints(args) else None


@builtin("BitShiftLeft BitShiftRight", "Listable", arity=(1, 2))
def bit_shift_left(ev: Any, args: tuple) -> Any:
    if not _ints(args):
        return None
    return _shift(ev, args[0], args[1] if len(args) > 1 else 1)


def _shift(ev: Any, n: int, k: int) -> int:
    if k >= 0:
        ev.need_bits(n.bit_length() + k)
        return n << k
    return n >> min(-k, 10**7)


TABLE["BitShiftRight"].handler = lambda ev, args: _shift(ev, args[0], -(args[1] if len(args) > 1 else 1)) if _ints(args) else None




@builtin("JacobiSymbol KroneckerSymbol", "Listable", arity=2)
def jacobi(ev: Any, args: tuple) -> Any:
    if not _ints(args) or args[1] < 1 or args[1] % 2 == 0:
        return None
    a, n, out = args[0] % args[1], args[1], 1
    while a:
        while a % 2 == 0:
            a //= 2
            if n % 8 in (3, 5):
                out = -out
        a, n = n, a
        if a % 4 == 3 and n % 4 == 3:
            out = -out
        a %= n
    return out if n == 1 else 0


@builtin("MultiplicativeOrder", "Listable", arity=2)
def multiplicative_order(ev: Any, args: tuple) -> Any:
    if not _ints(args) or args[1] < 1 or math.gcd(*args) != 1:
        return None
    a, n = args[0] % args[1], args[1]
    phi = euler_phi(ev, (n,))
    k = phi
    for p in factor(ev, phi):
        while k % p == 0 and pow(a, k // p, n) == 1 % n:
            k //= p
    return k


@builtin("PerfectNumberQ", "Listable", arity=1)
def perfect_number_q(ev: Any, args: tuple) -> Any:
    n = args[0]
    return boolean(type(n) is int and n > 1 and sum(divisors_of(ev, n)) == 2 * n)


@builtin("ChineseRemainder", arity=(2, 3))
def chinese_remainder(ev: Any, args: tuple) -> Any:
    rs, ms = (a.args if is_list(a) else (a,) for a in args[:2])
    if not _ints((*rs, *ms)) or len(rs) != len(ms) or any(m == 0 for m in ms):
        return None
    x, m = 0, 1
    for r, n in zip(rs, ms):
        g = math.gcd(m, n)
        if (r - x) % g:
            return None
        step = (r - x) // g * pow(m // g, -1, n // g) % (n // g) if n // g > 1 else 0
        x, m = x + m * step, m * n // g
    return x % m


@builtin("ContinuedFraction", arity=(1, 2))
def continued_fraction(ev: Any, args: tuple) -> Any:
    x = args[0]
    if type(x) in (int, Fraction):
        out, f = [], Fraction(x)
        while len(out) < (args[1] if len(args) > 1 and type(args[1]) is int else 10**4):
            q = f.numerator // f.denominator if f >= 0 else -(-f.numerator // f.denominator)
            out.append(q)
            if f == q:
                break
            f = 1 / (f - q)
        return lst(out)
    if len(args) == 2 and type(args[1]) is int and args[1] <= 1000:
        from nsrl.engines.wolfram.bignum import mp
        from nsrl.engines.wolfram.numeric import approx_mp

        v = approx_mp(x, 40 + 2 * args[1])
        if v is None or getattr(v, "imag", 0):
            return None
        out = []
        with mp().workprec(200 + 8 * args[1]):
            for _ in range(args[1]):
                q = int(mp().floor(v))
                out.append(q)
                v = v - q
                if v == 0:
                    break
                v = 1 / v
        return lst(out)
    return None


@builtin("FromContinuedFraction", arity=1)
def from_continued_fraction(ev: Any, args: tuple) -> Any:
    if not is_list(args[0]) or not args[0].args:
        return None
    out = args[0].args[-1]
    for a in args[0].args[-2::-1]:
        out = ev.call(S.Plus, a, mk(S.Power, out, -1))
    return out


@builtin("Convergents", arity=(1, 2))
def convergents(ev: Any, args: tuple) -> Any:
    cf = args[0] if is_list(args[0]) else ev.call(S.ContinuedFraction, *args)
    return lst(ev.call(S.FromContinuedFraction, lst(cf.args[:i])) for i in range(1, len(cf.args) + 1)) if is_list(cf) else None


