"""The bridge to SymPy: expression trees across, never strings. The only file that imports SymPy.

`to_sympy` builds SymPy objects head by head; what has no counterpart crosses as an opaque symbol and comes back
unchanged. `from_sympy` builds trees, which the caller evaluates. SymPy is imported on first use.

Knows nothing of evaluation, builtins or printing.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from itertools import pairwise
from typing import Any

from nsrl.engines.wolfram.bignum import BigReal
from nsrl.engines.wolfram.expr import COMPLEX, FALSE, TRUE, Expr, S, Symbol, is_list, lst, mk, norm, sym


class NotBridged(Exception):
    """SymPy gave something that has no tree here, or was given something it cannot hold."""


@cache
def sympy() -> Any:
    """The SymPy module."""
    import sympy as module

    return module


@cache
def trig_rules() -> tuple[Any, Any]:
    """SymPy's rewriting rules: powers of cosines (TR7), products of sines and cosines to sums (TR8)."""
    from sympy.simplify.fu import TR7, TR8

    return TR7, TR8


# Wolfram head -> SymPy function of the same arguments
FUNCTIONS = {
    "Sin": "sin", "Cos": "cos", "Tan": "tan", "Cot": "cot", "Sec": "sec", "Csc": "csc",
    "ArcSin": "asin", "ArcCos": "acos", "ArcCot": "acot", "ArcSec": "asec", "ArcCsc": "acsc",
    "Sinh": "sinh", "Cosh": "cosh", "Tanh": "tanh", "Coth": "coth", "Sech": "sech", "Csch": "csch",
    "ArcSinh": "asinh", "ArcCosh": "acosh", "ArcTanh": "atanh", "ArcCoth": "acoth", "ArcSech": "asech",
    "ArcCsch": "acsch",
    "Abs": "Abs", "Sign": "sign", "Factorial": "factorial", "Factorial2": "factorial2", "Binomial": "binomial",
    "Gamma": "gamma", "Floor": "floor", "Ceiling": "ceiling", "Mod": "Mod", "Re": "re", "Im": "im",
    "Conjugate": "conjugate", "Arg": "arg", "Erf": "erf", "Erfc": "erfc", "Erfi": "erfi", "Zeta": "zeta",
    "PolyLog": "polylog", "Beta": "beta", "PolyGamma": "polygamma", "LogGamma": "loggamma", "ProductLog": "LambertW",
    "ExpIntegralEi": "Ei", "SinIntegral": "Si", "CosIntegral": "Ci", "LogIntegral": "li", "FresnelS": "fresnels",
    "FresnelC": "fresnelc", "HarmonicNumber": "harmonic", "Fibonacci": "fibonacci", "LucasL": "lucas",
    "BesselJ": "besselj", "BesselY": "bessely", "BesselI": "besseli", "BesselK": "besselk", "DiracDelta": "DiracDelta",
    "HeavisideTheta": "Heaviside", "KroneckerDelta": "KroneckerDelta", "EllipticK": "elliptic_k",
    "EllipticE": "elliptic_e", "EllipticF": "elliptic_f", "BernoulliB": "bernoulli", "EulerE": "euler",
    "Max": "Max", "Min": "Min", "Sinc": "sinc", "Pochhammer": "RisingFactorial", "FactorialPower": "FallingFactorial",
    "CatalanNumber": "catalan", "AiryAi": "airyai", "AiryBi": "airybi", "LegendreP": "legendre",
    "ChebyshevT": "chebyshevt", "ChebyshevU": "chebyshevu", "HermiteH": "hermite", "LaguerreL": "laguerre",
}  # fmt: skip
_BACK = {v: k for k, v in FUNCTIONS.items()} | {
    "subfactorial": "Subfactorial",
    "digamma": "PolyGamma",
    "uppergamma": "Gamma",
}
_CONSTANTS = {
    "Pi": "pi", "E": "E", "I": "I", "Infinity": "oo", "ComplexInfinity": "zoo", "Indeterminate": "nan",
    "GoldenRatio": "GoldenRatio", "EulerGamma": "EulerGamma", "Catalan": "Catalan",
}  # fmt: skip
_RELATIONS = {"Equal": "Eq", "Unequal": "Ne", "Less": "Lt", "LessEqual": "Le", "Greater": "Gt", "GreaterEqual": "Ge"}


