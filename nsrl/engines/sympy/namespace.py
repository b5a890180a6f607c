"""What a program of the SymPy engine may name: builtins, the stand-ins for modules, and how its value leaves.

A stand-in carries allowed names only and no module of Python's: `from sympy import os` finds nothing, whatever SymPy
imported for itself. `prepare` loads and warms SymPy once, before the worker is walled in: afterwards no file can be
read.
"""

from __future__ import annotations

import importlib
import re
import string
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from nsrl.engines.sympy import guards, late

# Names of builtins (and ways to them) a program may not even mention.
NO_NAMES = frozenset(
    [
        "eval",
        "exec",
        "compile",
        "open",
        "globals",
        "locals",
        "vars",
        "dir",
        "setattr",
        "delattr",
        "input",
        "breakpoint",
        "memoryview",
        "exit",
        "quit",
        "help",
        "copyright",
        "credits",
        "license",
        "bytearray",
        "printmethod",
        "BaseException",
        "SystemExit",
        "KeyboardInterrupt",
        "GeneratorExit",
    ]
)
_NO_SYMPY = frozenset(
    [
        "preview",
        "plot",
        "plot_implicit",
        "plot_parametric",
        "plot3d",
        "plot3d_parametric_line",
        "plot3d_parametric_surface",
        "plotting",
        "textplot",
        "test",
        "doctest",
        "bench",
        "source",
        "init_session",
        "parse_mathematica",
        "parse_maxima",
        "parse_latex",
        "autowrap",
        "ufuncify",
        "binary_function",
        "lambdastr",
        "codegen",
        "make_routine",
        "pager_print_as",
        "print_dot",
        "evalf_dict",
    ]
)
_NO_SUBMODULES = (
    "sympy.parsing", "sympy.testing", "sympy.external", "sympy.interactive", "sympy.plotting", "sympy.benchmarks",
    "sympy.utilities.lambdify", "sympy.utilities.autowrap", "sympy.utilities.codegen", "sympy.utilities.runtests",
    "sympy.utilities.pkgdata", "sympy.utilities.matchpy_connector", "sympy.utilities._compilation",
    "sympy.utilities.exceptions", "sympy.utilities.source", "sympy.utilities.tmpfiles", "sympy.utilities.pytest",
    "sympy.printing.preview", "sympy.physics.secondquant", "sympy.polys.polyconfig", "sympy.codegen",
    "sympy.multipledispatch",
    # They read or make attributes whose names are texts or the names of functions.
    "sympy.core.decorators", "sympy.core.cache", "sympy.utilities.decorator", "sympy.strategies",
    "sympy.unify", "sympy.deprecated", "sympy.polys.polyoptions",
    "sympy.utilities.magic",  # it writes into the frame of its caller
)  # fmt: skip
_PLAIN_MODULES: dict[str, str] = {
    "math": "*", "cmath": "*", "itertools": "*", "fractions": "Fraction", "statistics": "*", "heapq": "*",
    "bisect": "*",
    "functools": "reduce partial lru_cache cache cmp_to_key total_ordering",
    "collections": "Counter defaultdict deque OrderedDict ChainMap",
    "collections.abc": "Callable Collection Container Generator Hashable Iterable Iterator Mapping MutableMapping "
    "MutableSequence MutableSet Reversible Sequence Set Sized",
    "decimal": "Decimal getcontext setcontext Context ROUND_HALF_UP ROUND_HALF_EVEN ROUND_HALF_DOWN ROUND_DOWN "
    "ROUND_UP "
    "ROUND_FLOOR ROUND_CEILING localcontext DivisionByZero InvalidOperation",
    "random": "random randint uniform choice choices sample shuffle randrange gauss seed normalvariate expovariate "
    "triangular getrandbits",
    "operator": "add sub mul matmul truediv floordiv mod pow neg pos abs lt le gt ge eq ne and_ or_ xor not_ inv "
    "invert "
    "lshift rshift truth is_ is_not iadd isub imul concat countOf indexOf getitem itemgetter contains",
    "string": "ascii_letters ascii_lowercase ascii_uppercase digits octdigits hexdigits punctuation whitespace "
    "printable capwords",
    "re": "compile match fullmatch search sub subn split findall finditer escape error Match Pattern IGNORECASE "
    "MULTILINE "
    "DOTALL VERBOSE ASCII I M S X A",
    "datetime": "date datetime timedelta time timezone", "textwrap": "wrap fill dedent indent shorten",
    "calendar": "isleap leapdays weekday monthrange monthcalendar month calendar setfirstweekday firstweekday timegm "
    "day_name day_abbr month_name month_abbr Calendar TextCalendar "
    "MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY",
    "copy": "copy deepcopy", "numbers": "Number Complex Real Rational Integral", "abc": "ABC abstractmethod",
    # Not Type: a class under it is a metaclass.
    "typing": "List Dict Tuple Set FrozenSet Optional Union Any Callable Iterable Iterator Generator Sequence Mapping "
    "DefaultDict Deque Literal Final",
    "dataclasses": "dataclass field", "__future__": "annotations", "enum": "auto", "time": "struct_time",
    "sys": "maxsize float_info", "warnings": "",
}  # fmt: skip
_NO_MPMATH = frozenset(
    ["identify", "findpoly", "runtests", "doctests", "plot", "cplot", "splot", "extratest", "timing", "monitor"]
)
_WARM = (
    "solve(x**2-3*x+2,x)", "solve([x+y-3,x-y-1],[x,y])", "solve(x**2<4,x)", "solveset(sin(x)-1,x,S.Reals)",
    "nsolve(cos(x)-x,1)", "integrate(x*exp(x),x)", "integrate(exp(-x**2),(x,-oo,oo))", "limit(sin(x)/x,x,0)",
    "integrate(sqrt(1-x**2),(x,0,1))", "Sum(1/n**2,(n,1,oo)).doit()", "series(exp(x),x,0,4)", "factor(x**4-1)",
    "simplify(sin(x)**2+cos(x)**2)", "Circle(Point(0,0),5).intersection(Line(Point(0,0),Point(1,1)))",
    "Triangle(Point(0,0),Point(3,0),Point(0,4)).area", "Matrix([[1,2],[3,4]]).eigenvals()", "sqrt(2).evalf(30)",
    "satisfiable(Symbol('a')&Symbol('b'))", "factorint(360)", "latex(x**2)", "pretty(x**2/3)",
    "maximum(x*(4-x),x,Interval(0,4))", "linsolve([x+y-1,x-y],[x,y])", "refine(sqrt(x**2),Q.positive(x))",
    "Poly(x**5-x-1).nroots()", "apart(1/(x*(x+1)))", "nsimplify(0.3333333333333)",
    "reduce_inequalities([x**2<4,x>0],x)", "dsolve(f(x).diff(x)-f(x),f(x))", "summation(n**2,(n,1,x))",
)  # fmt: skip

