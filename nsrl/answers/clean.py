"""Text of an answer made uniform before it is read: Unicode, dollars, LaTeX spacing, wrappers, number words.

Pure string work with bounded regular expressions; nothing is evaluated.
"""

from __future__ import annotations

import re
from fractions import Fraction

_UNITS = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]
_TENS = dict(zip(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], range(20, 100, 10)))
_SMALL = {w: i for i, w in enumerate(_UNITS)} | _TENS
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4, "fifth": 5,
    "fifths": 5, "sixth": 6, "sixths": 6, "seventh": 7, "sevenths": 7, "eighth": 8, "eighths": 8, "ninth": 9,
    "ninths": 9,
    "tenth": 10, "tenths": 10, "elevenths": 11, "twelfths": 12, "hundredths": 100, "thousandths": 1000,
}  # fmt: skip
_SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_NUMBER_WORDS = (*_SMALL, "half")

LONGEST = 6_000  # characters of one text
_SUPER = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ", "0123456789-+n")
_SUB = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_CHARS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "×": " \\times ", "⋅": " \\cdot ", "·": " \\cdot ",
    "•": " \\bullet ",
    "∙": " \\cdot ", "∗": "*", "÷": " \\div ", "≤": " \\le ", "≥": " \\ge ", "⩽": " \\le ", "⩾": " \\ge ",
    "≠": " \\ne ",
    "≈": " \\approx ", "∞": " \\infty ", "π": " \\pi ", "𝜋": " \\pi ", "√": " \\surd ", "∛": " \\cuberoot ",
    "∜": " \\fourthroot ", "∪": " \\cup ", "∩": " \\cap ",
    "∈": " \\in ", "∅": " \\emptyset ", "±": " \\pm ", "∓": " \\mp ", "º": "°", "˚": "°", "℃": "°C", "℉": "°F",
    "％": "%",
    "½": " \\frac{1}{2}", "⅓": " \\frac{1}{3}", "⅔": " \\frac{2}{3}", "¼": " \\frac{1}{4}", "¾": " \\frac{3}{4}",
    "⅕": " \\frac{1}{5}", "⅖": " \\frac{2}{5}", "⅗": " \\frac{3}{5}", "⅘": " \\frac{4}{5}", "⅙": " \\frac{1}{6}",
    "⅚": " \\frac{5}{6}", "⅛": " \\frac{1}{8}", "⅜": " \\frac{3}{8}", "⅝": " \\frac{5}{8}", "⅞": " \\frac{7}{8}",
    "ℝ": " \\mathbb{R} ", "→": " \\to ", "∠": " \\angle ", "△": " \\triangle ", "Δ": " \\Delta ", "²": "^{2}",
    "³": "^{3}",
    "′": "'", "’": "'", "‘": "'", "″": '"', "“": '"', "”": '"', "，": ", ", "；": "; ", "：": ":", "（": "(", "）": ")",
    "【": "[", "】": "]", "、": ", ", "。": ".",
    "\u00a0": " ", "\u2009": " ", "\u202f": " ", "\u200b": "", "\ufeff": "",
    "θ": " \\theta ", "α": " \\alpha ", "β": " \\beta ", "γ": " \\gamma ", "λ": " \\lambda ", "φ": " \\phi ",
    "μ": " \\mu ",
    "ⅈ": "i", "ⅇ": "e", "⟨": " \\langle ", "⟩": " \\rangle ", "∧": " and ", "∨": " or ", "⁄": "/", "∕": "/", "∶": ":",
}  # fmt: skip
_CHAR_RE = re.compile("|".join(map(re.escape, _CHARS)))
_SUPER_RE = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺ⁿ]+")
_SUB_RE = re.compile("[₀₁₂₃₄₅₆₇₈₉]+")
_FULLWIDTH = str.maketrans({chr(0xFF10 + i): str(i) for i in range(10)})
_MONEY = re.compile(r"(?:\\\$|\\textdollar(?![a-zA-Z])|(?<![\w}])US\\?\$)\s*(-?[\d.,]*\d(?:\*\^\d+)?)")
_BARE_MONEY = re.compile(r"^(-?)\s*\$\s*(-?\d[\d.,]*(?:\*\^\d+)?)(?=[^$]*$)")
_COINS = {"€": "euros", "£": "gbp", "¥": "yen", "₹": "rupees"}
_COIN_RE = re.compile(r"([€£¥₹])\s*(\d[\d.,]*(?:\*\^\d+)?)")
_SPACING = re.compile(r"(?<!\\)\\(?:[,;:!>]|q?quad|thinspace(?![a-zA-Z])|enspace(?![a-zA-Z])| )|~|&nbsp;")
_SIZING = re.compile(
    r"\\(?:text)?color\s*\{\w{1,20}\}|\\(?:tiny|small|normalsize|large|Large|LARGE|huge|Huge)(?![a-zA-Z])|"
    r"\\(?:left|right|bigl|bigr|Bigl|Bigr|big|Big|bigg|Bigg|displaystyle|textstyle|limits|"
    r"nolimits)(?![a-zA-Z])\s*\.?(?![\d])"
)
_THIN_THOUSANDS = re.compile(r"(?<=\d)(?:\\,|\{,\}|\\!|\\ |,\\!\s*|\\;)(?=\d{3}(?!\d))")
_MARKUP = re.compile(r"(?<![\w)*])\*\*(?=\S)|(?<=[^\s*])\*\*(?![\w(*])|(?<!\w)__(?=\w)|(?<=\w)__(?!\w)|`{1,3}")


