"""Quantities: a number and its unit, sums and products of them, conversion."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.evaluator import Defs
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm, plus, power, times
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

symbols(TABLE, "QuantityVariable")


# Wolfram unit name: (factor to base units, {base: power})
_UNITS: dict[str, tuple[Any, dict[str, int]]] = {}


def _unit(names: str, factor: Any, **base: int) -> None:
    for n in names.split():
        _UNITS[n] = (factor, base)


for _prefix, _k in (("", 1), ("Kilo", 1000), ("Centi", Fraction(1, 100)), ("Milli", Fraction(1, 1000)), ("Deci", Fraction(1, 10)),
                    ("Micro", Fraction(1, 10**6)), ("Nano", Fraction(1, 10**9)), ("Mega", 10**6)):  # fmt: skip
    for _name, _f, _b in (("meters", 1, {"m": 1}), ("grams", Fraction(1, 1000), {"kg": 1}), ("seconds", 1, {"s": 1}),
                          ("liters", Fraction(1, 1000), {"m": 3}), ("watts", 1, {"kg": 1, "m": 2, "s": -3}),
                          ("joules", 1, {"kg": 1, "m": 2, "s": -2}), ("newtons", 1, {"kg": 1, "m": 1, "s": -2})):  # fmt: skip
        _UNITS[(_prefix + _name) if _prefix else _name.capitalize()] = (_f * _k, _b)
_unit("Minutes", 60, s=1)
_unit("Hours", 3600, s=1)
_unit("Days", 86_400, s=1)
_unit("Weeks", 604_800, s=1)
_unit("Years", 31_536_000, s=1)
_unit("Inches", Fraction(127, 5000), m=1)
_unit("Feet", Fraction(381, 1250), m=1)
_unit("Yards", Fraction(1143, 1250), m=1)
_unit("Miles", Fraction(201_168, 125), m=1)
_unit("Pounds", Fraction(45_359_237, 100_000_000), kg=1)
_unit("Ounces", Fraction(45_359_237, 1_600_000_000), kg=1)
_unit("MetricTons", 1000, kg=1)
_unit("Hectares", 10_000, m=2)
_unit("Acres", Fraction(316_160_658, 78_125), m=2)
_unit("Gallons", Fraction(473_176_473, 125_000_000_000), m=3)
_unit("USDollars", 1, usd=1)
_unit("USCents", Fraction(1, 100), usd=1)
_unit("Percent", Fraction(1, 100))
_unit("Degrees AngularDegrees", mk(S.Times, S.Pi, Fraction(1, 180)))
_unit("Radians", 1)
_unit("DegreesCelsius", 1, K=1)
_unit("DegreesFahrenheit", Fraction(5, 9), K=1)
_unit("Kelvins", 1, K=1)
_OFFSET = {"DegreesCelsius": Fraction(27_315, 100), "DegreesFahrenheit": Fraction(45_967, 100) * Fraction(5, 9), "Kelvins": 0}
_SHORT = {"m": "Meters", "meters": "Meters", "km": "Kilometers", "cm": "Centimeters", "mm": "Millimeters", "kg": "Kilograms",
          "g": "Grams", "s": "Seconds", "h": "Hours", "min": "Minutes", "Meter": "Meters", "Kilometer": "Kilometers",
          "Hour": "Hours", "Second": "Seconds", "Minute": "Minutes", "Kilogram": "Kilograms", "Gram": "Grams",
          "ft": "Feet", "in": "Inches", "mi": "Miles", "lb": "Pounds", "Foot": "Feet", "Inch": "Inches", "Mile": "Miles",
          "Celsius": "DegreesCelsius", "Fahrenheit": "DegreesFahrenheit", "Kelvin": "Kelvins"}  # fmt: skip


def _parsed(u: Any) -> tuple[Any, dict[str, int], Any] | None:
    """(factor, base powers, canonical form) of a unit: a name, or names multiplied and raised."""
    if isinstance(u, str):
        if "/" in u:
            top, _, bottom = u.partition("/")
            return _parsed(mk(S.Times, top.strip(), mk(S.Power, bottom.strip(), -1)))
        name = _SHORT.get(u, u)
        if name not in _UNITS:
            return None
        factor, base = _UNITS[name]
        return factor, dict(base), name
    if has_head(u, S.Quantity) and len(u.args) == 2:
        return _parsed(u.args[1])
    if has_head(u, S.Times):
        factor: Any = 1
        base: dict[str, int] = {}
        forms = []
        for a in u.args:
            if isinstance(a, (int, Fraction)):
                factor = factor * a
                continue
            p = _parsed(a)
            if p is None:
                return None
            factor = factor * p[0] if not isinstance(p[0], Expr) and not isinstance(factor, Expr) else mk(S.Times, factor, p[0])
            for k, n in p[1].items():
                base[k] = base.get(k, 0) + n
            forms.append(p[2])
        return factor, {k: n for k, n in base.items() if n}, Expr(S.Times, tuple(forms)) if len(forms) > 1 else forms[0]
    if has_head(u, S.Power) and type(u.args[1]) is int:
        p = _parsed(u.args[0])
        if p is None or isinstance(p[0], Expr):
            return None
        return norm(Fraction(p[0]) ** u.args[1]), {k: n * u.args[1] for k, n in p[1].items()}, mk(S.Power, p[2], u.args[1])
    return None


def _combines(ev: Any, e: Any, bound: dict, go_on: Any) -> bool:
    """The matcher of Quantity's up-value: a sum, product or power of quantities becomes one quantity."""
    if e.head not in (S.Plus, S.Times, S.Power):
        return False
    if e.head is S.Power and not (len(e.args) == 2 and isinstance(e.args[1], (int, Fraction))):
        return False
    if e.head is S.Times and not all(isinstance(a, (int, float, Fraction)) or contains(a, S.Quantity) for a in e.args):
        return False
    q = gathered(ev, e)
    if q is None or any(has_head(a, S.QuantityMagnitude) for a in _inside(q)):
        return False
    bound[_COMBINED] = ev.eval(q.args[0]) if ev.eval(q.args[1]) == 1 else q
    return go_on(bound)


