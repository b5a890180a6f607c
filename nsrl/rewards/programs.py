"""Whether a program computes anything: by its parsed tree and its value, never by running it. Bounded; never raises for
model text.

A program computes when an operation stands in what its value depends on, and its value is
- a number or holds one: a word, a letter or True is a guess that any program could print;
- not the program's own numbers again (`x^2+1`, `3 Sqrt[2]`), nor the one number written there (`5+0`, `Max[5]`, `Mod[5,
  7]`).
A number that was written may still be a result: of arithmetic with another number, of an equation, or among two others.
A string counts for its digits, and alone (`len("abcde")`) for nothing. Chance, the clock and the machine compute
nothing.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

LONGEST = (
    3_000  # characters (parsing is quadratic in some texts); a longer program is not looked at, and counts as a literal
)


class Call(NamedTuple):
    """head[args]; every other leaf is a number (Fraction), a string or a `Name`. The head "" only holds its
    arguments."""

    head: str
    args: tuple


class Name(NamedTuple):
    """A leaf that is a name."""

    name: str


_PLAIN = frozenset(  # they hold, name or print what they are given
    ["print", "str", "repr", "float", "bool", "complex", "list", "tuple", "set", "dict", "frozenset", "chr", "ord",
    "format", "join", "upper", "lower", "strip", "title", "replace", "Integer", "Float", "Rational", "Fraction", "S",
    "sympify", "Tuple", "FiniteSet", "Matrix", "latex", "pprint", "pretty", "display", "N", "nsimplify", "evalf",
    "iter", "next", "pop"]
    + ["List", "Association", "Rule", "RuleDelayed", "Complex", "String", "CompoundExpression", "Set", "SetDelayed",
    "Print", "Echo", "ToString", "ToExpression", "StringJoin", "Identity", "InputForm", "OutputForm", "StandardForm",
    "TraditionalForm", "FullForm", "TeXForm", "HoldForm", "Hold", "Defer", "Text", "Style", "Row", "Column", "Module",
    "Block", "With", "Return", "Quantity", "Pattern", "Blank", "Element", "Symbol", "Unevaluated", "Evaluate",
    "ReleaseHold", "Inactive", "Function", "Slot", "Sequence", "ReplaceAll", "Composition", "Apply", "Map",
    "QuantityMagnitude", "Rationalize", "Part", "First", "Last", "If", "Which", "Boole", "Characters"]
)  # fmt: skip
_RELATIONS = frozenset(
    [
        "Equal",
        "SameQ",
        "Unequal",
        "Greater",
        "Less",
        "GreaterEqual",
        "LessEqual",
        "Compare",
        "Eq",
        "Ne",
        "Gt",
        "Lt",
        "Ge",
        "Le",
        "And",
        "Or",
        "Not",
    ]
)
_EQUATIONS = frozenset(["Equal", "Eq", "solve", "solveset", "nsolve", "roots"])
_ARITHMETIC = frozenset(["Plus", "Times", "Power", "Divide", "FloorDiv", "Quotient", "Add", "Mul", "Pow"])
_SMALL = frozenset(
    [
        "int",
        "FromDigits",
        "len",
        "count",
        "floor",
        "ceil",
        "ceiling",
        "round",
        "trunc",
        "Length",
        "StringLength",
        "Count",
        "StringCount",
        "Floor",
        "Ceiling",
        "Round",
        "IntegerPart",
    ]
)  # of one thing they say no more than it
_REWRITE = frozenset(
    ["simplify", "expand", "factor", "cancel", "together", "fullsimplify", "doit", "radsimp"]
)  # in small letters
_SYMBOLS = frozenset(["symbols", "Symbol", "var", "Function"])  # the string they take is a name
_UNSTEADY = frozenset(
    ["random", "randint", "uniform", "choice", "choices", "sample", "shuffle", "randrange", "gauss", "hash", "id",
    "time", "time_ns", "perf_counter", "monotonic", "process_time", "now", "today", "utcnow", "ctime", "getpid",
    "uuid1", "uuid4", "urandom", "UnixTime", "AbsoluteTime", "SessionTime", "TimeUsed", "CreateUUID", "Timing",
    "AbsoluteTiming"]
)  # fmt: skip


@lru_cache(maxsize=4096)
def computes(language: str, program: str, value: str | None = None) -> bool:
    """Whether `program` (nsl, wolfram, sympy) applies an operation to something and gives more than it was given.

    value: what it printed; None asks only for the operation. What cannot be parsed does not compute.
    """
    if len(program) > LONGEST:
        return False
    try:
        statements = (
            _python(_parsed(program)).args if language == "sympy" else [_wolfram(t) for t in _trees(language, program)]
        )
        nodes = [node for tree in _live(statements) for node in _nodes(_reduced(tree))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    shown = "" if value is None else " ".join(value.split())
    texts = [n for n in nodes if type(n) is str]
    words = {
        t for t in texts if not re.search(r"\d", t) and not (t.strip() and t.strip() in shown)
    }  # what is printed too is a label
    numbers = [n for n in nodes if isinstance(n, Fraction)] + [
        n for t in texts for n, _ in _written(t) or _written(" ".join(re.findall(r"\d+", t)))
    ]
    names = {n.name for n in nodes if isinstance(n, Name)}
    calls = [n for n in nodes if isinstance(n, Call) and n.head]
    heads = {c.head for c in calls} - _RELATIONS - _PLAIN
    if names & {"Now", "Today"} or any(
        c.head in _UNSTEADY or c.head.startswith("Random") or (c.head.startswith("Date") and not c.args) for c in calls
    ):
        return False
    several = len(set(numbers)) > 1 or (any(n.denominator > 1 for n in numbers) and not _DECIMAL.search(program))
    if not (heads - _ARITHMETIC or (heads and numbers)) or (len(words) == 1 and not several):
        return False
    if heads <= _SMALL and not several and len(set("".join(words))) < 2 and (language == "sympy" or len(names) < 2):
        return False
    if value is None:
        return True
    if not re.search(r"\d|\b(?:Pi|pi|oo|Infinity)\b|[π∞]", shown):
        return False
    return not _as_written(shown, program, numbers, heads, calls)


def _parsed(program: str) -> ast.Module:
    """Without Python's warnings about 1if and 5(3), which would be thousands of lines in a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.parse(program)


