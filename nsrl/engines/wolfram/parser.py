"""Tokens to trees: a Pratt parser for Wolfram Language, binding powers as the kernel documents them.

`parse(source)` is faithful. Repairs of what models write by mistake live in repair.py; the few that need grammar
(`|x|` for Abs) are switched on by `lenient`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.expr import LIST, NULL, Expr, S, Symbol, mk, system
from nsrl.engines.wolfram.lexer import END, NUM, OPERAND, OPERATOR, STR, SYM, Token, tokens

MAX_DEPTH = 300  # nested brackets or prefix operators; each level is about three interpreter frames

# left binding power, head, associativity: "flat" (one n-ary node), "left", "right"
_BINARY: dict[str, int] = {
    "@*": 650, "/*": 648, "@": 640, "/@": 620, "//@": 620, "@@": 620, "@@@": 620, "<>": 600, "^": 590, ".": 490,
    "**": 510,
    "∩": 305, "∪": 302, "===": 290, "=!=": 290, "∈": 250, "∉": 250, "∣": 250,
    "\uf3d2": 250, "\uf3d3": 195, "&&": 215, "⊼": 214, "⊻": 212, "||": 210, "⊽": 209,
    "⧦": 205, "⇒": 200, "≡": 290, "|": 160, "~~": 135, "/;": 130, "<->": 125, "->": 120, ":>": 120, "/.": 110,
    "//.": 110,
    "+=": 100, "-=": 100, "*=": 100, "/=": 100, "//": 70, "=": 40, ":=": 40, "^=": 40, "^:=": 40, "|->": 90,
}  # fmt: skip
_HEADS = {
    "@*": "Composition", "/*": "RightComposition", "/@": "Map", "//@": "MapAll", "@@": "Apply", "@@@": "MapApply",
    "<>": "StringJoin", "^": "Power", ".": "Dot", "**": "NonCommutativeMultiply", "∩": "Intersection", "∪": "Union",
    "===": "SameQ", "=!=": "UnsameQ", "∈": "Element", "∉": "NotElement", "&&": "And", "⊼": "Nand", "⊻": "Xor",
    "||": "Or", "⊽": "Nor", "⧦": "Equivalent", "⇒": "Implies", "≡": "Congruent", "\uf3d2": "Distributed",
    "\uf3d3": "Conditioned", "|": "Alternatives",
    "~~": "StringExpression", "/;": "Condition", "<->": "TwoWayRule", "->": "Rule", ":>": "RuleDelayed",
    "/.": "ReplaceAll", "//.": "ReplaceRepeated", "+=": "AddTo", "-=": "SubtractFrom", "*=": "TimesBy",
    "/=": "DivideBy", "=": "Set", ":=": "SetDelayed", "^=": "UpSet", "^:=": "UpSetDelayed", "|->": "Function",
}  # fmt: skip
_RIGHT = {
    "@",
    "/@",
    "//@",
    "@@",
    "@@@",
    "^",
    "<->",
    "->",
    ":>",
    "+=",
    "-=",
    "*=",
    "/=",
    "=",
    ":=",
    "^=",
    "^:=",
    "|->",
    "⇒",
}
_FLAT = {
    "@*", "/*", "<>", ".", "**", "∩", "∪", "===", "=!=", "&&", "⊼", "⊻", "||", "⊽", "⧦", "≡", "|", "~~",
}  # fmt: skip
_COMPARE = {"==": "Equal", "!=": "Unequal", "<": "Less", "<=": "LessEqual", ">": "Greater", ">=": "GreaterEqual"}
CALL, PART_OPEN, TIMES, PLUS, DIVIDE, UNARY, SPAN = 690, 690, 400, 310, 470, 480, 305
_POSTFIX = {"&": 90, "!": 610, "!!": 610, "'": 670, "++": 660, "--": 660, "..": 170, "...": 170, "=.": 40}
_POSTFIX_HEADS = {"!": "Factorial", "!!": "Factorial2", "++": "Increment", "--": "Decrement", "..": "Repeated",
                  "...": "RepeatedNull", "=.": "Unset", "&": "Function"}  # fmt: skip
_CLOSERS = {",", ")", "]", "}", "|>", ";", "&", "//"}
_STARTS = {"(", "{", "<|", "√"}  # operators that begin an operand, so juxtaposition multiplies


class Parser:
    """One pass over one program's tokens."""

    def __init__(self, source: str, toks: list[Token], lenient: bool = False):
        self.source, self.toks, self.at, self.brackets, self.depth = source, toks, 0, 0, 0
        self.lenient = lenient
        self.repairs: list[str] = []
        self.products: dict[int, Any] = {}  # id -> tree made by bare juxtaposition (kept, so the id stays its own)

    # -- helpers -------------------------------------------------------------------------------------------------
    def fail(self, why: str, tok: Token | None = None) -> WolframSyntaxError:
        """The error to raise, with its place: that of a token, by default the next."""
        t = tok or self.toks[self.at]
        return WolframSyntaxError(why, t.start, t.end)

    def take(self, op: str) -> None:
        """Takes this operator. Raises WolframSyntaxError where another stands."""
        t = self.toks[self.at]
        if t.kind is not OPERATOR or t.text != op:
            raise self.fail(f"{op!r} was expected" if t.kind is not END else f"{op!r} is missing at the end", t)
        self.at += 1

    def is_op(self, op: str) -> bool:
        """Whether the next token is this operator."""
        t = self.toks[self.at]
        return t.kind is OPERATOR and t.text == op

    def enter(self) -> None:
        """Count one level of nesting. Raises WolframSyntaxError past MAX_DEPTH."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nesting is deeper than {MAX_DEPTH} levels")

    # -- statements ----------------------------------------------------------------------------------------------
    def statement(self) -> Any:
        """One top-level expression."""
        self.brackets = self.depth = 0
        return self.expr(0)

    def ends(self) -> bool:
        """Whether a top-level expression may end before the current token."""
        t = self.toks[self.at]
        return t.kind is END or (self.brackets == 0 and t.newline)

    # -- expressions ---------------------------------------------------------------------------------------------
    def expr(self, floor: int) -> Any:
        """An expression whose operators all bind tighter than `floor`."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.fail(f"nesting is deeper than {MAX_DEPTH} levels")
        left = self.operand()
        toks = self.toks
        while True:
            t = toks[self.at]
            kind = t.kind
            if kind is END or (t.newline and self.brackets == 0):
                break
            if kind is OPERATOR:
                op = t.text
                entry = _INFIX.get(op)
                if entry is None:
                    if op in _STARTS and floor < TIMES:
                        left = self.juxtapose(left)
                        continue
                    break
                power, handler = entry
                if power <= floor:
                    break
                left = handler(self, left, t, power)
            elif floor < TIMES:
                left = self.juxtapose(left)
            else:
                break
        self.depth -= 1
        return left

    def juxtapose(self, left: Any) -> Any:
        """The product of `left` and every operand that follows without an operator between them."""
        factors = [left]
        while True:
            factors.append(self.expr(TIMES))
            t = self.toks[self.at]
            if (t.kind is OPERATOR and t.text not in _STARTS) or self.ends():
                break
        out = Expr(S.Times, tuple(factors))
        self.products[id(out)] = out
        return out

    def operand(self) -> Any:
        """One operand, with the prefix operators before it."""
        t = self.toks[self.at]
        kind = t.kind
        if kind is SYM or kind is NUM or kind is STR or kind is OPERAND:
            self.at += 1
            return t.value
        if kind is END:
            raise self.fail("the expression is incomplete")
        handler = _PREFIX.get(t.text)
        if handler is None:
            raise self.fail(f"{t.text!r} was not expected")
        self.at += 1
        return handler(self, t)

    def sequence(self, close: str) -> tuple:
        """Comma-separated expressions up to `close`; gaps are Null, as the kernel reads them."""
        self.brackets += 1
        items: list[Any] = []
        if self.is_op(close):
            self.at += 1
            self.brackets -= 1
            return ()
        while True:
            if self.is_op(",") or (self.is_op(close) and items):
                items.append(NULL)
            else:
                items.append(self.expr(0))
            t = self.toks[self.at]
            if t.kind is OPERATOR and t.text == ",":
                self.at += 1
                continue
            self.take(close)
            self.brackets -= 1
            return tuple(items)

    def part(self, left: Any) -> Expr:
        """left[[...]], both opening brackets already taken."""
        items = self.sequence("]")
        self.take("]")
        return Expr(S.Part, (left, *items))