def _inside(q: Expr) -> tuple:
    return q.args[0].args if has_head(q.args[0], S.Plus) else (q.args[0],)


_COMBINED = Symbol("\x02q")


@builtin("Quantity", arity=(1, 2), data=True)
def quantity(ev: Any, args: tuple) -> Any:
    if S.Quantity not in ev.up:
        # installed by the first quantity, so that plain arithmetic never looks for one
        ev.up[S.Quantity] = rules = Defs()
        rules.rules = [((), _COMBINED, _COMBINED, _combines)]
    if len(args) == 1:
        return mk(S.Quantity, 1, args[0])
    p = _parsed(args[1])
    if p is None or p[2] == args[1]:
        return None
    return mk(S.Quantity, args[0], ev.eval(p[2]))


@builtin("QuantityMagnitude", arity=(1, 2))
def quantity_magnitude(ev: Any, args: tuple) -> Any:
    if is_list(args[0]):
        return lst(mk(S.QuantityMagnitude, a, *args[1:]) for a in args[0].args)
    q = args[0] if len(args) == 1 else ev.eval(mk(S.UnitConvert, *args))
    if has_head(q, S.Quantity):
        return q.args[0]
    return q if isinstance(q, (int, float, Fraction)) else None


@builtin("QuantityUnit", arity=1)
def quantity_unit(ev: Any, args: tuple) -> Any:
    return args[0].args[1] if has_head(args[0], S.Quantity) else None


@builtin("QuantityQ", arity=1)
def quantity_q(ev: Any, args: tuple) -> Any:
    return TRUE if has_head(args[0], S.Quantity) and len(args[0].args) == 2 else FALSE


def gathered(ev: Any, e: Any) -> Any:
    """A product, power or sum of quantities as one quantity, or None."""
    if not contains(e, S.Quantity):
        return None
    if has_head(e, S.Quantity):
        return e if len(e.args) == 2 else None
    if has_head(e, S.Times):
        number, unit = [], []
        for a in e.args:
            q = gathered(ev, a)
            if q is not None:
                number.append(q.args[0])
                unit.append(q.args[1])
            else:
                number.append(a)
        if not unit:
            return None
        return ev.eval(mk(S.Quantity, Expr(S.Times, tuple(number)), Expr(S.Times, tuple(unit)) if len(unit) > 1 else unit[0]))
    if has_head(e, S.Power) and len(e.args) == 2 and gathered(ev, e.args[0]) is e.args[0]:
        return mk(S.Quantity, ev.eval(power(e.args[0].args[0], e.args[1])), power(e.args[0].args[1], e.args[1]))
    if has_head(e, S.Plus):
        parts = [gathered(ev, a) for a in e.args]
        if None in parts:
            return None
        unit = parts[0].args[1]
        same = [ev.eval(mk(S.QuantityMagnitude, p, unit)) for p in parts]
        return mk(S.Quantity, ev.eval(plus(*same)), unit)
    return None


def base_value(ev: Any, e: Any) -> tuple[Any, dict[str, int]] | None:
    """A quantity in base units, a temperature in kelvins, and what these units are; None for what is no quantity."""
    if not (has_head(e, S.Quantity) and len(e.args) == 2) or (unit := _parsed(e.args[1])) is None:
        return None
    return ev.eval(plus(times(e.args[0], unit[0]), _OFFSET.get(e.args[1], 0))), unit[1]


@builtin("UnitConvert", arity=(1, 2))
def unit_convert(ev: Any, args: tuple) -> Any:
    q = gathered(ev, args[0])
    if q is None:
        return None
    source = _parsed(q.args[1])
    if source is None:
        return None
    factor, base, _ = source
    if len(args) == 1:
        si = {"m": "Meters", "kg": "Kilograms", "s": "Seconds", "K": "Kelvins", "usd": "USDollars"}
        parts = [si[k] if n == 1 else power(si[k], n) for k, n in sorted(base.items())]
        unit = ev.eval(Expr(S.Times, tuple(parts))) if len(parts) > 1 else parts[0] if parts else "DimensionlessUnit"
        return mk(S.Quantity, ev.eval(times(q.args[0], factor)), unit)
    to = _parsed((gathered(ev, args[1]) or args[1]) if contains(args[1], S.Quantity) else args[1])
    if to is None or to[1] != base:
        ev.message("Quantity", "compat", f"{ev.text(q.args[1])} and {ev.text(args[1])} are incompatible units")
        return None
    if q.args[1] in _OFFSET and isinstance(args[1], str) and _SHORT.get(args[1], args[1]) in _OFFSET:
        kelvins, _ = base_value(ev, q)
        value = times(plus(kelvins, times(-1, _OFFSET[to[2]])), power(to[0], -1))
    else:
        value = times(q.args[0], factor, power(to[0], -1))
    return mk(S.Quantity, ev.eval(value), ev.eval(to[2]))