_modules: dict[str, StandIn] = {}
_public: dict[str, Any] = {}
space: dict[str, Any] = {}  # the globals of the one program that this process runs
theirs: frozenset[str] = frozenset()  # private methods of the libraries' classes


class StandIn:
    """A module as a program sees it. It has no `__name__`, so `from it import x` cannot reach the real one."""

    def __init__(self, names: dict[str, Any], hidden: Callable[[str], Any]) -> None:
        self.__dict__.update(names)
        self.__dict__["__all__"] = [name for name in names if not name.startswith("_")]
        self.__dict__["__hidden__"] = hidden

    def __getattr__(self, name: str) -> Any:
        return self.__dict__["__hidden__"](name)


def preload(warm: bool) -> None:
    """Import what SymPy imports late and, if `warm`, run one small case of each thing models ask for."""
    import sympy

    late.load()
    if not warm:
        return
    space: dict[str, Any] = {}
    exec("from sympy import *", space)
    x, y, n = sympy.symbols("x y n")
    space.update(x=x, y=y, n=n, f=sympy.Function("f"), maximum=sympy.calculus.util.maximum)
    for line in _WARM:
        eval(line, space)  # our own lines, in our own process, before any program comes


def prepare(refuse: Callable[[str], None]) -> None:
    """Make this process one that can run programs of the SymPy engine. Once, before the walls."""
    import sympy

    from nsrl.engines.sympy import strings

    preload(warm=True)
    guards.functions(refuse)
    for name in sympy.__all__:
        value = getattr(sympy, name)
        if name not in _NO_SYMPY and not isinstance(value, ModuleType) and _allowed(value):
            _public[name] = value
    guarded = strings.install(_public, refuse)
    _public["lambdify"] = guarded
    _public["var"] = guards.variables(refuse, sympy.symbols, space)
    _public["parse_expr"] = sympy.parsing.sympy_parser.parse_expr
    _public["init_printing"] = _nothing
    _public["pretty"] = _line
    _public["pprint"] = _public["pretty_print"] = _print_line
    _modules["sympy"] = StandIn(_public, lambda name: _member("sympy", name, refuse))
    made = {
        "functools": {"wraps": guards.wraps(refuse)}, "enum": guards.enums(refuse),
        "collections": {"namedtuple": guards.named_tuples(refuse)}, "time": {"strftime": guards.strftime(refuse)},
        # Depth and digits are the worker's to bound, and its warnings go nowhere.
        "sys": {"setrecursionlimit": _nothing, "set_int_max_str_digits": _nothing},
        "warnings": {"filterwarnings": _nothing, "simplefilter": _nothing},
    }  # fmt: skip
    for name, chosen in _PLAIN_MODULES.items():
        module = importlib.import_module(name)
        listed = (
            chosen.split() if chosen != "*" else [n for n in getattr(module, "__all__", dir(module)) if n[0] != "_"]
        )
        names = {n: getattr(module, n) for n in listed}
        if name in made:
            names.update(made[name])
        _modules[name] = StandIn(names, _missing(name, refuse))
    _modules["collections"].__dict__["abc"] = _modules["collections.abc"]
    global theirs
    theirs = guards.private_helpers(["sympy", "mpmath", "nsrl", *_PLAIN_MODULES])
    import mpmath

    names = {n: v for n, v in vars(mpmath).items() if n[0] != "_" and not isinstance(v, ModuleType)}
    names = {n: v for n, v in names.items() if n not in _NO_MPMATH}
    _modules["mpmath"] = StandIn(names, _missing("mpmath", refuse))
    parser = sympy.parsing.sympy_parser
    kinds = (
        "standard_transformations implicit_multiplication_application implicit_multiplication convert_xor rationalize"
    )
    names = {n: getattr(parser, n) for n in kinds.split()} | {"parse_expr": _public["parse_expr"], "T": "all"}
    for name in ("sympy.parsing", "sympy.parsing.sympy_parser"):
        _modules[name] = StandIn(names, _missing(name, refuse))
    _modules["sympy.parsing"].__dict__["sympy_parser"] = _modules["sympy.parsing.sympy_parser"]
    _modules["sympy.interactive"] = StandIn({"init_printing": _nothing}, _missing("sympy.interactive", refuse))


