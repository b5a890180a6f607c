"""Units an answer may declare, as a factor to a base unit and the dimension.

Percent and degree are declared by their sign and live in `nsrl.answers.values`; here are the written-out words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from nsrl.answers.tree import PI, Tree, div, num


@dataclass(frozen=True, slots=True)
class Unit:
    """factor: the unit in base units; dims: sorted ((dimension, exponent), ...), empty for a plain noun ("apples")."""

    factor: Tree
    dims: tuple[tuple[str, int], ...]
    nouns: tuple[str, ...] = ()  # the plain words
    marked: bool = (
        False  # written as ' or ", which says something else (minutes, seconds, a derivative) without a declared unit
    )

    @property
    def known(self) -> bool:
        """Whether the dimension is known; a counted thing (apples) has none."""
        return bool(self.dims)

    def __pow__(self, n: int) -> Unit:
        return Unit(("pow", self.factor, num(n)), tuple((d, e * n) for d, e in self.dims))

    def times(self, other: Unit, sign: int = 1) -> Unit:
        """The product of two units, or their quotient with sign -1."""
        dims = dict(self.dims)
        for d, e in other.dims:
            dims[d] = dims.get(d, 0) + sign * e
        factor = ("mul", self.factor, ("pow", other.factor, num(sign)))
        return Unit(factor, tuple(sorted((d, e) for d, e in dims.items() if e)))


FOOT_MARK = Unit(num(Fraction("0.3048")), (("length", 1),), marked=True)
INCH_MARK = Unit(num(Fraction("0.0254")), (("length", 1),), marked=True)
DEGREE_UNIT = Unit(num(1), (("angle", 1),))
PERCENT_UNIT = Unit(num(1), (("percent", 1),))


def _unit(dim: str, factor: str | int | Fraction = 1, power: int = 1) -> Unit:
    return Unit(num(Fraction(factor)), ((dim, power),))


_UNITS: tuple[tuple[str, Unit], ...] = (
    ("m meter metre meters metres", _unit("length")),
    ("km kilometer kilometre kilometers kilometres", _unit("length", 1000)),
    ("dm decimeter decimetre decimeters decimetres", _unit("length", "1/10")),
    ("cm centimeter centimetre centimeters centimetres cms", _unit("length", "1/100")),
    ("mm millimeter millimetre millimeters millimetres", _unit("length", "1/1000")),
    ("nm nanometer nanometers", _unit("length", "1/1000000000")),
    ("in inch inches", _unit("length", "0.0254")),
    ("ft foot feet", _unit("length", "0.3048")),
    ("yd yard yards", _unit("length", "0.9144")),
    ("mi mile miles", _unit("length", "1609.344")),
    ("l L liter litre liters litres", _unit("length", "1/1000", 3)),
    ("ml mL milliliter millilitre milliliters millilitres", _unit("length", "1/1000000", 3)),
    ("cc", _unit("length", "1/1000000", 3)),
    ("cl centiliter centilitre centiliters", _unit("length", "1/100000", 3)),
    ("gal gallon gallons", _unit("length", "0.003785411784", 3)),
    ("quart quarts", _unit("length", "0.000946352946", 3)),
    ("pint pints", _unit("length", "0.000473176473", 3)),
    ("ha hectare hectares", _unit("length", 10000, 2)),
    ("acre acres", _unit("length", "4046.8564224", 2)),
    ("g gram grams", _unit("mass")),
    ("kg kilogram kilograms kilo kilos", _unit("mass", 1000)),
    ("mg milligram milligrams", _unit("mass", "1/1000")),
    ("ton tons tonne tonnes", _unit("mass", 1000000)),
    ("lb lbs pound pounds", _unit("mass", "453.59237")),
    ("oz ounce ounces", _unit("mass", "28.349523125")),
    ("s sec secs second seconds", _unit("time")),
    ("ms millisecond milliseconds", _unit("time", "1/1000")),
    ("min mins minute minutes", _unit("time", 60)),
    ("h hr hrs hour hours", _unit("time", 3600)),
    ("day days", _unit("time", 86400)),
    ("week weeks", _unit("time", 604800)),
    ("month months", _unit("months")),
    ("year years yr yrs", _unit("months", 12)),
    ("deg degree degrees", DEGREE_UNIT),
    ("rad radian radians", Unit(div(num(180), PI), (("angle", 1),))),
    ("percent percentage pct", PERCENT_UNIT),
    ("dollar dollars usd USD buck bucks", _unit("usd")),
    ("cent cents ¢", _unit("usd", "1/100")),
    ("euro euros eur EUR", _unit("eur")),
    ("gbp GBP", _unit("gbp")),
    ("yuan rmb RMB CNY", _unit("cny")),
    ("rupee rupees INR Rs", _unit("inr")),
    ("yen JPY", _unit("jpy")),
    ("N newton newtons", _unit("force")),
    ("J joule joules", _unit("energy")),
    ("kJ kilojoule kilojoules", _unit("energy", 1000)),
    ("W watt watts", _unit("power")),
    ("kW kilowatt kilowatts", _unit("power", 1000)),
    ("V volt volts", _unit("voltage")),
    ("ampere amperes amps amp", _unit("current")),
    ("ohm ohms Ω", _unit("resistance")),
    ("Hz hertz", _unit("time", 1, -1)),
    ("Pa pascal pascals", _unit("pressure")),
    ("celsius °C ℃", _unit("celsius")),
    ("fahrenheit °F ℉", _unit("fahrenheit")),
    ("kelvin kelvins", _unit("kelvin")),
    ("mph", _unit("length", "1609.344").times(_unit("time", 3600), -1)),
    ("kph kmh", _unit("length", 1000).times(_unit("time", 3600), -1)),
    ("mol mole moles", _unit("amount")),
    ("C coulomb coulombs", _unit("charge")),
    ("T tesla", _unit("magnetic")),
    ("K", _unit("kelvin")),
)
_TABLE: dict[str, Unit] = {name: unit for names, unit in _UNITS for name in names.split()}

SQUARE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
# Single letters are symbols far more often than units: a unit only after a space or in roman type.
AMBIGUOUS = frozenset(n for n in _TABLE if len(n) == 1)


_ANYTHING = frozenset(  # words that name no kind of thing, or say nothing of it
    [
        "unit",
        "units",
        "people",
        "persons",
        "person",
        "square",
        "cubic",
        "piece",
        "pieces",
        "item",
        "items",
        "object",
        "objects",
        "element",
        "elements",
        "thing",
        "things",
        "way",
        "ways",
        "time",
        "times",
        "number",
        "numbers",
        "total",
        "of",
        "in",
        "to",
        "up",
        "is",
        "altogether",
        "all",
        "left",
        "remaining",
        "remain",
        "each",
        "per",
        "more",
        "different",
        "possible",
        "distinct",
        "such",
        "long",
        "tall",
        "high",
        "wide",
        "deep",
        "away",
        "apart",
        "old",
        "together",
        "overall",
        "here",
        "there",
        "ones",
        "the",
        "them",
        "these",
        "those",
        "this",
        "that",
    ]
)


def other_things(one: Unit | None, other: Unit | None) -> bool:
    """Whether the nouns of two counts are of different things: 5 cats and 5 dogs; 5 cats and 5 black cats need not
    be."""
    names = [[w for w in unit.nouns if w not in _ANYTHING] if unit is not None else [] for unit in (one, other)]
    fewer, more = sorted(names, key=len)
    if names[0] and other is not None and other.known:
        return True  # 5 cats and 5 cm
    return bool(fewer) and not all(any(alike(a, b) for b in more) for a in fewer)


def alike(one: str, other: str) -> bool:
    """Whether two nouns are one in number or form: box and boxes, penny and pennies, child and children."""
    shared = next((i for i, (a, b) in enumerate(zip(one, other)) if a != b), min(len(one), len(other)))
    return one == other or shared >= max(3, min(len(one), len(other)) - 1)


def lookup(word: str) -> Unit | None:
    """The unit of a word, exactly as written or in lower case."""
    found = _TABLE.get(word) or (_TABLE.get(word.lower()) if len(word) > 1 else None)
    if (
        found is None
        and (match := re.match(r"(square|cubic)(\w{2,})", word.lower()))
        and (inner := _TABLE.get(match[2]))
    ):
        return inner ** (2 if match[1] == "square" else 3)  # "squareinches"
    return found