_NUMBER = re.compile(
    r"((?<![\w.)\]}])-)?(?<![\w.])(\d+(?:\.\d*)?|\.\d+)(?:(?:\*\^|e)([+-]?\d{1,3}))?(?:/(\d+))?(?![\w.])", re.IGNORECASE
)


_DECIMAL = re.compile(r"\d\.\d")


def _written(text: str) -> list[tuple[Fraction, str]]:
    """The numbers that a text holds, each with how it is written."""
    return [
        ((-1 if m[1] else 1) * Fraction(m[2]) * Fraction(10) ** int(m[3] or 0) / (int(m[4] or 1) or 1), m[0])
        for m in _NUMBER.finditer(text)
    ]  # fmt: skip


def _as_written(shown: str, program: str, numbers: Sequence[Fraction], heads: set[str], calls: Sequence[Call]) -> bool:
    """Whether a value is no more than what its program wrote down."""
    if len(shown) > 200:
        return False
    found = _written(shown)
    if not _DECIMAL.search(program) and any(n.denominator > 1 and "." in written for n, written in found):
        return False  # a division printed as a decimal
    if len(found) != 1 or "/" in found[0][1] or re.search(r"[\[(+^√]|\d\s*[*/]|[*/]\s*\d", _NUMBER.sub("0", shown)):
        functions = {h.lower() for h in re.findall(r"([A-Za-z]\w*)[\[(]", shown) if h not in _PLAIN} - _REWRITE
        if (
            Counter(_parts(numbers)) == Counter(_parts(n for n, _ in found))
            and {h.lower() for h in heads - _ARITHMETIC} - _REWRITE == functions
        ):
            return True
        if len(found) != 1 or found[0][1] != shown:
            return False
    number = found[0][0]
    others = set(numbers) - {number}
    solved = any(
        c.head in _EQUATIONS and any(isinstance(a, Call) and a.head and a.head not in _RELATIONS for a in c.args)
        for c in calls
    )
    written = number in numbers or any(number in (n.numerator, n.denominator) for n in numbers)  # Numerator[5/7]
    return (
        written
        and not solved
        and not (others - {-1, 0, 1} and (heads & _ARITHMETIC or len(others) > 1 + (number == 0)))
    )  # 0 takes the rest with it