def characters(text: str) -> str:
    """Unicode mathematics as the LaTeX or ASCII it stands for; the end of it where that is far longer than any
    answer."""
    if not text.isascii():
        most = max(len(text), LONGEST)
        text = _SUPER_RE.sub(lambda m: "^{" + m[0].translate(_SUPER) + "}", text.replace("²", "⁲").replace("⁲", "^{2}"))
        text = _SUB_RE.sub(lambda m: "_{" + m[0].translate(_SUB) + "}", text)
        text = _CHAR_RE.sub(lambda m: _CHARS[m[0]], text.translate(_FULLWIDTH))
        text = text[-most:]  # one sign becomes as many as 14
    return text


_NOTHING = re.compile(r"\\?\{\s*\\?\}")


def spelled(text: str) -> str:
    """A text of signs alone (∞, ∅, {}) as the LaTeX words it stands for; any other text as it is."""
    return text if len(text) > 40 or re.search(r"\w", text) else _NOTHING.sub(r"\\emptyset", characters(text)).strip()


# "\frac" that went through a careless string literal: the backslash and its letter became a control character
_ESCAPED = {"\x0c": "\\f", "\x08": "\\b", "\t": "\\t", "\r": "\\r"}
_ESCAPES = re.compile(r"\x0c(?=rac)|\x08(?=oxed|inom|eta|egin)|\t(?=imes|ext|heta|frac|an\b)|\r(?=ight|ho\b)")
_DOUBLED = re.compile(
    r"(?<!\\)\\\\(?=(?:leq?|geq?|d?frac|sqrt|pi|cdot|times|text|infty|in|cup|left|right|boxed|circ|pm|theta|"
    r"neq?)(?![a-z]))"
)
_EMPTY_ROOT = re.compile(r"\\sqrt\s*\{\s*\}\s*(\w+)")
_BRACED_WORD = re.compile(
    r"(?<=[\d}\s])\{((?:square|cubic)?(?:degrees?|inch(?:es)?|feet|[mc]?m|meters?|centimeters?|units?|miles|hours?))\}"
)
_AND_THEN = re.compile(
    r"(\d\s*(?:hours?|hrs?|minutes?|mins?|days?|weeks?|years?|feet|foot|ft|dollars?|meters?|metres?|pounds?|kg|"
    r"km))\s+and\s+(?=\d)"
)


def unescaped(text: str) -> str:
    """LaTeX commands whose backslash a string literal swallowed, restored."""
    return _ESCAPES.sub(lambda m: _ESCAPED[m[0]], text) if _ESCAPES.search(text) else text


_SIGN = re.compile(
    r"\b(?:minus|negative)(?:\b|(?<=\w))(?=[\s}]*(?:[\d\\.($]|(?:" + "|".join(_NUMBER_WORDS) + r")\b))", re.IGNORECASE
)


def signed(text: str) -> str:
    """Signs written as words before a number: "minus 5" is "- 5"."""
    return _SIGN.sub("-", text)


_SCALE = "|".join(_SCALES)
_TEXT_SCALE = re.compile(rf"\\(?:text|mathrm|mbox|textrm)\s*\{{\s*((?:{_SCALE}|dozen)s?)\b", re.IGNORECASE)
_SCALED = re.compile(rf"(?<![\w.,])(\d[\d,]*(?:\.\d+)?)((?:[\s~-]+(?:{_SCALE})s?\b)+|\s+dozens?\b)", re.IGNORECASE)


