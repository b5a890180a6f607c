"""A program in Python with SymPy as statements and a value on Wolfram Language trees.

Read from its syntax, nothing is run. What has no meaning here raises `Untranslatable`: a program is translated wholly
or not at all.
"""

from __future__ import annotations

import ast
import warnings
from typing import Any

from nsrl.engines.translate.solutions import RELATIONS, Row, Solutions
from nsrl.engines.translate.straight import Straight, Untranslatable
from nsrl.engines.translate.sympy_expressions import OPERATORS, Expressions
from nsrl.engines.wolfram.expr import Expr, S, Symbol, has_head, is_list, lst, mk, sym

_UPDATES = {ast.Add: S.AddTo, ast.Sub: S.SubtractFrom, ast.Mult: S.TimesBy, ast.Div: S.DivideBy}
_PRINTED = {"print", "pprint"}


def read(program: str) -> Straight:
    """The program, as one. Raises `Untranslatable`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Python thinks of a model's style
            module = ast.parse(program)
    except (SyntaxError, ValueError, MemoryError) as error:
        raise Untranslatable("no Python") from error
    return _Reader().program(module.body)


class _Reader(Expressions):
    """Statement by statement; `known` are names with what they stand for."""

    def __init__(self) -> None:
        self.known: dict[str, Any] = {}
        self.assumed: dict[Symbol, list[Any]] = {}  # what symbols("x", positive=True) says
        self.out: list[Any] = []

    def program(self, body: list[ast.stmt]) -> Straight:
        """All statements; the value is what is printed last, or the last expression."""
        value: Any = None
        for statement in body:
            if isinstance(statement, ast.Expr):
                e = statement.value
                if isinstance(e, ast.Constant) and isinstance(e.value, str):
                    continue
                if isinstance(e, ast.Call) and isinstance(e.func, ast.Name) and e.func.id in _PRINTED:
                    if not e.args:
                        continue
                    value = self.tree(e.args[-1])
                else:
                    value = self.tree(e)
            else:
                self.statement(statement)
        if value is None and body and isinstance(body[-1], ast.Assign):
            value = self.tree(body[-1].targets[0])
        if value is None:
            raise Untranslatable("nothing is printed")
        return Straight(tuple(self.out), value)

    def statement(self, s: ast.stmt) -> None:
        """One statement but for expressions."""
        if isinstance(s, (ast.Import, ast.ImportFrom, ast.Pass)):
            return
        if isinstance(s, ast.Assign) and len(s.targets) == 1:
            self.assign(s.targets[0], s.value)
        elif isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name):
            old = self.tree(s.target)
            self.bind(s.target.id, OPERATORS[type(s.op)](old, self.tree(s.value)))
        elif isinstance(s, (ast.While, ast.For)) and not s.orelse:
            self.loop(s)
        else:
            raise Untranslatable(f"no words for {type(s).__name__}")

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        """`name = value`, `a, b = …`."""
        if isinstance(target, ast.Name):
            if isinstance(value, ast.Call) and self.called(value) in ("symbols", "Symbol", "var"):
                names = self.symbols(value)
                self.known[target.id] = names[0] if len(names) == 1 else lst(names)
            else:
                self.bind(target.id, self.read(value))
            return
        if isinstance(target, (ast.Tuple, ast.List)) and all(isinstance(t, ast.Name) for t in target.elts):
            if isinstance(value, ast.Call) and self.called(value) in ("symbols", "var"):
                values: list[Any] = list(self.symbols(value))
            else:
                whole = self.read(value)
                if isinstance(whole, Row) and len(whole.solutions.names) == len(target.elts):
                    values = [whole.solutions.value(n) for n in whole.solutions.names]
                elif type(whole) is Expr and is_list(whole):
                    values = list(whole.args)
                else:
                    raise Untranslatable("several names for one value")
            if len(values) != len(target.elts):
                raise Untranslatable("names and values do not match")
            for t, v in zip(target.elts, values):
                assert isinstance(t, ast.Name)
                if type(v) is Symbol:
                    self.known[t.id] = v
                else:
                    self.bind(t.id, v)
            return
        raise Untranslatable("what is assigned to is no name")

    def bind(self, name: str, value: Any) -> None:
        """A name with its value: as a statement, that can be put in later; solutions stay here."""
        if isinstance(value, (Solutions, Row)) or type(value) is Symbol or getattr(value, "head", None) in RELATIONS:
            self.known[name] = value
            return
        again = 1 + sum(has_head(s, S.Set) and s.args[0].name.rstrip("\u2032") == name + "_" for s in self.out)
        symbol = sym(name + "_" + "\u2032" * (again - 1))  # no name of a program has an end like this
        self.out.append(mk(S.Set, symbol, value))
        self.known[name] = symbol

    def loop(self, s: ast.While | ast.For) -> None:
        """`while` and `for … in range(…)` over assignments."""
        changed = [n.id for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
        for name in dict.fromkeys(changed):
            if name in self.known:
                symbol = sym(name)
                self.out.append(mk(S.Set, symbol, self.as_tree(self.known[name])))
                self.known[name] = symbol
            else:
                self.known[name] = sym(name)
        body, until = list(s.body), None
        last = body[-1]
        if isinstance(last, ast.If) and len(last.body) == 1 and isinstance(last.body[0], ast.Break) and not last.orelse:
            until, body = self.tree(last.test), body[:-1]
        trees = [self.update(b) for b in body]
        inside = trees[0] if len(trees) == 1 else Expr(S.CompoundExpression, tuple(trees))
        if isinstance(s, ast.While):
            forever = isinstance(s.test, ast.Constant) and s.test.value in (True, 1)
            if until is not None:
                if not forever:
                    raise Untranslatable("a loop with two ends")
                self.out.append(mk(S.While, Expr(S.CompoundExpression, (*trees, mk(S.Not, until)))))
            else:
                self.out.append(mk(S.While, self.tree(s.test), inside))
            return
        if until is not None or not isinstance(s.target, ast.Name):
            raise Untranslatable("a loop that is left")
        where = self.iterated(s.iter)
        self.out.append(mk(S.Do, inside, lst([sym(s.target.id), *where])))

    def update(self, s: ast.stmt) -> Any:
        """A statement inside a loop."""
        if isinstance(s, ast.AugAssign) and isinstance(s.target, ast.Name) and type(s.op) in _UPDATES:
            return mk(_UPDATES[type(s.op)], sym(s.target.id), self.tree(s.value))
        if isinstance(s, ast.Assign) and len(s.targets) == 1 and isinstance(s.targets[0], ast.Name):
            name, v = s.targets[0].id, s.value
            if (
                isinstance(v, ast.BinOp)
                and isinstance(v.left, ast.Name)
                and v.left.id == name
                and type(v.op) in _UPDATES
            ):
                return mk(_UPDATES[type(v.op)], sym(name), self.tree(v.right))
            return mk(S.Set, sym(name), self.tree(v))
        raise Untranslatable("no words for this inside a loop")
