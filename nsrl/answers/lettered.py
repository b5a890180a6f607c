"""The letters of options that a text states: alone, beside a value, at its end, or several."""

from __future__ import annotations

import re
from collections.abc import Callable

from nsrl.answers import clean
from nsrl.answers.final import CONTRAST, REASON

_ALONE = re.compile(r"[(\[{]?\s*([A-Ja-j])\s*[)\]}]?\s*[.:!]?$")
_LABELLED = re.compile(r"(?:[(\[]\s*([A-J])\s*[)\]]|([A-J])\s*[.):](?!\d)|([A-J])\s+(?:-\s|\())")
_SEVERAL = re.compile(
    r"[(\s]*[A-J][)\s]*(?:(?:,|;|/|\bor\b|\band\b|\bto\b|\bthrough\b|&|->|\\rightarrow|\\to|[-=])\s*(?:and\s+|"
    r"or\s+)?[(]?[A-J][)]?[\s.]*)+"
)
_OTHERS = r"(?!\s*(?:/|,|&|\bor\b|\band\b)\s*(?:(?:and|or)\s+)?\(?[A-J]\b)"  # "A/D/E", "A or B": no choice was made
_OPTION = re.compile(
    r"(?:option|choice|answer|letter|alternative|figure|picture|image|diagram|"
    r"statement)s?\s*(?:is\s*)?:?\s*[(\[]?\s*(?!(?:(?<=statement )|(?<=statements ))I\b)([A-J])\b(?!')" + _OTHERS,
    re.IGNORECASE,
)
_VERB = re.compile(r"([A-J])\s+(?:is (?:the|my|our|correct|right)|because|since|which|as|matches|shows|represents)\b")
_LATE = re.compile(
    r"\(([A-J])\)|\b(?:option|choice|answer is|select|choose|is|pick)\s+([A-J])\b(?!')"
    + _OTHERS
    + r"|(?<!\d )(?<!\d=)(?<!\d = )(?<!\d -> )(?<!\d → )\b([B-HJ])\s*[.)]?\s*$"
)
_STANDING = re.compile(r"(?<![\w'])(?:[B-HJ]|A(?!\s+(?!(?:or|and)\b)[a-z]))(?![\w'])")
_REMOVED = re.compile(
    r"\b(?:eliminat\w{1,3}|excluding|exclude[sd]?|rul(?:e|ed|ing) out|(?:any|every)thing but)\s+(?:options?\s+|"
    r"choices?\s+)?\(?$",
    re.IGNORECASE,
)
_MARK = r"(?:[(\[]([A-J])[)\]]|(?i:options?\s|choices?\s)?([A-J])(?=\s?[.:)]\s?\S|\s\()|(?i:option|choice)\s([A-J])\b)"
_FIRST = re.compile(rf"(?:[\d./$°%]{{1,10}}\s)?{_MARK}")
_ANOTHER = re.compile(
    rf"(?:[\d,;|/)\]]|\bor|\band|\bthen)\s?(?:maybe\s|perhaps\s|else\s|[\d./$]{{1,8}}\s)?{_MARK}|"
    rf"\bor\s\(?([A-J])[)\s.]*$"
)
_BEHIND = re.compile(r"(.{1,60}?)(?:\s?[,;]|\s?\(|\sor)?\s?\(?(?<![A-Za-z])([A-J])[)\s.]*$")


def lone_letter(text: str) -> str | None:
    """The letter that is all of a text ("B", "(B)", "**b**"), else None."""
    match = _ALONE.match(clean.unwrapped(text))
    return match[1].upper() if match else None


def letter(text: str) -> str | None:
    """The option letter a candidate states at its beginning ("B", "(B) 5", "B. 5", "option B"), else None."""
    text = clean.unwrapped(text)
    if match := _ALONE.match(text):
        return match[1].upper()
    if several_letters(text):
        return None
    start = CONTRAST.sub("", text) if len(text) < 200 else text[:200]  # a letter and what follows it
    if (because := REASON.sub("", start)) != text and (match := _ALONE.match(because)):
        return match[1].upper()
    for pattern in (_LABELLED, _OPTION, _VERB):
        if match := pattern.match(text):
            found = next(g for g in match.groups() if g)
            return found.upper() if found.isupper() else None
    return None


