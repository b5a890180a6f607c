"""Trees to text, as the real engine prints results: InputForm on one line, string quotes dropped.

`text(tree)` is the result line; `text(tree, quotes=True)` is true InputForm, which `parse` reads back. Source: recorded
output of the real engine, documentation of InputForm.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

from nsrl.engines.result import Status
from nsrl.engines.wolfram.bignum import BigReal
from nsrl.engines.wolfram.errors import LimitReached
from nsrl.engines.wolfram.expr import COMPLEX, LIST, NULL, RULE, Expr, S, Symbol
from nsrl.engines.wolfram.numbers import is_real, neg, sign

# how tightly a printed form binds; an operand that binds less tightly than its place asks for gets parentheses
LOOSE, ATOM = 0, 1000
_PLUS, _TIMES, _POWER, _UNARY = 310, 400, 590, 480
MAX_NODES = 100_000


def int_text(n: int) -> str:
    """str(n) without the interpreter's 4,300-digit limit."""
    if n.bit_length() < 14_000:
        return str(n)
    from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

    return str(Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN).create_decimal(Decimal(n)))


def float_text(x: float) -> str:
    """A machine real as InputForm writes it: shortest digits that read back, `2.`, `1.5*^10`."""
    if x != x:
        return "Indeterminate"
    if x in (float("inf"), float("-inf")):
        return "Infinity" if x > 0 else "-Infinity"
    s = repr(x)
    if "e" in s:
        body, _, power = s.partition("e")
        exponent = int(power)
    else:
        body, exponent = s, 0
    minus, body = ("-", body[1:]) if body[0] == "-" else ("", body)
    whole, _, part = body.partition(".")
    part = "" if part == "0" else part
    if exponent == 0 and not (x and (abs(x) < 1e-5 or abs(x) >= 1e6)):
        return f"{minus}{whole}.{part}"
    if x == 0:
        return "0."
    digits = (whole + part).lstrip("0")
    scale = exponent + len(whole) - 1 if whole.strip("0") else exponent - (len(part) - len(part.lstrip("0"))) - 1
    if -6 < scale < 6:
        if scale >= 0:
            digits = digits.ljust(scale + 1, "0")
            return f"{minus}{digits[: scale + 1]}.{digits[scale + 1 :]}"
        return f"{minus}0.{'0' * (-scale - 1)}{digits}"
    digits = digits.rstrip("0") or "0"
    return f"{minus}{digits[0]}.{digits[1:]}*^{scale}"


def quote(s: str) -> str:
    """A string literal."""
    return '"' + s.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


# head -> (operator with its spaces, binding power)
_INFIX: dict[Symbol, tuple[str, int]] = {
    S.Rule: (" -> ", 120), S.RuleDelayed: (" :> ", 120), S.Equal: (" == ", 290), S.Unequal: (" != ", 290),
    S.Less: (" < ", 290), S.LessEqual: (" <= ", 290), S.Greater: (" > ", 290), S.GreaterEqual: (" >= ", 290),
    S.SameQ: (" === ", 290), S.UnsameQ: (" =!= ", 290), S.And: (" && ", 215), S.Or: (" || ", 210),
    S.Alternatives: (" | ", 160), S.Dot: (" . ", 490), S.StringJoin: ("<>", 600), S.Condition: (" /; ", 130),
    S.ReplaceAll: (" /. ", 110), S.ReplaceRepeated: (" //. ", 110), S.Set: (" = ", 40), S.SetDelayed: (" := ", 40),
    S.UpSet: (" ^= ", 40), S.UpSetDelayed: (" ^:= ", 40), S.AddTo: (" += ", 100), S.SubtractFrom: (" -= ", 100),
    S.TimesBy: (" *= ", 100), S.DivideBy: (" /= ", 100), S.StringExpression: ("~~", 135), S.TwoWayRule: (" <-> ", 125),
    S.Map: (" /@ ", 620), S.Apply: (" @@ ", 620), S.MapApply: (" @@@ ", 620), S.NonCommutativeMultiply: ("**", 510),
    S.Composition: (" @* ", 650), S.RightComposition: (" /* ", 648), S.PatternTest: ("?", 700),
    S.Element: (" \u2208 ", 250), S.UndirectedEdge: (" \uf3d4 ", 125), S.DirectedEdge: (" \uf3d5 ", 125),
}  # fmt: skip
_RIGHT_GROUPING = {S.Rule, S.RuleDelayed, S.Set, S.SetDelayed, S.AddTo, S.SubtractFrom, S.Map, S.Apply, S.TwoWayRule}
_TWO_ONLY = _RIGHT_GROUPING | {S.Condition, S.ReplaceAll, S.ReplaceRepeated, S.PatternTest, S.UpSet, S.UpSetDelayed,
                               S.TimesBy, S.DivideBy, S.MapApply, S.UndirectedEdge, S.DirectedEdge}  # fmt: skip