_INSTEAD = {
    "operator.attrgetter": ", which reads an attribute by a text; write lambda v: v.name",
    "operator.methodcaller": ", which calls a method by a text; write lambda v: v.name()",
}


def _nothing(*_values: Any, **_options: Any) -> None:
    """`init_printing` and friends: there is no display to set up."""


def _line(value: Any, **_options: Any) -> str:
    """`pretty`: on one line, since the last line of a drawing (the 3 below a fraction's bar) is no value."""
    return str(value)


def _print_line(value: Any, **_options: Any) -> None:
    """`pprint`: the program's own `print`."""
    space["__builtins__"]["print"](value)


def _missing(module: str, refuse: Callable[[str], None]) -> Callable[[str], Any]:
    def hidden(name: str) -> Any:
        if not name.startswith("__") and hasattr(sys.modules.get(module), name):
            refuse(f"{module}.{name}{_INSTEAD.get(f'{module}.{name}', '')}")
        raise AttributeError(f"module '{module}' has no attribute '{name}'")

    return hidden


def _home(value: Any) -> str:
    """The module that made a value."""
    home = getattr(value, "__module__", None) or type(value).__module__
    return home if isinstance(home, str) else ""


def _allowed(value: Any) -> bool:
    return guards.no_metaclass(value) and not _home(value).startswith(_NO_SUBMODULES)