_COUNTED_PARTS = re.compile(
    rf"(?<![\w.,/])(\d{{1,6}})\s+({'|'.join(p for p in _PARTS if p.endswith('s') and p != 'quarters')})\b",
    re.IGNORECASE,
)
_AND_PART = re.compile(
    rf"(?<![\w.,/])(\d{{1,6}})\s+and\s+((?:an?|one|two|three|four|five)\s+(?:{'|'.join(_PARTS)}))\b", re.IGNORECASE
)


def scaled(text: str) -> str:
    """Numbers before words of scale as numbers: "3.5 million" is 3.5*^6, with the decimals it has, "2 and a half"
    5/2."""

    def number(match: re.Match) -> str:
        plain = match[1].replace(",", "")
        if "dozen" in match[2].lower():
            return str(Fraction(plain) * 12) if len(plain) <= 20 else match[0]
        words_of_scale = re.findall(_SCALE, match[2].lower())
        return (
            f"{plain}*^{sum(len(str(_SCALES[w])) - 1 for w in words_of_scale)}"
            if len(words_of_scale) <= 3
            else match[0]
        )

    def mixed(match: re.Match) -> str:
        part = word_number(match[2])
        return match[0] if part is None else str(int(match[1]) + part)

    text = _AND_PART.sub(mixed, _COUNTED_PARTS.sub(lambda m: f"{m[1]}/{_PARTS[m[2].lower()]}", text))
    return _SCALED.sub(number, _TEXT_SCALE.sub(r" \1 \\text{", text))


_ROOT_OF = re.compile(
    r"(?:\btimes )?(?:\bthe )?(?:(?<![A-Za-z] )(?<![A-Za-z-])|(?<=\btimes )|"
    r"(?<=\bthe ))(?:square )?root (?:of )?(\d{1,12})(?![\d./])"
)
_INCHES = re.compile(r"^[^\"]*\d\"[.;,\\]*$")  # the only quotation mark ends a number: 5", not "5"


def latex(text: str) -> str:
    """A short answer ready to be tokenised: no maths delimiters, no sizing, no spacing commands, money as a unit."""
    text = scaled(signed(characters(unescaped(text)))).strip()
    text = _DOUBLED.sub(r"\\", text)
    text = _EMPTY_ROOT.sub(r"\\sqrt{\1}", text)
    text = _BRACED_WORD.sub(r" \1 ", text)
    text = re.sub(r"\b(sq|cu)\.\s*", r"\1 ", text)
    text = re.sub(r"(?<=[A-Za-z]{2})\.\s?\}", "}", text)  # \text{ft.}
    text = _THIN_THOUSANDS.sub("", text)
    text = _BARE_MONEY.sub(r"\1\2 dollars", text)
    text = _MONEY.sub(r" \1 dollars ", text)
    text = _COIN_RE.sub(lambda m: f" {m[2]} {_COINS[m[1]]} ", text)
    text = re.sub(r"\\[()\[\]]|\$", " ", text.replace("=/=", " \\ne "))
    text = _ROOT_OF.sub(r"\\sqrt{\1}", text) if "root" in text else text
    text = _AND_THEN.sub(r"\1 ", text)
    text = re.sub(r"\\left\s*\|", r"\\lvert ", text)
    text = re.sub(r"\\right\s*\|", r"\\rvert ", text)
    text = _SIZING.sub(" ", text)
    text = _SPACING.sub(" ", text)
    text = text.replace("\\%", "%").replace("\\#", "#").replace("\\&", "&").replace("\\_", "_")
    text = re.sub(r"\\[dtc]frac(?![a-zA-Z])", r"\\frac", text)
    text = re.sub(r"\s+", " ", text).strip()
    return text.rstrip(".;,\\" if _INCHES.search(text) else '.;,\\"').strip()


def collapsed(text: str) -> str:
    """Runs of blanks as one space, blank lines gone. The patterns of this room are linear only in such text."""
    return "\n".join(line for raw in text.splitlines() if (line := " ".join(raw.split())))


def markdown(text: str) -> str:
    """Prose without its emphasis and code marks."""
    return _MARKUP.sub("", text)


