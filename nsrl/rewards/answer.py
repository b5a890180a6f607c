"""The answer check: does a prediction (model text or an engine's Result) answer the gold?

    check(prediction, gold, options=None) -> Verdict(correct: True | False | None, reason)

First decisive test wins: the gold is typed; letters exactly, and a value mapped to the unique equal option; structural
equality; exact, then 50-digit numeric; the gold's decimals; math-verify last, in a killable process. A gold that is
absent or unreadable gives None: no reward for the row. Never raises on model text; nothing is evaluated as code.
Knows nothing of rewards, groups or models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from nsrl.engines.result import Result
from nsrl.rewards import clean, final
from nsrl.rewards.compare import same, several
from nsrl.rewards.mathverify import math_verify
from nsrl.rewards.printed import read_printed, unlabelled
from nsrl.rewards.reader import read
from nsrl.rewards.tokens import Unreadable
from nsrl.rewards.tree import INFINITY, neg
from nsrl.rewards.values import Items, Relation, Scalar, Value

MAX_GOLD = 600
MAX_PIECE = final.MAX_PIECE
TENTATIVE = ("no_option", "unreadable")  # a candidate that was not understood does not end the search


class Verdict(NamedTuple):
    """correct: None means the row cannot be scored (no usable gold); reason: the code of the test that decided."""

    correct: bool | None
    reason: str


@dataclass(frozen=True, slots=True)
class Gold:
    """A typed gold answer. kind: letter, letters, value, text, date, or none (why in `text`)."""

    kind: str
    text: str
    letter: str | None = None
    value: Value | None = None
    options: tuple[str, ...] = ()
    odd: bool = False  # looks like mathematics but the reader cannot read it


_FORMS = re.compile(r"(?:InputForm|OutputForm|StandardForm|TraditionalForm|FullForm|HoldForm|Defer|MatrixForm|TableForm)\[(.*)\]", re.DOTALL)


def _shown(text: str) -> str:
    """A printed value without a wrapper that only says how to show it."""
    while match := _FORMS.fullmatch(text):
        text = match.group(1).strip()
    return text


def check(prediction: str | Result | None, gold: str | None, options: object = None) -> Verdict:
    """Whether `prediction` answers `gold`.

    prediction: what the model wrote, or the engine's Result (its printed value is the answer). gold: a string, also with
    its own \\boxed{} or "#### 5". options: the texts of the choices in order A, B, C, … (or a dict letter -> text).
    """
    typed = _gold(str(gold) if gold is not None and not isinstance(gold, str) else gold, _options(options))
    if typed.kind == "none":
        return Verdict(None, typed.text)
    if isinstance(prediction, Result):
        if not prediction.has_value:
            return Verdict(False, "no_value")
        text = _shown(clean.collapsed(prediction.text))
        if not text:
            return Verdict(False, "no_value")
        return _judge_value(text, typed)
    if prediction is None or not str(prediction).strip():
        return Verdict(False, "no_answer")
    text = clean.collapsed(clean.unescaped(str(prediction)))
    if len(text) <= MAX_PIECE and text.strip() == typed.text and typed.kind != "letter":
        return Verdict(True, "same_text")
    verdict = _judged(text, typed)
    if verdict.correct and not typed.options and not _fits(_kind_stated(text), typed):
        return Verdict(False, "several")
    return verdict


def _judged(text: str, typed: Gold) -> Verdict:
    """The first decisive verdict among the candidates of a completion."""
    verdict, boxes, another = Verdict(False, "no_answer"), False, False
    rest = final.candidates(text)
    for candidate in rest:
        if candidate.several and not (typed.kind == "letters" or isinstance(typed.value, Items)):
            continue
        if boxes and not candidate.several:
            break
        found = _judge(candidate, typed)
        if found is None and typed.kind == "text":
            break  # any sentence may state a text: the last one does
        if found is not None and found.correct:
            guess = found.reason == "option" and (another or _takes_back(rest, typed) or _late_elsewhere(text, candidate, typed))
            return Verdict(False, "letters" if guess else "several") if guess or _hedges(candidate.text) else found
        if typed.options and (found is None or found.reason in TENTATIVE):
            another = another or _states_value(candidate)
        if found is None:
            continue
        if verdict.reason == "no_answer" or (verdict.reason in TENTATIVE and candidate.strong):
            verdict = found
        if found.reason in TENTATIVE:
            continue
        if not (candidate.strong and (isinstance(typed.value, Items) or typed.kind == "letters")):
            break
        boxes = True  # the other boxes may belong to it
    if verdict.reason == "no_answer" and not another and (late := _late_letter(text, typed)) is not None:
        return late
    return verdict


def chosen(gold: str, options: object) -> str | None:
    """The letters of the options that a gold answer means ("B", "AC"); None where it is none of them, or may be several."""
    typed = _gold(gold, _options(options))
    return typed.letter or ("".join(sorted(final.letters(typed.text) or ())) or None if typed.kind == "letters" else None)


# -- the gold ------------------------------------------------------------------------------------------------------

_NO_GOLD = re.compile(r"(?:n/?a|nan|null|none given|unknown|undefined gold|\W*)$", re.IGNORECASE)


def _options(options: object) -> tuple[str, ...]:
    if not options:
        return ()
    if isinstance(options, dict):
        options = [options[k] for k in sorted(options)]
    texts = tuple(str(o) for o in options)  # type: ignore[attr-defined]
    labelled = [re.match(rf"\s*\(?{chr(65 + i)}\s*[.):]\s*(?=\S)", t) for i, t in enumerate(texts)]
    if len(texts) > 1 and all(labelled):
        texts = tuple(t[m.end() :] for t, m in zip(texts, labelled) if m)
    return texts


@lru_cache(maxsize=8192)
def _gold(gold: str | None, options: tuple[str, ...]) -> Gold:
    if gold is None or not gold.strip():
        return Gold("none", "gold_absent")
    text = clean.unescaped(gold).strip()
    boxes = clean.boxed(text)
    if boxes:
        text = boxes[-1].strip() if len(boxes) == 1 or len(text) > 200 else ", ".join(dict.fromkeys(boxes))
    elif re.search(r"\\boxed", text):
        return Gold("none", "gold_unreadable")
    elif (match := re.search(r"(?:^|\n)####\s*(.+)", text)) or (match := re.search(r"<answer>(.*?)</answer>", text, re.DOTALL)):
        text = match[1].strip()
    if text.endswith(".") and not text.endswith(".."):
        text = text[:-1].rstrip()
    if _NO_GOLD.fullmatch(text) and not re.fullmatch(r"∅|[+-]?∞|\\\{\s*\\\}|\{\s*\}", text) and not (options and text in options):
        if not re.search(r"\\[A-Za-z]{2,}", text):
            return Gold("none", "gold_absent")
    if len(text) > MAX_GOLD or _unbalanced(text):
        return Gold("none", "gold_unreadable")
    mark = final.unwrapped(text)
    match = re.fullmatch(r"(?:option\s+|choice\s+)?[(\[]?\s*([A-Ja-d])\s*[)\]]?[.:]?", mark)
    if match and options and text in options and _permuted_letters(options):
        options = ()  # the options are letters themselves, in another order: the gold means their text
    if match and (not options or ord(match[1].upper()) - 65 < len(options)):
        return Gold("letter", text, letter=match[1].upper(), options=options)
    labelled = re.match(r"[(\[]?([A-J])\s*[.)\]:]\s*(?=\S)", mark)
    if labelled and options and ord(labelled[1]) - 65 < len(options):
        return Gold("letter", text, letter=labelled[1], options=options)
    letters = final.letters(text)
    if letters and ("," in text or (options and max(map(ord, letters)) - 65 < len(options))):
        return Gold("letters", text, options=options)
    if options:
        index = _unique_option(text, options)
        if index is not None:
            return Gold("letter", text, letter=chr(65 + index), options=options)
    if clean.date(final.unwrapped(text)) is not None:
        return Gold("date", text, options=options)
    try:
        return Gold("value", text, value=read(text), options=options)
    except Unreadable:
        odd = bool(re.search(r"\d|\\(?!text|mathrm|mbox)[a-zA-Z]+|[=^]", text))
        return Gold("text", text, options=options, odd=odd)


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


# -- one candidate -------------------------------------------------------------------------------------------------


def _judge(candidate: final.Candidate, gold: Gold) -> Verdict | None:
    """The verdict on one candidate; None: it does not say anything of the gold's type."""
    text = candidate.text.strip()
    if candidate.refuses:
        return _judge_refusal(text, gold)
    if gold.kind == "letter":
        return _judge_letter(text, gold, candidate.strong)
    if gold.kind == "letters":
        given = final.letters(text)
        if given is None:
            return Verdict(False, "letters") if candidate.strong else None
        wanted, said = final.letters_in_order(gold.text) or (), final.letters_in_order(text) or ()
        if not gold.options and list(wanted) != sorted(wanted):  # a ranking; letters of options are a set
            return Verdict(said == wanted, "order")
        return Verdict(given == set(wanted), "letters")
    if gold.kind == "date":
        for piece in final.pieces(text):
            if (given_date := clean.date(final.unwrapped(piece))) is not None:
                wanted = clean.date(final.unwrapped(gold.text))
                assert wanted is not None
                years = wanted[0] is None or given_date[0] == wanted[0]  # a gold with a year wants it
                return Verdict(years and given_date[1:] == wanted[1:], "date")
        return Verdict(False, "date") if candidate.strong else None
    if gold.kind == "text":
        return _judge_text(text, gold, candidate.strong)
    return _judge_maths(text, gold, candidate.strong)