def _guarded(name: str) -> bool:
    """Whether a thing of SymPy's has a stand-in of ours. (Another module may use its name: sympy.stats.E is no
    number.)"""
    return _home(_public.get(name)).startswith("nsrl.")


def _member(module: str, name: str, refuse: Callable[[str], None]) -> Any:
    """A name of a SymPy module that is not in the first table: a submodule, or a public thing SymPy defined."""
    full = f"{module}.{name}"
    if name.startswith("_"):
        raise AttributeError(f"module '{module}' has no attribute '{name}'")
    if full in _modules:
        return _modules[full]
    value = vars(sys.modules[module]).get(name)
    if name in _NO_SYMPY or full.startswith(_NO_SUBMODULES):
        refuse(full)
    if name in _public and (module == "sympy" or value is None or _public[name] is value or _guarded(name)):
        return _public[name]
    if (value is None or isinstance(value, ModuleType)) and isinstance(sys.modules.get(full), ModuleType):
        return _submodule(full, refuse)
    if value is not None and _home(value).startswith("sympy."):
        if _allowed(value):
            return value
    elif type(value) in (int, float, str, tuple, list):
        return value
    if value is not None:
        refuse(full)
    raise AttributeError(f"module '{module}' has no attribute '{name}'")


def _submodule(full: str, refuse: Callable[[str], None]) -> StandIn:
    names: dict[str, Any] = {}
    for name, value in vars(sys.modules[full]).items():
        kept = not name.startswith("_") and not isinstance(value, ModuleType) and name not in _NO_SYMPY
        if kept and _home(value).startswith("sympy.") and _allowed(value):
            names[name] = _public[name] if _guarded(name) else value
    stand_in = StandIn(names, lambda name: _member(full, name, refuse))
    _modules[full] = stand_in
    return stand_in


def bring(name: str, wanted: tuple[str, ...], refuse: Callable[[str], None]) -> Any:
    """What `import name` (nothing wanted) or `from name import wanted` gives a program."""
    if type(name) is not str:
        refuse("an import by another name")
    if name == "_strptime":  # datetime.strptime asks for it; it is loaded, and no program may write a name like this
        return None
    parts = name.split(".")
    if parts[0] in ("sympy", "mpmath") or name in _modules:
        stand_in: Any = _modules[parts[0]]
        for at, part in enumerate(parts[1:], 2):
            path = ".".join(parts[:at])
            if parts[0] == "sympy" and path not in _modules and path.startswith(_NO_SUBMODULES):
                refuse(f"the import {path}")
            if path not in _modules and not isinstance(sys.modules.get(path), ModuleType):
                raise ModuleNotFoundError(f"No module named '{path}'")
            stand_in = getattr(stand_in, part)
            if not isinstance(stand_in, StandIn):  # sympy.solvers.solve-like names that hide a module
                stand_in = _submodule(path, refuse)
        return stand_in if wanted else _modules[parts[0]]
    if name.split(".")[0] not in sys.stdlib_module_names and parts[0] not in sys.modules:
        raise ModuleNotFoundError(f"No module named '{name}'")
    refuse(f"the import {name}")
    return None