def labelled(text: str) -> tuple[str | None, str]:
    """The letter of `(B) 5`, `B. 5`, `5 (B)` or `5, B`, and the rest."""
    text = clean.unwrapped(text)
    if match := _LABELLED.match(text):
        return match[1] or match[2], text[match.end() :].strip(" .")
    match = _BEHIND.fullmatch(text) if len(text) <= 80 else None
    return (match[2], match[1].strip(" .")) if match else (None, text)


def several_letters(text: str) -> bool:
    """Whether the candidate names more than one letter and nothing else, or each with its value: no choice was made."""
    text = clean.unwrapped(text)
    if (first := _FIRST.match(text)) and any(
        one != next(filter(None, first.groups()))
        for found in _ANOTHER.findall(text, first.end())
        for one in found
        if one
    ):
        return True  # B. 4 or C. 5
    return len(text) <= 80 and _SEVERAL.fullmatch(text) is not None and len(set(re.findall(r"[A-J]", text))) > 1


def late_letter(text: str) -> str | None:
    """The last option letter mentioned as such in a sentence, else None."""
    if re.search(r"\b(?:except|all but|not|neither|nor)\b|[不非]", text, re.IGNORECASE):
        return None
    found = bare = None
    text = clean.unwrapped(text)
    for match in _LATE.finditer(text):
        if _REMOVED.search(text[max(0, match.start() - 40) : match.end() - 1].rstrip("ABCDEFGHIJ)")):
            continue
        found, bare = next(g for g in match.groups() if g), match[3]
    if bare and set(_STANDING.findall(text)) - {bare}:
        return None  # the last of several letters that nothing singles out
    return found if found and found.isupper() else None


_TOLD = re.compile(
    r"(?<![A-Za-z])\(([A-J])\)|\b(?:option|choice|answer is|select|choose|is|pick)\s+([A-J])\b(?!['^_]|"
    r"\s*[=+*/\d<>≤≥-])" + _OTHERS + r"|(?:^|(?<!degrees)(?<=[a-z]{2})[:,]?\s)([B-HJ])\s*[.)]?\s*$"
)


def enumerated(text: str, option: Callable[[str], str | None]) -> bool:
    """Whether the last lines only go through options, three of them or all, each once: no choice was made.

    option: the letter of the option that a line is, None for any other line.
    """
    seen: set[str] = set()
    for line in reversed(text.split("\n")[-12:]):
        found = option(line)
        if found is None:
            break
        if found in seen:
            return False
        seen.add(found)
    return len(seen) > 2


def told_letter(text: str) -> str | None:
    """A letter that a sentence chooses ("the figure is B", "(B)", "… B."), not one that names a quantity or a unit."""
    return next((m[0] for m in _TOLD.finditer(clean.unwrapped(text).replace(" ,", ",").replace(" :", ":"))), None)


_CHOSEN = re.compile(
    r"\b(?:options?|choices?|statements?|answers?|both)\b| (?:is|are) (?:both )?(?:correct|right|true)\.?$",
    re.IGNORECASE,
)


def letters(text: str) -> frozenset[str] | None:
    """Several letters: "A, C", "A and C", "AC" (capitals only); None if the text is anything else."""
    found = letters_in_order(text)
    return None if found is None else frozenset(found)


def letters_in_order(text: str) -> tuple[str, ...] | None:
    """Several letters as they are written; None if the text is anything else."""
    text = re.sub(r"[('‘]([A-J])[)'’]", r"\1", _CHOSEN.sub("", clean.unwrapped(text))).strip(" .()[]{}")
    if re.fullmatch(r"[A-J](?:\s*(?:,|;|and|&|\s)\s*(?:and\s+)?[A-J]){1,9}|[A-J]{2,6}", text):
        found = re.findall(r"[A-J]", text)
        return tuple(found) if len(set(found)) == len(found) else None
    return None