def _judge_refusal(text: str, gold: Gold) -> Verdict | None:
    """A sentence that says that there is no answer, where that is the gold or an option ("D. Cannot be determined")."""
    if gold.kind == "letter":
        given = final.letter(text)
        if given is None and gold.options:
            found = [i for i, option in enumerate(gold.options) if _ends_with(text, option)]
            given = chr(65 + found[0]) if len(found) == 1 else None
        return None if given is None else Verdict(given == gold.letter, "letter")
    return Verdict(True, "text_within") if gold.kind == "text" and _ends_with(text, gold.text) else None


def _ends_with(sentence: str, predicate: str) -> bool:
    """Whether a sentence says a predicate ("cannot be determined", "does not exist") of something named in a few words."""
    before, found, after = clean.words(sentence).rpartition(clean.words(predicate))
    return bool(found) and not after and not _NEGATION.search(before) and len(before.split()) <= 6


def _kind_stated(text: str) -> str | None:
    """The kind of answer a completion states, found without the gold: yes/no, letter, letters, date, value, several
    values, text, or none found.

    A text has one answer. Were each gold to find its own in `4`, `red` and `B` on three lines, that text would be a
    constant that pays for three.
    """
    for candidate in final.candidates(text):
        if candidate.several:
            continue
        said = candidate.text.strip(" \n()[]*$")
        if _YES_NO.match(said):
            return "yes/no"
        if final.letters(candidate.text) is not None:
            return "letters"
        if final.letter(candidate.text) is not None or final.told_letter(candidate.text) is not None:
            return "letter"
        kinds = [kind for piece in final.pieces(candidate.text, labels=False) if (kind := _kind_read(piece))]
        if kinds:
            return "date" if "date" in kinds else kinds[0]
        if candidate.strong and re.fullmatch(r"[^\d\\=<>]*[A-Za-z]{2}[^\d\\=<>]*", said):
            return "value" if _reads(said) else "text"
    return None


