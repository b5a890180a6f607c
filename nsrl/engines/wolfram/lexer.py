"""Text to tokens. Comments nest; newlines are remembered because they end a statement outside brackets. Source: Wolfram
Language syntax reference (numbers, `x_h`, `#n`, `\\[Name]`)."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.expr import Expr, S, mk, norm, sym

NUM, SYM, STR, OPERATOR, OPERAND, END = "num", "sym", "str", "op", "operand", "end"


class Token(NamedTuple):
    """kind: what the parser does with it; text: the operator, or a name; value: the tree of an operand."""

    kind: str
    text: str
    value: Any
    start: int
    end: int
    newline: bool  # a line break stands before it


_SIGNS = """
    /: ^:= ^= := =. === =!= == = != !! ! <-> <> <= <| |> < >= > |-> || | -> :> :: : ;; ; && & ++ += + -- -= -
    *= ** * //. //@ // /. /@ /; /= /* / @@@ @@ @* @ ~~ ~ ^ ' ... .. . ? , [ ] ( ) { }
"""
_OPERATORS = sorted(_SIGNS.split(), key=len, reverse=True)
# What the kernel itself reads as operators (its long names are \[Rule], \[Times], ...): no repair, in any mode.
UNICODE = {
    "→": "->", "⧴": ":>", "×": "*", "⋅": "*", "÷": "/", "−": "-", "≤": "<=", "≥": ">=", "≠": "!=", "⩵": "==",
    "∧": "&&", "∨": "||", "¬": "!", "∈": "∈", "∉": "∉", "√": "√", "∪": "∪", "⋃": "∪", "∩": "∩", "⋂": "∩", "⇒": "⇒",
    "⧦": "⧦", "⊻": "⊻", "⊼": "⊼", "⊽": "⊽", "≡": "≡", "↔": "<->", "⩽": "<=", "⩾": ">=", "∘": "@*",
    "∣": "∣", "\uf522": "->", "\uf51f": ":>", "\uf523": "⇒", "\uf431": "==", "\uf4a1": "|->", "\uf3d4": "<->",
    "\uf3d2": "\uf3d2", "\uf3d3": "\uf3d3",
}  # fmt: skip
_CONSTANTS = {"π": "Pi", "∞": "Infinity", "°": "Degree", "\uf74d": "E", "ⅇ": "E", "\uf74e": "I", "ⅈ": "I"}
_NAMED = {
    "Pi": "π", "Infinity": "∞", "Degree": "°", "ExponentialE": "ⅇ", "ImaginaryI": "ⅈ", "ImaginaryJ": "ⅈ", "Rule": "→",
    "RuleDelayed": "⧴", "Times": "×", "Divide": "÷", "Minus": "−", "LessEqual": "≤", "GreaterEqual": "≥",
    "NotEqual": "≠", "Equal": "⩵", "And": "∧", "Or": "∨", "Not": "¬", "Element": "∈", "NotElement": "∉", "Sqrt": "√",
    "Union": "∪", "Intersection": "∩", "Implies": "⇒", "Equivalent": "⧦", "Xor": "⊻", "Nand": "⊼", "Nor": "⊽",
    "Alpha": "α", "Beta": "β", "Gamma": "γ", "Delta": "δ", "Epsilon": "ϵ", "Zeta": "ζ", "Eta": "η", "Theta": "θ",
    "Iota": "ι", "Kappa": "κ", "Lambda": "λ", "Mu": "μ", "Nu": "ν", "Xi": "ξ", "Omicron": "ο", "Rho": "ρ",
    "Sigma": "σ", "Tau": "τ", "Upsilon": "υ", "Phi": "ϕ", "CurlyPhi": "φ", "Chi": "χ", "Psi": "ψ", "Omega": "ω",
    "CapitalGamma": "Γ", "CapitalDelta": "Δ", "CapitalTheta": "Θ", "CapitalLambda": "Λ", "CapitalSigma": "Σ",
    "CapitalPhi": "Φ", "CapitalPsi": "Ψ", "CapitalOmega": "Ω", "Ellipsis": "…", "Bullet": "•", "CenterDot": "·",
    "Function": "\uf4a1", "LongRightArrow": "⟶", "Angle": "∠", "Square": "□", "Prime": "′", 
    "UndirectedEdge": "\uf3d4", "DirectedEdge": "→", "Divides": "∣", "Cross": "⨯", "EmptySet": "∅",
    "Distributed": "\uf3d2", "Conditioned": "\uf3d3",
}  # fmt: skip
# Superscripts, fractions and typographic quotes are no letters and no operators: repair.py knows what was meant.
FOREIGN = "²³¹⁰⁴⁵⁶⁷⁸⁹⁻½¼¾₀₁₂₃₄₅₆₇₈₉“”‘’"
_NAME = rf"[^\W\d_${FOREIGN}]|\$"
_SYMBOL = rf"(?:{_NAME})(?:[^\W_{FOREIGN}]|\$)*(?:`(?:{_NAME})(?:[^\W_{FOREIGN}]|\$)*)*"
_TOKEN = re.compile(
    rf"""
    (?P<space>[ \t\f\v\u00a0\u2009\u200a\u2002-\u2005\u3000]+) | (?P<newline>[\r\n\u2028\u2029]+)
    | (?P<num>[0-9]+\^\^[0-9a-zA-Z]+(?:\.(?!\.)[0-9a-zA-Z]*)?
        | (?:[0-9]+(?:\.(?!\.)[0-9]*)?|\.[0-9]+)(?:``?(?:[0-9]+(?:\.[0-9]*)?)?)?(?:\*\^[+-]?[0-9]+)?)
    | (?P<blank>(?:{_SYMBOL})?(?:_\.(?!\.)|_{{1,3}}(?:{_SYMBOL})?))
    | (?P<sym>{_SYMBOL})
    | (?P<str>"[^"\\]*(?:\\.[^"\\]*)*")
    | (?P<slot>\#\#?[0-9]+|\#\#|\#(?:{_SYMBOL})?)
    | (?P<out>%[0-9]+|%+)
    | (?P<comment>\(\*)
    | (?P<op>{"|".join(map(re.escape, _OPERATORS))}|[{"".join(UNICODE)}])
    | (?P<named>\\\[[A-Za-z]+\])
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"\(\*|\*\)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "b": "\b", "f": "\f", "\n": ""}
_ESCAPE = re.compile(r"\\(\[[A-Za-z]+\]|:[0-9a-fA-F]{4}|\.[0-9a-fA-F]{2}|.)", re.DOTALL)
MAX_DIGITS = 200_000
JOINT = "ˍ"  # a letter that repair.py writes for the underscore inside a name, so that the name stays one token


def unescape(body: str) -> str:
    """The characters a string literal stands for (body: without its quotes)."""

    def one(m: re.Match[str]) -> str:
        s = m[1]
        if s[0] == "[":
            return _NAMED.get(s[1:-1], m[0])
        if s[0] in ":." and len(s) > 1:
            return chr(int(s[1:], 16))
        return _ESCAPES.get(s, m[0])

    return _ESCAPE.sub(one, body) if "\\" in body else body


def parse_int(digits: str) -> int:
    """int() without the interpreter's 4,300-digit limit (Decimal converts in subquadratic time)."""
    return int(digits) if len(digits) < 4000 else int(Decimal(digits))


def number(text: str, start: int = 0) -> Any:
    """The value of a number literal. Raises WolframSyntaxError on bad digits or an absurd length."""
    if len(text) > MAX_DIGITS:
        raise WolframSyntaxError(f"a number of more than {MAX_DIGITS} digits", start, start + len(text))
    if text.isdigit() and text.isascii():
        return parse_int(text)
    exponent = 0
    body = text
    if "*^" in body:
        body, _, power = body.partition("*^")
        if len(power) > 7:
            raise WolframSyntaxError("an exponent out of range", start, start + len(text))
        exponent = int(power)
    if "^^" in body:
        base_text, _, digits = body.partition("^^")
        base = int(base_text)
        if not 2 <= base <= 36:
            raise WolframSyntaxError("a base between 2 and 36 was expected before ^^", start, start + len(text))
        whole, _, part = digits.partition(".")
        try:
            value: Any = Fraction(int(whole + part, base), base ** len(part)) * Fraction(base) ** exponent
        except ValueError:
            raise WolframSyntaxError(f"a digit out of base {base}", start, start + len(text)) from None
        return float(value) if "." in digits else norm(value)
    mantissa, tick, precision = body.partition("`")
    if "." not in mantissa and not tick:
        if abs(exponent) > MAX_DIGITS:
            raise WolframSyntaxError("an exponent out of range", start, start + len(text))
        return norm(parse_int(mantissa) * Fraction(10) ** exponent)
    significant = len(mantissa.replace(".", "").lstrip("0"))
    if tick and precision.lstrip("`"):
        from nsrl.engines.wolfram.bignum import BigReal

        return BigReal.parse(mantissa, exponent, float(precision.lstrip("`")), accuracy=precision[0] == "`")
    if significant > 17 and not tick:
        from nsrl.engines.wolfram.bignum import BigReal

        return BigReal.parse(mantissa, exponent, float(significant))
    return float(f"{mantissa}e{exponent}")


def blank(text: str) -> Expr:
    """`x_`, `x__h`, `_.` ... as Pattern, Blank and Optional trees."""
    at = text.index("_")
    name, rest = text[:at], text[at:]
    if rest == "_.":
        return mk(S.Optional, mk(S.Pattern, sym(name), mk(S.Blank)) if name else mk(S.Blank))
    head = rest.lstrip("_")
    kind = (S.Blank, S.BlankSequence, S.BlankNullSequence)[len(rest) - len(head) - 1]
    tree = Expr(kind, (sym(head),) if head else ())
    return mk(S.Pattern, sym(name), tree) if name else tree


def _slot(text: str) -> Expr:
    if text.startswith("##"):
        return mk(S.SlotSequence, int(text[2:8]) if text[2:] else 1)
    rest = text[1:]
    if not rest:
        return mk(S.Slot, 1)
    return mk(S.Slot, int(rest[:6]) if rest.isascii() and rest.isdigit() else rest)


def skip_comment(source: str, at: int) -> int:
    """The offset after the comment that opens at `at`. Raises WolframSyntaxError if it never closes."""
    depth, pos = 0, at
    while True:
        m = _COMMENT_EDGE.search(source, pos)
        if m is None:
            raise WolframSyntaxError("a comment is not closed", at, len(source))
        pos = m.end()
        depth += 1 if m.group() == "(*" else -1
        if depth == 0:
            return pos


def mojibake(char: str) -> str:
    """The name under which the real tool reads a character it has no meaning for (UTF-8 taken as Latin-1)."""
    return char.encode("utf-8", "replace").decode("latin-1").replace("\x80", "")


def tokens(source: str) -> list[Token]:
    """The tokens of a program, ending with one of kind END. Raises WolframSyntaxError with a span."""
    out: list[Token] = []
    pos, size, newline = 0, len(source), False
    match = _TOKEN.match
    while pos < size:
        m = match(source, pos)
        if m is None:
            pos = _stray(source, pos, out, newline)
            newline = False
            continue
        kind, text, start = m.lastgroup, m.group(), pos
        pos = m.end()
        if kind == "space":
            continue
        if kind == "newline":
            newline = True
            continue
        if kind == "comment":
            pos = skip_comment(source, start)
            newline = newline or "\n" in source[start:pos]
            continue
        if kind == "op":
            out.append(Token(OPERATOR, UNICODE.get(text, text), None, start, pos, newline))
        elif kind == "sym":
            out.append(Token(SYM, text, sym(_CONSTANTS.get(text) or _base(text)), start, pos, newline))
        elif kind == "num":
            out.append(Token(NUM, text, number(text, start), start, pos, newline))
        elif kind == "str":
            out.append(Token(STR, text, unescape(text[1:-1]), start, pos, newline))
        elif kind == "blank":
            out.append(Token(OPERAND, text, blank(text), start, pos, newline))
        elif kind == "slot":
            out.append(Token(OPERAND, text, _slot(text), start, pos, newline))
        elif kind == "out":
            n = parse_int(text[1:]) if text[1:].isascii() and text[1:].isdigit() else -len(text)
            out.append(Token(OPERAND, text, mk(S.Out, n), start, pos, newline))
        else:
            char = _NAMED.get(text[2:-1], "")
            if char in UNICODE:
                out.append(Token(OPERATOR, UNICODE[char], None, start, pos, newline))
            else:
                name = _CONSTANTS.get(char) or char or text
                out.append(Token(SYM, name, sym(name), start, pos, newline))
        newline = False
    out.append(Token(END, "", None, size, size, newline))
    return out


def _base(name: str) -> str:
    """A name without the contexts every program sees by itself, and with the underscores a repair hid."""
    if JOINT in name:
        name = name.replace(JOINT, "_")
    if "`" in name:
        context, _, last = name.rpartition("`")
        return last if context in ("System", "Global") else name
    return name


def _stray(source: str, pos: int, out: list[Token], newline: bool) -> int:
    """One character that starts no token: a symbol by itself if it is not ASCII, else an error."""
    char = source[pos]
    if char in _CONSTANTS:
        out.append(Token(SYM, char, sym(_CONSTANTS[char]), pos, pos + 1, newline))
    elif char == "\ufeff":
        pass
    elif char in FOREIGN:
        raise WolframSyntaxError(f"an unexpected character {char!r}", pos, pos + 1)
    elif ord(char) > 127:
        out.append(Token(SYM, char, sym(mojibake(char)), pos, pos + 1, newline))
    elif char == '"':
        raise WolframSyntaxError("a string is not closed", pos, len(source))
    else:
        raise WolframSyntaxError(f"an unexpected character {char!r}", pos, pos + 1)
    return pos + 1
