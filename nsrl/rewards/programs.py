"""Whether a program computes anything: by its parsed tree and its value, never by running it. Bounded; never raises for
model text.

A program computes when an operation stands in what its value depends on and the value is not the only number (besides 0,
and what adds or multiplies nothing) or the only word written there: `5+0`, `max(5)` and `First[{5}]` only pass their 5
through, `max(3,5)` compares.
Knows nothing of results or rewards.
"""

from __future__ import annotations

import ast
import math
import re
import warnings
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import islice
from typing import Any, NamedTuple

LONGEST = 3_000  # characters (parsing is quadratic in some texts); a longer program is not looked at, and counts as a literal


class Call(NamedTuple):
    """head[args]; every other leaf is a number (Fraction), a string or a `Name`. The head "" only holds its arguments."""

    head: str
    args: tuple


class Name(NamedTuple):
    name: str


_PLAIN_CALLS = frozenset(
    ["print", "str", "repr", "int", "float", "bool", "list", "tuple", "set", "dict", "frozenset", "chr", "ord", "format", "join", "upper", "lower", "strip", "title", "replace", "Integer", "Float", "Rational", "S", "sympify", "Tuple", "FiniteSet", "Matrix", "latex", "pprint", "pretty", "display", "N", "nsimplify", "evalf", "iter", "Eq"]
)
_PLAIN_HEADS = frozenset(
    ["List", "Association", "Rule", "RuleDelayed", "Rational", "Complex", "String", "CompoundExpression", "Set", "SetDelayed", "Equal", "Print", "Echo", "ToString", "ToExpression", "StringJoin", "Identity", "InputForm", "OutputForm", "StandardForm", "TraditionalForm", "FullForm", "TeXForm", "HoldForm", "Hold", "Defer", "Text", "Style", "Row", "Column", "Module", "Block", "With", "Return", "Quantity", "N", "Pattern", "Blank", "Element", "Symbol", "Unevaluated", "Evaluate", "ReleaseHold", "Inactive", "Function", "Slot", "Sequence", "ReplaceAll", "Composition", "Apply", "Map", "QuantityMagnitude"]
)
_SYMBOLS = frozenset(["symbols", "Symbol", "var", "Function"])  # the string they take is a name
_OF_ONE = frozenset(  # of one number they are that number, of more they compute
    ["Max", "Min", "Total", "Mean", "Median", "First", "Last", "Abs", "GCD", "LCM", "Floor", "Ceiling", "Round", "max", "min", "sum", "mean", "median", "abs", "Add", "Mul", "gcd", "lcm", "floor", "ceil", "ceiling", "round", "fabs", "simplify", "expand", "Simplify", "Expand", "next", "pop", "prod"]
)
_DRAWS = frozenset(["random", "randint", "uniform", "choice", "choices", "sample", "shuffle", "randrange", "gauss"])
_ARITHMETIC = frozenset(["Plus", "Times", "Power"])
_SAME = frozenset(["Equal", "SameQ", "Eq"])


