"""Arithmetic on explicit dates; there is no clock."""

from __future__ import annotations

import datetime
from typing import Any

from nsrl.engines.wolfram.expr import Expr, S, boolean, is_list, lst, mk, sym
from nsrl.engines.wolfram.table import Builtin, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


def _date(e: Any) -> Any:
    if type(e) is Expr and e.head is S.DateObject:
        e = e.args[0]
    parts = [int(x) for x in (e.args if is_list(e) else e.split("-"))]
    return datetime.date(*(parts + [1, 1])[:3])


@builtin("DayName", arity=1, takes="date")
def day_name(ev: Any, args: tuple) -> Any:
    return sym(_date(args[0]).strftime("%A"))


@builtin("LeapYearQ", arity=1, takes="year")
def leap_year(ev: Any, args: tuple) -> Any:
    y = args[0] if type(args[0]) is int else _date(args[0]).year
    return boolean(y % 4 == 0 and (y % 100 != 0 or y % 400 == 0))


@builtin("DayCount", arity=2, takes="date date")
def day_count(ev: Any, args: tuple) -> Any:
    return (_date(args[1]) - _date(args[0])).days


@builtin("DateDifference", arity=(2, 3), takes="date date")
def date_difference(ev: Any, args: tuple) -> Any:
    return mk(S.Quantity, (_date(args[1]) - _date(args[0])).days, "Days")


@builtin("DatePlus", arity=2, takes="date integer")
def date_plus(ev: Any, args: tuple) -> Any:
    d = _date(args[0]) + datetime.timedelta(days=args[1])
    out = lst((d.year, d.month, d.day))
    return mk(S.DateObject, out) if not is_list(args[0]) else out
