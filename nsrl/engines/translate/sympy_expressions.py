"""Expressions of Python as trees of Wolfram Language."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from nsrl.engines.translate.solutions import Row, Solutions, over
from nsrl.engines.translate.straight import Untranslatable
from nsrl.engines.translate.sympy_calls import NUMBERS, Calls
from nsrl.engines.wolfram.expr import FALSE, TRUE, Expr, S, Symbol, is_list, lst, minus, mk, sym

_COMPARED = {ast.Eq: S.Equal, ast.NotEq: S.Unequal, ast.Lt: S.Less, ast.LtE: S.LessEqual, ast.Gt: S.Greater,
             ast.GtE: S.GreaterEqual}  # fmt: skip
OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: mk(S.Join, a, b) if is_list(a) and is_list(b) else mk(S.Plus, a, b),
    ast.Sub: lambda a, b: mk(S.Plus, a, -b) if type(b) in (int, float) else minus(a, b),
    ast.Mult: lambda a, b: mk(S.Times, a, b),
    ast.Div: lambda a, b: over(a, b),
    ast.Pow: lambda a, b: mk(S.Power, a, b),
    ast.Mod: lambda a, b: mk(S.Mod, a, b),
    ast.FloorDiv: lambda a, b: mk(S.Quotient, a, b),
    ast.MatMult: lambda a, b: mk(S.Dot, a, b),
    ast.BitAnd: lambda a, b: mk(S.And, a, b),
    ast.BitOr: lambda a, b: mk(S.Or, a, b),
}


class Expressions(Calls):
    """Reads expressions: trees, or solutions."""

    def called(self, e: ast.Call) -> str:
        """The name of what is called: `sqrt`, also of `sympy.sqrt` and `math.sqrt`."""
        if isinstance(e.func, ast.Name):
            return e.func.id
        if isinstance(e.func, ast.Attribute) and isinstance(e.func.value, ast.Name):
            return e.func.attr if e.func.value.id in ("sympy", "sp", "math", "np", "statistics", "sm") else ""
        return ""

    def symbols(self, e: ast.Call) -> list[Symbol]:
        """The names that `symbols("x y", positive=True)` makes, with what it says of them."""
        if len(e.args) != 1 or not isinstance(e.args[0], ast.Constant) or not isinstance(e.args[0].value, str):
            raise Untranslatable("names that are not written out")
        names = [sym(n) for n in e.args[0].value.replace(",", " ").split()]
        if not names or any(":" in n.name for n in names):
            raise Untranslatable("no names")
        for k in e.keywords:
            if not (isinstance(k.value, ast.Constant) and k.value.value is True):
                continue
            for n in names:
                said = {"positive": mk(S.Greater, n, 0), "negative": mk(S.Less, n, 0),
                        "nonnegative": mk(S.GreaterEqual, n, 0), "integer": mk(S.Element, n, S.Integers)}  # fmt: skip
                if k.arg in said:
                    self.assumed.setdefault(n, []).append(said[k.arg])
        return names

    def tree(self, e: ast.expr) -> Any:
        """An expression as one tree."""
        return self.as_tree(self.read(e))

    def as_tree(self, value: Any) -> Any:
        """Solutions as trees: the set of values; a row of one name is its value."""
        if isinstance(value, Solutions):
            return value.every
        if isinstance(value, Row):
            names = value.solutions.names
            return value.solutions.value(names[0] if len(names) == 1 else lst(names))
        return value

    def read(self, e: ast.expr) -> Any:
        """An expression: a tree, or solutions."""
        if isinstance(e, ast.Constant):
            if type(e.value) is bool:
                return TRUE if e.value else FALSE
            if type(e.value) in (int, float, str):
                return e.value
        elif isinstance(e, ast.Name):
            if e.id in self.known:
                return self.known[e.id]
            if e.id in NUMBERS:
                return NUMBERS[e.id]
        elif isinstance(e, (ast.List, ast.Tuple, ast.Set)):
            return lst([self.tree(x) for x in e.elts])
        elif isinstance(e, ast.UnaryOp):
            x = self.tree(e.operand)
            if isinstance(e.op, ast.USub):
                return -x if type(x) in (int, float) else mk(S.Times, -1, x)
            return mk(S.Not, x) if isinstance(e.op, (ast.Not, ast.Invert)) else x
        elif isinstance(e, ast.BinOp) and type(e.op) in OPERATORS:
            return OPERATORS[type(e.op)](self.tree(e.left), self.tree(e.right))
        elif isinstance(e, ast.Compare) and all(type(o) in _COMPARED for o in e.ops):
            sides = [self.tree(x) for x in (e.left, *e.comparators)]
            parts = [mk(_COMPARED[type(o)], a, b) for o, a, b in zip(e.ops, sides, sides[1:])]
            return parts[0] if len(parts) == 1 else Expr(S.And, tuple(parts))
        elif isinstance(e, ast.BoolOp):
            return Expr(S.And if isinstance(e.op, ast.And) else S.Or, tuple(self.tree(x) for x in e.values))
        elif isinstance(e, ast.IfExp):
            return mk(S.If, self.tree(e.test), self.tree(e.body), self.tree(e.orelse))
        elif isinstance(e, ast.Subscript):
            return self.part(self.read(e.value), e.slice)
        elif isinstance(e, (ast.ListComp, ast.GeneratorExp)):
            return self.comprehension(e)
        elif isinstance(e, ast.Attribute):
            return self.attribute(e)
        elif isinstance(e, ast.Call):
            name = self.called(e)
            return self.call(name, e) if name else self.method(e)
        raise Untranslatable(f"no words for {type(e).__name__}")

    def part(self, whole: Any, at: ast.expr) -> Any:
        """`whole[at]`."""
        if isinstance(whole, Row):
            place = self.read(at)
            names = whole.solutions.names
            if type(place) is int and -len(names) <= place < len(names):
                return whole.solutions.value(names[place])
            return whole.solutions.value(place)
        place = self.read(at)
        if isinstance(whole, Solutions):
            if type(place) is Symbol:
                return whole.value(place)
            if type(place) is int:
                return Row(whole) if whole.rows or len(whole.names) > 1 else whole.value(whole.names[0])
        if type(place) is int:
            return mk(S.Part, self.as_tree(whole), place + 1 if place >= 0 else place)
        raise Untranslatable("a place that is not written out")

    def comprehension(self, e: ast.ListComp | ast.GeneratorExp) -> Any:
        """`[f(x) for x in … if …]`; of solutions, those that fulfil a condition."""
        if len(e.generators) != 1 or not isinstance(e.generators[0].target, ast.Name):
            raise Untranslatable("a comprehension of several names")
        g = e.generators[0]
        assert isinstance(g.target, ast.Name)
        hidden = self.known.get(g.target.id)
        source = self.read(g.iter) if not self._is_range(g.iter) else None
        if isinstance(source, Solutions):
            if len(source.names) != 1:
                raise Untranslatable("a comprehension over rows of solutions")
            self.known[g.target.id] = source.names[0]
            same = isinstance(e.elt, ast.Name) and e.elt.id == g.target.id
            real = [t for t in g.ifs if not (isinstance(t, ast.Attribute) and t.attr == "is_real")]
            chosen = Solutions([*source.conditions, *map(self.tree, real)], source.names, source.rows)
            element = None if same else self.tree(e.elt)
            self._restore(g.target.id, hidden)
            return chosen if element is None else mk(S.ReplaceAll, element, chosen.solver)
        name = sym(g.target.id)
        self.known[g.target.id] = name
        where = self.iterated(g.iter) if source is None else [self.as_tree(source)]
        tests, element = list(map(self.tree, g.ifs)), self.tree(e.elt)
        self._restore(g.target.id, hidden)
        over = Expr(S.Range, tuple(where)) if len(where) == 2 else where[0]
        if tests:
            test = tests[0] if len(tests) == 1 else Expr(S.And, tuple(tests))
            over, where = mk(S.Select, over, mk(S.Function, name, test)), []
        if element is name:
            return over
        return mk(S.Table, element, lst([name, *(where or [over])]))

    def _restore(self, name: str, value: Any) -> None:
        if value is None:
            self.known.pop(name, None)
        else:
            self.known[name] = value

    def _is_range(self, e: ast.expr) -> bool:
        return isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id == "range"

    def iterated(self, e: ast.expr) -> list[Any]:
        """What stands behind a name in {k, …}."""
        if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id == "range" and len(e.args) in (1, 2):
            low = self.tree(e.args[0]) if len(e.args) == 2 else 0
            high = self.tree(e.args[-1])
            return [low, high - 1 if type(high) is int else minus(high, 1)]
        return [self.tree(e)]