def formatter(refuse: Callable[[str], None]) -> Callable[[Any], Any]:
    """What `value.format` becomes: for a text, a `format` whose fields reach no private attribute."""

    class Safe(string.Formatter):
        def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
            parts = re.split(r"[.\[\]]", field_name)
            if any(part.startswith("_") or part in guards.NO_FIELDS for part in parts):
                refuse(f"the format field {field_name[:40]}")
            return super().get_field(field_name, args, kwargs)

    safe = Safe()

    def bound(owner: Any) -> Any:
        if isinstance(owner, str):
            return lambda *args, **kwargs: safe.vformat(owner, args, kwargs)
        if isinstance(owner, type) and issubclass(owner, str):
            return lambda text, *args, **kwargs: safe.vformat(text, args, kwargs)
        found = owner.format
        text = getattr(found, "__self__", None)  # of `super()` in a class of texts
        return bound(text) if isinstance(text, str) else found

    return bound


def unevaluated(value: Any) -> bool:
    """Is the value a call that SymPy gave back as it was asked?"""
    import sympy

    return isinstance(value, sympy.Integral | sympy.Limit | sympy.Sum | sympy.Product | sympy.ConditionSet)


def plain(value: Any, depth: int = 0) -> Any:
    """The value as nested lists in Wolfram's heads, or None where it has no such form."""
    import sympy

    if depth > 60 or type(value).__module__ == "__main__":  # a class of the program's has methods of its own
        return None
    if isinstance(value, bool) or value is sympy.true or value is sympy.false:
        return ["Symbol", "True" if value else "False"]
    if isinstance(value, int | sympy.Integer):
        return int(value)
    if isinstance(value, float | sympy.Float):
        return float(value)
    if isinstance(value, str):
        return ["String", value]
    if isinstance(value, list | tuple | sympy.Tuple):
        return _node("List", value, depth)
    if isinstance(value, set | frozenset | sympy.FiniteSet):
        items = sorted(value, key=sympy.default_sort_key) if not isinstance(value, sympy.FiniteSet) else value.args
        return _node("List", items, depth)
    if isinstance(value, dict | sympy.Dict):
        rules = [_node("Rule", pair, depth) for pair in value.items()]
        return None if None in rules else ["Association", *rules]
    if isinstance(value, sympy.Rational):
        return ["Rational", int(value.p), int(value.q)]
    if isinstance(value, sympy.Symbol):
        return ["Symbol", value.name]
    names = {sympy.pi: "Pi", sympy.E: "E", sympy.oo: "Infinity", sympy.GoldenRatio: "GoldenRatio"}
    if isinstance(value, sympy.Basic) and value in names:
        return ["Symbol", names[value]]
    if value is sympy.I:
        return ["Complex", 0, 1]
    heads: tuple[tuple[Any, str], ...] = (
        (sympy.Add, "Plus"), (sympy.Mul, "Times"), (sympy.Pow, "Power"), (sympy.Eq, "Equal"), (sympy.Ne, "Unequal"),
        (sympy.StrictLessThan, "Less"), (sympy.LessThan, "LessEqual"), (sympy.StrictGreaterThan, "Greater"),
        (sympy.GreaterThan, "GreaterEqual"), (sympy.sin, "Sin"), (sympy.cos, "Cos"), (sympy.tan, "Tan"),
        (sympy.log, "Log"), (sympy.exp, "Exp"), (sympy.Abs, "Abs"), (sympy.asin, "ArcSin"), (sympy.acos, "ArcCos"),
        (sympy.atan, "ArcTan"), (sympy.And, "And"), (sympy.Or, "Or"), (sympy.Not, "Not"), (sympy.Point2D, "List"),
    )  # fmt: skip
    for kind, head in heads:
        if isinstance(value, kind):
            return _node(head, value.args, depth)
    return None


def _node(head: str, items: Any, depth: int) -> Any:
    parts = [plain(item, depth + 1) for item in items]
    return None if any(part is None for part in parts) else [head, *parts]