def _parts(numbers: Any) -> Iterator[int]:
    """Numerators and denominators, without sign, 0 and 1: x/2 and 1/2 x are written with the same."""
    return (abs(part) for n in numbers for part in (n.numerator, n.denominator) if abs(part) > 1)


# -- what the value depends on ---------------------------------------------------------------------------------------


def _live(statements: Sequence[Any]) -> list[Any]:
    """The last statement, and those that share a name with it or with one that does."""
    rest = [s for s in statements if s not in (Name("Null"), Call("", ()))]
    if not rest:
        return []
    by_name: dict[str, list[int]] = {}
    names = [{n.name for n in _nodes(s) if isinstance(n, Name)} for s in rest]
    for i, found in enumerate(names):
        for name in found:
            by_name.setdefault(name, []).append(i)
    live = {len(rest) - 1}
    waiting = [*live]
    while waiting:
        at = waiting.pop()
        for name in names[at] | {
            n.head for n in _nodes(rest[at]) if isinstance(n, Call)
        }:  # a call depends on its function
            for i in by_name.pop(name, ()):
                if i not in live:
                    live.add(i)
                    waiting.append(i)
    return [_value_of(rest[i]) for i in sorted(live)]


def _value_of(tree: Any) -> Any:
    """A body without the statements that its value does not depend on."""
    if not isinstance(tree, Call) or not tree.args:
        return tree
    if tree.head == "CompoundExpression":
        return Call("", tuple(_live(tree.args)))
    if tree.head in ("Module", "Block", "With", "Set", "SetDelayed", "Return"):
        return Call("", (*tree.args[:-1], _value_of(tree.args[-1])))
    return tree


_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "Equal": operator.eq, "SameQ": operator.eq, "Unequal": operator.ne, "Greater": operator.gt, "Less": operator.lt,
    "GreaterEqual": operator.ge, "LessEqual": operator.le, "Eq": operator.eq, "Ne": operator.ne, "Gt": operator.gt,
    "Lt": operator.lt, "Ge": operator.ge, "Le": operator.le,
}  # fmt: skip


def _nodes(tree: Any) -> Iterator[Any]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Call):
            waiting.extend(node.args)


def _reduced(tree: Any) -> Any:
    """A tree without what changes nothing: + 0, * 1, conditions and places in a list; 3/4 is a number."""
    if not isinstance(tree, Call):
        return tree
    head, args = tree.head, [_reduced(a) for a in tree.args]
    if head in _RELATIONS and all(isinstance(a, Fraction) for a in args):
        decided = _COMPARED.get(head)
        return Name(str(decided(*args)) if decided is not None and len(args) == 2 else "Relation")
    if head == "Slot":
        return Name("#")
    if head in ("If", "Which", "Part"):  # what is chosen from, not by what
        args = (
            args[2 if args[:1] == [Name("False")] else 1 : 2 if args[:1] == [Name("True")] else None]
            if head == "If"
            else args[1::2]
            if head == "Which"
            else args[:1]
        )
    elif head == "Plus":
        args = [a for a in args if a != 0]
    elif head == "Times":
        args = [a for a in args if a != 1]
        if 0 in args:
            return Fraction(0)
        if len(args) == 2 and -1 in args:
            other = args[args[0] == -1]
            args = [-other if isinstance(other, Fraction) else other]
        if len(args) == 2 and all(isinstance(a, Fraction) for a in args) and _lowest_terms(*args):
            return args[0] * args[1]
        if [a.head for a in args if isinstance(a, Call)] == ["Sign", "Floor"] == [getattr(a, "head", "") for a in args]:
            return Call("Round", args[0].args)  # as nsl writes round(x)
    elif head in ("Divide", "Power") and len(args) == 2:
        if (
            head == "Power"
            and isinstance(args[0], Fraction)
            and args[0].denominator == 1
            and abs(args[0]) > 1
            and args[1] == -1
        ):
            return 1 / args[0]
        args = args[:1] if args[1] == 1 else args
    if head in _ARITHMETIC and len(args) < 2:
        return args[0] if args else Fraction(head != "Plus")
    return Call(head, tuple(args))


