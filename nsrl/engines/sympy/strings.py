"""Strings that SymPy would hand to `eval`, read without evaluating anything: `S("1/3")`, `x.subs("y", "2*z")`.

`install` replaces SymPy's own reader by this one, and puts a guard before `lambdify`, in the process of the SymPy
engine alone. The grammar is Python expressions of numbers, names, operators, comparisons, tuples, lists, sets and calls
of SymPy's public functions by name. Everything else is refused.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

MAX_TEXT = 10_000  # characters
_BINARY = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.Pow: operator.pow, ast.Mod: operator.mod, ast.FloorDiv: operator.floordiv, ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_, ast.BitXor: operator.xor, ast.RShift: operator.rshift, ast.LShift: operator.lshift,
}  # fmt: skip
_UNARY = {ast.UAdd: operator.pos, ast.USub: operator.neg, ast.Invert: operator.invert}
_COMPARE = {
    ast.Lt: operator.lt, ast.LtE: operator.le, ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}  # fmt: skip
_TAKES_TEXT = {"Symbol", "Dummy", "Function", "symbols", "Integer", "Rational", "Float"}
_IMPLICIT = re.compile(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(?=[A-Za-z_(])(?![eE][-+]?\d)|(\))\s*(?=[\w(])")
_FACTORIAL = re.compile(r"(\w+)!(?!=)")
_PLAIN = {int, float, complex, bool, type(None), Fraction, Decimal}
_NAME = re.compile(r"(?!__)[^\W\d]\w*\Z")


class _Reader:
    def __init__(self, text: str, names: dict[str, Any], local: dict[str, Any], refuse: Callable[[str], None]):
        self.text, self.names, self.local, self.refuse = text, names, local, refuse

    def read(self, node: ast.AST) -> Any:
        from sympy import Float, Function, I, Integer, Symbol

        if isinstance(node, ast.Constant):
            value: Any = node.value
            kind = type(value)
            if kind is int:
                return Integer(node.value)
            if kind is float:
                return Float(ast.get_source_segment(self.text, node))
            if kind is complex:
                return Float(str(value.imag)) * I
            if kind is bool or node.value is None:
                return node.value
        elif isinstance(node, ast.Name):
            if node.id in self.local:
                return self.local[node.id]
            if node.id in self.names:
                return self.names[node.id]
            if not node.id.startswith("__"):
                return Symbol(node.id)
        elif isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
            return _BINARY[type(node.op)](self.read(node.left), self.read(node.right))
        elif isinstance(node, ast.UnaryOp) and type(node.op) in _UNARY:
            return _UNARY[type(node.op)](self.read(node.operand))
        elif isinstance(node, ast.Compare) and len(node.ops) == 1 and type(node.ops[0]) in _COMPARE:
            return _COMPARE[type(node.ops[0])](self.read(node.left), self.read(node.comparators[0]))
        elif isinstance(node, ast.Tuple):
            return tuple(map(self.read, node.elts))
        elif isinstance(node, ast.List):
            return list(map(self.read, node.elts))
        elif isinstance(node, ast.Set):
            return set(map(self.read, node.elts))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.func.id.startswith("__"):
            name = node.func.id
            target = self.local.get(name) or self.names.get(name) or Function(name)
            plain = name in _TAKES_TEXT and name not in self.local
            values = [self.argument(item, plain) for item in node.args]
            return target(*values, **{k.arg: self.argument(k.value, plain) for k in node.keywords if k.arg})
        self.refuse(f"the text {self.text[:60]!r}")
        raise AssertionError

    def argument(self, node: ast.AST, plain: bool) -> Any:
        if plain and isinstance(node, ast.Constant):
            return node.value
        return self.read(node)


def reader(names: dict[str, Any], refuse: Callable[[str], None]) -> Callable[..., Any]:
    """A stand-in for SymPy's `parse_expr`; `names` are the public names a text may use."""

    def parse_expr(
        s: str, local_dict: Any = None, transformations: Any = (), global_dict: Any = None, evaluate: bool = True
    ) -> Any:
        if not isinstance(s, str):
            raise TypeError(f"expected a string, got {type(s).__name__}")
        text = str.strip(s)
        if len(text) > MAX_TEXT:
            refuse("a text this long")
        kinds = "all" if isinstance(transformations, str) else " ".join(_kind(t) for t in transformations)
        if "convert_xor" in kinds or kinds == "all":
            text = text.replace("^", "**")
        if "implicit" in kinds or kinds == "all":
            text = _IMPLICIT.sub(lambda m: (m.group(1) or m.group(2)) + "*", text)
        text = _FACTORIAL.sub(r"factorial(\1)", text)
        local = dict(local_dict) if isinstance(local_dict, dict) else {}
        return _Reader(text, names, local, refuse).read(ast.parse(text, "<text>", "eval").body)

    return parse_expr