def _kind_read(piece: str) -> str | None:
    """date, value or values for a piece that says so; None where it is words, or letters that need be no value."""
    if len(piece) > MAX_PIECE:
        return None
    if clean.date(final.unwrapped(piece)) is not None:
        return "date"
    try:
        value = read(piece)
    except Unreadable:
        return None
    if several(value):
        return "values"
    return "value" if re.search(r"\d", piece) or _endless(value) else None


def _endless(value: Value) -> bool:
    return isinstance(value, Scalar) and value.tree in (INFINITY, neg(INFINITY))


def _reads(text: str) -> bool:
    try:
        read(text)
    except Unreadable:
        return False
    return True


def _fits(kind: str | None, gold: Gold) -> bool:
    """Whether a completion that states an answer of this kind may answer the gold."""
    if gold.kind == "value":
        assert gold.value is not None
        either = several(gold.value) or isinstance(gold.value, Relation)
        return kind in (None, "value", "values" if either else "value")
    if gold.kind != "text":
        return kind in (None, gold.kind)
    if _YES_NO.match(gold.text):
        return kind in (None, "text", "yes/no")
    return kind in (None, "text") or (kind in ("value", "values") and re.search(r"\d", gold.text) is not None)


def _judge_letter(text: str, gold: Gold, strong: bool) -> Verdict | None:
    given = final.letter(text)
    if given is not None and not (gold.options and ord(given) - 65 >= len(gold.options)):
        return _chosen_by(given, text, gold)
    if final.several_letters(text) and (not gold.options or _unique_option(text, gold.options) is None):
        return Verdict(False, "letters")
    if not gold.options:
        late = final.late_letter(text)
        if late is not None and strong:
            return Verdict(late == gold.letter, "letter")
        return Verdict(False, "letter") if strong else None
    for piece in final.pieces(text):
        if len(piece) > MAX_PIECE:
            continue
        given = final.letter(piece)
        if given is not None and ord(given) - 65 < len(gold.options):
            return _chosen_by(given, piece, gold)
        index = _unique_option(piece, gold.options)
        if index is None and _kind_read(piece) == "values":
            break  # `3 or 4`, `3, 4, 5`: no choice was made
        if index is None and "," in piece and not re.search(r"(?<![A-Za-z])[A-J](?![A-Za-z])|\d", piece.partition(",")[2]):
            index = _unique_option(piece.partition(",")[0], gold.options)
        if index is not None:
            if _letters(text) - {chr(65 + index), _squeeze(gold.options[index])}:
                return Verdict(False, "letters")  # a value for those who have it, a letter for the others
            return Verdict(chr(65 + index) == gold.letter, "option")
    if (late := final.late_letter(text) or final.letter(text)) is not None:  # one that no option has is no choice either
        return Verdict(late == gold.letter, "letter")
    return Verdict(False, "no_option") if strong else None


