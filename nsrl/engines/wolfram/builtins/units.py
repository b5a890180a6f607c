"""Quantities: a number and its unit, sums and products of them, conversion."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.builtins.algebra import contains
from nsrl.engines.wolfram.definitions import Defs
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, has_head, is_list, lst, mk, norm, plus, power, times
from nsrl.engines.wolfram.roots import symbols as symbols_of
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)

symbols(TABLE, "QuantityVariable")


# Wolfram unit name: (factor to base units, {base: power})
_UNITS: dict[str, tuple[Any, dict[str, int]]] = {}


def _unit(names: str, factor: Any, **base: int) -> None:
    for n in names.split():
        _UNITS[n] = (factor, base)


for _prefix, _k in (("", 1), ("Kilo", 1000), ("Centi", Fraction(1, 100)), ("Milli", Fraction(1, 1000)), ("Deci",
Fraction(1, 10)),
                    ("Micro", Fraction(1, 10**6)), ("Nano", Fraction(1, 10**9)), ("Mega", 10**6)):  # fmt: skip
    for _name, _f, _b in (("meters", 1, {"m": 1}), ("grams", Fraction(1, 1000), {"kg": 1}), ("seconds", 1, {"s": 1}),
                          ("liters", Fraction(1, 1000), {"m": 3}), ("watts", 1, {"kg": 1, "m": 2, "s": -3}),
                          ("joules", 1, {"kg": 1, "m": 2, "s": -2}), ("newtons", 1, {"kg": 1, "m": 1,
                          "s": -2})):  # fmt: skip
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
_unit("AngularDegrees", mk(S.Times, S.Pi, Fraction(1, 180)))
_unit("Radians", 1)
_unit("DegreesCelsius DegreesCelsiusDifference", 1, K=1)
_unit("DegreesFahrenheit DegreesFahrenheitDifference", Fraction(5, 9), K=1)
_unit("Kelvins KelvinsDifference", 1, K=1)
_OFFSET = {
    "DegreesCelsius": Fraction(27_315, 100),
    "DegreesFahrenheit": Fraction(45_967, 100) * Fraction(5, 9),
    "Kelvins": 0,
}
_SHORT = {"m": "Meters", "km": "Kilometers", "cm": "Centimeters", "mm": "Millimeters", "kg": "Kilograms",
          "g": "Grams", "s": "Seconds", "h": "Hours", "min": "Minutes", "L": "Liters", "mL": "Milliliters",
          "ft": "Feet", "in": "Inches", "mi": "Miles", "lb": "Pounds", "oz": "Ounces", "Foot": "Feet", "Inch": "Inches",
          "Celsius": "DegreesCelsius", "Fahrenheit": "DegreesFahrenheit", "Kelvin": "Kelvins",
          "Degrees": "AngularDegrees",
          "Dollars": "USDollars", "Cents": "USCents", "%": "Percent"}  # fmt: skip
for _name in [*_UNITS, *(n for n in _SHORT if len(n) > 2)]:
    _one = _SHORT.get(_name, _name)
    for _written in (_name, _name.removesuffix("s") if _name[-2:] != "es" or _name[-3] in "tnrl" else _name):
        _SHORT.setdefault(_written, _one)
        _SHORT.setdefault(_written.lower(), _one)
_NUMBER = re.compile(r"\s*(-?\d+(?:\.\d+|/\d+)?)\s*([^\d./].*)")


def _named(u: str) -> Any:
    """A unit that is written as a text (m, km/h, KilometersPerHour, square meters) as names multiplied and raised; None
    for another."""
    u = u.strip()
    for sign in ("/", "Per", " per "):
        top, found, bottom = u.partition(sign)
        if found and u not in _SHORT:
            parts = _named(top), _named(bottom)
            return None if None in parts else mk(S.Times, parts[0], mk(S.Power, parts[1], -1))
    for word, n in (("square", 2), ("cubic", 3)):
        if u.lower().startswith(word):
            inside = _named(u[len(word) :])
            return None if type(inside) is not str else mk(S.Power, inside, n)
    return _SHORT.get(u)


def _parsed(u: Any) -> tuple[Any, dict[str, Any], Any] | None:
    """(factor, base powers, canonical form) of a unit: a name, or names multiplied and raised."""
    if isinstance(u, str):
        if u not in _UNITS:
            named = _named(u)
            return None if named is None else _parsed(named)
        factor, base = _UNITS[u]
        return factor, dict(base), u
    if has_head(u, S.Quantity) and len(u.args) == 2:
        return _parsed(u.args[1])
    if has_head(u, S.Times):
        factor: Any = 1
        base: dict[str, Any] = {}
        forms = []
        for a in u.args:
            if isinstance(a, (int, Fraction)):
                factor = factor * a
                continue
            p = _parsed(a)
            if p is None:
                return None
            factor = (
                factor * p[0]
                if not isinstance(p[0], Expr) and not isinstance(factor, Expr)
                else mk(S.Times, factor, p[0])
            )
            for k, n in p[1].items():
                base[k] = base.get(k, 0) + n
            forms.append(p[2])
        return factor, {k: n for k, n in base.items() if n}, Expr(S.Times, tuple(forms)) if len(forms) > 1 else forms[0]
    if has_head(u, S.Power) and isinstance(n := u.args[1], (int, Fraction)):
        p = _parsed(u.args[0])
        if p is None:
            return None
        factor = norm(Fraction(p[0]) ** n) if type(n) is int and not isinstance(p[0], Expr) else mk(S.Power, p[0], n)
        return factor, {k: norm(m * Fraction(n)) for k, m in p[1].items()}, _raised(p[2], n)
    return None


def _raised(u: Any, n: Any) -> Any:
    """A unit to a power, factor by factor: the root of square meters is meters."""
    if has_head(u, S.Times):
        return Expr(S.Times, tuple(_raised(a, n) for a in u.args))
    if has_head(u, S.Power):
        n = norm(n * Fraction(u.args[1]))
        return u.args[0] if n == 1 else power(u.args[0], n)
    return power(u, n)


_ROUNDING = (S.Abs, S.Floor, S.Ceiling, S.Round, S.IntegerPart, S.FractionalPart)
_SIGNS = (S.Sign, S.Positive, S.Negative, S.NonNegative, S.NonPositive)
_TURNS = (S.Sin, S.Cos, S.Tan, S.Cot, S.Sec, S.Csc)


def _combines(ev: Evaluator, e: Any, bound: dict, go_on: Any) -> bool:
    """The matcher of Quantity's up-value: a sum, product or power of quantities becomes one quantity."""
    if e.head in _ROUNDING or e.head in _SIGNS or e.head in _TURNS:
        q = e.args[0] if len(e.args) == 1 else None
        if (
            not has_head(q, S.Quantity)
            or len(q.args) != 2
            or (unit := _parsed(q.args[1])) is None
            or q.args[1] in _OFFSET
        ):
            return False
        if e.head in _TURNS:
            if unit[1]:
                return False
            bound[_COMBINED] = ev.eval(mk(e.head, times(q.args[0], unit[0])))
        else:
            r = mk(e.head, q.args[0])
            bound[_COMBINED] = ev.eval(mk(S.Quantity, r, q.args[1]) if e.head in _ROUNDING else r)
        return go_on(bound)
    if e.head not in (S.Plus, S.Times, S.Power):
        return False
    if e.head is S.Power and not (len(e.args) == 2 and isinstance(e.args[1], (int, Fraction))):
        return False
    if e.head is S.Times and not all(isinstance(a, (int, float, Fraction)) or contains(a, S.Quantity) for a in e.args):
        return False
    q = _temperatures(ev, e) if _tempered(e) else gathered(ev, e)
    if q is None or (has_head(q, S.Quantity) and any(has_head(a, S.QuantityMagnitude) for a in _inside(q))):
        return False
    bound[_COMBINED] = q
    return go_on(bound)


