"""Tokens of an answer written in LaTeX, plain text, Wolfram Language or Python. Knows no grammar.

Numbers are exact fractions with the number of digits they were written with; everything is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from nsrl.answers import clean

MAX_TOKENS = 500
MAX_DIGITS = 400


class Unreadable(ValueError):
    """The text is not one complete answer this reader knows."""


@dataclass(frozen=True, slots=True)
class Token:
    """One sign, number or name of an answer."""

    kind: str  # num, name, op, cmd, end
    text: str
    spaced: bool = False  # white space before it
    roman: bool = False  # from \text{} or \mathrm{}
    value: Fraction | None = None
    places: int | None = None


_NUMBER = re.compile(r"(?:\d+\.?\d*|\.\d+)(?:`[\d.]*)?(?:(?:\*\^|[eE](?=[+-]?\d))[+-]?\d+)?")
_REPEATS = re.compile(
    r"\s*\\(?:overline|bar|dot)\s*(?:\{\s*(\d{1,20})\s*\}|(\d))"
)  # after a decimal point: 0.1\overline{6}
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?![\d]|,\d)(?:\.\d+)?")
_NAME = re.compile(r"[A-Za-z¢]+")
_COMMAND = re.compile(r"\\([A-Za-z]+)(?:(?<=operatorname)\*)?|\\(.)")
_OPS = re.compile(r"\*\*|==|!=|<=|>=|->|=>|&&|\|\||<>|[-+*/^_=<>(){}\[\],;:|!%°'~]")
_SKIP = {"displaystyle", "rm", "bf", "it", "overline", "bar", "hat", "widehat", "mathbf",
         "mathcal", "boldsymbol", "underline", "mathit", "widetilde", "tilde", "overset", "hfill",
         "textstyle", "mathop", "ensuremath", "bold", "Big"}  # fmt: skip
_BLANK = {"phantom", "hphantom", "vphantom", "hspace", "vspace"}  # what their braces hold is not printed
_ROMAN = {"text", "textrm", "textbf", "textit", "mathrm", "mbox", "operatorname", "mathsf", "texttt", "textnormal"}
_OPERATOR_COMMANDS = {
    "times": "*", "cdot": "*", "ast": "*", "div": "/", "le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=",
    "geq": ">=",
    "geqslant": ">=", "lt": "<", "gt": ">", "ne": "!=", "neq": "!=", "to": "->", "rightarrow": "->", "Rightarrow": "->",
    "colon": ":", "mid": "|", "vert": "|", "lvert": "|<", "rvert": ">|", "langle": "(", "rangle": ")", "prime": "'",
    "degree": "°", "land": "&&", "lor": "||", "wedge": "&&", "vee": "||", "equiv": "=", "lbrace": "\\{",
    "rbrace": "\\}",
    "lbrack": "[", "rbrack": "]", "percent": "%", "surd": "√", "approx": "≈", "sim": "≈", "in": "∈", "cup": "∪",
    "pm": "±",
    "mp": "∓", "cap": "∩", "longrightarrow": "->", "implies": "->", "slash": "/", "lparen": "(", "rparen": ")",
}  # fmt: skip


def tokenise(text: str, roman: bool = False) -> list[Token]:
    r"""The tokens of a text, the end last. roman: letters are words, as in \text{…}. Raises Unreadable."""
    out: list[Token] = []
    i, depth = 0, 0
    spaced = False
    while i < len(text):
        if len(out) > MAX_TOKENS:
            raise Unreadable("too many tokens")
        c = text[i]
        if c.isspace():
            spaced, i = True, i + 1
            continue
        before = i
        if c.isdigit() or (c == "." and text[i + 1 : i + 2].isdigit()):
            match = (depth == 0 and _THOUSANDS.match(text, i)) or _NUMBER.match(text, i)
            if match is None:
                raise Unreadable(f"digit {c!r}")
            out.append(_number(match[0], spaced, roman))
            i = match.end()
            if "." in match[0] and (repeats := _REPEATS.match(text, i)):
                out[-1] = _repeating(out[-1], repeats[1] or repeats[2])
                i = repeats.end()
        elif match := _NAME.match(text, i):
            out.append(Token("name", match[0], spaced, roman))
            i = match.end()
        elif c == "\\":
            match = _COMMAND.match(text, i)
            if match is None:
                raise Unreadable("a lone backslash")
            i = match.end()
            word = match[1] or match[2]
            if word in _ROMAN:
                while text[i : i + 1] == " ":
                    i += 1
                close = clean.balanced(text, i) if text[i : i + 1] == "{" else None
                if close is None:
                    raise Unreadable(f"\\{word} without its braces")
                inner = tokenise(text[i + 1 : close], roman=True)[:-1]
                if inner:
                    first = inner[0]
                    inner[0] = Token(
                        first.kind, first.text, spaced or text[i + 1] == " ", True, first.value, first.places
                    )
                out.extend(inner)
                i = close + 1
            elif word in _BLANK and (close := clean.balanced(text, i) if text[i : i + 1] == "{" else None) is not None:
                i = close + 1
            elif word in "{}":
                out.append(Token("op", "\\" + word, spaced))
                depth += 1 if word == "{" else -1
            elif word == "\\":
                out.append(Token("op", "\\\\", spaced))
            elif word == "|":
                out.append(Token("op", "|", spaced))
            elif word in _OPERATOR_COMMANDS:
                out.append(Token("op", _OPERATOR_COMMANDS[word], spaced))
            elif word == "circ":
                out.append(Token("op", "°", spaced))
            elif word not in _SKIP:
                out.append(Token("cmd", word, spaced))
        elif match := _OPS.match(text, i):
            out.append(Token("op", match[0], spaced, roman))
            depth += 1 if c in "([" else -1 if c in ")]" else 0
            i = match.end()
        elif c == "&":
            out.append(Token("op", "&", spaced))
            i += 1
        else:
            raise Unreadable(f"character {c!r}")
        spaced = False
        if i == before:
            raise Unreadable("no progress")
    return [*out, Token("end", "", spaced)]


def _repeating(token: Token, digits: str) -> Token:
    """The number whose decimals go on with `digits` again and again: exact."""
    assert token.value is not None
    tail = Fraction(int(digits), 10 ** len(digits) - 1) / 10 ** (token.places or 0)
    return Token("num", token.text, token.spaced, token.roman, token.value + tail)


def _number(text: str, spaced: bool, roman: bool) -> Token:
    plain = re.sub(r"`[\d.]*", "", text.replace(",", ""))
    mantissa, _, exponent = re.sub(r"\*\^", "e", plain).lower().partition("e")
    if len(mantissa) > MAX_DIGITS or len(exponent) > 4:
        raise Unreadable("too many digits")
    whole, point, digits = mantissa.partition(".")
    shift = int(exponent or 0)
    if abs(shift) > 1000:
        raise Unreadable("exponent")
    value = Fraction(int((whole + digits) or 0)) * Fraction(10) ** (shift - len(digits))
    return Token("num", text, spaced, roman, value, len(digits) - shift if point and digits else None)
