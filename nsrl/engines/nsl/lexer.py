"""The words and signs of nsl: text to tokens with their places."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from nsrl.engines.nsl.words import KEYWORDS, WORDS


class NslSyntaxError(Exception):
    """The text is no program. start, end: offsets into the source."""

    def __init__(self, reason: str, start: int, end: int):
        super().__init__(reason)
        self.reason, self.start, self.end = reason, start, end


@dataclass(slots=True)
class Token:
    """kind: num, name, word (a function of WORDS), key (KEYWORDS), str, sup (superscript), op, end.

    `gap`: white space stands before it. Only the number before ½ is changed, as it is read; it is not frozen because
    that makes making one slow.
    """

    kind: str
    value: Any
    start: int
    end: int
    gap: bool


# One sign for each meaning; what a model is likely to write instead is read as the same.
_SAME = {
    "×": "*", "·": "*", "∙": "*", "⋅": "*", "∗": "*", "−": "-", "–": "-", "÷": "/", "∶": ":", "＝": "=", "，": ",",
    "；": ";", "（": "(", "）": ")", "≤": "<=", "⩽": "<=", "≥": ">=", "⩾": ">=", "≠": "!=", "**": "^", "==": "=",
    "→": "->", "➔": "->", "&&": "and", "||": "or", "∧": "and", "∨": "or", "¬": "not", "∈": "in", "...": "..", "…": "..",
    "⟹": ";", "！": "!", "？": "?", "“": '"', "”": '"', "％": "%", "∣": "|",
}  # fmt: skip
_SIGNS = {sign: ("key" if same in KEYWORDS else "op", same) for sign, same in _SAME.items()}
_VULGAR = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅙": (1, 6), "⅛": (1, 8)}
_SUPER = {c: str(i) for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {"⁻": "-", "ⁿ": "n"}
_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_LETTER = r"[^\W\d_πℝℤ⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ₀₁₂₃₄₅₆₇₈₉½⅓⅔¼¾⅕⅙⅛]"

_TOKEN = re.compile(
    rf"""(?P<space>[ \t\r\f\v\u00a0\u2009\u202f\\$]+|\#[^\n]*)
    |(?P<vulgar>[½⅓⅔¼¾⅕⅙⅛])
    |(?P<num>(?:\d+\.\d+|\.\d+|\d+)[eE]\d+|\d+\.\d+|\d+\.(?![.\d\w])|\.\d+|\d+)
    |(?P<sup>[⁻⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ]+)
    |(?P<name>∠?{_LETTER}+(?:_?[\d₀₁₂₃₄₅₆₇₈₉]+|_{_LETTER}+)*['′]*|∠\d+)
    |(?P<str>"[^"\n]*"|“[^”\n]*”)
    |(?P<op>:=|\+=|-=|\*=|/=|==|!=|<=|>=|=>|->|\*\*|&&|\|\||\.\.\.|\.\.
        |[-+*/^=<>!?:;,.()\[\]{{}}|%°√∛∜π∞×·∙⋅∗−–÷∶＝，；（）≤⩽≥⩾≠→➔∧∨¬∈…⟹！？％∣ℤℝ\n])
    """,
    re.VERBOSE,
)
MAX_DIGITS = 1000
_GLUED = re.compile(r"(sin|cos|tan|ln|log|sqrt)([A-Zα-ωx]|\d+)$")
_BASED = re.compile(rf"log(_\d+|[₀₁₂₃₄₅₆₇₈₉]+|_{_LETTER})(\d*)$")
_SIGNED = re.compile(r"([eE])([+-]\d+)")  # behind a number: 2e-3, which could be 0.002 or 2·e-3
_CONSTANT = re.compile(r"(?<![A-Za-z_])[eE](?!\w|[+-]\d)")  # e^x, 2e: the constant e
_ALONE = re.compile(r"(?<![\w.])[eE](?![\w^⁰¹²³⁴⁵⁶⁷⁸⁹])")
_OTHER_LETTER = re.compile(r"[^\W\d_eE]")
_COUNTING = re.compile(r"([CP])(\d+)$")


def tokens(text: str) -> list[Token]:
    """The tokens of `text`, ended by one of kind `end`. Raises NslSyntaxError at a sign that nsl does not have."""
    out: list[Token] = []
    at, gap, depth, size = 0, False, 0, len(text)
    match = _TOKEN.match
    signed = _SIGNED.search(text) is not None
    alone = set(_ALONE.findall(text)) if signed else set()
    # Where e stands elsewhere too, or is all that an equation could be about, 2e-3 could be 2·e-3.
    unclear = signed and bool(_CONSTANT.search(text) or ("=" in text and not _OTHER_LETTER.search(text)))

    def put(kind: str, value: object, start: int, end: int) -> None:
        nonlocal gap
        out.append(Token(kind, value, start, end, gap))
        gap = False

    while at < size:
        m = match(text, at)
        if m is None:
            raise NslSyntaxError(f"the sign {text[at]!r} has no meaning here", at, at + 1)
        kind, s, start, at = m.lastgroup, m.group(), at, m.end()
        if kind == "op":
            kind, s = _SIGNS.get(s) or ("op", s)
            if s in "([{":
                depth += 1
            elif s in ")]}":
                depth = max(0, depth - 1)
            elif s == "\n":
                # A line ends a statement, except inside brackets or after a sign that wants more.
                more = (
                    depth or not out or (out[-1].kind == "op" and out[-1].value in ("+", "-", "*", "/", "=", ",", ":"))
                )
                gap = True
                if more:
                    continue
                s = ";"
            out.append(Token(kind, s, start, at, gap))
            gap = False
        elif kind == "num":
            if s[0] == "0" and len(s) > 1 and s[1].isdecimal():
                if (
                    len(s) == 3
                    and s.isdecimal()
                    and len(out) > 1
                    and out[-1].value == ","
                    and out[-2].kind == "num"
                    and not gap
                ):
                    raise NslSyntaxError("no thousands separators; write 1000", start, at)
                raise NslSyntaxError(
                    'a number does not begin with 0; a date or a label is a text: "2024-01-01"', start, at
                )
            power = _SIGNED.match(text, at) if signed else None
            if power and power[1] not in alone:  # no name e in the program
                if "e" in s or "E" in s:
                    raise NslSyntaxError("a number has one power of ten", start, power.end())
                if unclear and "." not in s and len(power[2]) < 3:
                    raise NslSyntaxError("write 10^-3 for the power of ten, 2*e-3 for a name", start, power.end())
                s, at = s + power[0], power.end()
            out.append(Token("num", _number(s, start), start, at, gap))
            gap = False
        elif kind == "name":
            _name(s, start, put, out)
        elif kind == "space":
            gap = True
        elif kind == "sup":
            put("sup", "".join(_SUPER[c] for c in s), start, at)
        elif kind == "str":
            put("str", s[1:-1], start, at)
        elif out and out[-1].kind == "num" and out[-1].end == start and text[out[-1].start : start].isdecimal():  # 1½
            out[-1].value, out[-1].end = out[-1].value + Fraction(*_VULGAR[s]), at  # pyright: ignore[reportOperatorIssue]
        else:
            put("num", Fraction(*_VULGAR[s]), start, at)
    out.append(Token("end", None, size, size, gap))
    return out


def _number(s: str, start: int) -> int | float:
    """1e3 is the whole number 1000; with a point, and as 1e-3, it is a decimal."""
    if len(s) <= MAX_DIGITS and s.isdigit():
        return int(s)
    digits, _, exponent = s.lower().partition("e")
    if len(s) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DIGITS:
        raise NslSyntaxError(f"a number has at most {MAX_DIGITS} digits", start, start + len(s))
    if digits.isdigit() and "-" not in exponent:
        return int(digits) * 10 ** int(exponent or 0)
    value = float(s)
    if value == float("inf") or (value == 0 and digits.strip("0.")):
        raise NslSyntaxError("a decimal lies between 1e-300 and 1e300", start, start + len(s))
    return value


def _name(s: str, start: int, put, out: list[Token]) -> None:
    """A run of letters and digits: a keyword, a function word (with the number glued to it), or a plain name."""
    end = start + len(s)
    if len(s) < 3 and s.isascii() and s.isalpha():  # most names: nothing below splits them
        put("key" if s in KEYWORDS else "word" if s in WORDS else "name", s, start, end)
        return
    based = _BASED.match(s)
    if based:  # log₂8, log_2(8), log_b(x): the sign "_" stands before the base
        put("word", "log", start, start + 3)
        put("op", "_", start + 3, start + 3)
        base = based[1].lstrip("_").translate(_SUBSCRIPT)
        put(
            "num" if base.isdigit() else "name",
            _number(base, start) if base.isdigit() else base,
            start + 3,
            end - len(based[2]),
        )
        if based[2]:
            put("num", _number(based[2], start), end - len(based[2]), end)
        return
    s = s.translate(_SUBSCRIPT)
    if s.startswith("∠"):
        put("name", "angle" + s[1:].replace("'", "p").replace("′", "p").replace("_", ""), start, end)
        return
    s = s.replace("'", "p").replace("′", "p")
    plain = s.replace("_", "")
    previous = out[-1] if out else None
    glued = previous is not None and previous.end == start and (previous.kind == "num" or previous.value in (")", "}"))
    letters = plain.rstrip("0123456789")
    digits = plain[len(letters) :]
    counting = _COUNTING.match(plain)
    split = _GLUED.match(plain)
    if glued and counting:  # 5C2: 5 choose 2
        put("key", "choose" if counting[1] == "C" else "perm", start, start + 1)
        put("num", _number(counting[2], start), start + 1, end)
    elif plain in KEYWORDS:
        put("key", plain, start, end)
    elif plain in WORDS:
        put("word", plain, start, end)
    elif digits and letters in KEYWORDS:
        put("key", letters, start, end - len(digits))
        put("num", _number(digits, start), end - len(digits), end)
    elif digits and letters in WORDS and letters not in ("C", "P"):
        put("word", letters, start, end - len(digits))
        put("num", _number(digits, start), end - len(digits), end)
    elif split and not split[2].isdigit():
        put("word", split[1], start, end - len(split[2]))
        put("name", split[2], end - len(split[2]), end)
    else:
        put("name", plain, start, end)