def _chosen_by(given: str, text: str, gold: Gold) -> Verdict:
    """The verdict on a letter; one that stands alone and is the text of another letter's option means that option."""
    if given == text.rstrip(".").rpartition("answer is ")[2] and gold.options.count(given) == 1 and (index := gold.options.index(given)) != ord(given) - 65:
        return Verdict(gold.letter == chr(65 + index), "option")
    return Verdict(given == gold.letter, "letter")


_WEIGHED = re.compile(r"\b(?:if|would|wrong|incorrect|instead|rather|than|compare|check)\b", re.IGNORECASE)


def _takes_back(others: Iterable[final.Candidate], gold: Gold) -> bool:
    """Whether another sentence chooses a letter that is not the gold's: the value is a second guess."""
    assert gold.letter is not None
    own = {gold.letter, _squeeze(gold.options[ord(gold.letter) - 65])}  # a letter may be the text of an option
    return any(_letters(c.text) - own for c in others if not c.several and not _WEIGHED.search(c.text))


def _letters(text: str) -> set[str]:
    """The letters that a candidate or its pieces state."""
    return {x for x in (final.letter(text), final.late_letter(text), *map(final.letter, final.pieces(text))) if x is not None}


def _states_value(candidate: final.Candidate) -> bool:
    """Whether a candidate that is none of the options states a value: it is the answer then, and not what stands before it."""
    return any(_kind_read(piece) for piece in final.pieces(candidate.text, labels=False))


_ABOUT = re.compile(r"^(?:(?:about|approximately|approx\.?|roughly|around|≈|\\approx)\s*)+", re.IGNORECASE)


def _hedges(text: str) -> bool:
    """Whether a candidate names a second answer beside the first: `12 (or 13)`, but not `1/2 (or 0.5)`."""
    match = final.HEDGE.search(text)
    if match is None or not match.start():
        return False
    first, second = text[: match.start()].rstrip(" ,;."), _ABOUT.sub("", text[match.end() :].strip(" ).!"))
    return bool(first and second) and not (check(first, second).correct or check(second, first).correct)


