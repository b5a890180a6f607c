"""Words of an answer beside words of a gold: whole phrases, rankings, enumerations, and what may stand around them."""

from __future__ import annotations

import re

from nsrl.answers import clean
from nsrl.answers.gold import squeeze

NEGATION = re.compile(r"\b(?:not|no|never|neither|nor|cannot|can't|isn't|aren't|n't|false|incorrect)\b", re.IGNORECASE)
FRAME = frozenset(  # words that may stand around a text answer: they name no other one
    [
        "the",
        "a",
        "an",
        "it",
        "its",
        "it's",
        "this",
        "that",
        "these",
        "those",
        "there",
        "here",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "am",
        "will",
        "would",
        "should",
        "must",
        "can",
        "could",
        "may",
        "might",
        "has",
        "have",
        "had",
        "i",
        "we",
        "you",
        "they",
        "he",
        "she",
        "my",
        "our",
        "your",
        "their",
        "his",
        "her",
        "of",
        "in",
        "on",
        "at",
        "to",
        "from",
        "by",
        "for",
        "with",
        "as",
        "so",
        "then",
        "thus",
        "hence",
        "therefore",
        "because",
        "since",
        "and",
        "also",
        "only",
        "just",
        "exactly",
        "simply",
        "clearly",
        "definitely",
        "probably",
        "likely",
        "most",
        "final",
        "correct",
        "right",
        "best",
        "answer",
        "answers",
        "option",
        "choice",
        "response",
        "solution",
        "solutions",
        "result",
        "conclusion",
        "question",
        "called",
        "named",
        "known",
        "shown",
        "given",
        "see",
        "seen",
        "sees",
        "get",
        "gets",
        "find",
        "found",
        "think",
        "believe",
        "say",
        "says",
        "said",
        "choose",
        "pick",
        "select",
        "chosen",
        "picked",
        "one",
        "which",
        "what",
        "who",
        "where",
        "when",
        "color",
        "colour",
        "shape",
        "name",
        "word",
        "triangle",
        "quadrilateral",
        "polygon",
        "number",
        "function",
    ]
)
YES_NO = re.compile(  # said for itself: "no solution" and "no side" do not say no
    r"\b(yes|no|true|false)\b(?=[*\"'`\s)}\]$]*(?:$|[,.;:!?—–(\n-]|"
    r"\s(?:because|since|as|for|it|its|it's|this|that|these|those|they|there|he|she|we|you|i|the|and|or|but|is|are|"
    r"they're|indeed)\b))",
    re.IGNORECASE,
)
BOTH = re.compile(
    r"(?:yes|true)\b(?:[\s,.;/&|]|\b(?:or|and|but|also|maybe|perhaps)\b){1,20}(?:no|false)\b\s*(?:$|[,.;!?])|"
    r"(?:no|false)\b(?:[\s,.;/&|]|\b(?:or|and|but|also|maybe|perhaps)\b){1,20}(?:yes|true)\b\s*(?:$|[,.;!?])",
    re.IGNORECASE,
)
_RANKING = re.compile(r"[A-Z]\w{0,9}(?:\s?([<>])\s?[A-Z]\w{0,9})(?:\s?\1\s?[A-Z]\w{0,9}){1,20}")
SIGNED = re.compile(r"\d\s*[_!^]|[_^]\s*\{?\d|(?<![A-Za-z])[A-Za-z]!")


def ends_with(sentence: str, predicate: str) -> bool:
    """Whether a sentence says a predicate ("cannot be determined", "does not exist") of something named in a few
    words."""
    before, found, after = clean.words(sentence).rpartition(clean.words(predicate))
    return bool(found) and not after and not NEGATION.search(before) and len(before.split()) <= 6


def same_words(text: str, gold: str) -> bool:
    """Whether two phrases have the same words, or two enumerations the same members."""
    given, wanted = clean.words(text), clean.words(gold)
    if given == wanted:
        return not SIGNED.search(gold) or signs(text) == signs(gold)
    if given.replace(" ", "") == wanted.replace(" ", ""):
        return not SIGNED.search(gold) or squeeze(text) == squeeze(gold)
    ranked = _ranking(gold)
    return (ranked is not None and ranked == _ranking(text)) or _same_phrases(text, gold)


def _ranking(text: str) -> list[str] | None:
    """The names of `B > D > A` from the greatest on; None for anything else."""
    text = text.strip(" .$")
    if len(text) > 200 or (match := _RANKING.fullmatch(text)) is None:
        return None
    names = [name.strip() for name in re.split("[<>]", text)]
    return names if match[1] == ">" else names[::-1]


def signs(text: str) -> str:
    """The signs that words() drops and that mean something beside digits and symbols: 1011_2, n!."""
    return "".join(re.findall(r"[_!^]", clean.latex(clean.markdown(text))))


def _same_phrases(text: str, gold: str) -> bool:
    """Whether two enumerations ("red and blue", "blue, red") have the same members."""
    split = [sorted(clean.words(p) for p in re.split(r",|;|&|\band\b", t) if p.strip()) for t in (text, gold)]
    return len(split[1]) > 1 and split[0] == split[1]
