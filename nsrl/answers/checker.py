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
from dataclasses import replace
from typing import NamedTuple, Self

from nsrl.answers import clean, final, lettered
from nsrl.answers.compare import same
from nsrl.answers.final import MAX_PIECE
from nsrl.answers.gold import Gold, option_texts, squeeze, typed_gold, unique_option
from nsrl.answers.kinds import fits, kind_read, kind_stated
from nsrl.answers.lexer import Unreadable
from nsrl.answers.mathverify import math_verify, worth_asking
from nsrl.answers.phrases import BOTH, FRAME, NEGATION, SIGNED, YES_NO, ends_with, same_words, signs
from nsrl.answers.printed import read_printed, unlabelled
from nsrl.answers.reader import read
from nsrl.answers.values import Items
from nsrl.engines.result import Result

TENTATIVE = ("no_option", "unreadable")  # a candidate that was not understood does not end the search


class _Decided(NamedTuple):
    correct: bool | None
    reason: str


class Verdict(_Decided):
    """correct: None means the row cannot be scored (no usable gold); reason: the code of the test that decided.

    A pair, which is compared and taken apart as one. score: what a verifier says besides, as an overlap; no part of it.
    """

    score: float | None

    def __new__(cls, correct: bool | None, reason: str = "", score: float | None = None) -> Self:
        made = super().__new__(cls, correct, reason)
        made.score = score
        return made

    def __repr__(self) -> str:
        return f"Verdict(correct={self.correct!r}, reason={self.reason!r}, score={self.score!r})"


_FORMS = re.compile(
    r"(?:InputForm|OutputForm|StandardForm|TraditionalForm|FullForm|HoldForm|Defer|MatrixForm|TableForm)\[(.*)\]",
    re.DOTALL,
)

_MOMENT = re.compile(r"(Date|Time)Object\[\{(\d{1,4}, \d{1,2}(?:, \d{1,2})?)\}(?:, [^\[\]]{1,60})?\]")


def _shown(text: str) -> str:
    """A printed value without a wrapper that only says how to show it."""
    while match := _FORMS.fullmatch(text):
        text = match.group(1).strip()
    if match := _MOMENT.fullmatch(text):
        date, (first, *rest) = match[1] == "Date", re.findall(r"\d+", match[2])
        return "-".join((first, *rest)) if date else ":".join((first, *(f"{int(n):02}" for n in rest)))
    return "undefined" if text == "Indeterminate" else text


def check(prediction: str | Result | None, gold: str | None, options: object = None) -> Verdict:
    """Whether `prediction` answers `gold`.

    prediction: what the model wrote, or the engine's Result (its printed value is the answer). gold: a string, also
    with its own \\boxed{} or "#### 5". options: the texts of the choices in order A, B, C, … (or a dict letter ->
    text).
    """
    typed = typed_gold(str(gold) if gold is not None and not isinstance(gold, str) else gold, option_texts(options))
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
    if verdict.correct and not typed.options and not fits(kind_stated(text), typed):
        return Verdict(False, "several")
    return verdict


def _judged(text: str, typed: Gold) -> Verdict:
    """The first decisive verdict among the candidates of a completion."""
    verdict, boxes, another, formula = Verdict(False, "no_answer"), False, False, False
    rest = iter(final.candidates(text))
    for candidate in rest:
        if candidate.several and not (typed.kind == "letters" or isinstance(typed.value, Items)):
            continue
        if boxes and not candidate.several:
            break
        found = _judge(candidate, typed)
        if found is None and typed.kind == "text":
            break  # any sentence may state a text: the last one does
        if found is not None and found.correct and not candidate.strong and _enumerated(text, typed):
            return Verdict(False, "letters")
        if found is not None and found.correct and formula:
            return Verdict(False, "several")
        if found is not None and found.correct:
            guess = found.reason == "option" and (
                another or _takes_back(rest, typed) or _late_elsewhere(text, candidate, typed)
            )
            return Verdict(False, "letters" if guess else "several") if guess or _hedges(candidate.text) else found
        formula = formula or (
            found is not None
            and (candidate.strong and found.reason == "unreadable")
            and any(worth_asking(piece, typed.text) for piece in final.pieces(candidate.text))
        )  # what math-verify takes for one gold is not passed over for another
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


