"""Arithmetic on explicit dates; there is no clock."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, S, boolean, is_list, lst, mk, sym
from nsrl.engines.wolfram.table import KINDS, Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def _date(e: Any) -> Any:
    if type(e) is Expr and e.head is S.DateObject:
        e = e.args[0]
    parts = [int(x) for x in (e.args if is_list(e) else e.split("-"))]
    return datetime.date(*(parts + [1, 1])[:3])


def _day(e: Any) -> Any:
    """The date, as _date, of what says no time of day. Raises ValueError."""
    if type(e) is Expr and e.head is S.DateObject and len(e.args) > 1 and e.args[1] != "Day":
        raise ValueError
    parts = e.args[0] if type(e) is Expr and e.head is S.DateObject else e
    if is_list(parts) and any(parts.args[3:]):
        raise ValueError
    return _date(e)


@builtin("DayName", arity=1, takes="date")
def day_name(ev: Evaluator, args: tuple) -> Any:
    return sym(_date(args[0]).strftime("%A"))


@builtin("LeapYearQ", arity=1, takes="year")
def leap_year(ev: Evaluator, args: tuple) -> Any:
    y = args[0] if type(args[0]) is int else _date(args[0]).year
    return boolean(y % 4 == 0 and (y % 100 != 0 or y % 400 == 0))


@builtin("DayCount", arity=2, takes="date date")
def day_count(ev: Evaluator, args: tuple) -> Any:
    return (_day(args[1]) - _day(args[0])).days


@builtin("DateDifference", arity=(2, 3), takes="date date")
def date_difference(ev: Evaluator, args: tuple) -> Any:
    if len(args) == 3 and args[2] not in ("Day", "Days"):
        return None
    return mk(S.Quantity, (_day(args[1]) - _day(args[0])).days, "Days")


@builtin("DatePlus", arity=2, takes="date integer")
def date_plus(ev: Evaluator, args: tuple) -> Any:
    d = _day(args[0]) + datetime.timedelta(days=args[1])
    out = lst((d.year, d.month, d.day))
    return mk(S.DateObject, out) if not is_list(args[0]) else out


_ELEMENTS = {
    "Year": "%Y",
    "YearShort": "%y",
    "Month": "%m",
    "MonthName": "%B",
    "MonthNameShort": "%b",
    "Day": "%d",
    "DayName": "%A",
    "DayNameShort": "%a",
    "Hour": "%H",
    "Hour24": "%H",
    "Hour12": "%I",
    "Minute": "%M",
    "Second": "%S",
    "AMPM": "%p",
    "ISODate": "%Y-%m-%d",
    "ISODateTime": "%Y-%m-%dT%H:%M:%S",
    "Time": "%H:%M:%S",
}
_SHORT = {
    "MonthShort": "%m",
    "DayShort": "%d",
    "Hour12Short": "%I",
    "HourShort": "%H",
    "MinuteShort": "%M",
    "SecondShort": "%S",
}


@builtin("DateString", arity=2)
def date_string(ev: Evaluator, args: tuple) -> Any:
    """A stated date by elements; text between them starts with no capital letter, for there are more elements than are
    known here."""
    if not KINDS["date"](args[0]):
        return None
    each = args[1].args if is_list(args[1]) else (args[1],)
    when, out = _moment(args[0]), []
    for e in each:
        if type(e) is not str or (e not in _ELEMENTS and e not in _SHORT and (e[:1].isupper() or not is_list(args[1]))):
            return None
        text = when.strftime(_ELEMENTS.get(e) or _SHORT[e]) if e in _ELEMENTS or e in _SHORT else e
        out.append(str(int(text)) if e in _SHORT else text)
    return "".join(out)


def _moment(e: Any) -> datetime.datetime:
    """The date and time of day as _date takes them. Raises ValueError, TypeError."""
    parts = e.args[0] if type(e) is Expr and e.head is S.DateObject else e
    time = [*parts.args[3:]] if is_list(parts) else []
    return datetime.datetime.combine(_date(e), datetime.time(*time))