def _binary(head: Symbol, right: bool) -> Callable:
    def parse_binary(p: Parser, left: Any, t: Token, power: int) -> Any:
        p.at += 1
        return Expr(head, (left, p.expr(power - 1 if right else power)))

    return parse_binary


def _divides(p: Parser, left: Any, t: Token, power: int) -> Any:
    """a ∣ b: a divides b."""
    p.at += 1
    return mk(S.Divisible, p.expr(power), left)


def _flat(head: Symbol, op: str) -> Callable:
    def parse_flat(p: Parser, left: Any, t: Token, power: int) -> Any:
        items = [left]
        while p.is_op(op) and not p.ends():
            p.at += 1
            items.append(p.expr(power))
        return Expr(head, tuple(items))

    return parse_flat


def _plus(p: Parser, left: Any, t: Token, power: int) -> Any:
    items = [left]
    while not p.ends():
        op = p.toks[p.at]
        if op.kind is not OPERATOR or op.text not in "+-":
            break
        p.at += 1
        term = p.expr(PLUS)
        items.append(term if op.text == "+" else negate(term))
    return Expr(S.Plus, tuple(items))


def negate(term: Any) -> Any:
    """-term as the kernel reads it: a negative number, a product whose number is negated, or -1 times the term."""
    if type(term) not in (str, Symbol, Expr):
        return -term
    if type(term) is Expr and term.head is S.Times and term.args and type(term.args[0]) not in (str, Symbol, Expr):
        return Expr(S.Times, (-term.args[0], *term.args[1:]))
    if type(term) is Expr and term.head is S.Times:
        return Expr(S.Times, (-1, *term.args))
    return mk(S.Times, -1, term)