def _late_elsewhere(text: str, candidate: final.Candidate, gold: Gold) -> bool:
    """Whether another letter would have been taken from the last lines if the words of this candidate were no option's."""
    if _states_value(candidate) or final.refuses(text):
        return False
    late = final.late_letter(clean.markdown(text[-400:]))
    assert gold.letter is not None
    return late not in (None, gold.letter, gold.options[ord(gold.letter) - 65])


def _late_letter(text: str, gold: Gold) -> Verdict | None:
    """The last resort for a letter gold: the last letter mentioned as an option in the last lines."""
    if gold.kind != "letter" or final.refuses(text):
        return None
    late = final.late_letter(clean.markdown(text[-400:]))
    return None if late is None else Verdict(late == gold.letter, "letter")


def _judge_value(text: str, gold: Gold) -> Verdict:
    """An engine's printed value."""
    if len(text) > MAX_PIECE:
        return Verdict(False, "size")
    if gold.kind == "letter":
        bare = unlabelled(text.splitlines()[-1])
        if bare and final.letter(text) in (None, final.letter(bare)) and _unique_option(text, gold.options) is None:
            text = bare
        given = final.letter(text) if len(text) <= 4 else None
        if given is not None and (not gold.options or text.strip("()") not in gold.options):
            return Verdict(given == gold.letter, "letter")
        if gold.options:
            index, given = _unique_option(text, gold.options), final.letter(text)
            if index is not None:
                if given not in (None, chr(65 + index)) and _squeeze(text) != _squeeze(gold.options[index]):
                    return Verdict(False, "letters")  # one option's letter before the text of another
                return Verdict(chr(65 + index) == gold.letter, "option")
            if given is not None and ord(given) - 65 < len(gold.options):
                return Verdict(given == gold.letter, "letter")
            return Verdict(False, "no_option")
        return Verdict(final.lone_letter(text) == gold.letter, "letter")
    if gold.kind == "value":
        return _judge_printed(text, gold)
    if gold.kind == "text":
        return _judge_printed_text(text, gold)
    if gold.kind == "date" and clean.date(final.unwrapped(text)) is None:
        return Verdict(False, "type")
    return _judge(final.Candidate(text, True), gold) or Verdict(False, "type")


def _judge_printed(text: str, gold: Gold) -> Verdict:
    """A printed value against a value: its last line (or the whole, for several values), never a number found inside."""
    assert gold.value is not None
    if _squeeze(text) == _squeeze(gold.text):
        return Verdict(True, "same_text")
    for printed in dict.fromkeys((text, text.splitlines()[-1]) if isinstance(gold.value, Items) else text.splitlines()[-1:]):
        try:
            value = read_printed(printed)
        except Unreadable:
            continue
        return Verdict(*same(gold.value, value))
    if _worth_asking(text, gold.text) and math_verify(gold.text, text):
        return Verdict(True, "math_verify")
    return Verdict(False, "unreadable")


def _judge_maths(text: str, gold: Gold, strong: bool) -> Verdict | None:
    assert gold.value is not None
    squeezed = _squeeze(gold.text)
    unread = None
    for piece in final.pieces(text, labels=bool(gold.options)):
        if len(piece) > MAX_PIECE:
            continue
        if _squeeze(piece) == squeezed and not piece.rstrip(" $").endswith(".."):  # 0.666... is more than its digits
            return Verdict(True, "same_text")
        if gold.options:
            given = final.letter(piece)
            if given is not None and ord(given) - 65 < len(gold.options):
                return check(gold.options[ord(given) - 65], gold.text)
        try:
            value = read(piece)
        except Unreadable:
            unread = unread or piece
            continue
        correct, reason = same(gold.value, value)
        if not correct and reason == "type" and _kind_read(piece) is None:
            continue
        return Verdict(correct, reason)
    if not strong:
        return None
    if unread and _worth_asking(unread, gold.text) and math_verify(gold.text, unread):
        return Verdict(True, "math_verify")
    return Verdict(False, "unreadable" if unread else "type")