# -- one candidate -------------------------------------------------------------------------------------------------


def _judge(candidate: final.Candidate, gold: Gold) -> Verdict | None:
    """The verdict on one candidate; None: it does not say anything of the gold's type."""
    text = candidate.text.strip()
    if candidate.refuses:
        return _judge_refusal(text, gold)
    if gold.kind == "letter":
        return _judge_letter(text, gold, candidate.strong)
    if gold.kind == "letters":
        given = lettered.letters(text)
        if given is None:
            return Verdict(False, "letters") if candidate.strong else None
        wanted, said = lettered.letters_in_order(gold.text) or (), lettered.letters_in_order(text) or ()
        if not gold.options and list(wanted) != sorted(wanted):  # a ranking; letters of options are a set
            return Verdict(said == wanted, "order")
        return Verdict(given == set(wanted), "letters")
    if gold.kind == "date":
        for piece in final.pieces(text):
            if (given_date := clean.date(clean.unwrapped(piece))) is not None:
                wanted = clean.date(clean.unwrapped(gold.text))
                assert wanted is not None
                years = wanted[0] is None or given_date[0] == wanted[0]  # a gold with a year wants it
                return Verdict(years and given_date[1:] == wanted[1:], "date")
        return Verdict(False, "date") if candidate.strong else None
    if gold.kind == "text":
        return _judge_text(text, gold, candidate.strong)
    return _judge_maths(text, gold, candidate.strong)


def _judge_refusal(text: str, gold: Gold) -> Verdict | None:
    """A sentence that says that there is no answer, where that is the gold or an option ("D. Cannot be determined")."""
    unknown = _OPEN.fullmatch(clean.words(text)) is not None
    if gold.kind == "letter":
        given = lettered.letter(text)
        if given is None and gold.options:
            found = [i for i, option in enumerate(gold.options) if ends_with(text, option)]
            found = found or [
                i for i, option in enumerate(gold.options) if unknown and _OPEN.fullmatch(clean.words(option))
            ]
            given = chr(65 + found[0]) if len(found) == 1 else None
        return None if given is None else Verdict(given == gold.letter, "letter")
    said = gold.kind == "text" and (ends_with(text, gold.text) or (unknown and _OPEN.fullmatch(clean.words(gold.text))))
    return Verdict(True, "text_within") if said else None


# "it cannot be determined from the information given", in words(): it says of the question that it is open
_OPEN = re.compile(
    r"(?:(?!not |no |never |false )\w+ ){0,6}?(?:(?:cannot|can not|can't|could not) be (?:uniquely )?(?:determined|"
    r"found|known|told|decided|calculated|concluded|said)|(?:is |it's )?impossible to (?:tell|determine|say|know)|"
    r"(?:there is |there's )?(?:not enough|insufficient|too little) (?:information|data|info))"
    r"(?: uniquely| exactly)?(?: (?:given|provided|available|to \w+(?: answer| it)?|"
    r"(?:from|with|without|using|by|based on|given)(?: \w+){0,5} (?:information|data|info|diagram|figure|picture|graph|"
    r"table|given|provided|alone)(?: given| provided| alone)?)){0,2}"
)


def _judge_letter(text: str, gold: Gold, strong: bool) -> Verdict | None:
    chosen = _choice(text, gold, strong)
    return None if chosen is None else Verdict(chosen[0] is not None and chosen[0] == gold.letter, chosen[1])


