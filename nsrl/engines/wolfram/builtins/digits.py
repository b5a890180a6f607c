"""Digits, bases, bits, Roman numerals, continued fractions."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.integers import ints
from nsrl.engines.wolfram.builtins.primes import divisors_of, euler_phi, factor
from nsrl.engines.wolfram.expr import Expr, S, boolean, is_list, lst, mk, plus, times
from nsrl.engines.wolfram.judged import no
from nsrl.engines.wolfram.numeric import approx_mp
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
_NUMERIC = "Listable NumericFunction"


# -- digits ----------------------------------------------------------------------------------------------------------
def digits(ev: Evaluator, n: int, base: int = 10) -> list[int]:
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
def integer_digits(ev: Evaluator, args: tuple) -> Any:
    if not ints(args[:1]) or (len(args) > 1 and type(args[1]) is not int):
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
def from_digits(ev: Evaluator, args: tuple) -> Any:
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
    elif is_list(e) and any(map(is_list, e.args)):
        return _with_point(ev, e, base)
    elif is_list(e):
        items = e.args
    else:
        return None
    if type(base) is int and ints(items):
        ev.need_bits(len(items) * max(base.bit_length(), 1))
        out = 0
        for d in items:
            out = out * base + d
        return out
    total: Any = 0
    for d in items:
        total = ev.call(S.Plus, mk(S.Times, total, base), d)
    return total


def _with_point(ev: Evaluator, e: Any, base: Any) -> Any:
    """FromDigits[{{d1, d2, ...}, n}]: n digits stand before the point; a list at the end of them repeats for ever."""
    if len(e.args) != 2 or not is_list(e.args[0]) or type(e.args[1]) is not int:
        return None
    ds, n = e.args[0].args, e.args[1]
    period = ds[-1].args if ds and is_list(ds[-1]) else ()
    ds = ds[:-1] if period else ds
    if any((type(d) is Expr and d.head in (S.List, S.Association)) or type(d) is str for d in (*ds, *period)):
        return None
    if type(base) is int:
        ev.need_bits(max(abs(n), len(ds)) * max(base.bit_length(), 1))
    total: Any = from_digits(ev, (lst(ds), base))
    if period:
        repeated = mk(
            S.Times,
            from_digits(ev, (lst(period), base)),
            mk(S.Power, mk(S.Plus, mk(S.Power, base, len(period)), -1), -1),
        )
        total = mk(S.Plus, total, repeated)
    return ev.call(S.Times, total, mk(S.Power, base, n - len(ds)))


@builtin("DigitCount", "Listable", arity=(1, 3))
def digit_count(ev: Evaluator, args: tuple) -> Any:
    if not ints(args):
        return None
    base = args[1] if len(args) > 1 else 10
    ds = digits(ev, args[0], base)
    if len(args) == 3:
        return ds.count(args[2])
    return lst([ds.count(d) for d in range(1, base)] + [ds.count(0) if args[0] else 1])


@builtin("DigitSum", "Listable", arity=(1, 2))
def digit_sum(ev: Evaluator, args: tuple) -> Any:
    return sum(digits(ev, args[0], *args[1:])) if ints(args) else None


@builtin("IntegerLength", "Listable", arity=(1, 2))
def integer_length(ev: Evaluator, args: tuple) -> Any:
    return (len(digits(ev, *args)) if args[0] else 0) if ints(args) else None


@builtin("IntegerReverse", "Listable", arity=(1, 2))
def integer_reverse(ev: Evaluator, args: tuple) -> Any:
    return ev.call(S.FromDigits, lst(digits(ev, *args)[::-1]), *args[1:]) if ints(args) else None


@builtin("IntegerExponent", "Listable", arity=(1, 2))
def integer_exponent(ev: Evaluator, args: tuple) -> Any:
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
def integer_string(ev: Evaluator, args: tuple) -> Any:
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


_ONES = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
"thirteen",
         "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]  # fmt: skip
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
def integer_name(ev: Evaluator, args: tuple) -> Any:
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
def roman_numeral(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is not int or not 0 < n < 4000:
        return "N" if n == 0 else None
    out = ""
    for v, s in ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10,
    "X"),
                 (9, "IX"), (5, "V"), (4, "IV"), (1, "I")):  # fmt: skip
        out += s * (n // v)
        n %= v
    return out


@builtin("FromRomanNumeral", "Listable", arity=1)
def from_roman_numeral(ev: Evaluator, args: tuple) -> Any:
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    s = args[0]
    if type(s) is not str or any(c not in values for c in s.upper()):
        return None
    ns = [values[c] for c in s.upper()]
    return sum(-a if b > a else a for a, b in zip(ns, [*ns[1:], 0]))


@builtin("BitLength", "Listable", arity=1)
def bit_length_(ev: Evaluator, args: tuple) -> Any:
    return (args[0] if args[0] >= 0 else ~args[0]).bit_length() if ints(args) else None


def _bitwise(name: str, op: Any, start: int) -> None:
    @builtin(name, "Flat Listable OneIdentity Orderless")
    def bitwise(ev: Evaluator, args: tuple) -> Any:
        if not ints(args):
            return None
        out = start
        for a in args:
            out = op(out, a)
        return out


_bitwise("BitAnd", lambda a, b: a & b, -1)
_bitwise("BitOr", lambda a, b: a | b, 0)
_bitwise("BitXor", lambda a, b: a ^ b, 0)


@builtin("BitNot", "Listable", arity=1)
def bit_not(ev: Evaluator, args: tuple) -> Any:
    return ~args[0] if ints(args) else None


@builtin("BitShiftLeft BitShiftRight", "Listable", arity=(1, 2))
def bit_shift_left(ev: Evaluator, args: tuple) -> Any:
    if not ints(args):
        return None
    return _shift(ev, args[0], args[1] if len(args) > 1 else 1)


def _shift(ev: Evaluator, n: int, k: int) -> int:
    if k >= 0:
        ev.need_bits(n.bit_length() + k)
        return n << k
    return n >> min(-k, 10**7)


TABLE["BitShiftRight"].handler = lambda ev, args: (
    _shift(ev, args[0], -(args[1] if len(args) > 1 else 1)) if ints(args) else None
)


@builtin("JacobiSymbol KroneckerSymbol", "Listable", arity=2)
def jacobi(ev: Evaluator, args: tuple) -> Any:
    if not ints(args) or args[1] < 1 or args[1] % 2 == 0:
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
def multiplicative_order(ev: Evaluator, args: tuple) -> Any:
    if not ints(args) or args[1] < 1 or math.gcd(*args) != 1:
        return None
    a, n = args[0] % args[1], args[1]
    phi = euler_phi(ev, (n,))
    k = phi
    for p in factor(ev, phi):
        while k % p == 0 and pow(a, k // p, n) == 1 % n:
            k //= p
    return k


@builtin("PerfectNumberQ", "Listable", arity=1)
def perfect_number_q(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    return boolean(n > 1 and sum(divisors_of(ev, n)) == 2 * n) if type(n) is int else no(ev, n)


@builtin("ChineseRemainder", arity=(2, 3))
def chinese_remainder(ev: Evaluator, args: tuple) -> Any:
    rs, ms = (a.args if is_list(a) else (a,) for a in args[:2])
    if not ints((*rs, *ms)) or len(rs) != len(ms) or any(m == 0 for m in ms):
        return None
    x, m = 0, 1
    for r, n in zip(rs, ms):
        g = math.gcd(m, n)
        if (r - x) % g:
            return None
        step = (r - x) // g * pow(m // g, -1, n // g) % (n // g) if n // g > 1 else 0
        x, m = x + m * step, m * n // g
    return x % m if len(args) == 2 else args[2] + (x - args[2]) % m if type(args[2]) is int else None


@builtin("RealDigits", "Listable", arity=(1, 3))
def real_digits(ev: Evaluator, args: tuple) -> Any:
    x, base = args[0], args[1] if len(args) > 1 else 10
    if base != 10:
        return None
    if type(x) is int:
        s = str(abs(x))
        return lst((lst(map(int, s)), len(s)))
    if type(x) is Fraction and len(args) < 3:
        return _recurring(ev, abs(x))
    n = args[2] if len(args) > 2 else 16
    if type(n) is not int or n > 10_000:
        return None
    m = approx_mp(x, n + 10)
    if m is None:
        return None
    if type(x) is float and len(args) < 3:
        s = f"{abs(x):.15e}"
        return lst((lst(int(c) for c in s.split("e")[0] if c != "."), int(s.split("e")[1]) + 1))
    from nsrl.engines.wolfram.bignum import bits, mp

    with mp().workprec(bits(n + 10)):
        exponent = int(mp().floor(mp().log10(abs(m)))) + 1
        digits = str(int(mp().floor(abs(m) * mp().mpf(10) ** (n - exponent)))).rjust(n, "0")
    return lst((lst(map(int, digits)), exponent))


def _recurring(ev: Evaluator, x: Fraction) -> Any:
    whole, r = divmod(x.numerator, x.denominator)
    out, seen, rest = [], {}, r
    while rest and rest not in seen:
        ev.step()
        seen[rest] = len(out)
        rest *= 10
        out.append(rest // x.denominator)
        rest %= x.denominator
    head = [int(c) for c in str(whole)] if whole else []
    exponent = len(head)
    at = seen[rest] if rest else len(out)
    lead, cycle = out[:at], out[at:]
    if not head:
        while lead and lead[0] == 0:
            lead.pop(0)
            exponent -= 1
        while not lead and cycle and cycle[0] == 0:
            cycle = [*cycle[1:], 0]
            exponent -= 1
    items: list[Any] = [*head, *lead]
    if cycle:
        items.append(lst(cycle))
    return lst((lst(items), exponent))


@builtin("NumberExpand", arity=1, takes="integer")
def number_expand(ev: Evaluator, args: tuple) -> Any:
    s = str(abs(args[0]))
    sign = -1 if args[0] < 0 else 1
    return lst(sign * int(c) * 10 ** (len(s) - i - 1) for i, c in enumerate(s))


@builtin("NumberDecompose", arity=2, takes="any list")
def number_decompose(ev: Evaluator, args: tuple) -> Any:
    x, out = args[0], []
    units = args[1].args
    for u in units[:-1]:
        q = ev.call(S.Quotient, x, u)
        out.append(q)
        x = ev.call(S.Subtract, x, mk(S.Times, q, u))
    out.append(ev.call(S.Divide, x, units[-1]))
    return lst(out)


@builtin("NumberCompose", arity=2, takes="list list")
def number_compose(ev: Evaluator, args: tuple) -> Any:
    return Expr(S.Plus, tuple([times(a, b) for a, b in zip(args[0].args, args[1].args)]))


@builtin("FromDMS", arity=1, takes="list")
def from_dms(ev: Evaluator, args: tuple) -> Any:
    d, m, s = (*args[0].args, 0, 0)[:3]
    return plus(d, times(m, Fraction(1, 60)), times(s, Fraction(1, 3600)))


@builtin("DMSList", arity=1)
def dms_list(ev: Evaluator, args: tuple) -> Any:
    x = args[0]
    d = ev.call(S.IntegerPart, x)
    m = ev.eval(times(60, plus(x, times(-1, d))))
    mi = ev.call(S.IntegerPart, m)
    return lst((d, mi, ev.eval(times(60, plus(m, times(-1, mi))))))
