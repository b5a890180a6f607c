"""Units of measure for `expression → unit`: factors to base units, and their Wolfram names.

A unit is a factor times powers of base symbols; conversion is then ordinary algebra, and what does not cancel is
a mismatch of dimensions. Knows nothing of programs.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.expr import Expr, S, Symbol, mk, sym

# name: (factor, base, power of the base, Wolfram name)
UNITS: dict[str, tuple[Fraction | int, str, int, str]] = {
    "mm": (Fraction(1, 1000), "m", 1, "Millimeters"),
    "cm": (Fraction(1, 100), "m", 1, "Centimeters"),
    "dm": (Fraction(1, 10), "m", 1, "Decimeters"),
    "m": (1, "m", 1, "Meters"),
    "km": (1000, "m", 1, "Kilometers"),
    "inch": (Fraction(254, 10_000), "m", 1, "Inches"),
    "ft": (Fraction(3048, 10_000), "m", 1, "Feet"),
    "yd": (Fraction(9144, 10_000), "m", 1, "Yards"),
    "mi": (Fraction(1_609_344, 1000), "m", 1, "Miles"),
    "ha": (10_000, "m", 2, "Hectares"),
    "l": (Fraction(1, 1000), "m", 3, "Liters"),
    "L": (Fraction(1, 1000), "m", 3, "Liters"),
    "dl": (Fraction(1, 10_000), "m", 3, "Deciliters"),
    "cl": (Fraction(1, 100_000), "m", 3, "Centiliters"),
    "ml": (Fraction(1, 1_000_000), "m", 3, "Milliliters"),
    "ms": (Fraction(1, 1000), "s", 1, "Milliseconds"),
    "s": (1, "s", 1, "Seconds"),
    "sec": (1, "s", 1, "Seconds"),
    "min": (60, "s", 1, "Minutes"),
    "h": (3600, "s", 1, "Hours"),
    "hr": (3600, "s", 1, "Hours"),
    "day": (86_400, "s", 1, "Days"),
    "week": (604_800, "s", 1, "Weeks"),
    "mg": (Fraction(1, 1000), "g", 1, "Milligrams"),
    "g": (1, "g", 1, "Grams"),
    "kg": (1000, "g", 1, "Kilograms"),
    "t": (1_000_000, "g", 1, "MetricTons"),
    "lb": (Fraction(45_359_237, 100_000), "g", 1, "Pounds"),
    "oz": (Fraction(45_359_237, 1_600_000), "g", 1, "Ounces"),
    "cent": (Fraction(1, 100), "usd", 1, "USCents"),
    "usd": (1, "usd", 1, "USDollars"),
}
WOLFRAM_NAMES = {v[3]: k for k, v in reversed(list(UNITS.items()))}


def _base(name: str) -> Symbol:
    return sym("\x01" + name)


def _unit(e: Any) -> str | None:
    if type(e) is Symbol:
        name = e.name.removesuffix("$")
        return name if name in UNITS else None
    return None


def in_base(e: Any, taken: set) -> Any:
    """e with unit names (not in `taken`, the program's own) replaced by factor times base."""
    if type(e) is Expr:
        return Expr(e.head, tuple(in_base(a, taken) for a in e.args))
    name = _unit(e)
    if name is None or e in taken:
        return e
    factor, base, power, _ = UNITS[name]
    b = _base(base)
    return mk(S.Times, factor, b if power == 1 else mk(S.Power, b, power))


def in_wolfram(e: Any, taken: set) -> Any:
    """e with unit names replaced by Quantity[1, "Name"]."""
    if type(e) is Expr:
        return Expr(e.head, tuple(in_wolfram(a, taken) for a in e.args))
    name = _unit(e)
    return e if name is None or e in taken else mk(S.Quantity, 1, UNITS[name][3])


def has_base(e: Any) -> bool:
    """Whether a base unit is left in e."""
    if type(e) is Expr:
        return any(has_base(a) for a in e.args)
    return type(e) is Symbol and e.name[0] == "\x01"