_NEGATION = re.compile(r"\b(?:not|no|never|neither|nor|cannot|can't|isn't|aren't|n't|false|incorrect)\b", re.IGNORECASE)
_FRAME = frozenset(  # words that may stand around a text answer: they name no other one
    ["the", "a", "an", "it", "its", "it's", "this", "that", "these", "those", "there", "here", "is", "are", "was", "were", "be", "been", "being", "am", "will", "would", "should", "must", "can", "could", "may", "might", "has", "have", "had", "i", "we", "you", "they", "he", "she", "my", "our", "your", "their", "his", "her", "of", "in", "on", "at", "to", "from", "by", "for", "with", "as", "so", "then", "thus", "hence", "therefore", "because", "since", "and", "also", "only", "just", "exactly", "simply", "clearly", "definitely", "probably", "likely", "most", "final", "correct", "right", "best", "answer", "answers", "option", "choice", "response", "solution", "result", "conclusion", "question", "called", "named", "known", "shown", "given", "see", "seen", "sees", "get", "gets", "find", "found", "think", "believe", "say", "says", "said", "choose", "pick", "select", "chosen", "picked", "one", "which", "what", "who", "where", "when", "color", "colour", "shape", "name", "word", "triangle", "quadrilateral", "polygon", "number", "function"]
)


_YES_NO = re.compile(  # said for itself: "no solution" and "no side" do not say no
    r"\b(yes|no|true|false)\b(?=[*\"'`\s)}\]$]*(?:$|[,.;:!?—–(\n-]|\s(?:because|since|as|for|it|its|it's|this|that|these|those|they|there|he|she|we|you|i|the|and|or|but|is|are|they're|indeed)\b))",
    re.IGNORECASE,
)
_BOTH = re.compile(
    r"(?:yes|true)\b(?:[\s,.;/&|]|\b(?:or|and|but|also|maybe|perhaps)\b){1,20}(?:no|false)\b\s*(?:$|[,.;!?])|"
    r"(?:no|false)\b(?:[\s,.;/&|]|\b(?:or|and|but|also|maybe|perhaps)\b){1,20}(?:yes|true)\b\s*(?:$|[,.;!?])",
    re.IGNORECASE,
)