def _choice(text: str, gold: Gold, strong: bool) -> tuple[str | None, str] | None:
    """The letter that a candidate chooses, and the reason; no letter: it chooses none; None: it says nothing of them.
    gold's letter plays no part."""
    said = clean.unwrapped(text).rstrip(".")
    if gold.options.count(said) == 1 and lettered.lone_letter(said) is None:
        return chr(65 + gold.options.index(said)), "option"  # word for word: the A of "sample A" is no letter
    label, beside = lettered.labelled(text)
    if (
        label
        and gold.options
        and len(beside) <= MAX_PIECE
        and ord(label) - 65 < len(gold.options)
        and (index := unique_option(beside, gold.options)) not in (None, ord(label) - 65)
    ):
        return None, "letters"  # one letter beside the value of another
    given = lettered.letter(text)
    if given is not None and not (gold.options and ord(given) - 65 >= len(gold.options)):
        return _chosen_by(given, text, gold)
    if given not in (None, "I") and unique_option(text, gold.options) is None:
        return None, "letter"  # one that no option has: it is not looked for another
    if lettered.several_letters(text) and (not gold.options or unique_option(text, gold.options) is None):
        return None, "letters"
    if not gold.options:
        late = lettered.late_letter(text)
        if late is not None and strong:
            return late, "letter"
        return (None, "letter") if strong else None
    for piece in final.pieces(text):
        if len(piece) > MAX_PIECE:
            continue
        given = lettered.letter(piece)
        if given is not None and ord(given) - 65 < len(gold.options):
            return _chosen_by(given, piece, gold)
        index = unique_option(piece, gold.options)
        if index is None and given not in (None, "I"):
            return None, "letter"
        if index is None and not re.search(r"=|\b[A-J]\b", piece) and kind_read(piece) in ("value", "values"):
            break  # `3 or 4`, `3, 4, 5`, `3-4`: no choice was made
        if (
            index is None
            and "," in piece
            and not re.search(r"(?<![A-Za-z])[A-J](?![A-Za-z])|\d", piece.partition(",")[2])
        ):
            index = unique_option(piece.partition(",")[0], gold.options)
        if index is not None:
            if _letters(text) - _own(index, gold):
                return None, "letters"  # a value for those who have it, a letter for the others
            return chr(65 + index), "option"
    if (
        late := lettered.late_letter(text) or lettered.letter(text)
    ) is not None:  # one that no option has is no choice either
        return late, "letter"
    return (None, "no_option") if strong else None


def _chosen_by(given: str, text: str, gold: Gold) -> tuple[str, str]:
    """A letter that is given; one that stands alone and is the text of another letter's option means that option."""
    if (
        given == text.rstrip(".").rpartition("answer is ")[2]
        and gold.options.count(given) == 1
        and (index := gold.options.index(given)) != ord(given) - 65
    ):
        return chr(65 + index), "option"
    return given, "letter"


_WEIGHED = re.compile(r"\b(?:if|would|wrong|incorrect|instead|rather|than|compare|check)\b", re.IGNORECASE)


def _takes_back(others: Iterable[final.Candidate], gold: Gold) -> bool:
    """Whether another sentence chooses a letter that is not the gold's, or would if the value were no option and there
    were five: the value is a second guess."""
    assert gold.letter is not None
    own = _own(ord(gold.letter) - 65, gold)
    others = [c for c in others if not c.several]
    bare = replace(gold, options=tuple(f"\uffff{i}" for i in range(max(5, len(gold.options)))))
    would = {chosen[0] for c in others if not c.refuses and (chosen := _choice(c.text.strip(), bare, c.strong))}
    return bool(would - own - {None}) or any(_letters(c.text) - own for c in others if not _WEIGHED.search(c.text))


def _own(index: int, gold: Gold) -> set[str]:
    """The letters that say an option: its own, its text where that is a letter, and the I of "statement I only"."""
    option = gold.options[index]
    return {chr(65 + index), squeeze(option), *(["I"] if re.search(r"\bI\b", option) and len(gold.options) < 9 else [])}


def _letters(text: str) -> set[str]:
    """The letters that a candidate or its pieces state."""
    return {
        x
        for x in (lettered.letter(text), lettered.late_letter(text), *map(lettered.letter, final.pieces(text)))
        if x is not None
    }