def _lowest_terms(a: Fraction, b: Fraction) -> bool:
    """Whether a product of two numbers is a fraction as an answer would be written: 3/4, not 12/4 or 3*4."""
    top, part = (a, b) if a.denominator == 1 else (b, a)
    return (
        top.denominator == 1
        and abs(part.numerator) == 1
        and part.denominator > 1
        and math.gcd(top.numerator, part.denominator) == 1
    )


# -- the three languages as one kind of tree ---------------------------------------------------------------------------


def _trees(language: str, program: str) -> Iterator[Any]:
    if language == "nsl":
        from nsrl.engines.nsl.lexer import NslSyntaxError
        from nsrl.engines.nsl.parser import parse as parse_nsl

        try:
            parsed = parse_nsl(program)
        except NslSyntaxError:
            return
        trees = [statement.tree for statement in parsed.statements]
        yield from trees[:-1]
        yield from (Call("Convert", (t,)) if parsed.unit else t for t in trees[-1:])
    else:
        from nsrl.engines.wolfram.parser import WolframSyntaxError
        from nsrl.engines.wolfram.repair import parse_lenient

        try:
            trees = parse_lenient(program)[0]
        except WolframSyntaxError:
            return
        for tree in trees:
            yield from tree.args if getattr(getattr(tree, "head", None), "name", "") == "CompoundExpression" else [tree]


def _wolfram(tree: Any) -> Any:
    """A tree of nsl or Wolfram Language. A head that is no name of the language holds its arguments, as `f[5]` does."""
    from nsrl.engines.wolfram.table import known_names

    if isinstance(tree, Call):
        return Call(tree.head, tuple(map(_wolfram, tree.args)))
    if hasattr(tree, "args"):
        args = tuple(map(_wolfram, tree.args))
        head = getattr(tree.head, "name", None)
        if head is None:
            return Call("", (_wolfram(tree.head), *args))
        return Call(head, args) if head in known_names() else Call("", (Name(head), *args))
    return _leaf(Name(tree.name) if hasattr(tree, "name") else tree)