_DENIAL = re.compile(  # the whole of a label that denies the value behind it or only guesses it
    r"(?:(?:the|my|an?|first|best|random|definitely|probably|just)\s){0,3}(?:not|no|never|wrong|incorrect|false|"
    r"guess(?:es)?|guessing|maybe|perhaps|possibly|try|almost)"
    r"(?:\s(?:answers?|values?|results?|guess(?:es)?|ones?|options?|choices?|numbers?))?|"
    r"(?:not|never)\s(?:the|an?|my)\b.*",
    re.IGNORECASE,
)
_CHANGING = re.compile(  # the end of a label that makes another value of the one behind it; and what denies it anywhere
    r"\b(?:not|never|than|at (?:least|most)|up to|except|excluding|besides|without|minus|negative|if|or|"
    r"(?:opposite|reciprocal|inverse|root|square|cube|multiple|factor|third|quarter|half) of)\s?$|"
    r"\b(?:is|are|was|be|does|do|can)\s?not\b|\bcannot\b|n't\b",
    re.IGNORECASE,
)


def changes(label: str) -> bool:
    """Whether the words before a colon deny the value behind it, change it or only guess it: `Not: 5`, `Reciprocal of:
    5`."""
    return bool(_DENIAL.fullmatch(label) or _CHANGING.search(label))


def balanced(text: str, start: int) -> int | None:
    """Index of the brace closing the one at `start`, or None; escaped braces do not count."""
    depth = 0
    i = start
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 2
            continue
        if c == "{":
            depth += 1
        elif c == "}":
            depth -= 1
            if depth == 0:
                return i
        i += 1
    return None


_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_BOXED = re.compile(r"\\(?:boxed|fbox|framebox)\s*(?=\{)|\\boxed\s+([^\s$\\{}]+)")


def boxed(text: str) -> list[str]:
    """The contents of every complete outermost \\boxed{...}, in order."""
    if "\\boxed" not in text and "\\fbox" not in text and "\\framebox" not in text:
        return []
    out = []
    end = 0
    closing = _pairs(text)
    for match in _BOXED.finditer(text):
        if match.start() < end:
            continue
        if match[1] is not None:
            out.append(match[1].rstrip(".,;"))
            continue
        close = closing.get(match.end())
        if close is not None:
            start, end = match.end() + 1, close
            while (inner := _BOXED.match(text, start)) and inner[1] is None and closing.get(inner.end()) == close - 1:
                start, close = inner.end() + 1, close - 1  # a box in a box
            out.append(text[start:close])
    return out


def _pairs(text: str) -> dict[int, int]:
    """The closing brace of every opening one that has one, in one pass; escaped braces do not count."""
    out: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            out[opened.pop()] = match.start()
    return out


# -- plain words ---------------------------------------------------------------------------------------------------

_WRAP = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|operatorname|emph|bf|rm|it)\*?(?![a-zA-Z])"
)
_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_SAME_WORD = {"true": "yes", "false": "no", "correct": "yes", "incorrect": "no"}


_ROMAN = re.compile(
    r"(?:only |both |all )?(?:statements? )?(?:iv|v?i{0,3})(?:(?: and)? (?:iv|v?i{1,3}|v)\b){0,4}(?: only|"
    r" alone)?(?: (?:is|are|must be|holds?)(?: all| both)?(?: true| correct| valid)?)?"
)
_BESIDE_NUMERALS = re.compile(r"\b(?:and|both|all|statements?|is|are|must|be|holds?|true|correct|valid|alone)\b")


def _statements(text: str) -> str:
    """Words that name Roman-numbered statements in one order, "only" last: "only statement i is true" as "i only"."""
    if len(text) > 60 or not _ROMAN.fullmatch(text):
        return text
    said = _BESIDE_NUMERALS.sub(" ", text.replace("alone", "only")).split()
    numerals = [w for w in said if w != "only"]
    marked = len(numerals) > 1 or len(said) > 1 or "statement" in text
    return " ".join([*numerals, "only"]) if numerals and marked else text


def words(text: str) -> str:
    """A text answer for comparison: lower case, no markup, articles, punctuation or doubled spaces."""
    text = _WRAP.sub(" ", latex(markdown(text))).casefold()
    text = re.sub(r"(?<=\w)'s\b|[\"'“”]", lambda m: "s" if m[0] == "'s" else "", text)
    text = re.sub(r"[{}.,;:!?()\[\]/\\_~-]+", " ", text)
    short = re.sub(r"\s+", " ", _ARTICLES.sub(" ", text)).strip()
    out = short or re.sub(r"\s+", " ", text).strip()
    return _SAME_WORD.get(out) or _statements(out)