def _enumerated(text: str, gold: Gold) -> bool:
    """Whether the last lines only go through the options."""

    def option(line: str) -> str | None:
        line = clean.markdown(line).lstrip("-*• ")
        if not gold.options or len(line) > 200:
            return None
        label, beside = lettered.labelled(line)
        if label is not None and unique_option(beside, gold.options) == ord(label) - 65:
            return label
        given, index = lettered.lone_letter(line), unique_option(line, gold.options)
        return given or (None if index is None else chr(65 + index))

    return lettered.enumerated(text, option)


def _states_value(candidate: final.Candidate) -> bool:
    """Whether a candidate that is none of the options states a value: it is the answer then, and not what stands before
    it."""
    return any(kind_read(piece) for piece in final.pieces(candidate.text, labels=False))


_NOT_YET = re.compile(
    r"(?:^|\b(?:is|are|was|were|be|equals?|to|of|the|an?|take|has|have))\s*$", re.IGNORECASE
)  # "it is perhaps 12"
MAX_HEDGED = 200  # characters of a second answer in other words
_ABOUT = re.compile(r"^(?:(?:about|approximately|approx\.?|roughly|around|≈|\\approx)\s*)+", re.IGNORECASE)


def _hedges(text: str) -> bool:
    """Whether a candidate names a second answer beside the first: `12 (or 13)`, but not `1/2 (or 0.5)`."""
    found = list(final.HEDGE.finditer(text))
    if not found or (len(found) == 1 and _NOT_YET.search(text[: found[0].start()])):
        return False
    first, second = text[: found[0].start()].rstrip(" ,;."), _ABOUT.sub("", text[found[0].end() :].strip(" ).!"))
    if len(found) > 1 or len(second) > MAX_HEDGED:  # so neither is asked whether it hedges in turn
        return True
    return bool(second) and not (check(first, second).correct or check(second, first).correct)


def _late_elsewhere(text: str, candidate: final.Candidate, gold: Gold) -> bool:
    """Whether another letter would have been taken from the last lines if the words of this candidate were no
    option's."""
    if _states_value(candidate) or final.refuses(text):
        return False
    late = lettered.late_letter(clean.markdown(text[-400:]))
    assert gold.letter is not None
    return late not in (None, gold.letter, gold.options[ord(gold.letter) - 65])


def _late_letter(text: str, gold: Gold) -> Verdict | None:
    """The last resort for a letter gold: the last letter mentioned as an option in the last lines."""
    if gold.kind != "letter" or final.refuses(text):
        return None
    last = clean.markdown(text[-400:])
    last = last[final.taken_back(last) :]
    if (found := final.sentences(last)) and final.supposes(found[-1]):
        return None
    late = lettered.late_letter(last)
    return None if late is None else Verdict(late == gold.letter, "letter")


def _judge_value(text: str, gold: Gold) -> Verdict:
    """An engine's printed value."""
    if len(text) > MAX_PIECE:
        return Verdict(False, "size")
    if gold.kind == "letter":
        bare = unlabelled(text.splitlines()[-1])
        if (
            bare
            and lettered.letter(text) in (None, lettered.letter(bare))
            and unique_option(text, gold.options) is None
        ):
            text = bare
        given = lettered.letter(text) if len(text) <= 4 else None
        if given is not None and (not gold.options or text.strip("()") not in gold.options):
            return Verdict(given == gold.letter, "letter")
        if gold.options:
            index, given = unique_option(text, gold.options), lettered.letter(text)
            if index is not None:
                if given not in (None, chr(65 + index)) and squeeze(text) != squeeze(gold.options[index]):
                    return Verdict(False, "letters")  # one option's letter before the text of another
                return Verdict(chr(65 + index) == gold.letter, "option")
            if given is not None and ord(given) - 65 < len(gold.options):
                return Verdict(given == gold.letter, "letter")
            return Verdict(False, "no_option")
        return Verdict(lettered.lone_letter(text) == gold.letter, "letter")
    if gold.kind == "value":
        return _judge_printed(text, gold)
    if gold.kind == "text":
        return _judge_printed_text(text, gold)
    if gold.kind == "date" and clean.date(clean.unwrapped(text)) is None:
        return Verdict(False, "type")
    return _judge(final.Candidate(text, True), gold) or Verdict(False, "type")


