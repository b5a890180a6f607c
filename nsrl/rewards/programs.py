"""Whether a program computes anything: by its parsed tree, never by running it. Bounded; never raises for model text.

A literal does not: a number, a fraction in lowest terms, a letter, a string, a list of such, also when it is only
printed, named or wrapped. Knows nothing of results or rewards.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

LONGEST = 3_000  # characters (parsing is quadratic in some texts); a longer program is not looked at, and counts as a literal

_PLAIN_CALLS = frozenset(
    ["print", "str", "repr", "int", "float", "bool", "list", "tuple", "set", "dict", "frozenset", "chr", "ord", "format", "join", "upper", "lower", "strip", "title", "replace", "Integer", "Float", "Rational", "Symbol", "symbols", "S", "sympify", "Tuple", "FiniteSet", "Matrix", "latex", "pprint", "pretty", "display", "N", "nsimplify", "var"]
)
_PLAIN_HEADS = frozenset(
    ["List", "Association", "Rule", "RuleDelayed", "Rational", "Complex", "String", "CompoundExpression", "Set", "SetDelayed", "Equal", "Print", "Echo", "ToString", "ToExpression", "StringJoin", "Identity", "InputForm", "OutputForm", "StandardForm", "TraditionalForm", "FullForm", "TeXForm", "HoldForm", "Hold", "Defer", "Text", "Style", "Row", "Column", "Module", "Block", "With", "Return", "Quantity", "N", "Pattern", "Blank", "Element", "Symbol"]
)
_ARITHMETIC = frozenset(["Plus", "Times", "Power", "Subtract", "Divide", "Minus"])


@lru_cache(maxsize=4096)
def computes(language: str, program: str) -> bool:
    """Whether `program` (nsl, wolfram, sympy) applies an operation to something. What cannot be parsed does not."""
    if len(program) > LONGEST:
        return False
    try:
        return _python_computes(program) if language == "sympy" else _tree_computes(list(_trees(language, program)))
    except (RecursionError, MemoryError):
        return False


# -- Python --------------------------------------------------------------------------------------------------------


def _python_computes(program: str) -> bool:
    try:
        tree = ast.parse(program)
    except (SyntaxError, ValueError):
        return False
    return any(map(_python_operation, ast.walk(tree)))


def _python_operation(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        return _called(node.func) not in _PLAIN_CALLS
    if isinstance(node, ast.BinOp):
        sides = [s.value if isinstance(s, ast.Constant) else None for s in (node.left, node.right)]
        if any(isinstance(s, str | bytes) for s in sides):
            return False
        return not (isinstance(node.op, ast.Div) and _lowest_terms(*sides))
    return isinstance(node, ast.BoolOp | ast.Compare | ast.AugAssign | ast.comprehension | ast.For | ast.While | ast.IfExp)


def _called(function: ast.AST) -> str:
    return function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""


def _lowest_terms(top: Any, bottom: Any) -> bool:
    """Whether two numbers written over each other are a fraction as an answer would be written."""
    return type(top) is int and type(bottom) is int and bottom > 1 and math.gcd(top, bottom) == 1


# -- nsl and Wolfram: the same trees ---------------------------------------------------------------------------------


def _trees(language: str, program: str) -> Iterator[Any]:
    if language == "nsl":
        from nsrl.engines.nsl.lexer import NslSyntaxError
        from nsrl.engines.nsl.parser import parse as parse_nsl

        try:
            yield from (statement.tree for statement in parse_nsl(program).statements)
        except NslSyntaxError:
            return
    else:
        from nsrl.engines.wolfram.parser import WolframSyntaxError
        from nsrl.engines.wolfram.repair import parse_lenient

        try:
            yield from parse_lenient(program)[0]
        except WolframSyntaxError:
            return


def _tree_computes(trees: list[Any]) -> bool:
    nodes = [node for tree in trees for node in _nodes(tree)]
    numbers = any(not isinstance(node, str) and not hasattr(node, "name") and not hasattr(node, "args") for node in nodes)
    return any(_operation(node, numbers) for node in nodes if hasattr(node, "args"))


def _nodes(tree: Any) -> Iterator[Any]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        if hasattr(node, "args"):
            if not _is_literal_fraction(node):
                waiting.extend(node.args)
            if hasattr(node.head, "args"):
                waiting.append(node.head)


def _operation(node: Any, numbers: bool) -> bool:
    """A call that is not only a wrapper; arithmetic on letters alone (AB) asks for nothing."""
    head = getattr(node.head, "name", "")
    if head in _PLAIN_HEADS or not node.args or _is_literal_fraction(node):
        return False
    if head == "Times" and len(node.args) == 2 and node.args[0] == -1 and not hasattr(node.args[1], "args"):
        return False  # a negative number
    return numbers if head in _ARITHMETIC else True


def _is_literal_fraction(node: Any) -> bool:
    """3/4, or minus that."""
    if getattr(node.head, "name", "") not in ("Times", "Divide"):
        return False
    numbers = [a for a in node.args if not hasattr(a, "args")]
    powers = [a for a in node.args if hasattr(a, "args")]
    if len(powers) == 1 and getattr(powers[0].head, "name", "") == "Power" and powers[0].args[1:] == (-1,):
        numbers.append(powers[0].args[0])
    elif powers:
        return False
    if len(numbers) == 3 and numbers[0] == -1:
        numbers = numbers[1:]
    return len(numbers) == 2 and bool(powers or node.head.name == "Divide") and _lowest_terms(*numbers)
