"""Functions and methods of Python and SymPy by their names, as calls of Wolfram Language."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from nsrl.engines.translate.solutions import RELATIONS, Row, Solutions, over
from nsrl.engines.translate.straight import Untranslatable
from nsrl.engines.wolfram.expr import Expr, S, Symbol, is_list, lst, minus, mk

_CALLS = {
    "sqrt": "Sqrt", "exp": "Exp", "ln": "Log", "sin": "Sin", "cos": "Cos", "tan": "Tan", "cot": "Cot", "sec": "Sec",
    "csc": "Csc", "asin": "ArcSin", "acos": "ArcCos", "atan": "ArcTan", "sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh",
    "factorial": "Factorial", "binomial": "Binomial", "comb": "Binomial", "gcd": "GCD", "igcd": "GCD", "lcm": "LCM",
    "ilcm": "LCM",
    "floor": "Floor", "ceiling": "Ceiling", "ceil": "Ceiling", "Abs": "Abs", "abs": "Abs", "sign": "Sign",
    "simplify": "Simplify", "expand": "Expand", "factor": "Factor", "isprime": "PrimeQ", "divisors": "Divisors",
    "len": "Length", "sorted": "Sort", "reversed": "Reverse", "re": "Re", "im": "Im", "mean": "Mean", "round": "Round",
    "median": "Median", "prime": "Prime", "cbrt": "CubeRoot", "Ne": "Unequal", "Lt": "Less", "Le": "LessEqual",
    "Gt": "Greater", "Ge": "GreaterEqual", "And": "And", "Or": "Or", "Not": "Not", "nCr": "Binomial",
    "together": "Together", "cancel": "Cancel", "apart": "Apart", "fibonacci": "Fibonacci", "totient": "EulerPhi",
}  # fmt: skip
_SAME = {"list", "tuple", "float", "nsimplify", "sympify", "S", "Integer", "radsimp", "Tuple", "set", "Array", "str"}
_POINTS = {"Point", "Point2D", "Point3D"}
NUMBERS = {"pi": S.Pi, "E": S.E, "oo": S.Infinity, "I": S.I, "GoldenRatio": S.GoldenRatio}


class Calls:
    """Reads calls and attributes. `known`: what names stand for; `assumed`: what is said of symbols."""

    known: dict[str, Any]
    assumed: dict[Symbol, list[Any]]

    # --- what the reader of expressions brings

    read: Callable[[ast.expr], Any]
    tree: Callable[[ast.expr], Any]
    as_tree: Callable[[Any], Any]
    part: Callable[[Any, ast.expr], Any]
    iterated: Callable[[ast.expr], list[Any]]
    symbols: Callable[[ast.Call], list[Symbol]]

    def attribute(self, e: ast.Attribute) -> Any:
        """`t.area`, `p.x`, `math.pi`."""
        if isinstance(e.value, ast.Name) and e.value.id in ("math", "sympy", "sp", "np") and e.attr in NUMBERS:
            return NUMBERS[e.attr]
        whole = self.tree(e.value)
        known = {"area": S.Area, "perimeter": S.Perimeter, "T": S.Transpose, "circumference": S.ArcLength,
                 "length": S.ArcLength}  # fmt: skip
        if e.attr in known:
            return mk(known[e.attr], whole)
        if e.attr in ("x", "y", "z"):
            return mk(S.Part, whole, "xyz".index(e.attr) + 1)
        raise Untranslatable(f"no words for .{e.attr}")

    def call(self, name: str, e: ast.Call) -> Any:
        """A function by its name."""
        if name in ("symbols", "Symbol"):
            names = self.symbols(e)
            return names[0] if len(names) == 1 else lst(names)
        if name in ("solve", "solveset", "nsolve", "linsolve", "nonlinsolve"):
            return self.solve(e)
        if e.keywords:
            raise Untranslatable(f"options of {name}")
        if name in _SAME and len(e.args) == 1:
            if isinstance(e.args[0], ast.Constant) and isinstance(e.args[0].value, str):
                raise Untranslatable("a text as a number")
            return self.read(e.args[0])
        a = [self.tree(x) for x in e.args]
        if name in ("Rational", "Fraction") and len(a) in (1, 2):
            return over(*a) if len(a) == 2 else a[0]
        if name == "Eq" and len(a) in (1, 2):
            return mk(S.Equal, a[0], a[1] if len(a) == 2 else 0)
        if name in ("max", "Max", "min", "Min") and a:
            return mk(S.Max if name.lower() == "max" else S.Min, a[0] if len(a) == 1 else lst(a))
        if name in ("sum", "fsum", "Add") and a:
            return mk(S.Total, a[0] if name != "Add" else lst(a))
        if name in ("prod", "Mul") and a:
            return mk(S.Apply, S.Times, a[0] if name != "Mul" else lst(a))
        if name in ("summation", "Sum", "product", "Product") and len(a) == 2:
            return mk(S.Sum if name.lower().startswith("sum") else S.Product, *a)
        if name in ("diff", "limit", "integrate", "Derivative", "Integral", "Limit") and len(a) >= 2:
            head = {"d": S.D, "l": S.Limit, "i": S.Integrate}[name[0].lower()]
            if head is S.Limit:
                return mk(S.Limit, a[0], mk(S.Rule, *a[1:3]))
            return Expr(head, tuple(a))
        if name in _POINTS:
            return a[0] if len(a) == 1 else lst(a)
        if name in ("Triangle", "Polygon") and a:
            return mk(S.Polygon, a[0] if len(a) == 1 else lst(a))
        if name == "Circle" and len(a) == 2:
            return mk(S.Disk, *a)
        if name == "Matrix" and len(a) == 1:
            return a[0]
        if name == "N" and a:
            return Expr(S.N, tuple(a))
        if name == "pow" and len(a) in (2, 3):
            return mk(S.Power, *a) if len(a) == 2 else mk(S.PowerMod, *a)
        if name == "divmod" and len(a) == 2:
            return lst([mk(S.Quotient, *a), mk(S.Mod, *a)])
        if name == "range":
            return Expr(S.Range, tuple(self.iterated(e)))
        if name in ("atan2",) and len(a) == 2:
            return mk(S.ArcTan, a[1], a[0])
        if name == "log" and len(a) in (1, 2):
            return mk(S.Log, *a[::-1])
        if name in ("log10", "log2") and len(a) == 1:
            return mk(S.Log, int(name[3:]), a[0])
        if name in ("rad", "radians", "deg", "degrees") and len(a) == 1:
            half = mk(S.Times, 180, mk(S.Power, S.Pi, -1))
            return mk(S.Times, a[0], half if name[0] == "d" else mk(S.Power, half, -1))
        if name in ("hypot",):
            return mk(S.Sqrt, Expr(S.Plus, tuple(mk(S.Power, x, 2) for x in a)))
        if name == "int" and len(a) == 1:
            return mk(S.IntegerPart, a[0])
        if name in _CALLS and a:
            return Expr(getattr(S, _CALLS[name]), tuple(a))
        raise Untranslatable(f"no words for {name}")

    def solve(self, e: ast.Call) -> Solutions:
        """`solve(equations, names)`."""
        if not e.args:
            raise Untranslatable("nothing to solve")
        what = self.tree(e.args[0])
        equations = list(what.args) if is_list(what) else [what]
        if len(e.args) > 1 and isinstance(e.args[1], (ast.List, ast.Tuple, ast.Name, ast.Call)):
            asked = self.tree(e.args[1])
            names = list(asked.args) if is_list(asked) else [asked]
        else:
            names = [n for n in dict.fromkeys(v for v in self.known.values() if type(v) is Symbol) if _holds(what, n)]
        if not names or not all(type(n) is Symbol for n in names):
            raise Untranslatable("what is solved for is no name")
        conditions = [q if type(q) is Expr and q.head in RELATIONS else mk(S.Equal, q, 0) for q in equations]
        conditions += [c for n in names for c in self.assumed.get(n, [])]
        rows = any(k.arg == "dict" for k in e.keywords)
        return Solutions(conditions, names, rows)

    def method(self, e: ast.Call) -> Any:
        """`m.det()`, `p.distance(q)`, `shapes.count("circle")`."""
        if not isinstance(e.func, ast.Attribute):
            raise Untranslatable("a call of a value")
        name, base = e.func.attr, self.read(e.func.value)
        if isinstance(base, Row) and name == "get" and len(e.args) == 1:
            return self.part(base, e.args[0])
        whole = self.as_tree(base)
        a = [self.tree(x) for x in e.args if not isinstance(x, ast.Dict)]
        if name in ("evalf", "n"):
            return mk(S.N, whole)
        if name in ("simplify", "doit", "expand", "factor", "together", "cancel", "copy", "tolist"):
            head = {"simplify": S.Simplify, "expand": S.Expand, "factor": S.Factor}.get(name)
            return mk(head, whole) if head else whole
        if name == "subs":
            return self.subs(whole, e)
        if name == "count" and len(a) == 1:
            return mk(S.Count, whole, a[0])
        if name == "det" and not a:
            return mk(S.Det, whole)
        if name in ("inv", "transpose", "rank", "trace") and not a:
            head = {"inv": S.Inverse, "transpose": S.Transpose, "rank": S.MatrixRank, "trace": S.Tr}[name]
            return mk(head, whole)
        if name in ("distance", "midpoint", "dot", "cross") and len(a) == 1:
            if name == "midpoint":
                return mk(S.Midpoint, lst([whole, a[0]]))
            return mk({"distance": S.EuclideanDistance, "dot": S.Dot, "cross": S.Cross}[name], whole, a[0])
        if name == "diff" and a:
            return Expr(S.D, (whole, *a))
        if name == "integrate" and len(a) == 1:
            return mk(S.Integrate, whole, a[0])
        if name == "index" and len(a) == 1:
            return minus(mk(S.Part, mk(S.Position, whole, a[0]), 1, 1), 1)
        raise Untranslatable(f"no words for .{name}()")

    def subs(self, whole: Any, e: ast.Call) -> Any:
        """`f.subs(x, 3)`, `f.subs({x: 3})`."""
        if len(e.args) == 1 and isinstance(e.args[0], ast.Dict):
            pairs = [(self.tree(k), self.tree(v)) for k, v in zip(e.args[0].keys, e.args[0].values) if k is not None]
        elif len(e.args) == 2:
            pairs = [(self.tree(e.args[0]), self.tree(e.args[1]))]
        else:
            raise Untranslatable("a substitution that is not written out")
        rules = [mk(S.Rule, k, v) for k, v in pairs]
        return mk(S.ReplaceAll, whole, rules[0] if len(rules) == 1 else lst(rules))


def _holds(e: Any, name: Symbol) -> bool:
    return e is name or (type(e) is Expr and (_holds(e.head, name) or any(_holds(a, name) for a in e.args)))
