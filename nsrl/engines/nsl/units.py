"""Units of measure for `expression → unit`: factors to base units, and their Wolfram names.

A unit is a factor times powers of base symbols; conversion is then ordinary algebra, and what does not cancel is a
mismatch of dimensions.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.expr import Expr, S, Symbol, mk, sym

_LENGTH, _AREA, _VOLUME, _TIME, _MASS = {"m": 1}, {"m": 2}, {"m": 3}, {"s": 1}, {"g": 1}
_FORCE, _PRESSURE = {"g": 1, "m": 1, "s": -2}, {"g": 1, "m": -1, "s": -2}
_ENERGY, _POWER, _VOLTAGE = {"g": 1, "m": 2, "s": -2}, {"g": 1, "m": 2, "s": -3}, {"g": 1, "m": 2, "s": -3, "A": -1}
# names: (factor, powers of the base units, Wolfram name); the first name is the one that is printed
_ROWS: list[tuple[str, Fraction | int, dict[str, int], str]] = [
    ("mm", Fraction(1, 1000), _LENGTH, "Millimeters"),
    ("cm", Fraction(1, 100), _LENGTH, "Centimeters"),
    ("dm", Fraction(1, 10), _LENGTH, "Decimeters"),
    ("m meter meters", 1, _LENGTH, "Meters"),
    ("km", 1000, _LENGTH, "Kilometers"),
    ("inch inches", Fraction(254, 10_000), _LENGTH, "Inches"),
    ("ft feet", Fraction(3048, 10_000), _LENGTH, "Feet"),
    ("yd yard yards", Fraction(9144, 10_000), _LENGTH, "Yards"),
    ("mi mile miles", Fraction(1_609_344, 1000), _LENGTH, "Miles"),
    ("ha", 10_000, _AREA, "Hectares"),
    ("l L liter liters", Fraction(1, 1000), _VOLUME, "Liters"),
    ("dl dL", Fraction(1, 10_000), _VOLUME, "Deciliters"),
    ("cl cL", Fraction(1, 100_000), _VOLUME, "Centiliters"),
    ("ml mL", Fraction(1, 1_000_000), _VOLUME, "Milliliters"),
    ("ms", Fraction(1, 1000), _TIME, "Milliseconds"),
    ("s sec second seconds", 1, _TIME, "Seconds"),
    ("min minute minutes", 60, _TIME, "Minutes"),
    ("h hr hour hours", 3600, _TIME, "Hours"),
    ("day days", 86_400, _TIME, "Days"),
    ("week weeks", 604_800, _TIME, "Weeks"),
    ("mg", Fraction(1, 1000), _MASS, "Milligrams"),
    ("g gram grams", 1, _MASS, "Grams"),
    ("kg", 1000, _MASS, "Kilograms"),
    ("t", 1_000_000, _MASS, "MetricTons"),
    ("lb", Fraction(45_359_237, 100_000), _MASS, "Pounds"),
    ("oz", Fraction(45_359_237, 1_600_000), _MASS, "Ounces"),
    ("N", 1000, _FORCE, "Newtons"),
    ("Pa", 1000, _PRESSURE, "Pascals"),
    ("kPa", 1_000_000, _PRESSURE, "Kilopascals"),
    ("J", 1000, _ENERGY, "Joules"),
    ("kJ", 1_000_000, _ENERGY, "Kilojoules"),
    ("kWh", 3_600_000_000, _ENERGY, "KilowattHours"),
    ("W", 1000, _POWER, "Watts"),
    ("kW", 1_000_000, _POWER, "Kilowatts"),
    ("A", 1, {"A": 1}, "Amperes"),
    ("V", 1000, _VOLTAGE, "Volts"),
    ("Hz", 1, {"s": -1}, "Hertz"),
    ("cent cents", Fraction(1, 100), {"usd": 1}, "USCents"),
    ("usd dollar dollars", 1, {"usd": 1}, "USDollars"),
    ("eur euro euros", 1, {"eur": 1}, "Euros"),
]
UNITS = {name: row for names, *row in _ROWS for name in names.split()}
WOLFRAM_NAMES = {row[-1]: row[0].split()[0] for row in _ROWS}


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
    factor, powers, _ = UNITS[name]
    return mk(S.Times, factor, *(_base(b) if n == 1 else mk(S.Power, _base(b), n) for b, n in powers.items()))  # pyright: ignore[reportAttributeAccessIssue]


def in_wolfram(e: Any, taken: set) -> Any:
    """e with unit names replaced by Quantity[1, "Name"]."""
    if type(e) is Expr:
        return Expr(e.head, tuple(in_wolfram(a, taken) for a in e.args))
    name = _unit(e)
    return e if name is None or e in taken else mk(S.Quantity, 1, UNITS[name][2])


def has_base(e: Any) -> bool:
    """Whether a base unit is left in e."""
    if type(e) is Expr:
        return any(has_base(a) for a in e.args)
    return type(e) is Symbol and e.name[0] == "\x01"
