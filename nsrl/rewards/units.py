"""Units an answer may declare, as a factor to a base unit and the dimension. Knows nothing of problems or models.

Percent and degree are declared by their sign and live in `nsrl.rewards.values`; here are the written-out words.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from nsrl.rewards.tree import PI, Tree, div, num


@dataclass(frozen=True, slots=True)
class Unit:
    """factor: the unit in base units; dims: sorted ((dimension, exponent), ...), empty for a plain noun ("apples")."""

    factor: Tree
    dims: tuple[tuple[str, int], ...]

    @property
    def known(self) -> bool:
        return bool(self.dims)

    def __pow__(self, n: int) -> Unit:
        return Unit(("pow", self.factor, num(n)), tuple((d, e * n) for d, e in self.dims))

    def times(self, other: Unit, sign: int = 1) -> Unit:
        dims = dict(self.dims)
        for d, e in other.dims:
            dims[d] = dims.get(d, 0) + sign * e
        factor = ("mul", self.factor, ("pow", other.factor, num(sign)))
        return Unit(factor, tuple(sorted((d, e) for d, e in dims.items() if e)))


NOUN = Unit(num(1), ())
DEGREE_UNIT = Unit(num(1), (("angle", 1),))
PERCENT_UNIT = Unit(num(1), (("percent", 1),))


def _unit(dim: str, factor: str | int | Fraction = 1, power: int = 1) -> Unit:
    return Unit(num(Fraction(factor)), ((dim, power),))


_TABLE: dict[str, Unit] = {}


def _names(names: str, unit: Unit) -> None:
    for name in names.split():
        _TABLE[name] = unit


_names("m meter metre meters metres", _unit("length"))
_names("km kilometer kilometre kilometers kilometres", _unit("length", 1000))
_names("dm decimeter decimetre decimeters decimetres", _unit("length", "1/10"))
_names("cm centimeter centimetre centimeters centimetres cms", _unit("length", "1/100"))
_names("mm millimeter millimetre millimeters millimetres", _unit("length", "1/1000"))
_names("nm nanometer nanometers", _unit("length", "1/1000000000"))
_names("in inch inches", _unit("length", "0.0254"))
_names("ft foot feet", _unit("length", "0.3048"))
_names("yd yard yards", _unit("length", "0.9144"))
_names("mi mile miles", _unit("length", "1609.344"))
_names("l L liter litre liters litres", _unit("length", "1/1000", 3))
_names("ml mL milliliter millilitre milliliters millilitres", _unit("length", "1/1000000", 3))
_names("cl centiliter centilitre centiliters", _unit("length", "1/100000", 3))
_names("ha hectare hectares", _unit("length", 10000, 2))
_names("acre acres", _unit("length", "4046.8564224", 2))
_names("g gram grams", _unit("mass"))
_names("kg kilogram kilograms kilo kilos", _unit("mass", 1000))
_names("mg milligram milligrams", _unit("mass", "1/1000"))
_names("ton tons tonne tonnes", _unit("mass", 1000000))
_names("lb lbs pound pounds", _unit("mass", "453.59237"))
_names("oz ounce ounces", _unit("mass", "28.349523125"))
_names("s sec secs second seconds", _unit("time"))
_names("ms millisecond milliseconds", _unit("time", "1/1000"))
_names("min mins minute minutes", _unit("time", 60))
_names("h hr hrs hour hours", _unit("time", 3600))
_names("day days", _unit("time", 86400))
_names("week weeks", _unit("time", 604800))
_names("month months", _unit("months"))
_names("year years yr yrs", _unit("months", 12))
_names("deg degree degrees", DEGREE_UNIT)
_names("rad radian radians", Unit(div(num(180), PI), (("angle", 1),)))
_names("percent percentage pct", PERCENT_UNIT)
_names("dollar dollars usd USD buck bucks", _unit("usd"))
_names("cent cents ¢", _unit("usd", "1/100"))
_names("euro euros eur EUR", _unit("eur"))
_names("gbp GBP", _unit("gbp"))
_names("yuan rmb RMB CNY", _unit("cny"))
_names("rupee rupees INR Rs", _unit("inr"))
_names("yen JPY", _unit("jpy"))
_names("N newton newtons", _unit("force"))
_names("J joule joules", _unit("energy"))
_names("kJ kilojoule kilojoules", _unit("energy", 1000))
_names("W watt watts", _unit("power"))
_names("kW kilowatt kilowatts", _unit("power", 1000))
_names("V volt volts", _unit("voltage"))
_names("ampere amperes amps amp", _unit("current"))
_names("ohm ohms Ω", _unit("resistance"))
_names("Hz hertz", _unit("time", 1, -1))
_names("Pa pascal pascals", _unit("pressure"))
_names("celsius °C ℃", _unit("celsius"))
_names("fahrenheit °F ℉", _unit("fahrenheit"))
_names("kelvin kelvins", _unit("kelvin"))
_names("mph", _unit("length", "1609.344").times(_unit("time", 3600), -1))
_names("kph kmh", _unit("length", 1000).times(_unit("time", 3600), -1))
_names("mol mole moles", _unit("amount"))

SQUARE = {"square": 2, "sq": 2, "cubic": 3, "cu": 3}
# Single letters are symbols far more often than units: a unit only after a space or in roman type.
AMBIGUOUS = frozenset(n for n in _TABLE if len(n) == 1)


def lookup(word: str) -> Unit | None:
    """The unit of a word, exactly as written or in lower case."""
    return _TABLE.get(word) or (_TABLE.get(word.lower()) if len(word) > 1 else None)