def _times(p: Parser, left: Any, t: Token, power: int) -> Any:
    items = [left]
    while p.is_op("*") and not p.ends():
        p.at += 1
        items.append(p.expr(TIMES))
    return Expr(S.Times, tuple(items))


def _divide(p: Parser, left: Any, t: Token, power: int) -> Any:
    items = [left]
    while p.is_op("/") and not p.ends():
        p.at += 1
        items.append(mk(S.Power, p.expr(DIVIDE), -1))
    return Expr(S.Times, tuple(items))


def _compare(p: Parser, left: Any, t: Token, power: int) -> Any:
    items, ops = [left], []
    while not p.ends():
        op = p.toks[p.at]
        if op.kind is not OPERATOR or op.text not in _COMPARE:
            break
        p.at += 1
        ops.append(system(_COMPARE[op.text]))
        items.append(p.expr(power))
    if all(o is ops[0] for o in ops):
        return Expr(ops[0], tuple(items))
    mixed = [items[0]]
    for o, i in zip(ops, items[1:]):
        mixed += [o, i]
    return Expr(S.Inequality, tuple(mixed))


def _call(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    if p.is_op("["):
        p.at += 1
        p.brackets += 1
        out = p.part(left)
        p.brackets -= 1
        return out
    return Expr(left, p.sequence("]"))


def _postfix(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    if t.text == "'":
        if type(left) is Expr and type(left.head) is Expr and left.head.head is S.Derivative:
            return Expr(mk(S.Derivative, left.head.args[0] + 1), left.args)
        return Expr(mk(S.Derivative, 1), (left,))
    return mk(system(_POSTFIX_HEADS[t.text]), left)


def _at(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    return mk(left, p.expr(power - 1))


def _pipe(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    return mk(p.expr(power), left)


def _infix_name(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    head = p.expr(power)
    p.take("~")
    return mk(head, left, p.expr(power))


def _compound(p: Parser, left: Any, t: Token, power: int) -> Any:
    items = [left]
    while p.is_op(";"):
        p.at += 1
        nxt = p.toks[p.at]
        if p.ends() or (nxt.kind is OPERATOR and nxt.text in _CLOSERS):
            items.append(NULL)
            if not p.is_op(";"):
                break
        else:
            items.append(p.expr(power))
        if p.ends():
            break
    return Expr(S.CompoundExpression, tuple(items))


def _span_end(p: Parser, default: Any) -> Any:
    t = p.toks[p.at]
    if p.ends() or (t.kind is OPERATOR and (t.text in _CLOSERS or t.text == ";;")):
        return default
    return p.expr(SPAN)


def _span(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    items = [left, _span_end(p, S.All)]
    if p.is_op(";;") and not p.ends():
        p.at += 1
        items.append(_span_end(p, 1))
    return Expr(S.Span, tuple(items))


def _colon(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    right = p.expr(power)
    if type(left) is Symbol:
        return mk(S.Pattern, left, right)
    return mk(S.Optional, left, right)


def _message_name(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    tok = p.toks[p.at]
    if tok.kind not in (SYM, STR):
        raise p.fail("a message name was expected after ::")
    p.at += 1
    return mk(S.MessageName, left, tok.text if tok.kind is SYM else tok.value)


def _tag(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    right = p.expr(40)
    op = p.toks[p.at]
    if op.kind is OPERATOR and op.text in ("=", ":=", "=."):
        p.at += 1
        if op.text == "=.":
            return mk(S.TagUnset, left, right)
        return mk(S.TagSet if op.text == "=" else S.TagSetDelayed, left, right, p.expr(39))
    raise p.fail("= or := was expected after /:")


def _function_arrow(p: Parser, left: Any, t: Token, power: int) -> Any:
    p.at += 1
    return mk(S.Function, left, p.expr(power - 1))


def _group(p: Parser, t: Token) -> Any:
    p.brackets += 1
    inner = p.expr(0)
    if p.is_op(","):
        raise p.fail("a comma inside parentheses")
    p.take(")")
    p.brackets -= 1
    p.products.pop(id(inner), None)  # (a b) c is not a b c as written
    return inner


def _minus(p: Parser, t: Token) -> Any:
    return negate(p.expr(UNARY))


def _abs_bars(p: Parser, t: Token) -> Any:
    if not p.lenient:
        raise p.fail("'|' was not expected", t)
    p.brackets += 1
    inner = p.expr(_INFIX["|"][0])
    p.take("|")
    p.brackets -= 1
    p.repairs.append("bars read as Abs")
    return mk(S.Abs, inner)


def _prefix_span(p: Parser, t: Token) -> Any:
    p.at -= 1
    return _span(p, 1, t, SPAN)


_PREFIX: dict[str, Callable[[Parser, Token], Any]] = {
    "(": _group,
    "{": lambda p, t: Expr(LIST, p.sequence("}")),
    "<|": lambda p, t: Expr(S.Association, p.sequence("|>")),
    "-": _minus,
    "+": lambda p, t: p.expr(UNARY),
    "!": lambda p, t: mk(S.Not, p.expr(230)),
    "!!": lambda p, t: mk(S.Not, mk(S.Not, p.expr(230))),
    "++": lambda p, t: mk(S.PreIncrement, p.expr(660)),
    "--": lambda p, t: mk(S.PreDecrement, p.expr(660)),
    "√": lambda p, t: mk(S.Sqrt, p.expr(580)),
    ";;": _prefix_span,
    "|": _abs_bars,
}

_INFIX: dict[str, tuple[int, Callable]] = {
    op: (power, _flat(system(_HEADS[op]), op) if op in _FLAT else _binary(system(_HEADS[op]), op in _RIGHT))
    for op, power in _BINARY.items()
    if op in _HEADS
}
_INFIX |= {op: (power, _postfix) for op, power in _POSTFIX.items()}
_INFIX |= {op: (290, _compare) for op in _COMPARE}
_INFIX |= {
    "∣": (_BINARY["∣"], _divides),
    "@": (640, _at),
    "//": (70, _pipe),
    "~": (630, _infix_name),
    "+": (PLUS, _plus),
    "-": (PLUS, _plus),
    "*": (TIMES, _times),
    "/": (DIVIDE, _divide),
    "[": (CALL, _call),
    ";": (10, _compound),
    ";;": (SPAN, _span),
    ":": (150, _colon),
    "::": (780, _message_name),
    "?": (700, _binary(S.PatternTest, False)),
    "/:": (41, _tag),
    "|->": (91, _function_arrow),
}


def parse(source: str) -> list[Any]:
    """The statements of a program, read faithfully. Raises WolframSyntaxError with a span."""
    p = Parser(source, tokens(source))
    out: list[Any] = []
    while p.toks[p.at].kind is not END:
        out.append(p.statement())
        if not p.ends():
            raise p.fail(f"{p.toks[p.at].text!r} was not expected")
    return out