class Bridge:
    """One crossing: its opaque symbols and what is assumed of the plain ones.

    real, positive, integer: symbols so assumed (`everything_real`: all of them).
    """

    def __init__(self, assumptions: dict[Symbol, dict[str, bool]] | None = None, everything_real: bool = False):
        self.assumptions = assumptions or {}
        self.everything_real = everything_real
        self.opaque: dict[Any, Any] = {}
        self.symbols: dict[Any, Any] = {}
        self.there: dict[Symbol, Any] = {}

    # --- there

    def symbol(self, s: Symbol) -> Any:
        """The SymPy symbol of a symbol (a Dummy: its name is never parsed nor compared)."""
        x = self.there.get(s)
        if x is None:
            assumed = dict(self.assumptions.get(s, {}))
            if self.everything_real:
                assumed.setdefault("real", True)
            # A Symbol, not a Dummy: SymPy orders symbols by name, and results must not depend on a counter.
            x = self.there[s] = sympy().Symbol(s.name, **assumed)
            self.symbols[x] = s
        return x

    def _opaque(self, e: Any) -> Any:
        x = self.opaque.get(e)
        if x is None:
            x = self.opaque[e] = sympy().Symbol(f"\x00{len(self.opaque)}")
            self.symbols[x] = e
        return x

    def to_sympy(self, e: Any) -> Any:
        """A tree as a SymPy expression. Raises NotBridged where SymPy refuses it (Mod by zero, a loop of
        conditions)."""
        return guarded(self._to, e)

    def _to(self, e: Any) -> Any:
        sp = sympy()
        t = type(e)
        if t is int:
            return sp.Integer(e)
        if t is Fraction:
            return sp.Rational(e.numerator, e.denominator)
        if t is float:
            return sp.Float(e)
        if t is BigReal:
            return sp.Float(e.value, int(e.digits))
        if t is Symbol:
            name = _CONSTANTS.get(e.name)
            if name is not None:
                return getattr(sp, name)
            if e is S.Degree:
                return sp.pi / 180
            if e is TRUE:
                return sp.true
            if e is FALSE:
                return sp.false
            return self.symbol(e)
        if t is not Expr:
            return self._opaque(e)
        return self._call(e)

    def _call(self, e: Expr) -> Any:
        sp = sympy()
        h = e.head
        name = h.name if type(h) is Symbol else ""
        n = len(e.args)
        if h is COMPLEX:
            return self._to(e.args[0]) + sp.I * self._to(e.args[1])
        if name in ("Plus", "Times"):
            args = [self._to(a) for a in e.args]
            return (sp.Add if name == "Plus" else sp.Mul)(*args)
        if name == "Power" and n == 2:
            base, exponent = self._to(e.args[0]), self._to(e.args[1])
            if exponent.is_Integer and abs(int(exponent)) > 100_000 and base.is_number:
                return self._opaque(e)
            return sp.Pow(base, exponent)
        if name == "Sqrt" and n == 1:
            return sp.sqrt(self._to(e.args[0]))
        if name == "Exp" and n == 1:
            return sp.exp(self._to(e.args[0]))
        if name == "Log":
            args = [self._to(a) for a in e.args]
            return sp.log(args[0]) if n == 1 else sp.log(args[1]) / sp.log(args[0])
        if name == "ArcTan":
            args = [self._to(a) for a in e.args]
            return sp.atan(args[0]) if n == 1 else sp.atan2(args[1], args[0])
        if name == "Gamma" and n == 2:
            return sp.uppergamma(*[self._to(a) for a in e.args])
        if (name == "EllipticE" and n == 1) or name in FUNCTIONS:
            if name == "Factorial" and type(e.args[0]) is int and e.args[0] > 3000:
                return self._opaque(e)
            try:
                return getattr(sp, FUNCTIONS[name])(*[self._to(a) for a in e.args])
            except (
                TypeError,
                ValueError,
            ) as error:  # SymPy's for an argument or a number of them that it does not take
                raise NotBridged(str(error)) from error
        if name in ("UnitStep",) and n == 1:
            x = self._to(e.args[0])
            return sp.Piecewise((1, x >= 0), (0, True))
        if name == "Boole" and n == 1:
            return sp.Piecewise((1, self._to(e.args[0])), (0, True))
        if name in ("CubeRoot", "Surd"):
            k = 3 if name == "CubeRoot" else e.args[1]
            return sp.real_root(self._to(e.args[0]), k)
        if name in _RELATIONS and n >= 2:
            args = [self._to(a) for a in e.args]
            rel = getattr(sp, _RELATIONS[name])
            return sp.And(*[rel(a, b) for a, b in pairwise(args)])
        if name == "Inequality":
            parts = []
            for a, op, b in zip(e.args[::2], e.args[1::2], e.args[2::2]):
                parts.append(self._call(mk(op, a, b)))
            return sp.And(*parts)
        if name in ("And", "Or", "Not", "Xor", "Implies", "Nand", "Nor"):
            return getattr(sp, name)(*[self._to(a) for a in e.args])
        if name == "Piecewise" and is_list(e.args[0]):
            pairs = [(self._to(p.args[0]), self._to(p.args[1])) for p in e.args[0].args if is_list(p)]
            return sp.Piecewise(*pairs, (self._to(e.args[1]) if n > 1 else sp.Integer(0), True))
        if type(h) is Symbol and h.builtin is None and n and name:
            f = sp.Function("\x01" + name)
            self.symbols[f] = h
            return f(*[self._to(a) for a in e.args])
        return self._opaque(e)

    # --- back

    def from_sympy(self, x: Any) -> Any:
        """A SymPy expression as a tree (not yet evaluated). Raises NotBridged."""
        return _Back(self.symbols).tree(x)


