"""Reals of stated precision, over mpmath (imported on first use: most programs never need it).

A BigReal carries its value and its precision in decimal digits; operations keep the smaller precision of the two.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

MACHINE_DIGITS = 15.954589770191003  # $MachinePrecision
_GUARD_BITS = 16


def mp() -> Any:
    """mpmath's context of ours, its working precision set per operation."""
    global _context
    if _context is None:
        from mpmath import MPContext

        _context = MPContext()
    return _context


_context: Any = None


def bits(digits: float) -> int:
    """Working precision for that many decimal digits: whole 64-bit words, as the kernel holds them."""
    return -(-int(digits * 3.3219280948873626 + 1) // 64) * 64 + _GUARD_BITS


class BigReal:
    """value: mpf; digits: precision in decimal digits."""

    __slots__ = ("digits", "value")

    def __init__(self, value: Any, digits: float):
        self.value, self.digits = value, digits

    def __eq__(self, other: object) -> bool:
        return type(other) is BigReal and self.value == other.value and self.digits == other.digits

    def __hash__(self) -> int:
        return hash(("BigReal", self.value, self.digits))

    def __repr__(self) -> str:
        return f"{self.text()}`{self.digits:g}"

    def __neg__(self) -> BigReal:
        with mp().workprec(bits(self.digits)):
            return BigReal(-self.value, self.digits)

    @staticmethod
    def of(x: Any, digits: float) -> BigReal:
        """An int, Fraction, float or mpf to that precision."""
        m = mp()
        with m.workprec(bits(digits)):
            return BigReal(m.mpf(x.numerator) / x.denominator if type(x) is Fraction else m.mpf(x), digits)

    @staticmethod
    def parse(mantissa: str, exponent: int, digits: float, accuracy: bool = False) -> BigReal:
        """A literal such as 1.5`20 (or, with accuracy, 1.5``20)."""
        m = mp()
        digits = min(digits, 100_000.0)
        if accuracy:
            size = abs(float(f"{mantissa}e{max(min(exponent, 300), -300)}"))
            digits = max(digits + (math.log10(size) if size else 0.0), 1.0)
        with m.workprec(bits(digits)):
            return BigReal(m.mpf(f"{mantissa}e{exponent}"), digits)

    def text(self, rounded: bool = False) -> str:
        """All digits held, as InputForm writes them: the precision rounded up to whole 64-bit words; or the sure
        ones."""
        m = mp()
        words = -(-int(self.digits * 3.3219280948873626 + 1) // 64)
        n = max(round(self.digits) if rounded else math.ceil(words * 64 * 0.3010299956639812), 1)
        with m.workprec(words * 64 + 64):
            out = m.nstr(self.value, n, strip_zeros=True, min_fixed=-6, max_fixed=6)
        body, _, power = out.partition("e")
        body = body.removesuffix("0") if body.endswith(".0") else body
        return f"{body}*^{int(power)}" if power else body


def joint(a: Any, b: Any) -> float:
    """Precision of a result made of a and b (exact numbers do not limit it; machine numbers give MACHINE_DIGITS)."""
    da = a.digits if type(a) is BigReal else MACHINE_DIGITS if type(a) is float else math.inf
    db = b.digits if type(b) is BigReal else MACHINE_DIGITS if type(b) is float else math.inf
    return min(da, db)


def mpf(x: Any) -> Any:
    """The mpf of any real number, in the current working precision."""
    m = mp()
    if type(x) is BigReal:
        return x.value
    return m.mpf(x.numerator) / x.denominator if type(x) is Fraction else m.mpf(x)
