"""Quantities: what is done with their numbers, what their units become, and what is not decided."""

import pytest

from nsrl.engines import Status
from nsrl.engines.wolfram import evaluate

Q = "Quantity[{}, {}]".format


@pytest.mark.parametrize(
    "source, text",
    [
        ('Total[{Quantity[3, "Meters"], Quantity[20, "Centimeters"]}]', Q("16/5", "Meters")),
        ('Total[Quantity[{1, 2, 3}, "Meters"]]', Q(6, "Meters")), ('Mean[{Quantity[3, "Hours"], Quantity[5, "Hours"]}]',
        Q(4, "Hours")),
        ('Median[{Quantity[3, "Meters"], Quantity[20, "Centimeters"], Quantity[1, "Meters"]}]', Q(1, "Meters")),
        ('Sort[{Quantity[3, "Meters"], Quantity[1, "Meters"]}]', "{Quantity[1, Meters], Quantity[3, Meters]}"),
        ('Max[Quantity[3, "Meters"], Quantity[20, "Centimeters"]]', Q(3, "Meters")),
        ('Min[{Quantity[1, "Hours"], Quantity[59, "Minutes"]}]', Q(59, "Minutes")),
        ('Sqrt[Quantity[9, "Meters"^2]]', Q(3, "Meters")), ('Abs[Quantity[-3, "Meters"]]', Q(3, "Meters")),
        ('Round[Quantity[3.6, "Meters"]]', Q(4, "Meters")),
        ('Sign[Quantity[-3, "Meters"]]', "-1"), ('Positive[Quantity[3, "Meters"]]', "True"),
        ('Sin[Quantity[30, "AngularDegrees"]]', "1/2"), ('Cos[Quantity[Pi/3, "Radians"]]', "1/2"),
        ('Tan[Quantity[45, "Degrees"]]', "1"),
        ('Quantity["3 meters"]', Q(3, "Meters")), ('Quantity["1/2 hour"] + Quantity["15 min"]', Q("3/4", "Hours")),
        ('Quantity["5 km/h"]', Q(5, "Kilometers/Hours")),
        ('Quantity["60 miles per hour"]*Quantity["2 hours"]', Q(120, "Miles")),
        ('Quantity[2, "SquareMeters"]*Quantity[3, "Meters"]', Q(6, "Meters^3")),
        ('Quantity[6, "Meters"]/Quantity[2, "Seconds"]', Q(3, "Meters/Seconds")),
        ('Quantity[6, "Meters"]/Quantity[2, "Meters"]', "3"), ('Quantity[3, "Meters"]^0', "1"),
        ('UnitConvert[Quantity[6, "Kilometers"]/Quantity[2, "Meters"]]', "3000"),
        ('UnitConvert[Quantity[60, "km/h"], "m/s"]', Q("50/3", "Meters/Seconds")),
        # Of temperatures there are differences, and a temperature and a difference are a temperature.
        ('Quantity[20, "DegreesCelsius"] - Quantity[10, "DegreesCelsius"]', Q(10, "DegreesCelsiusDifference")),
        ('Quantity[20, "DegreesCelsius"] + Quantity[9, "DegreesFahrenheitDifference"]', Q(25, "DegreesCelsius")),
        ('UnitConvert[Quantity[30, "DegreesCelsius"] - Quantity[20, "DegreesCelsius"], "DegreesFahrenheitDifference"]',
        Q(18, "DegreesFahrenheitDifference")),
        ('UnitConvert[Quantity[20, "DegreesCelsius"], "DegreesFahrenheit"]', Q(68, "DegreesFahrenheit")),
        ('Quantity[20, "Kelvins"] - Quantity[5, "Kelvins"]', Q(15, "Kelvins")),
    ],
)  # fmt: skip
def test_value(source, text):
    result = evaluate(source)
    assert (result.status, result.text) == (Status.OK, text)


@pytest.mark.parametrize(
    "source",
    [
        '2*Quantity[20, "DegreesCelsius"]', 'Quantity[20, "DegreesCelsius"] + Quantity[10, "DegreesCelsius"]',
        '-Quantity[20, "DegreesCelsius"]',
        'Quantity[20, "DegreesCelsius"] - Quantity[10, "Kelvins"]',
        'Quantity[20, "DegreesCelsius"]/Quantity[10, "DegreesCelsius"]',
        'Mean[{Quantity[20, "DegreesCelsius"], Quantity[10, "DegreesCelsius"]}]',
        'Abs[Quantity[-16, "DegreesCelsius"]]',
        'UnitConvert[Quantity[20, "DegreesCelsius"], "DegreesCelsiusDifference"]', 'Sin[Quantity[30, "Meters"]]',
        'Quantity[3, "Meters"] + 2',
        'Max[Quantity[3, "Meters"], Quantity[20, "Seconds"]]',
        'Sort[{Quantity[3, "Meters"], Quantity[20, "Centimeters"]}]', 'Quantity[3, "Meters"] == 3',
        'Quantity["5 apples"]', 'Quantity[3, "Meters"] + Quantity[2, "Seconds"]',
    ],
)  # fmt: skip
def test_not_decided(source):
    assert evaluate(source).status in (Status.UNEVALUATED, Status.MESSAGE)