def _tempered(e: Expr) -> bool:
    """Whether a temperature of a scale whose zero is not that of heat stands in a sum, product or power."""

    def is_one(a: Any) -> bool:
        if type(a) is Expr and a.head is S.Quantity and len(a.args) == 2:
            return a.args[1] in _OFFSET and a.args[1] != "Kelvins"
        return type(a) is Expr and a.head is S.Times and _tempered(a)

    return any(is_one(a) for a in e.args)


def _temperatures(ev: Evaluator, e: Expr) -> Any:
    """The difference of two temperatures, a temperature and differences; None for any other arithmetic: twice 20 °C is
    what one takes it for."""
    if e.head is not S.Plus:
        return None
    terms = [
        (-1, a.args[1]) if has_head(a, S.Times) and len(a.args) == 2 and a.args[0] == -1 else (1, a) for a in e.args
    ]
    if not all(has_head(q, S.Quantity) and len(q.args) == 2 and type(q.args[1]) is str for _, q in terms):
        return None
    scales = [(k, q) for k, q in terms if q.args[1] in _OFFSET]
    turns = sorted(k for k, _ in scales)
    unit = (
        scales[0][1].args[1]
        if turns == [1]
        else next(q.args[1] for k, q in scales if k == 1) + "Difference"
        if turns == [-1, 1]
        else None
    )
    if (
        unit is None
        or any(q.args[1] == "Kelvins" for _, q in scales)
        or any(base_value(ev, q)[1] != {"K": 1} for _, q in terms)
    ):
        return None
    kelvins = [times(k, base_value(ev, q)[0]) for k, q in terms]
    return mk(S.Quantity, ev.eval(times(plus(*kelvins, -_OFFSET.get(unit, 0)), power(_UNITS[unit][0], -1))), unit)