class _Back:
    """The way back over a crossing, whose symbols and functions it knows."""

    def __init__(self, symbols: dict[Any, Any]):
        self.symbols = symbols

    def tree(self, x: Any) -> Any:
        """A SymPy expression as a tree."""
        sp = sympy()
        back = self.tree
        if x in self.symbols if isinstance(x, sp.Symbol) else False:
            return self.symbols[x]
        if isinstance(x, sp.Integer):
            return int(x)
        if isinstance(x, sp.Rational):
            return norm(Fraction(int(x.p), int(x.q)))
        if isinstance(x, sp.Float):
            return float(x)
        if isinstance(x, sp.Symbol):
            return sym(x.name)
        if isinstance(x, (sp.Add, sp.Mul)):
            return Expr(S.Plus if isinstance(x, sp.Add) else S.Times, tuple(back(a) for a in x.args))
        if isinstance(x, sp.exp):
            return mk(S.Power, S.E, back(x.args[0]))
        if isinstance(x, sp.Pow):
            return mk(S.Power, back(x.args[0]), back(x.args[1]))
        if x is sp.I:
            return mk(COMPLEX, 0, 1)
        if x is sp.oo:
            return S.Infinity
        if x is -sp.oo:
            return mk(S.Times, -1, S.Infinity)
        if x is sp.zoo:
            return S.ComplexInfinity
        if x is sp.nan:
            return S.Indeterminate
        if x is sp.true or x is True:
            return TRUE
        if x is sp.false or x is False:
            return FALSE
        for wolfram, theirs in _CONSTANTS.items():
            if x is getattr(sp, theirs):
                return getattr(S, wolfram)
        if isinstance(x, sp.log):
            return mk(S.Log, *[back(a) for a in x.args])
        if isinstance(x, sp.atan):
            return mk(S.ArcTan, back(x.args[0]))
        if isinstance(x, sp.atan2):
            return mk(S.ArcTan, back(x.args[1]), back(x.args[0]))
        if isinstance(x, sp.zeta) and len(x.args) == 2 and x.args[1].is_Integer and 1 <= x.args[1] <= 50:
            powers = (mk(S.Times, -1, mk(S.Power, k, back(-x.args[0]))) for k in range(1, int(x.args[1])))
            return Expr(S.Plus, (mk(S.Zeta, back(x.args[0])), *powers))
        if isinstance(x, sp.Piecewise):
            return self._piecewise(x)
        for wolfram, theirs in _RELATIONS.items():
            if isinstance(x, getattr(sp, theirs)):
                return mk(getattr(S, wolfram), back(x.lhs), back(x.rhs))
        if isinstance(x, (sp.And, sp.Or)):
            head = S.And if isinstance(x, sp.And) else S.Or
            return Expr(head, tuple(back(a) for a in sorted(x.args, key=sp.default_sort_key)))
        if isinstance(x, sp.Not):
            return mk(S.Not, back(x.args[0]))
        if isinstance(x, sp.CRootOf):
            return self._root(x)
        if isinstance(x, sp.Tuple):
            return lst(back(a) for a in x.args)
        f = getattr(x, "func", None)
        if f in self.symbols:
            return Expr(self.symbols[f], tuple(back(a) for a in x.args))
        name = getattr(f, "__name__", "")
        if name in _BACK:
            return Expr(getattr(S, _BACK[name]), tuple(back(a) for a in x.args))
        raise NotBridged(name)

    def _piecewise(self, x: Any) -> Expr:
        pairs, default = [], 0
        for value, condition in x.args:
            if condition == True:  # noqa: E712 (SymPy's true)
                default = self.tree(value)
                break
            pairs.append(lst((self.tree(value), self.tree(condition))))
        return mk(S.Piecewise, lst(pairs), default)

    def _root(self, x: Any) -> Expr:
        """Root[polynomial in # &, k, 0]; our k counts as SymPy's: real roots first, ascending."""
        poly = x.poly
        terms = []
        for (e,), c in sorted(poly.terms()):
            power = 1 if e == 0 else mk(S.Slot, 1) if e == 1 else mk(S.Power, mk(S.Slot, 1), e)
            c = self.tree(c)
            terms.append(c if e == 0 else power if c == 1 else mk(S.Times, c, power))
        return mk(S.Root, mk(S.Function, Expr(S.Plus, tuple(terms))), int(x.index) + 1, 0)


# --- crossings with one purpose


def apply(function: str, *trees: Any, assumptions: dict | None = None, **options: Any) -> Any:
    """sympy.<function>(trees, options) as a tree. `function` is a name in our source, never a program's.

    Raises NotBridged where SymPy cannot."""
    bridge = Bridge(assumptions)
    args = [bridge.to_sympy(t) for t in trees]
    return bridge.from_sympy(guarded(getattr(sympy(), function), *args, **options))


def guarded(f: Any, *args: Any, **options: Any) -> Any:
    """f(*args), with what SymPy raises when it is out of its depth turned into NotBridged."""
    try:
        return f(*args, **options)
    except NotBridged:
        raise
    except (NotImplementedError, ValueError, TypeError, ArithmeticError, AttributeError, KeyError, IndexError,
            AssertionError, RecursionError, sympy().polys.polyerrors.BasePolynomialError) as error:  # fmt: skip
        # SymPy has no error class of its own for "cannot": these are what its algorithms raise, TypeError among them
        # (the truth of a relation that it does not know).
        raise NotBridged(f"{type(error).__name__}: {error}") from error