def _kind(transformation: Any) -> str:
    return str(getattr(transformation, "__name__", ""))


def _check_names(value: Any, refuse: Callable[[str], None]) -> set[Any]:
    """lambdify prints its arguments into code that it executes: numbers and SymPy's own expressions whose names are
    identifiers.

    A class of the program's could print as anything, or as one thing now and another later; a function that SymPy does
    not know prints as a call of what Python calls so (`eval`). Returns the free symbols.
    """
    from sympy.core.basic import Basic
    from sympy.core.function import UndefinedFunction
    from sympy.matrices import MatrixBase
    from sympy.tensor.array import NDimArray

    wholes: list[Any] = []
    todo = [(value, True)]  # whether it stands in no other expression
    while todo:
        node, whole = todo.pop()
        kind = type(node)
        if kind in _PLAIN:
            continue
        if kind in (list, tuple, set, frozenset):
            todo.extend((item, True) for item in node)
        elif kind is dict:
            todo.extend((item, True) for item in (*node, *node.values()))
        elif not issubclass(kind, Basic | MatrixBase | NDimArray):
            refuse(f"lambdify of a {'text' if issubclass(kind, str) else kind.__name__}")
        elif type(kind) is UndefinedFunction:
            refuse(f"lambdify of {kind.__name__}, which is no function of SymPy's")
        elif not str(kind.__module__).startswith("sympy."):
            refuse(f"lambdify of the class {kind.__name__}")
        elif not issubclass(kind, Basic):
            todo.append((node.tolist(), True))
        else:
            wholes += [node] if whole else []
            for name in (getattr(node, "name", None), getattr(kind, "name", None)):
                text = name if isinstance(name, str) else str(name) if isinstance(name, Basic) else None
                if text is not None and not _NAME.match(text):
                    refuse(f"lambdify with the name {text[:40]!r}")
            if kind.__name__ == "Str" and not _NAME.match(str(node)):
                refuse("lambdify with a text")
            todo.extend((arg, False) for arg in node.args)
    return {symbol for node in wholes for symbol in node.free_symbols}


def install(names: dict[str, Any], refuse: Callable[[str], None]) -> Callable[..., Any]:
    """Put the safe reader and the guarded `lambdify` in SymPy's place, in this process. Returns the guarded
    lambdify."""
    import sys

    from sympy.parsing import sympy_parser
    from sympy.utilities import lambdify as original_module  # the function: SymPy shadows its module's name

    parse = reader(names, refuse)
    old_parse, old_lambdify = sympy_parser.parse_expr, original_module

    def lambdify(args: Any, expr: Any, modules: Any = None, printer: Any = None, use_imps: bool = True, **options: Any):
        if printer is not None:
            refuse("lambdify with a printer")
        known = _check_names(_symbols(args), refuse)
        if stray := _check_names(expr, refuse) - known:  # a name that Python or a module has would be that
            refuse(f"lambdify of an expression with {min(map(str, stray))}, which is no argument")
        allowed = ("math", "mpmath", "sympy")
        given = modules if isinstance(modules, list | tuple) else [modules]
        chosen = [m for m in given if isinstance(m, str) and m in allowed] or ["math", "mpmath", "sympy"]
        return old_lambdify(args, expr, modules=chosen, use_imps=False, cse=options.get("cse") is True)

    def _symbols(args: Any) -> Any:
        return [] if isinstance(args, str) and refuse("lambdify of a text") else args

    for name, module in list(sys.modules.items()):
        if name == "sympy" or name.startswith("sympy."):
            for attribute, value in list(vars(module).items()):
                if value is old_parse:
                    setattr(module, attribute, parse)
                elif value is old_lambdify:
                    setattr(module, attribute, lambdify)
    return lambdify