def _judge_printed(text: str, gold: Gold) -> Verdict:
    """A printed value against a value: its last line (or the whole, for several values), never a number found
    inside."""
    assert gold.value is not None
    if squeeze(text) == squeeze(gold.text):
        return Verdict(True, "same_text")
    for printed in dict.fromkeys(
        (text, text.splitlines()[-1]) if isinstance(gold.value, Items) else text.splitlines()[-1:]
    ):
        try:
            value = read_printed(printed)
        except Unreadable:
            continue
        return Verdict(*same(gold.value, value))
    if worth_asking(text, gold.text) and math_verify(gold.text, text):
        return Verdict(True, "math_verify")
    return Verdict(False, "unreadable")


def _judge_maths(text: str, gold: Gold, strong: bool) -> Verdict | None:
    assert gold.value is not None
    squeezed = squeeze(gold.text)
    unread = None
    for piece in final.pieces(text, labels=bool(gold.options)):
        if len(piece) > MAX_PIECE:
            continue
        if squeeze(piece) == squeezed and not piece.rstrip(" $").endswith(".."):  # 0.666... is more than its digits
            return Verdict(True, "same_text")
        if gold.options:
            given = lettered.letter(piece)
            if given is not None and ord(given) - 65 < len(gold.options):
                return check(gold.options[ord(given) - 65], gold.text)
        try:
            value = read(piece)
        except Unreadable:
            unread = unread or piece
            continue
        correct, reason = same(gold.value, value)
        if not correct and reason == "type" and kind_read(piece) is None:
            continue
        return Verdict(correct, reason)
    if not strong:
        return None
    if unread and worth_asking(unread, gold.text) and math_verify(gold.text, unread):
        return Verdict(True, "math_verify")
    return Verdict(False, "unreadable" if unread else "type")


def _judge_text(text: str, gold: Gold, strong: bool) -> Verdict | None:
    """Prose against a text: what it states, whole; or the gold among words that say nothing else. One text, one
    answer."""
    wanted = clean.words(gold.text)
    if gold.odd and squeeze(text) == squeeze(gold.text):
        return Verdict(True, "same_text")
    if not wanted:
        return Verdict(squeeze(text) == squeeze(gold.text), "text")
    first = True
    for piece in final.stated(text):
        if len(piece) > MAX_PIECE:
            continue
        if same_words(piece, gold.text):
            return Verdict(True, "text")
        given = clean.words(piece)
        if first and wanted in ("yes", "no") and (match := YES_NO.match(piece.strip())):
            return Verdict(clean.words(match[1]) == wanted and not BOTH.match(piece.strip()), "text")
        first = False
    given = clean.words(text)
    if wanted in ("yes", "no") and not YES_NO.search(text):
        return Verdict(False, "text") if strong else None
    if len(text) <= MAX_PIECE and (match := re.search(rf"(?<!\w){re.escape(wanted)}(?!\w)", given)):
        around = given[: match.start()] + " " + given[match.end() :]
        negated = bool(NEGATION.search(text)) != bool(NEGATION.search(gold.text))
        signed = not SIGNED.search(gold.text) or signs(text) == signs(gold.text)
        framed = FRAME.issuperset(around.split()) or (
            " " in wanted and NEGATION.search(wanted) and ends_with(text, gold.text)
        )
        if signed and not negated and (strong or len(wanted) > 2) and framed:
            return Verdict(True, "text_within")
    if not strong:
        return None
    if gold.odd and worth_asking(text, gold.text) and math_verify(gold.text, text):
        return Verdict(True, "math_verify")
    return Verdict(False, "text")


def _judge_printed_text(text: str, gold: Gold) -> Verdict:
    """A printed value against a text: the whole of it (or of its last line), nothing around it."""
    for printed in dict.fromkeys((text, text.splitlines()[-1])):
        if squeeze(printed) == squeeze(gold.text) or (clean.words(gold.text) and same_words(printed, gold.text)):
            return Verdict(True, "text")
    if gold.odd and worth_asking(text, gold.text) and math_verify(gold.text, text):
        return Verdict(True, "math_verify")
    return Verdict(False, "text")