def _judge_text(text: str, gold: Gold, strong: bool) -> Verdict | None:
    """Prose against a text: what it states, whole; or the gold among words that say nothing else. One text, one answer."""
    wanted = clean.words(gold.text)
    if gold.odd and _squeeze(text) == _squeeze(gold.text):
        return Verdict(True, "same_text")
    if not wanted:
        return Verdict(_squeeze(text) == _squeeze(gold.text), "text")
    first = True
    for piece in final.stated(text):
        if len(piece) > MAX_PIECE:
            continue
        if _same_words(piece, gold.text):
            return Verdict(True, "text")
        given = clean.words(piece)
        if first and wanted in ("yes", "no") and (match := _YES_NO.match(piece.strip())):
            return Verdict(clean.words(match[1]) == wanted and not _BOTH.match(piece.strip()), "text")
        first = False
    given = clean.words(text)
    if wanted in ("yes", "no") and not _YES_NO.search(text):
        return Verdict(False, "text") if strong else None
    if len(text) <= MAX_PIECE and (match := re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", given)):
        around = given[: match.start()] + " " + given[match.end() :]
        negated = bool(_NEGATION.search(text)) != bool(_NEGATION.search(gold.text))
        signed = not _SIGNED.search(gold.text) or _signs(text) == _signs(gold.text)
        framed = _FRAME.issuperset(around.split()) or (" " in wanted and _NEGATION.search(wanted) and _ends_with(text, gold.text))
        if signed and not negated and (strong or len(wanted) > 2) and framed:
            return Verdict(True, "text_within")
    if not strong:
        return None
    if gold.odd and _worth_asking(text, gold.text) and math_verify(gold.text, text):
        return Verdict(True, "math_verify")
    return Verdict(False, "text")


def _same_words(text: str, gold: str) -> bool:
    """Whether two phrases have the same words, or two enumerations the same members."""
    given, wanted = clean.words(text), clean.words(gold)
    if given == wanted:
        return not _SIGNED.search(gold) or _signs(text) == _signs(gold)
    if given.replace(" ", "") == wanted.replace(" ", ""):
        return not _SIGNED.search(gold) or _squeeze(text) == _squeeze(gold)
    return _same_phrases(text, gold)


_SIGNED = re.compile(r"\d\s*[_!^]|[_^]\s*\{?\d|(?<![A-Za-z])[A-Za-z]!")


def _signs(text: str) -> str:
    """The signs that words() drops and that mean something beside digits and symbols: 1011_2, n!."""
    return "".join(re.findall(r"[_!^]", clean.latex(clean.markdown(text))))


def _judge_printed_text(text: str, gold: Gold) -> Verdict:
    """A printed value against a text: the whole of it (or of its last line), nothing around it."""
    for printed in dict.fromkeys((text, text.splitlines()[-1])):
        if _squeeze(printed) == _squeeze(gold.text) or (clean.words(gold.text) and _same_words(printed, gold.text)):
            return Verdict(True, "text")
    if gold.odd and _worth_asking(text, gold.text) and math_verify(gold.text, text):
        return Verdict(True, "math_verify")
    return Verdict(False, "text")


def _same_phrases(text: str, gold: str) -> bool:
    """Whether two enumerations ("red and blue", "blue, red") have the same members."""
    split = [sorted(clean.words(p) for p in re.split(r",|;|&|\band\b", t) if p.strip()) for t in (text, gold)]
    return len(split[1]) > 1 and split[0] == split[1]


def _squeeze(text: str) -> str:
    """Without blanks, except between digits: `3 1/2` is not 31/2."""
    return re.sub(r"(?<!\d) | (?!\d)", "", clean.latex(text))


_ASKED = frozenset(  # commands that math-verify reads, none of them a relation, a connective or a mark above digits
    ["frac", "dfrac", "tfrac", "cfrac", "sqrt", "cdot", "times", "div", "pm", "mp", "pi", "sum", "prod", "binom", "dbinom", "tbinom", "left", "right", "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "ln", "log", "exp", "infty", "cup", "cap", "setminus", "mathbb", "emptyset", "varnothing", "begin", "end", "lfloor", "rfloor", "lceil", "rceil", "max", "min", "gcd", "text", "mathrm", "alpha", "beta", "gamma", "delta", "theta", "lambda", "mu", "phi", "omega", "sigma", "rho"]
)


def _worth_asking(piece: str, gold: str) -> bool:
    """math-verify is asked only about short LaTeX or symbols, never about approximations, percent or degrees."""
    both = piece + gold
    plain = re.sub(r"\\[A-Za-z]+", "", piece)
    if re.search(r"[A-Za-z]{4,}|[\w)}\]] +[A-Z\d]", plain) or not _nested_well(plain):
        return False  # prose, or two things side by side, of which it takes one
    if not _ASKED.issuperset(re.findall(r"\\([A-Za-z]+)", both)) or "..." in both:
        return False  # it drops what it does not know, and then finds the rest equal
    return len(both) <= 400 and not re.search(r"%|°|circ|percent|degree|≈|approx|\\sim", both) and bool(re.search(r"\\[A-Za-z]{2}", piece))


def _nested_well(text: str) -> bool:
    """Whether every bracket has its other; (1,2] and ]1,2[ stand for themselves."""
    depth = 0
    for c in re.sub(r"\][^\[\]]*\[", "", text):
        depth += (c in "([{") - (c in ")]}")
        if depth < 0:
            return False
    return depth == 0


# -- options -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=8192)
def _read_option(option: str) -> tuple[str, str, Value | None]:
    """An option without blanks, its words, and its value if it has one: asked again for each completion of a group."""
    try:
        value = read(option)
    except Unreadable:
        value = None
    return _squeeze(option), clean.words(option), value


@lru_cache(maxsize=8192)
def _unique_option(text: str, options: tuple[str, ...]) -> int | None:
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
