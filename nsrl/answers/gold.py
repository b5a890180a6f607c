"""A gold answer with its type: a letter of options, several letters, a date, a value or a text; and which option a text
is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from nsrl.answers import clean, lettered, work
from nsrl.answers.compare import same, tidy
from nsrl.answers.lexer import Unreadable
from nsrl.answers.reader import read
from nsrl.answers.values import Items, Value

MAX_GOLD = 600


@dataclass(frozen=True, slots=True)
class Gold:
    """A typed gold answer. kind: letter, letters, value, text, date, or none (why in `text`)."""

    kind: str
    text: str
    letter: str | None = None
    value: Value | None = None
    options: tuple[str, ...] = ()
    odd: bool = False  # looks like mathematics but the reader cannot read it


def chosen(gold: str, options: object) -> str | None:
    """The letters of the options that a gold answer means ("B", "AC"); None where it is none of them, or may be
    several."""
    typed = typed_gold(gold, option_texts(options))
    return typed.letter or (
        "".join(sorted(lettered.letters(typed.text) or ())) or None if typed.kind == "letters" else None
    )


_NO_GOLD = re.compile(r"(?:n/?a|nan|null|none given|unknown|undefined gold|\W*)$", re.IGNORECASE)


def option_texts(options: object) -> tuple[str, ...]:
    """The texts of the options in order, without labels of their own (`A. 3`)."""
    if not options:
        return ()
    if isinstance(options, dict):
        options = [options[k] for k in sorted(options, key=str)]
    texts = tuple(str(o) for o in options)  # type: ignore[attr-defined]
    labelled = [re.match(rf"\s*\(?{chr(65 + i)}\s*[.):]\s*(?=\S)", t) for i, t in enumerate(texts)]
    if len(texts) > 1 and all(labelled):
        texts = tuple(t[m.end() :] for t, m in zip(texts, labelled) if m)
    return texts


@lru_cache(maxsize=8192)
def typed_gold(gold: str | None, options: tuple[str, ...]) -> Gold:
    """The gold with its type; of kind none, with the reason as its text, where it is absent or cannot be read."""
    if gold is None or not gold.strip():
        return Gold("none", "gold_absent")
    text = clean.unescaped(gold).strip()
    boxes = clean.boxed(text)
    if boxes:
        text = boxes[-1].strip() if len(boxes) == 1 or len(text) > 200 else ", ".join(dict.fromkeys(boxes))
    elif re.search(r"\\boxed", text):
        return Gold("none", "gold_unreadable")
    elif (match := re.search(r"(?:^|\n)####\s*(.+)", text)) or (
        match := re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)
    ):
        text = match[1].strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    if (
        _NO_GOLD.fullmatch(text)
        and not re.fullmatch(r"∅|[+-]?∞|\\\{\s*\\\}|\{\s*\}", text)
        and not (options and text in options)
    ):
        if not re.search(r"\\[A-Za-z]{2,}", text):
            return Gold("none", "gold_absent")
    if len(text) > MAX_GOLD or _unbalanced(text):
        return Gold("none", "gold_unreadable")
    mark = clean.unwrapped(text)
    match = re.fullmatch(r"(?:option\s+|choice\s+)?[(\[]?\s*([A-Ja-d])\s*[)\]]?[.:]?", mark)
    if match and options and text in options and _permuted_letters(options):
        options = ()  # the options are letters themselves, in another order: the gold means their text
    if match and (not options or ord(match[1].upper()) - 65 < len(options)):
        return Gold("letter", text, letter=match[1].upper(), options=options)
    labelled = re.match(r"[(\[]?([A-J])\s*[.)\]:]\s*(?=\S)", mark)
    if labelled and options and ord(labelled[1]) - 65 < len(options):
        return Gold("letter", text, letter=labelled[1], options=options)
    letters = lettered.letters(text)
    if letters and ("," in text or (options and max(map(ord, letters)) - 65 < len(options))):
        return Gold("letters", text, options=options)
    if options:
        index = unique_option(text, options)
        if index is not None:
            return Gold("letter", text, letter=chr(65 + index), options=options)
    if clean.date(clean.unwrapped(text)) is not None:
        return Gold("date", text, options=options)
    try:
        return Gold("value", text, value=_possible(text, read(text)), options=options)
    except Unreadable:
        odd = bool(re.search(r"\d|\\(?!text|mathrm|mbox)[a-zA-Z]+|[=^]", text))
        return Gold("text", text, options=options, odd=odd)


def _possible(text: str, value: Value) -> Value:
    """The two sides of a gold that nothing satisfies as it is written: `x < -2 and x > 2`."""
    if isinstance(value, Items) and value.kind == "and" and " and " in text:
        work.begin()
        if tidy(value) == Items("brace", ()):
            return read(text.replace(" and ", ", "))
    return value


def _permuted_letters(options: tuple[str, ...]) -> bool:
    """Whether the options are single letters in another order than A, B, C, …"""
    bare = [o.strip("() .").upper() for o in options]
    return all(len(b) == 1 and b.isalpha() for b in bare) and bare != [chr(65 + i) for i in range(len(bare))]


def _unbalanced(text: str) -> bool:
    depth = 0
    for i, c in enumerate(text):
        if c in "{}" and (i == 0 or text[i - 1] != "\\"):
            depth += 1 if c == "{" else -1
            if depth < 0:
                return True
    return depth != 0


def squeeze(text: str) -> str:
    """Without blanks, except between digits: `3 1/2` is not 31/2."""
    return re.sub(r"(?<!\d) | (?!\d)", "", clean.latex(text))


# -- options -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def _read_option(option: str) -> tuple[str, str, Value | None]:
    """An option without blanks, its words, and its value if it has one: asked again for each completion of a group."""
    try:
        value = read(option)
    except Unreadable:
        value = None
    return squeeze(option), clean.words(option), value


@lru_cache(maxsize=8192)
def unique_option(text: str, options: tuple[str, ...]) -> int | None:
    """Index of the one option equal to the text, None if there is none or more than one."""
    plain, wanted, value = _read_option(text)
    known = [_read_option(o) for o in options]
    hits = [i for i, (squeezed, _, _) in enumerate(known) if squeezed == plain]
    if not hits and wanted and not re.search(r"\d", text):
        hits = [i for i, (_, words, _) in enumerate(known) if words == wanted]
    if not hits:
        if value is None:
            return None
        outcomes = [(i, _same_in_order(r, value)) for i, (_, _, r) in enumerate(known) if r is not None]
        hits = [i for i, (equal, reason) in outcomes if equal and reason != "decimal"]
        if not hits:
            hits = [i for i, (equal, _) in outcomes if equal]
        if not hits:
            hits = [i for i, (_, _, r) in enumerate(known) if r is not None and same(r, value)[0]]
    return hits[0] if len(hits) == 1 else None


def _same_in_order(option: Value, value: Value) -> tuple[bool, str]:
    """Equality where the order of a bare list counts: options are often permutations of each other."""
    if isinstance(option, Items) and isinstance(value, Items):
        equal = len(option.items) == len(value.items)
        return equal and all(same(a, b)[0] for a, b in zip(option.items, value.items)), "order"
    return same(option, value)