_WORD_NUMBER = re.compile(
    r"\b(?:"
    + "|".join(_NUMBER_WORDS)
    + r")(?:(?:[\s-]+(?:and[\s-]+(?:an?[\s-]+)?)?)(?:"
    + "|".join([*_SMALL, *_PARTS, *_SCALES])
    + r")\b)*\b",
    re.IGNORECASE,
)


def word_number(text: str) -> Fraction | None:
    """The number a phrase of number words says ("twenty-one", "two thirds", "one half"), or None."""
    said = [w for w in re.split(r"[\s-]+", text.strip().lower()) if w]
    if not said or len(said) > 14:
        return None
    if "and" in said and said[-1] in _PARTS:  # one and a half, two and three quarters
        at = len(said) - 1 - said[::-1].index("and")
        whole, part = (word_number(" ".join(half)) for half in (said[:at], said[at + 1 :]))
        return whole + part if whole is not None and part is not None and whole.denominator == 1 and part < 1 else None
    if len(said) > 1 and said[0] in ("a", "an") and said[1] in (*_SCALES, "dozen"):
        said = ["one", *said[1:]]
    parts = [w for w in said if w != "and"]
    if parts[1:] and parts[-1] in ("dozen", "dozens"):
        dozens = word_number(" ".join(parts[:-1]))
        return None if dozens is None else dozens * 12
    if not parts:
        return None
    denominator = 1
    if parts[-1] in _PARTS:
        denominator = _PARTS[parts.pop()]
        if parts and parts[-1] in ("a", "an"):
            parts.pop()
    if not parts:
        return Fraction(1, denominator)
    total = current = 0
    for word in parts:
        if word in _SMALL:
            if current % 100 and not (current % 100 >= 20 and current % 10 == 0 and _SMALL[word] < 10):
                return None  # "two three" is a list, not a number
            current += _SMALL[word]
        elif word in _SCALES:
            scale = _SCALES[word]
            current = max(current, 1) * scale
            if scale > 100:
                total, current = total + current, 0
        else:
            return None
    return Fraction(total + current, denominator)


def digits_for_words(text: str) -> str:
    """Number words written in digits: "twelve cm" becomes "12 cm"."""

    def digits(match: re.Match) -> str:
        value = word_number(match[0]) if match[0].lower() != "one" else None  # "this one" is no number
        return match[0] if value is None else str(value)

    return _WORD_NUMBER.sub(digits, text)


_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = r"(?P<month>" + "|".join(m[:3] + (f"(?:{m[3:]})?" if m[3:] else "") for m in _MONTHS) + r")\.?"
_DATES = [
    re.compile(_MONTH + r"\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?(?:,?\s+(?P<year>\d{4}))?$", re.IGNORECASE),
    re.compile(
        r"(?P<day>\d{1,2})(?:st|nd|rd|th)?\s+(?:of\s+)?" + _MONTH + r"(?:,?\s+(?P<year>\d{4}))?$", re.IGNORECASE
    ),
    re.compile(r"(?P<year>\d{4})-(?P<m>\d{1,2})-(?P<day>\d{1,2})$"),
]


def date(text: str) -> tuple[int | None, int, int] | None:
    """(year or None, month, day) of a written date, else None. Numbers with slashes are not dates: they are
    ambiguous."""
    text = re.sub(
        r"^(?:on\s+)?(?:(?:mon|tues|wednes|thurs|fri|satur|sun)day,?\s+)?(?:the\s+)?", "", text.strip(" ."), flags=re.I
    )
    for pattern in _DATES:
        if match := pattern.match(text):
            got = match.groupdict()
            month = int(got["m"]) if "m" in got else [m[:3] for m in _MONTHS].index(got["month"][:3].lower()) + 1
            return (int(got["year"]) if got.get("year") else None, month, int(got["day"]))
    return None


WRAPPED = re.compile(
    r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mathsf|mbox|operatorname|boldsymbol|bf|rm)\s*\{([^{}]*)\}"
)


def worded(text: str) -> str:
    """A formula with what `\\text{}` holds as the words it is."""
    return collapsed(WRAPPED.sub(r" \1 ", text).replace("$", " ")).strip()


def unwrapped(text: str) -> str:
    """A candidate without LaTeX text wrappers, dollars and emphasis."""
    for _ in range(3 if "\\" in text else 0):
        text = WRAPPED.sub(r" \1 ", text)
    return collapsed(re.sub(r"\\[ ,;:!]|\\(?:quad|qquad|left|right)(?![a-z])|[$*`\"“”]", " ", text))