@lru_cache(maxsize=4096)
def computes(language: str, program: str, value: str | None = None) -> bool:
    """Whether `program` (nsl, wolfram, sympy) applies an operation to something and gives more than it was given.

    value: what it printed, if it is known. What cannot be parsed does not compute.
    """
    if len(program) > LONGEST:
        return False
    try:
        statements = _python(_parsed(program)).args if language == "sympy" else [_wolfram(t) for t in _trees(language, program)]
        nodes = [node for tree in _live(statements) for node in _nodes(_reduced(tree))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    numbers = {abs(n) for n in nodes if isinstance(n, Fraction)}
    words = {n for n in nodes if type(n) is str}
    heads = {n.head for n in nodes if isinstance(n, Call)} - {""}
    if any(h in _DRAWS or h.startswith("Random") for h in heads) or not (heads - _ARITHMETIC or (heads and numbers)):
        return False  # a random number is a guess; arithmetic on letters alone (AB) asks for nothing
    names = {n.name for n in nodes if isinstance(n, Name)}
    return value is None or not _passed_through(value, numbers, words, names)


def _parsed(program: str) -> ast.Module:
    """Without Python's warnings about 1if and 5(3), which would be thousands of lines in a run."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        return ast.parse(program)


_NUMBER = re.compile(r"(?<![\w.])(\d+(?:\.\d*)?|\.\d+)(?:(?:\*\^|e)([+-]?\d{1,3}))?(?:/(\d+))?(?![\w.])", re.IGNORECASE)


def _passed_through(value: str, numbers: set[Fraction], words: set[str], names: set[str]) -> bool:
    """Whether a printed value is a number or a word of the program, which has no other but 0 and what is printed too."""
    shown = " ".join(value.split())
    if len(shown) > 200:
        return False
    others = {w for w in words if w.strip() not in shown}
    found = _NUMBER.findall(shown)
    if not found:
        return (shown in words or shown in names) and not others and numbers <= {0}
    if len(found) > 1 or re.search(r"[\[(+^√]|\d\s*[*/]|[*/]\s*\d", _NUMBER.sub("0", shown)):
        return False
    digits, power, below = found[0]
    number = Fraction(digits) * Fraction(10) ** int(power or 0) / (int(below or 1) or 1)
    return number in numbers and not others and not numbers - {0, number}


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
        for name in names[waiting.pop()]:
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


def _nodes(tree: Any) -> Iterator[Any]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, Call):
            waiting.extend(node.args)


# -- what is left of a tree when what changes nothing is gone ----------------------------------------------------------


def _reduced(tree: Any) -> Any:
    if not isinstance(tree, Call):
        return tree
    head, args = tree.head, [_reduced(a) for a in tree.args]
    if head in _SAME and len(args) == 2 and args[0] == args[1]:
        return Name("True")
    if head == "If" and len(args) > 1 and args[0] in (Name("True"), Name("False")):
        return args[1] if args[0] == Name("True") else args[2] if len(args) > 2 else Name("Null")
    if head == "Which" and len(args) > 1 and args[0] == Name("True"):
        return args[1]
    if head in ("Part", "First", "Last") and args:
        chosen = _member(head, *args)
        if chosen is not None or head == "Part":  # a place is no number of the problem
            return Call("", tuple(args[:1])) if chosen is None else chosen
    if head == "Plus":
        args = [a for a in args if a != 0]
    elif head == "Times":
        args = [a for a in args if a != 1]
        if 0 in args:
            return Fraction(0)
        if (signs := args.count(Fraction(-1))) and len(args) - signs == 1:
            args = [a for a in args if a != -1]
        if len(args) == 2 and all(isinstance(a, Fraction) for a in args) and _lowest_terms(*args):
            return args[0] * args[1]
    elif head == "Power" and len(args) == 2:
        if isinstance(args[0], Fraction) and args[0].denominator == 1 and abs(args[0]) > 1 and args[1] == -1:
            return 1 / args[0]
        args = args[:1] if args[1] == 1 or args[0] == 1 else args
    if head in ("Plus", "Times", "Power") and len(args) < 2:
        return args[0] if args else Fraction(head != "Plus")
    if head in _OF_ONE:
        leaves = list(islice((n for a in args for n in _nodes(a) if not isinstance(n, Call)), 2))
        if len(leaves) == 1 and isinstance(leaves[0], Fraction) and leaves[0].denominator == 1:  # 5.4 may be rounded
            return leaves[0]
    return Call("" if head in _PLAIN_HEADS else head, tuple(args))


def _member(head: str, items: Any, at: Any = None, *more: Any) -> Any:
    """What a place in a written list holds."""
    if more or not isinstance(items, Call) or items.head != "" or not items.args:
        return None
    index = {"First": Fraction(1), "Last": Fraction(-1)}.get(head, at)
    if not isinstance(index, Fraction) or not 1 <= abs(index) <= len(items.args) or index.denominator > 1:
        return None
    return items.args[int(index) - (index > 0)]


def _lowest_terms(a: Fraction, b: Fraction) -> bool:
    """Whether a product of two numbers is a fraction as an answer would be written: 3/4, not 12/4 or 3*4."""
    top, part = (a, b) if a.denominator == 1 else (b, a)
    return top.denominator == 1 and abs(part.numerator) == 1 and part.denominator > 1 and math.gcd(top.numerator, part.denominator) == 1


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
    from nsrl.engines.nsl.units import UNITS
    from nsrl.engines.wolfram.table import known_names

    if isinstance(tree, Call):
        return Call(tree.head, tuple(map(_wolfram, tree.args)))
    if hasattr(tree, "args"):
        args = tuple(map(_wolfram, tree.args))
        head = getattr(tree.head, "name", None)
        if head is None:
            return Call("", (_wolfram(tree.head), *args))
        if head == "Times" and len(args) == 2 and isinstance(args[0], Fraction) and isinstance(args[1], Name) and args[1].name in UNITS:
            return Call("", args)  # 5 cm
        return Call(head, args) if head in known_names() else Call("", (Name(head), *args))
    return _leaf(Name(tree.name) if hasattr(tree, "name") else tree)


def _leaf(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return Name(str(value))
    if isinstance(value, int | Fraction) or (isinstance(value, float) and math.isfinite(value)):
        return Fraction(repr(value)) if isinstance(value, float) else Fraction(value)
    return value if isinstance(value, str | Name) else Name(type(value).__name__)


_OPERATORS: dict[type, str] = {ast.Add: "Plus", ast.Mult: "Times", ast.Pow: "Power"}


def _python(node: Any, own: frozenset[str] | None = None) -> Any:
    """A Python tree. own: the functions that the program defines, whose call only holds its arguments."""
    if own is None:
        found = (n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.Lambda | ast.Assign))
        own = frozenset(name for n in found for name in _defined(n))
    read = lambda *some: tuple(_python(n, own) for n in some)
    match node:
        case ast.Constant():
            return _leaf(node.value)
        case ast.Name():
            return Name(node.id)
        case ast.Import() | ast.ImportFrom() | ast.Pass() | ast.FormattedValue(value=ast.Constant(value=str())):
            return Call("", ())
        case ast.JoinedStr():
            return Call("", read(*(v for v in node.values if not isinstance(v, ast.Constant))))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
            value = _python(node.operand, own)
            return (-value if isinstance(node.op, ast.USub) else value) if isinstance(value, Fraction) else Call("", (value,))
        case ast.BinOp() | ast.AugAssign():
            left, right = read(node.left, node.right) if isinstance(node, ast.BinOp) else read(node.target, node.value)
            if isinstance(left, str) or isinstance(right, str):
                return Call("", (left, right))  # text put together
            if isinstance(node.op, ast.Div):
                return Call("Times", (left, Call("Power", (right, Fraction(-1)))))
            if isinstance(node.op, ast.Sub):
                return Call("Plus", (left, -right if isinstance(right, Fraction) else Call("Times", (Fraction(-1), right))))
            return Call(_OPERATORS.get(type(node.op), type(node.op).__name__), (left, right))
        case ast.Compare():
            equal = len(node.ops) == 1 and isinstance(node.ops[0], ast.Eq)
            return Call("SameQ" if equal else "Compare", read(node.left, *node.comparators))
        case ast.BoolOp():
            return Call("And", read(*node.values))
        case ast.IfExp() | ast.If():
            bodies = (Call("", read(*b)) if isinstance(b, list) else _python(b, own) for b in (node.body, node.orelse))
            return Call("If", (_python(node.test, own), *bodies))
        case ast.Subscript():
            items, at = read(node.value, node.slice)
            return Call("Part", (items, at + (at >= 0) if isinstance(at, Fraction) else at))
        case ast.Call():
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
            args = (*read(*node.args), *read(*(k.value for k in node.keywords if k.arg not in ("sep", "end"))))
            if name in _SYMBOLS:
                return Call("", tuple(Name(x) for a in args if isinstance(a, str) for x in re.findall(r"\w+", a)))
            if isinstance(node.func, ast.Attribute) and not isinstance(node.func.value, ast.Name):
                args = (_python(node.func.value, own), *args)  # [5].pop()
            elif isinstance(node.func, ast.Attribute):
                args = (Name(node.func.value.id), *args)
            if not name or name in own or name in _PLAIN_CALLS:
                args = (*args, *read(node.func)) if not name or name in own else args
                return Call("", args)
            return Call(name, args)
    return Call("", tuple(_python(child, own) for child in _children(node)))


def _defined(node: ast.AST) -> list[str]:
    if isinstance(node, ast.FunctionDef):
        return [node.name]
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda):
        return [t.id for t in node.targets if isinstance(t, ast.Name)]
    return []


def _children(node: ast.AST) -> Iterator[Any]:
    if isinstance(node, ast.FunctionDef):
        yield ast.Name(node.name)
    if isinstance(node, ast.arg):
        yield ast.Name(node.arg)
    yield from (c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.expr_context))