def _inside(q: Expr) -> tuple:
    return q.args[0].args if has_head(q.args[0], S.Plus) else (q.args[0],)


_COMBINED = Symbol("\x02q")


@builtin("Quantity", arity=(1, 2), data=True)
def quantity(ev: Evaluator, args: tuple) -> Any:
    if S.Quantity not in ev.up:
        # installed by the first quantity, so that plain arithmetic never looks for one
        ev.up[S.Quantity] = rules = Defs()
        rules.rules = [((), _COMBINED, _COMBINED, _combines)]
    if len(args) == 1:
        written = _NUMBER.fullmatch(args[0]) if type(args[0]) is str else None
        return (
            mk(S.Quantity, norm(Fraction(written[1])) if "." not in written[1] else float(written[1]), written[2])
            if written
            else mk(S.Quantity, 1, args[0])
        )
    if is_list(args[0]):
        return lst(mk(S.Quantity, a, args[1]) for a in args[0].args)
    if args[1] == 1:
        return args[0]
    p = _parsed(args[1])
    if p is None and not symbols_of(args[1]):
        ev.message("Quantity", "unkunit", f"Unable to interpret unit specification {ev.text(args[1])}.")
    if p is None or p[2] == args[1]:
        return None
    return mk(S.Quantity, args[0], ev.eval(p[2]))


@builtin("QuantityMagnitude", arity=(1, 2))
def quantity_magnitude(ev: Evaluator, args: tuple) -> Any:
    if is_list(args[0]):
        return lst(mk(S.QuantityMagnitude, a, *args[1:]) for a in args[0].args)
    q = args[0] if len(args) == 1 else ev.eval(mk(S.UnitConvert, *args))
    if has_head(q, S.Quantity):
        return q.args[0]
    return q if isinstance(q, (int, float, Fraction)) else None


