"""The reader: LaTeX, plain, Wolfram or SymPy text of one answer to a value (`nsrl.answers.values`).

Nothing is evaluated and no parser of another library sees the text. Length, depth and digits are bounded; anything
else than a complete reading raises `Unreadable`. Knows nothing of gold, options or prose.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

from nsrl.answers import clean, units
from nsrl.answers.calls import CONSTANTS
from nsrl.answers.cursor import Spent
from nsrl.answers.grammar import Reader
from nsrl.answers.lexer import Unreadable
from nsrl.answers.tree import INFINITY, neg, normal, num
from nsrl.answers.values import EMPTY, REALS, Clock, Scalar, Value

MAX_LENGTH = 1200
_CLOCK = re.compile(
    r"(\d{1,2}):(\d{2})(?::(\d{2}))?\s*(?:(?P<half>[ap])\.?\s*m\.?|o'?clock|"
    r"in the (?P<part>morning|afternoon|evening))?$",
    re.IGNORECASE,
)
_PAST = re.compile(
    r"(half(?= past)|quarter|\d{1,2} minutes|\d{1,2}(?= past)) (past|to) (\d{1,2}|[a-z]{3,6})(?: o'?clock)?$",
    re.IGNORECASE,
)
_ON_CLOCK = re.compile(
    r"\\(?:text|textrm|textbf|mathrm|mbox)\s?\{((?:\d{1,2}:\d{2})?\s?(?:[ap]\.?\s?m\.?)?)\s?\}", re.IGNORECASE
)
_HOUR = re.compile(r"(\d{1,2})\s*(?:([ap])\.?m\.?|o'?clock)$", re.IGNORECASE)
_SPACED_THOUSANDS = re.compile(r"-?\d{1,3}(?: \d{3})+(?:\.\d+)?$")
_CONDITIONAL = re.compile(r"ConditionalExpression\[(.*),((?:[^,\[\]]|\[[^\[\]]{0,60}\])*)\]$")
_LETTER = re.compile(r"(?<![A-Za-z])[A-Za-z](?![A-Za-z])")
_ROOT = re.compile(r"Root\[([-+*/^#()\d ]{1,80})& ?, ?([1-9])(?:, ?0)?\]$")  # of a polynomial in #
_PURE = re.compile(r"([a-z]) -> Function\[\{[a-z]\}, ((?:[^\[\]]|\[[^\[\]]*\]){1,300})\]")
_COMPLEX = re.compile(r"^(\(?-?[\d.]*(?:(?<=\d)[-+])?\d[\d.]*)j(?=\)?$)")  # as Python prints one
_VECTOR = re.compile(r"^<([^<>=]+,[^<>=]+)>$")
_PERIOD = re.compile(r"(-?\d+\.\d*)\((\d{1,20})\)$")  # 0.1(6) is 0.1666...
_EITHER = re.compile(r"^(?:either|both) ", re.IGNORECASE)
_OUT_OF = re.compile(r"^(\d+) (?:out of|in every|in|over) (\d+)$")
_PART_OF = re.compile(r"^((?:[a-z]+[ -]){0,2}[a-z]+) of (?:the )?(\d{1,12})$", re.IGNORECASE)
_TEXT_OF = re.compile(r"^\\(?:text|textrm|textbf|mathrm|mbox)\s?\{([a-z -]{1,30}) ?\} ?", re.IGNORECASE)
_PHRASES: dict[str, Value] = {
    **dict.fromkeys(("all real numbers", "all reals", "reals", "s.reals", "all real values"), REALS),
    **dict.fromkeys(("complexinfinity", "directedinfinity[1]", "directedinfinity[]"), Scalar(INFINITY)),
    "directedinfinity[-1]": Scalar(neg(INFINITY)),
    **dict.fromkeys(("empty set", "the empty set", "\\emptyset", "emptyset", "emptyset()", "s.emptyset"), EMPTY),
}
_NONE = re.compile(r"(?:there (?:is|are) )?no (?:real |integer |rational )?(?:solution|root)s?(?: exists?)?$")
_DOTTED = re.compile(r"\s*\$?(-?\d{0,12}\.\d{0,12}?)(\d{1,3}?)\2{2,20}(?:\.\.\.?|…|\\l?dots)\.?\$?\s*$")  # 0.1666...
_POINT_CLOCK = re.compile(r"^(\d{1,2})\.(\d{2})(?=\s*[ap]\.?\s?m\b)", re.IGNORECASE)
_HOURS_MINUTES = re.compile(r"^(\d+)\s*h(?:rs?|ours?)?\.?\s*(?:and\s+)?(\d+)\s*m(?:ins?|inutes?)?\.?$")
_TEXT = re.compile(r"\\(?:text|textrm|textbf|mathrm|mbox)\s?\{([^{}]*)\}$")
_PYTHON = re.compile(r"\b(?:Point[23]D(?=\()|Fraction(?=\()|Interval\.(?:open|Lopen|Ropen)(?=\())")
_SHORT = {"Point2D": "Point", "Point3D": "Point", "Fraction": "Rational"}
_ARRAY = re.compile(r"\[\[?\s?-?\d[-+\d.e\[\] ]*\]")  # as NumPy prints one: no commas
_BETWEEN = re.compile(r"(?<=[\d.\]]) (?=-?\.?\d|\[)")
_QUOTED = re.compile(r'"([A-Z][A-Za-z]*)"')  # the unit in Quantity[5, "SquareMeters"]
_MARKED = re.compile(r"\s*(-?\d+(?:\.\d+)?)\s*('|′|’|\"|″|”|'')\s*\.?$")  # a length: no number of degrees is written so
_FOOT = ("'", "′", "’")
_FEET = re.compile(r"(\d+)\s*'\s*(\d+)\s*(?:\"|'')$")
_OF = frozenset(
    ["sin", "cos", "tan", "cot", "sec", "csc", "ln", "log", "lg", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"]
)


def _of_letters(text: str) -> bool:
    """Whether words are functions of letters, `sin x cos y`."""
    parts = text.lstrip("-").split()
    return (
        bool(parts)
        and parts[-1] not in _OF
        and not _OF.isdisjoint(parts)
        and all(len(p) == 1 or p in _OF for p in parts)
    )


def _nth_root(polynomial: str, k: int) -> Scalar:
    """The k-th root, real ones first and from left to right, of a quadratic or of a x^n - c, as the Wolfram Language
    counts them. Raises `Unreadable` for any other."""
    inner = Reader(polynomial).answer()
    try:
        poly = normal(inner.tree) if isinstance(inner, Scalar) else {}
    except ArithmeticError:
        raise Unreadable("Root") from None
    by_degree = {sum(e for _, e in mono): c for mono, c in poly.items() if all(atom == "x" for atom, _ in mono)}
    degree = int(max(by_degree, default=0))
    if len(by_degree) != len(poly) or degree < 2 or not set(by_degree) <= ({0, 1, 2} if degree == 2 else {0, degree}):
        raise Unreadable("Root")
    a, b, c = by_degree[degree], by_degree.get(1, Fraction(0)), by_degree.get(0, Fraction(0))
    if degree == 2 and k <= 2:
        root = ("pow", num((b * b - 4 * a * c) / (4 * a * a)), num(Fraction(1, 2)))
        return Scalar(("add", num(-b / (2 * a)), root if k == 2 else neg(root)))
    power = -c / a
    if degree % 2 and k == 1:
        root = ("pow", num(abs(power)), num(Fraction(1, degree)))
        return Scalar(root if power > 0 else neg(root))
    if degree % 2 == 0 and power > 0 and k <= 2:
        root = ("pow", num(power), num(Fraction(1, degree)))
        return Scalar(root if k == 2 else neg(root))
    raise Unreadable("Root")


@lru_cache(maxsize=8192)
def read(text: str) -> Value:
    """The value of one answer. Raises `Unreadable`."""
    if len(text) > MAX_LENGTH:
        raise Unreadable("too long")
    marked = _MARKED.match(text)
    if dotted := _DOTTED.match(text):
        text = f"{dotted[1]}\\overline{{{dotted[2]}}}"
    text = _POINT_CLOCK.sub(r"\1:\2", clean.latex(text))
    if not text:
        raise Unreadable("empty")
    if marked:
        number = Reader(marked[1]).answer()
        assert isinstance(number, Scalar)
        return Scalar(number.tree, None, units.FOOT_MARK if marked[2] in _FOOT else units.INCH_MARK)
    if "{" in text and len(text) < 60:
        text = _ON_CLOCK.sub(r" \1", text.replace("{:}", ":")).strip()
    if match := _CLOCK.match(text):
        hours, minutes, seconds = int(match[1]), int(match[2]), int(match[3] or 0)
        if minutes < 60 and seconds < 60:
            part = {"morning": "a"}.get(match["part"].lower(), "p") if match["part"] else ""
            return Clock(hours, minutes, seconds, (match["half"] or part).lower())
    if match := _PAST.match(text):
        said = match[1].split()[0].lower()
        minutes = {"half": 30, "quarter": 15}.get(said) or int(said)
        hours = int(clean.word_number(match[3]) or 0) if match[3].isalpha() else int(match[3])
        if minutes < 60 and 0 < hours <= 12:
            back = match[2].lower() == "to"
            return Clock((hours - 2) % 12 + 1 if back else hours, 60 - minutes if back else minutes)
    if match := _HOUR.match(text):
        return Clock(int(match[1]), 0, 0, (match[2] or "").lower())
    if _SPACED_THOUSANDS.match(text):
        text = text.replace(" ", "")
    text = _HOURS_MINUTES.sub(r"\1 h \2 min", text)
    if match := _FEET.match(text):
        text = f"{match[1]} ft {match[2]} in"
    phrase = clean.spelled(match[1] if (match := _TEXT.match(text)) else text).strip().lower()
    if phrase in _PHRASES:
        return _PHRASES[phrase]
    if _NONE.match(phrase):
        return EMPTY
    text = _PYTHON.sub(lambda m: _SHORT.get(m[0]) or m[0].title().replace(".", ""), text) if "(" in text else text
    if _ARRAY.fullmatch(text):
        text = _BETWEEN.sub(", ", text)
    if "Quantity[" in text:
        text = _QUOTED.sub(lambda m: re.sub(r"(?=[A-Z])", " ", m[1]).lower(), text)
    if text.startswith("Root[") and (match := _ROOT.match(text)):
        return _nth_root(match[1].replace("#1", "#").replace("#", "x"), int(match[2]))
    if "Function[" in text:
        text = _PURE.sub(r"\1 -> \2", text)
    text = _VECTOR.sub(r"(\1)", _COMPLEX.sub(r"\1i", text))
    if match := _CONDITIONAL.match(text):
        if not set(_LETTER.findall(match[1])) & set(_LETTER.findall(match[2])):
            raise Unreadable("a value only where something else holds")
        text = match[1]  # 1/(1 + n) where n > -1
    if match := _PERIOD.match(text):
        text = f"{match[1]}\\overline{{{match[2]}}}"
    text = _EITHER.sub("", _OUT_OF.sub(r"\1/\2", text))
    if (match := _PART_OF.match(_TEXT_OF.sub(r"\1", text))) and (part := clean.word_number(match[1])) is not None:
        if part.denominator > 1:  # two thirds of 6
            return Scalar(num(part * int(match[2])))
    number = clean.word_number(text)
    if number is not None and text[0].isalpha():
        return Scalar(num(number))
    if not any(c.isdigit() for c in text) and not re.search(r"[\\+*/^=<>|∪(\[{]", text) and len(text) > 1:
        text = clean.digits_for_words(text)
        if (
            not any(c.isdigit() for c in text)
            and text.lower().lstrip("-+") not in CONSTANTS
            and not _of_letters(text)
            and not re.fullmatch(
                r"-?[A-Za-z]!?|[A-Za-z](?:(?:, ?(?:and |or )?| and | or )[A-Za-z])+|-?[a-z] ?- ?[a-z]|(?:[a-z] )+[a-z]",
                text,
            )
        ):
            raise Unreadable("words")
    try:
        return Reader(text).answer()
    except (RecursionError, ZeroDivisionError, Spent):
        raise Unreadable("nested too deeply") from None