_CALLED = {S.Element}  # written as calls by InputForm although an operator exists
_BLANKS = {S.Blank: "_", S.BlankSequence: "__", S.BlankNullSequence: "___"}
_RELATIONS = {S.Equal: "==", S.Unequal: "!=", S.Less: "<", S.LessEqual: "<=", S.Greater: ">", S.GreaterEqual: ">="}


class _Printer:
    def __init__(self, quotes: bool, rounded: bool = False):
        self.quotes, self.rounded = quotes, rounded
        self.nodes = 0  # shared subtrees print as often as they occur, so a small tree can have a boundless text

    def at(self, e: Any, floor: int) -> str:
        """e, in parentheses if it binds no tighter than `floor`."""
        s, power = self.form(e)
        return f"({s})" if power <= floor else s

    def top(self, e: Any) -> str:
        return self.form(e)[0]

    def form(self, e: Any) -> tuple[str, int]:
        """The text of e and how tightly it binds."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise LimitReached(Status.MEMORY, "output size")
        t = type(e)
        if t is Symbol:
            return e.name, ATOM
        if t is int:
            return int_text(e), ATOM if e >= 0 else _UNARY
        if t is str:
            return (quote(e) if self.quotes else e), ATOM
        if t is float:
            s = float_text(float(f"{e:.6g}") if self.rounded and e == e else e)
            return s, _UNARY if s[0] == "-" else _TIMES + 1 if "*^" in s else ATOM
        if t is Fraction:
            return f"{int_text(e.numerator)}/{int_text(e.denominator)}", _TIMES
        if t is BigReal:
            s = e.text(self.rounded)
            if self.rounded:
                return s, _UNARY if s[0] == "-" else ATOM
            body, star, power = s.partition("*^")
            return f"{body}`{float_text(float(e.digits))}{star}{power}", _UNARY if s[0] == "-" else ATOM
        head, args = e.head, e.args
        if type(head) is Symbol:
            special = _SPECIAL.get(head)
            if special is not None:
                out = special(self, args)
                if out is not None:
                    return out
            infix = _INFIX.get(head)
            if infix and len(args) >= 2 and head not in _CALLED and (len(args) == 2 or head not in _TWO_ONLY):
                return self.infix(head, args, *infix)
            return f"{head.name}[{self.comma(args)}]", ATOM
        return f"{self.at(head, 680)}[{self.comma(args)}]", ATOM

    def comma(self, args: tuple) -> str:
        return ", ".join([self.form(a)[0] for a in args])

    def infix(self, head: Symbol, args: tuple, op: str, power: int) -> tuple[str, int]:
        if head in _RIGHT_GROUPING:
            left, right = self.at(args[0], power), self.at(args[1], power - 1)
            return f"{left}{op}{right}", power
        if head is S.Or:  # the kernel sets parentheses around And inside Or, needed or not
            return op.join(
                [f"({self.top(a)})" if type(a) is Expr and a.head is S.And else self.at(a, power) for a in args]
            ), power
        return op.join([self.at(a, power) for a in args]), power

    # -- arithmetic ----------------------------------------------------------------------------------------------
    def plus(self, args: tuple) -> tuple[str, int] | None:
        if len(args) < 2:
            return None
        out = [self.at(args[0], _PLUS)]
        for a in args[1:]:
            negated = _negated(a)
            if negated is None:
                out.append(f" + {self.at(a, _PLUS)}")
            elif _is_pattern(negated):
                out.append(f" - ({self.top(negated)})")
            else:
                out.append(f" - {self.at(negated, _PLUS)}")
        if _is_pattern(args[0]):
            out[0] = f"({out[0]})"
        return "".join(out), _PLUS

    def product(self, args: tuple) -> str:
        """Two factors or more."""
        form = self.times(args)
        assert form is not None
        return form[0]

    def times(self, args: tuple) -> tuple[str, int] | None:
        if len(args) < 2:
            return None
        first, rest = args[0], args[1:]
        if type(first) is int and first == -1:
            if len(rest) == 1 and type(rest[0]) not in (int, float, Fraction):
                inner, power = self.form(rest[0])
                if power <= _TIMES or inner.startswith("-") or "/" in _outer(inner):
                    return f"-({inner})", _TIMES + 1
                return f"-{inner}", _TIMES + 1
            if len(rest) > 1:
                return f"-({self.product(rest)})", _TIMES + 1
        if type(first) is Fraction and first.numerator == -1:
            tail = self.product(rest) if len(rest) > 1 else self._reciprocal_or_factor(rest[0])
            if len(rest) > 1 and not any(_is_reciprocal(f) for f in rest):
                tail = f"({tail})"
            return f"-1/{int_text(first.denominator)}*{tail}", _TIMES
        over: list[str] = []
        under: list[str] = []
        top: list[Any] = []
        bottom: list[Any] = []
        for i, f in enumerate(args):
            if type(f) is Fraction and i == 0:
                if f.numerator != 1:
                    top.append(f.numerator)
                bottom.append(f.denominator)
            elif _is_reciprocal(f):
                bottom.append(_reciprocal(f))
            else:
                top.append(f)
        if not bottom:
            return "*".join([self.at(f, _TIMES) for f in top]), _TIMES
        over = [self.at(f, _TIMES) for f in top]
        under = [self.at(f, _TIMES) for f in bottom]
        if not over:
            numerator = "1"
        elif len(over) == 1:
            numerator = self.at(top[0], _UNARY - 1 if type(top[0]) is int else _TIMES)
        else:
            numerator = f"({'*'.join(over)})"
        denominator = under[0] if len(under) == 1 else f"({'*'.join(under)})"
        return f"{numerator}/{denominator}", _TIMES

    def _reciprocal_or_factor(self, f: Any) -> str:
        if _is_reciprocal(f):
            return f"1/{self.at(_reciprocal(f), _TIMES)}"
        return self.at(f, _TIMES)

    def power(self, args: tuple) -> tuple[str, int] | None:
        if len(args) != 2:
            return None
        base, exponent = args
        if type(exponent) is Fraction and exponent.denominator == 2 and abs(exponent.numerator) == 1:
            root = f"Sqrt[{self.top(base)}]"
            return (root, ATOM) if exponent.numerator == 1 else (f"1/{root}", _TIMES)
        b = self.at(base, _POWER)
        if _is_pattern(base):
            b = f"({b})" if b[0] != "(" else b
        s, power = self.form(exponent)
        if power < _POWER or s[:1] == "-":
            s = f"({s})"
        return f"{b}^{s}", _POWER

    def complex_(self, args: tuple) -> tuple[str, int] | None:
        if len(args) != 2:
            return None
        re, im = args
        if is_real(re) and is_real(im):
            imaginary = self._imaginary(im)
            if type(re) is int and re == 0:
                if type(im) is int and im in (1, -1):
                    return imaginary, ATOM if im == 1 else _UNARY
                return imaginary, _TIMES
            if sign(im) < 0:
                return f"{self.top(re)} - {self._imaginary(neg(im))}", _PLUS
            return f"{self.top(re)} + {imaginary}", _PLUS
        return None

    def _imaginary(self, im: Any) -> str:
        if type(im) is int:
            return "I" if im == 1 else "-I" if im == -1 else f"{int_text(im)}*I"
        if type(im) is Fraction:
            if im.numerator == 1:
                return f"I/{int_text(im.denominator)}"
            if im.numerator == -1:
                return f"-1/{int_text(im.denominator)}*I"
            return f"({int_text(im.numerator)}*I)/{int_text(im.denominator)}"
        return f"{self.top(im)}*I"


def _outer(s: str) -> str:
    """s without what stands inside brackets."""
    depth, out = 0, []
    for c in s:
        if c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
        elif depth == 0:
            out.append(c)
    return "".join(out)


def _is_pattern(e: Any) -> bool:
    return type(e) is Expr and e.head is S.Pattern


def _negated(e: Any) -> Any:
    """-e where e is written with a leading minus, else None."""
    t = type(e)
    if t is int or t is float or t is Fraction:
        return -e if e < 0 else None
    if t is BigReal:
        return -e if sign(e) < 0 else None
    if t is not Expr:
        return None
    if e.head is COMPLEX:
        re, im = e.args
        if type(re) is int and re == 0 and sign(im) < 0:
            return Expr(COMPLEX, (re, neg(im)))
        return None
    if (
        e.head is S.Times
        and len(e.args) >= 2
        and type(e.args[0]) in (int, float, Fraction, BigReal)
        and sign(e.args[0]) < 0
    ):
        first = neg(e.args[0])
        if type(first) is int and first == 1:
            return e.args[1] if len(e.args) == 2 else Expr(S.Times, e.args[1:])
        return Expr(S.Times, (first, *e.args[1:]))
    return None


def _is_reciprocal(f: Any) -> bool:
    """Whether a factor is written under the fraction bar."""
    if type(f) is not Expr or f.head is not S.Power or len(f.args) != 2:
        return False
    x = f.args[1]
    if type(x) in (int, float, Fraction):
        return x < 0
    return type(x) is Expr and x.head is S.Times and type(x.args[0]) in (int, float, Fraction) and x.args[0] < 0


def _reciprocal(f: Any) -> Any:
    base, x = f.args
    if type(x) is Expr:
        flipped = _negated(x)
        return Expr(S.Power, (base, flipped))
    return base if type(x) is int and x == -1 else Expr(S.Power, (base, -x))


def _list(p: _Printer, args: tuple) -> tuple[str, int]:
    return "{" + p.comma(args) + "}", ATOM


def _hold_form(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return p.form(args[0]) if len(args) == 1 and p.rounded else None


def _compound(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if not args:
        return None
    parts = [p.at(a, 10) for a in args[:-1]]
    if args[-1] is NULL:
        return "; ".join(parts) + (";" if len(parts) else "; Null"), 10
    return "; ".join([*parts, p.at(args[-1], 10)]), 10


def _function(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if len(args) != 1:
        return None
    return f"{p.at(args[0], 90)} & ", 90


def _slot(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if len(args) == 1 and type(args[0]) in (int, str):
        return f"#{args[0]}", ATOM
    return None


def _slots(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return (f"##{args[0]}", ATOM) if len(args) == 1 and type(args[0]) is int else None


def _pattern(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if len(args) != 2 or type(args[0]) is not Symbol:
        return None
    inner = args[1]
    if type(inner) is Expr and inner.head in _BLANKS and len(inner.args) <= 1:
        return f"{args[0].name}{p.top(inner)}", ATOM
    return f"{args[0].name}:{p.at(inner, 150)}", 150


def _blank(p: _Printer, head: Symbol, args: tuple) -> tuple[str, int] | None:
    if len(args) > 1:
        return None
    return _BLANKS[head] + (p.top(args[0]) if args else ""), ATOM


def _optional(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if len(args) == 1:
        return f"{p.at(args[0], 150)}.", ATOM
    if len(args) == 2:
        return f"{p.at(args[0], 140)}:{p.at(args[1], 140)}", 140
    return None


def _part(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return (f"{p.at(args[0], 680)}[[{p.comma(args[1:])}]]", ATOM) if len(args) > 1 else None


def _span(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return (" ;; ".join([p.at(a, 305) for a in args]), 305) if len(args) in (2, 3) else None


def _association(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if all(type(a) is Expr and a.head in (RULE, S.RuleDelayed) for a in args):
        return f"<|{p.comma(args)}|>", ATOM
    return None


def _inequality(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if len(args) < 3 or len(args) % 2 == 0 or any(type(o) is not Symbol or o not in _RELATIONS for o in args[1::2]):
        return None
    out = [p.at(args[0], 290)]
    for o, a in zip(args[1::2], args[2::2]):
        out.append(f" {_RELATIONS[o]} {p.at(a, 290)}")
    return "".join(out), 290


def full(e: Any) -> str:
    """FullForm."""
    t = type(e)
    if t is str:
        return quote(e)
    if t is Fraction:
        return f"Rational[{int_text(e.numerator)}, {int_text(e.denominator)}]"
    if t is not Expr:
        return text(e)
    return f"{full(e.head)}[{', '.join(map(full, e.args))}]"


def _full_form(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return (full(args[0]), ATOM) if len(args) == 1 and p.rounded else None


def _input_form(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return (text(args[0], quotes=True), ATOM) if len(args) == 1 and p.rounded else None


def _row(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if not p.rounded or not args or type(args[0]) is not Expr or args[0].head is not LIST:
        return None
    row, *between = args
    return (p.top(between[0]) if between else "").join([p.top(a) for a in row.args]), ATOM


def _column(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if not p.rounded or not args or type(args[0]) is not Expr or args[0].head is not LIST:
        return None
    return "\n".join([p.top(a) for a in args[0].args]), ATOM


def _string_form(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if not p.rounded or not args or type(args[0]) is not str:
        return None
    out = args[0]
    for i, a in enumerate(args[1:], 1):
        out = out.replace(f"`{i}`", p.top(a))
    for a in args[1:]:
        out = out.replace("``", p.top(a), 1)
    return out, ATOM


def _blocks(s: str, size: int) -> str:
    whole, point, rest = s.partition(".")
    sign, digits = ("-", whole[1:]) if whole[:1] == "-" else ("", whole)
    first = len(digits) % size
    groups = [digits[:first]] * (first > 0) + [digits[i : i + size] for i in range(first, len(digits), size)]
    return sign + ",".join(groups) + point + rest


def _number_form(name: str) -> Callable:
    """NumberForm[x, n] and NumberForm[x, {n, f}] of reals, and its relatives; lists element by element."""

    def form(p: _Printer, args: tuple) -> tuple[str, int] | None:
        options = [a for a in args[1:] if type(a) is Expr and a.head is RULE]
        args = tuple([a for a in args if a not in options])
        block = next((o.args[1] for o in options if o.args[0] is S.DigitBlock), None)
        if not p.rounded or not 1 <= len(args) <= 2 or len(options) > (type(block) is int and block > 0):
            return None
        x, spec = args[0], args[1] if len(args) == 2 else 6
        if type(x) is Expr and x.head is LIST:
            return "{" + ", ".join(
                [p.top(Expr(getattr(S, name), (a, *args[1:], *options))) for a in x.args]
            ) + "}", ATOM
        if type(x) not in (int, float):
            return p.form(x) if type(x) is not Expr else None
        digits, places = spec.args if type(spec) is Expr and len(spec.args) == 2 else (spec, None)
        if (
            type(digits) is not int
            or not 0 < digits < 300
            or not (places is None or (type(places) is int and 0 <= places < 300))
        ):
            return None
        if type(x) is int:
            s = int_text(x) + ("." + "0" * places if places is not None and name == "PaddedForm" else "")
        elif places is not None:
            s = f"{x:.{places}f}" + ("." if places == 0 else "")
        else:
            s = float_text(float(f"{x:.{digits}g}"))
            if "*^" in s:
                if name not in ("DecimalForm", "AccountingForm"):
                    return None
                s = format(Decimal(f"{x:.{digits}g}"), "f") + ("." if abs(x) > 1 else "")  # pyright: ignore[reportArgumentType]
        s = _blocks(s, block) if block else s
        if name == "AccountingForm" and s[0] == "-":
            return f"({s[1:]})", ATOM
        if name == "PaddedForm":
            return s.rjust(digits + 1 + (type(x) is float or places is not None)), ATOM
        return s, ATOM

    return form


def _percent_form(p: _Printer, args: tuple) -> tuple[str, int] | None:
    if not p.rounded or not args or type(args[0]) not in (int, float, Fraction):
        return None
    x = float(args[0]) * 100
    digits = args[1] if len(args) > 1 and type(args[1]) is int and 0 < args[1] < 17 else 6
    return float_text(float(f"{x:.{digits}g}")).removesuffix(".") + "%", ATOM


def _not(p: _Printer, args: tuple) -> tuple[str, int] | None:
    return (f"!{p.at(args[0], 229)}", 230) if len(args) == 1 else None


def _postfix(op: str, power: int) -> Callable:
    def form(p: _Printer, args: tuple) -> tuple[str, int] | None:
        return (f"{p.at(args[0], power)}{op}", power) if len(args) == 1 else None

    return form


def _prefix(op: str, power: int) -> Callable:
    def form(p: _Printer, args: tuple) -> tuple[str, int] | None:
        return (f"{op}{p.at(args[0], power)}", power) if len(args) == 1 else None

    return form


_SPECIAL: dict[Symbol, Callable] = {
    LIST: _list,
    S.Plus: _Printer.plus,
    S.Times: _Printer.times,
    S.Power: _Printer.power,
    COMPLEX: _Printer.complex_,
    S.CompoundExpression: _compound,
    S.Function: _function,
    S.Slot: _slot,
    S.SlotSequence: _slots,
    S.Pattern: _pattern,
    S.Blank: lambda p, a: _blank(p, S.Blank, a),
    S.BlankSequence: lambda p, a: _blank(p, S.BlankSequence, a),
    S.BlankNullSequence: lambda p, a: _blank(p, S.BlankNullSequence, a),
    S.Optional: _optional,
    S.Part: _part,
    S.Span: _span,
    S.Association: _association,
    S.Inequality: _inequality,
    S.Not: _not,
    S.Factorial: _postfix("!", 610),
    S.Factorial2: _postfix("!!", 610),
    S.Repeated: _postfix("..", 170),
    S.RepeatedNull: _postfix("...", 170),
    S.Increment: _postfix("++", 660),
    S.Decrement: _postfix("--", 660),
    S.PreIncrement: _prefix("++", 660),
    S.PreDecrement: _prefix("--", 660),
    S.MessageName: lambda p, a: ("::".join([p.top(x) if type(x) is not str else x for x in a]), 780),
    S.HoldForm: _hold_form,
    S.OutputForm: _hold_form,
    S.StandardForm: _hold_form,
    S.TraditionalForm: _hold_form,
    S.InputForm: _input_form,
    S.FullForm: _full_form,
    S.Row: _row,
    S.Column: _column,
    S.StringForm: _string_form,
    **{getattr(S, name): _number_form(name) for name in ("NumberForm", "DecimalForm", "PaddedForm", "AccountingForm")},
    S.PercentForm: _percent_form,
}


def output(e: Any) -> str:
    """e as Print and ToString write it: reals to six digits (OutputForm, kept on one line)."""
    return _Printer(False, rounded=True).top(e)


def text(e: Any, quotes: bool = False) -> str:
    """e on one line. Raises RecursionError on a tree nested beyond the interpreter's stack."""
    return _Printer(quotes).top(e)


def to_json(e: Any) -> Any:
    """e as nested lists for Result.value: ["Head", ...], integers as int, reals as float, ["String", s]."""
    t = type(e)
    if t is int or t is float:
        return e
    if t is str:
        return ["String", e]
    if t is Symbol:
        return ["Symbol", e.name]
    if t is Fraction:
        return ["Rational", e.numerator, e.denominator]
    if t is BigReal:
        return ["Real", e.text()]
    return [e.head.name if type(e.head) is Symbol else to_json(e.head), *map(to_json, e.args)]
