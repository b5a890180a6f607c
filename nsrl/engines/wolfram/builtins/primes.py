"""Primes, factorisation, divisors."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.result import Status
from nsrl.engines.wolfram.builtins.integers import ints
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import TRUE, Expr, S, boolean, is_list, lst, mk
from nsrl.engines.wolfram.judged import no
from nsrl.engines.wolfram.numbers import is_real, to_float
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"


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


def factor(ev: Evaluator, n: int) -> dict[int, int]:
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


def _rho(ev: Evaluator, n: int) -> int:
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


@builtin("PrimeQ", "Listable", arity=(1, 2), options="GaussianIntegers")
def prime_q(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if len(args) == 2:
        return _gaussian_prime(n) if args[1] == mk(S.Rule, S.GaussianIntegers, TRUE) else None
    if type(n) is Expr and n.head is S.Complex:
        return _gaussian_prime(n)
    if type(n) is not int:
        return no(ev, n)
    if n.bit_length() > 4096:
        ev.step(n.bit_length() * 8)
    return boolean(is_prime(abs(n)))


def _gaussian_prime(z: Any) -> Any:
    """A prime of the form 4k + 3 on an axis, or a number whose norm is prime."""
    a, b = z.args if type(z) is Expr and z.head is S.Complex else (z, 0)
    if type(a) is not int or type(b) is not int or max(abs(a), abs(b)).bit_length() > 2048:
        return None
    if a and b:
        return boolean(is_prime(a * a + b * b))
    n = abs(a + b)
    return boolean(n % 4 == 3 and is_prime(n))


@builtin("CompositeQ", "Listable", arity=1)
def composite_q(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    return boolean(n > 3 and not is_prime(n)) if type(n) is int else no(ev, n)


@builtin("PrimePowerQ", "Listable", arity=1)
def prime_power_q(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    return boolean(n > 1 and len(factor(ev, n)) == 1) if type(n) is int else no(ev, n)


@builtin("SquareFreeQ", "Listable", arity=1)
def square_free_q(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    return boolean(n != 0 and all(e == 1 for e in factor(ev, abs(n)).values())) if type(n) is int else None


@builtin("FactorInteger", "Listable", arity=(1, 2))
def factor_integer(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if len(args) == 2:
        return None
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
def prime_omega(ev: Evaluator, args: tuple) -> Any:
    return sum(factor(ev, abs(args[0])).values()) if type(args[0]) is int and args[0] else None


TABLE["PrimeNu"].handler = lambda ev, args: len(factor(ev, abs(args[0]))) if type(args[0]) is int and args[0] else None
TABLE["LiouvilleLambda"].handler = lambda ev, args: (
    (-1) ** sum(factor(ev, abs(args[0])).values()) if type(args[0]) is int and args[0] else None
)


def _moebius(ev: Evaluator, args: tuple) -> Any:
    if type(args[0]) is not int or args[0] == 0:
        return 0 if args[0] == 0 else None
    f = factor(ev, abs(args[0]))
    return 0 if any(k > 1 for k in f.values()) else (-1) ** len(f)


TABLE["MoebiusMu"].handler = _moebius


def divisors_of(ev: Evaluator, n: int) -> list[int]:
    """All divisors of n >= 1, ascending."""
    out = [1]
    for p, k in factor(ev, n).items():
        ev.need_length(len(out) * (k + 1))
        out = [d * p**i for d in out for i in range(k + 1)]
    return sorted(out)


@builtin("Divisors", "Listable", arity=1)
def divisors(ev: Evaluator, args: tuple) -> Any:
    return lst(divisors_of(ev, abs(args[0]))) if type(args[0]) is int and args[0] else None


@builtin("DivisorSigma", "Listable", arity=2)
def divisor_sigma(ev: Evaluator, args: tuple) -> Any:
    k, n = args
    if type(n) is not int or n < 1 or type(k) is not int or k < 0:
        return None
    ev.need_bits(n.bit_length() * k)
    return sum(d**k for d in divisors_of(ev, n))


@builtin("EulerPhi", _NUMERIC, arity=1)
def euler_phi(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or n < 1:
        return 0 if n == 0 else None
    out = n
    for p in factor(ev, n):
        out -= out // p
    return out


@builtin("Prime", _NUMERIC, arity=1)
def prime(ev: Evaluator, args: tuple) -> Any:
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
def prime_pi(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    if not is_real(x):
        return None
    n = math.floor(to_float(x))
    if n > 10_000_000:
        raise LimitReached(Status.TIMEOUT, "PrimePi of so large a number")
    ev.step(max(n, 0) // 200)
    return len(primes_up_to(n))


@builtin("NextPrime", "Listable", arity=(1, 2))
def next_prime(ev: Evaluator, args: tuple) -> Any:
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
def random_prime(ev: Evaluator, args: tuple) -> Any:
    bounds = args[0].args if is_list(args[0]) else (2, args[0])
    if not ints(tuple(bounds)) or bounds[1] > 10**6:
        return None
    ps = [p for p in primes_up_to(bounds[1]) if p >= bounds[0]]
    return ev.call(S.RandomChoice, lst(ps), *args[1:])


@builtin("DivisorSum", arity=(2, 3), takes="positive")
def divisor_sum(ev: Evaluator, args: tuple) -> Any:
    n, f = args[0], args[1]
    return Expr(S.Plus, tuple([mk(f, d) for d in divisors_of(ev, n) if len(args) == 2 or ev.call(args[2], d) is TRUE]))


@builtin("MangoldtLambda", "Listable", arity=1, takes="positive")
def mangoldt(ev: Evaluator, args: tuple) -> Any:
    f = factor(ev, args[0])
    return mk(S.Log, next(iter(f))) if len(f) == 1 else 0


@builtin("MersennePrimeExponent", "Listable", arity=1, takes="positive")
def mersenne(ev: Evaluator, args: tuple) -> Any:
    known = (2, 3, 5, 7, 13, 17, 19, 31, 61, 89, 107, 127, 521, 607, 1279, 2203, 2281, 3217, 4253, 4423)
    return known[args[0] - 1] if 1 <= args[0] <= len(known) else None


@builtin("PrimitiveRoot", "Listable", arity=1, takes="positive")
def primitive_root(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    phi = ev.call(S.EulerPhi, n)
    ps = factor(ev, phi)
    for g in range(1, n):
        ev.step()
        if math.gcd(g, n) == 1 and all(pow(g, phi // p, n) != 1 for p in ps):
            return g
    return None