def _leaf(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return Name(str(value))
    if isinstance(value, int | Fraction) or (isinstance(value, float) and math.isfinite(value)):
        return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return value if isinstance(value, str | Name) else Name(type(value).__name__)


_OPERATORS: dict[type, str] = {ast.Add: "Plus", ast.Mult: "Times", ast.Pow: "Power", ast.Div: "Divide"}


def _python(node: Any) -> Any:
    read = lambda *some: tuple(map(_python, some))
    match node:
        case ast.Constant():
            return _leaf(node.value)
        case ast.Name():
            return Name(node.id)
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.FormattedValue(value=ast.Constant(value=str())):
            return Call("", ())
        case ast.JoinedStr():
            return Call("", read(*(v.value for v in node.values if isinstance(v, ast.FormattedValue))))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            value = _python(node.operand)
            return (
                (-value if isinstance(node.op, ast.USub) else value)
                if isinstance(value, Fraction)
                else Call("", (value,))
            )
        case ast.BinOp() | ast.AugAssign():
            left, right = read(node.left, node.right) if isinstance(node, ast.BinOp) else read(node.target, node.value)
            if isinstance(left, str) or isinstance(right, str):
                return Call("", (left, right))  # text put together
            if isinstance(node.op, ast.Sub):
                return Call(
                    "Plus", (left, -right if isinstance(right, Fraction) else Call("Times", (Fraction(-1), right)))
                )
            if isinstance(node.op, ast.Div) and isinstance(left, Fraction) and isinstance(right, Fraction) and right:
                if left.denominator == right.denominator == 1 < (left / right).denominator:
                    return left / right  # 1/2 is how a program writes it
            return Call(_OPERATORS.get(type(node.op), type(node.op).__name__), (left, right))
        case ast.Compare():
            return Call("Compare", read(node.left, *node.comparators))
        case ast.BoolOp():
            decisive = isinstance(node.op, ast.Or)
            last = next((i for i, v in enumerate(node.values) if _truth(v) is decisive), len(node.values))
            rest = [v for v in node.values[: last + 1] if _truth(v) is not (not decisive)]
            return Call("And", read(*rest)) if len(rest) > 1 else Call("", read(*rest))
        case ast.Try():  # what runs when nothing is raised
            return Call("", read(*node.body, *node.orelse, *node.finalbody))
        case ast.While() if _truth(node.test) is False:
            return Call("", read(*node.orelse))
        case ast.IfExp() | ast.If() if (known := _truth(node.test)) is not None:
            branch = node.body if known else node.orelse
            return Call("", read(*(branch if isinstance(branch, list) else [branch])))
        case ast.IfExp() | ast.If():
            bodies = (Call("", read(*b)) if isinstance(b, list) else _python(b) for b in (node.body, node.orelse))
            return Call("If", (_python(node.test), *bodies))
        case ast.Subscript():
            return Call("Part", read(node.value, node.slice))
        case ast.Call():
            name = (
                node.func.id
                if isinstance(node.func, ast.Name)
                else node.func.attr
                if isinstance(node.func, ast.Attribute)
                else ""
            )
            args = read(*node.args, *(k.value for k in node.keywords if k.arg not in ("sep", "end")))
            if name in _SYMBOLS:
                return Call("", tuple(Name(x) for a in args if isinstance(a, str) for x in re.findall(r"\w+", a)))
            if isinstance(node.func, ast.Attribute):
                args = (_python(node.func.value), *args)  # "ab".count("a")
            return Call(name, args if name else (*args, *read(node.func)))
    return Call("", tuple(_python(child) for child in _children(node)))


_TESTS: dict[type, Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}  # fmt: skip


def _truth(node: ast.expr) -> bool | None:
    """What a condition of constants says; None where it depends on anything else."""
    match node:
        case ast.Constant():
            return bool(node.value)
        case ast.List(elts=[]) | ast.Tuple(elts=[]) | ast.Dict(keys=[]):
            return False
        case ast.UnaryOp(op=ast.Not()):
            inner = _truth(node.operand)
            return None if inner is None else not inner
        case ast.Compare(left=ast.Constant(), ops=[op], comparators=[ast.Constant()]) if type(op) in _TESTS:
            sides = [_leaf(node.left.value), _leaf(node.comparators[0].value)]  # type: ignore[attr-defined]
            return _TESTS[type(op)](*sides) if all(isinstance(s, Fraction) for s in sides) else None
        case ast.BoolOp():
            said = [_truth(v) for v in node.values]
            if isinstance(node.op, ast.Or):
                return True if True in said else None if None in said else False
            return False if False in said else None if None in said else True
    return None


def _children(node: ast.AST) -> Iterator[Any]:
    if isinstance(node, ast.FunctionDef):
        yield ast.Name(node.name)
    if isinstance(node, ast.arg):
        yield ast.Name(node.arg)
    yield from (c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.expr_context))