@builtin("QuantityUnit", arity=1)
def quantity_unit(ev: Evaluator, args: tuple) -> Any:
    return args[0].args[1] if has_head(args[0], S.Quantity) else None


@builtin("QuantityQ", arity=1)
def quantity_q(ev: Evaluator, args: tuple) -> Any:
    return TRUE if has_head(args[0], S.Quantity) and len(args[0].args) == 2 else FALSE


def gathered(ev: Evaluator, e: Any) -> Any:
    """A product, power or sum of quantities as one quantity, as a number where all units cancel, or None."""
    if not contains(e, S.Quantity):
        return None
    if has_head(e, S.Quantity):
        return e if len(e.args) == 2 else None
    if has_head(e, S.Times):
        number, unit = [], []
        for a in e.args:
            q = gathered(ev, a)
            if has_head(q, S.Quantity):
                number.append(q.args[0])
                unit.append(q.args[1])
            else:
                number.append(a if q is None else q)
        if not unit:
            return None
        return ev.eval(
            mk(S.Quantity, Expr(S.Times, tuple(number)), Expr(S.Times, tuple(unit)) if len(unit) > 1 else unit[0])
        )
    if has_head(e, S.Power) and len(e.args) == 2 and gathered(ev, e.args[0]) is e.args[0]:
        return ev.eval(mk(S.Quantity, power(e.args[0].args[0], e.args[1]), _raised(e.args[0].args[1], e.args[1])))
    if has_head(e, S.Plus):
        parts = [gathered(ev, a) for a in e.args]
        if not all(has_head(p, S.Quantity) for p in parts):
            return None
        unit = parts[0].args[1]
        same = [ev.eval(mk(S.QuantityMagnitude, p, unit)) for p in parts]
        return mk(S.Quantity, ev.eval(plus(*same)), unit)
    return None


def base_value(ev: Evaluator, e: Any) -> tuple[Any, dict[str, int]] | None:
    """A quantity in base units, a temperature in kelvins, and what these units are; None for what is no quantity."""
    if not (has_head(e, S.Quantity) and len(e.args) == 2) or (unit := _parsed(e.args[1])) is None:
        return None
    return ev.eval(plus(times(e.args[0], unit[0]), _OFFSET.get(e.args[1], 0))), unit[1]


@builtin("UnitConvert", arity=(1, 2))
def unit_convert(ev: Evaluator, args: tuple) -> Any:
    q = gathered(ev, args[0])
    if not has_head(q, S.Quantity):
        return None
    source = _parsed(q.args[1])
    if source is None:
        return None
    factor, base, _ = source
    if len(args) == 1:
        if not base and source[2] not in ("AngularDegrees", "Radians"):
            return ev.eval(times(q.args[0], factor))
        si = {"m": "Meters", "kg": "Kilograms", "s": "Seconds", "K": "Kelvins", "usd": "USDollars"}
        parts = [si[k] if n == 1 else power(si[k], n) for k, n in sorted(base.items())]
        unit = ev.eval(Expr(S.Times, tuple(parts))) if len(parts) > 1 else parts[0] if parts else "Radians"
        return mk(S.Quantity, ev.eval(times(q.args[0], factor)), unit)
    to = _parsed((gathered(ev, args[1]) or args[1]) if contains(args[1], S.Quantity) else args[1])
    if to is None or to[1] != base:
        ev.message("Quantity", "compat", f"{ev.text(q.args[1])} and {ev.text(args[1])} are incompatible units")
        return None
    if (q.args[1] in _OFFSET) != (to[2] in _OFFSET):  # a temperature is no difference of two
        return None
    if q.args[1] in _OFFSET:
        kelvins, _ = base_value(ev, q)
        value = times(plus(kelvins, times(-1, _OFFSET[to[2]])), power(to[0], -1))
    else:
        value = times(q.args[0], factor, power(to[0], -1))
    return mk(S.Quantity, ev.eval(value), ev.eval(to[2]))
