"""Stand-ins for what would read or set an attribute whose name a program chooses, or make a class out of a dictionary.

A class with a `__match_args__` of the program's choice makes `case` read any attribute by name; so do helpers of
SymPy's that call `getattr` with a text. What could do either is replaced here or has no stand-in. Installed once by
`namespace.prepare`, before the walls.
"""

from __future__ import annotations

import collections
import enum
import functools
import sys
import time
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

Refuse = Callable[[str], None]
# Names that lead from a value to a frame, to code, to a namespace or to a string that is evaluated.
NO_ATTRIBUTES = {
    "gi_frame", "gi_code", "gi_yieldfrom", "cr_frame", "cr_code", "cr_await", "ag_frame", "ag_code", "f_back",
    "f_globals", "f_locals", "f_builtins", "f_code", "tb_frame", "tb_next", "func_globals", "func_code", "co_code",
    "mro", "format_map", "modules", "sys", "os", "subprocess", "builtins", "importlib", "ctypes", "inspect", "identify",
    "lambdastr", "register", "printmethod",
    "now", "utcnow", "today",  # a program has one value, whenever it runs
}  # fmt: skip
NO_FIELDS = NO_ATTRIBUTES | {"format"}  # a field of a class is read by name where a `case` matches it
_HARMLESS = {"_asdict", "_make", "_replace"}  # of named tuples


def no_metaclass(value: Any) -> bool:
    """Metaclasses make classes whose names are texts."""
    return not (isinstance(value, type) and issubclass(value, type))


def private_helpers(modules: Iterable[str]) -> frozenset[str]:
    """Private methods of the classes in these modules (first names): no program calls them, some take names as text."""
    wanted, found = set(modules), set()
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in wanted:
            for kind in [value for value in vars(module).values() if isinstance(value, type)]:
                for helper, value in vars(kind).items():
                    if callable(value) or isinstance(value, staticmethod | classmethod | property):
                        found.add(helper)
    return frozenset(n for n in found if n.startswith("_") and not n.startswith("__") and n not in _HARMLESS)


def class_of(refuse: Refuse) -> Callable[..., type]:
    """`type` of one value, where that is no metaclass: `type(int)` would be the real `type`."""

    def kind(*values: Any) -> type:
        if len(values) != 1:
            refuse("type with three arguments")
        if not no_metaclass(type(values[0])):
            refuse("the class of a class")
        return type(values[0])

    return kind


def wraps(refuse: Refuse) -> Callable[..., Any]:
    """`functools.wraps` for functions: their name and docstring, and no attribute of the program's choice."""

    def wraps(wrapped: Any, *chosen: Any, **named: Any) -> Callable[[Any], Any]:
        if chosen or named:
            refuse("wraps with attributes by name")

        def keep(wrapper: Any) -> Any:
            if isinstance(wrapped, FunctionType) and isinstance(wrapper, FunctionType):
                return functools.wraps(wrapped, assigned=("__name__", "__qualname__", "__doc__"), updated=())(wrapper)
            return wrapper

        return keep

    return wraps


def strftime(refuse: Refuse) -> Callable[..., str]:
    """`time.strftime` of a stated time: there is no clock."""

    def strftime(pattern: str, *stated: Any) -> str:
        if not stated:
            refuse("the time of day")
        return time.strftime(pattern, *stated)

    return strftime


def enums(refuse: Refuse) -> dict[str, Any]:
    """`Enum` and `IntEnum` whose members stand in a class: made by a call their names are texts."""

    class Members(enum.EnumMeta):
        def __call__(cls, value: Any, *more: Any, **options: Any) -> Any:  # type: ignore[override]
            if more or options:
                refuse("an Enum made by a call")
            return super().__call__(value)

    class Enum(enum.Enum, metaclass=Members):
        pass

    class IntEnum(enum.IntEnum, metaclass=Members):
        pass

    return {"Enum": Enum, "IntEnum": IntEnum, "auto": enum.auto}


def named_tuples(refuse: Refuse) -> Callable[..., type]:
    """`collections.namedtuple` with fields that no pattern may read elsewhere left out."""

    def namedtuple(typename: Any, field_names: Any, *, rename: bool = False, defaults: Any = None) -> type:
        made = collections.namedtuple(typename, field_names, rename=rename, defaults=defaults)
        for field in NO_FIELDS.intersection(made._fields):
            refuse(f"the field {field}")
        return made

    return namedtuple


def functions(refuse: Refuse) -> None:
    """`Function("f", …)` puts every option it does not know into a class: private ones are refused."""
    from sympy.core.function import AppliedUndef, UndefinedFunction

    made = UndefinedFunction.__new__

    def guarded(mcl: Any, name: Any, bases: Any = (AppliedUndef,), __dict__: Any = None, **options: Any) -> Any:
        stated = type(bases) is tuple and bases == (AppliedUndef,) and __dict__ is None
        if not stated or any(
            type(o) is not str or (o.startswith("_") and o != "_imp_") or o in NO_FIELDS for o in options
        ):
            refuse("a function made of a dictionary")
        return made(mcl, name, bases, __dict__, **options)

    UndefinedFunction.__new__ = guarded


def variables(refuse: Refuse, symbols: Callable[..., Any], space: dict[str, Any]) -> Callable[..., Any]:
    """`sympy.var`, which writes into the globals of its caller's frame, whoever that is: here into the program's
    own."""

    def bind(made: Any) -> None:
        if isinstance(made, list | tuple | set):
            for one in made:
                bind(one)
            return
        name = str.__str__(made.__name__ if isinstance(made, type) else made.name)
        if not name.isidentifier() or name.startswith("_"):
            refuse(f"the variable {name[:40]}")
        space[name] = made

    def var(names: Any, **options: Any) -> Any:
        made = symbols(names, **options)
        if made is not None:
            bind(made)
        return made

    return var


_CLOSED = (
    "open", "os.", "subprocess.", "socket.", "ctypes.", "shutil.", "mmap.", "pty.", "fcntl.", "gc.", "marshal.",
    "pickle.",
    "sys.settrace", "sys.setprofile", "sys._current_", "sys.addaudithook", "resource.", "signal.", "tempfile.",
    "urllib.",
)  # fmt: skip


def close_doors(closed: tuple[str, ...] = _CLOSED) -> None:
    """What this process asks of the system raises PermissionError from now on. Nothing takes it off again.

    Behind the kernel's walls that changes nothing; without them it is what stands after the list of names.
    """

    def hook(event: str, _values: Any, closed: tuple[str, ...] = closed) -> None:
        if event.startswith(closed):
            raise PermissionError(event)

    sys.addaudithook(hook)
