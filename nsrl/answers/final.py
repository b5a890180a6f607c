"""The final answer inside what a model wrote: boxes, tags, "the answer is", the last sentence; letters of options.

Regular expressions over bounded text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from nsrl.answers import clean

TAIL = 6000  # characters of a long completion that are looked at
MAX_PIECE = 1000  # of one answer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A piece of text that may be the answer. strong: the model said that it is; several: more than one box; refuses:
    it says that there is no answer, which answers only a question that has this answer."""

    text: str
    strong: bool
    several: bool = False
    refuses: bool = False


_THINK = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_SPECIAL = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|~~[^~\n]{1,80}~~")
_TAG = re.compile(r"<(answer|final_answer|final)>(.*?)(?:</\1>|$)", re.IGNORECASE | re.DOTALL)
_NEXT = re.compile(r"\n\s*(?:Question|Human|User|Problem|Q)\s*\d*\s*:", re.IGNORECASE)
_BOLD = re.compile(r"(?<![\w)\]*])\*\*(?=\S)([^*\n]{1,60}?)(?<=\S)\*\*(?![\w*])")
_REFUSAL = re.compile(
    r"\b(?:cannot|can't|can not|unable to|not able to|do(?:es)? not (?:have|provide|include|contain|match)|don't have|"
    r"doesn't (?:have|provide)|"
    r"not (?:possible|provided|enough|specified)|impossible to|please provide|sorry|as an ai)\b",
    re.IGNORECASE,
)
_GOES_ON = re.compile(  # behind a "cannot" or "do not have": the verb of the sentence around it, or its consequence
    r"(?:\b(?:is|are|was|were|equals?)\b|[=:])\s*\$?\\?\(?[-−]?[\d$\\(]|"
    r"\b(?:so|therefore|thus|hence)\b[^.]{0,120}?(?:\d|\b(?:is|are)\b\s+\S)|,\s+(?:\w{1,3}\s*=\s*)?\$?[-−]?\d|"
    r"(?:,\s+|\b(?:so|therefore|thus|hence)\b,?\s+)(?:it is |it's |choose |the answer is )?(?:option |choice |"
    r"answer )?\(?[A-J]\)?\s*\.?$",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"(?:i hope|let me know|do you (?:have|want)|please|feel free|if you have|would you like|note)\b", re.IGNORECASE
)
_SUPPOSING = re.compile(
    r"\bif\b[^.\n]*$|\b(?:suppos(?:e|ing)|assum(?:e|ing)|imagine|pretend|(?:let's|let us|we) say)(?:\s(?:that|now|"
    r"instead|for (?:now|a moment)))?[,:\s]+(?:(?:the|my|our|that)\s+)*$",
    re.IGNORECASE,
)
_TAKEN_BACK = re.compile(  # the words of someone who finds a mistake, at the beginning of a sentence
    r"(?:(?<=[.?!…;,])\s|\n)(?:(?:but|oh|oops|hmm+|ah|no|sorry|and|so)[,.!…]{0,3}\s){0,4}(?:wait(?=[,.!:;…-]|"
    r"\s(?:no|that|this|it|i|the|let)\b)|oops|scratch that|correction\b|i (?:made|see) (?:an?|my|the) (?:\w+\s)?"
    r"(?:error|mistake)|i was wrong|(?:that|this|it)(?:'s| is| was) (?:wrong|incorrect|not (?:right|correct)|"
    r"(?:a|my) mistake|an error))\b",
    re.IGNORECASE,
)
_INSTEAD = re.compile(  # a short answer in the place of the one before it
    r"(?:(?<=[.?!…;,])\s|\n)(?:but\s)?(?:no|nope|actually|sorry|rather|"
    r"i mean)[,.:!]?\s(?:(?:actually|sorry|no|i mean),?\s)?"
    r"(?=(?:(?:it(?:'s| is)|it (?:should|must) be|that(?:'s| is)|the answer is|i mean|make that)\s)?"
    r"(?P<other>[$(*]{0,2}(?:-?\d[\d.,/]{0,12}|[A-J](?!\w))[)$*]{0,3}(?:\s[\w%°]{1,12})?)[.!]?(?:\s|$))",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:n't|\bnot|\bnever)\s+(?:think|believe|say|saying|know|see|sure|certain|convinced|"
    r"(?:true|correct|right|the case|clear|certain)\s+that)\b[^.\n]*$",
    re.IGNORECASE,
)
_WRONGLY = re.compile(r"(?:\b(?:wrong|incorrect|false|mistaken)|不)\s*$", re.IGNORECASE)
# what comes behind it is another answer, or the same one in other words; not "the wait is 12", "someone else"
HEDGE = re.compile(
    r"\(\s{0,3}(?:or|maybe|perhaps|possibly)\b(?:\s+(?:maybe|perhaps|possibly)\b)?|"
    r"\b(?:or\s+)?(?:maybe|perhaps|possibly|unless)\b,?|"
    r"\bor\s+else\b,?|[,;]\s{0,3}else\b,?|\balternatively\b,?|\(?\botherwise\b,?(?=\s?\$?-?\d|"
    r"\s?\(?[A-J]\)?[\s.]{0,3}$)|(?<=\d )(?:versus|vs\.?)(?= \$?\d)|"
    r"\bif\b[^.,\n]{1,40}\belse\b|(?<=[\d$] )(?:oder|ou|или|或)(?= [$\d-])|"
    r"\bif\b[^.,\n]{1,60},(?=\s\$?-?\d[^.\n]{0,20}\b(?:otherwise|if)\b)|[.,;…(—-]\s{0,3}(?:no,?\s+)?wait\b,?|"
    r"\b(?:but|and|though|although)\s(?=\(?(?:[A-J]|\$?-?\d[\d.,/]{0,12}\$?)\)?,? (?:is|are|could be|might be|may be|"
    r"would be) (?:also|equally|just as|too|possible|plausible)\b)",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"(?:not|none|undefined|unknown|indeterminate|insufficient|nothing|unclear)\b(?! of the (?:above|these)| of these)",
    re.IGNORECASE,
)
_HEDGE = re.compile(
    r"^if\b|^(?:(?:now|but|so|let us|let's|we|i)\s)*(?:suppose|assume|imagine|pretend|let's say|let us say)\b[^,]*$|"
    r"^(?:to|in order to)\b.*\b(?:need|can|must|have to|should)\b|\bcan be found by\b|\bdepends? on\b|"
    r"\bwithout (?:any|the|specific|more)\b",
    re.IGNORECASE,
)
_HASHES = re.compile(r"^####[ \t]*(.+)$", re.MULTILINE)
_SO = re.compile(r"[,;.]?\s+(?:so|therefore|thus|hence|giving|which gives|which means|meaning)\b", re.IGNORECASE)
_SAYS = re.compile(
    r"(?:\b(?:final|correct|right|best|my)\s+)?\b(?:answers?|(?:correct|right|best)\s+(?:option|choice|statement|"
    r"one))\b"
    r"(?:\s+(?!(?:is|are|be)\b)\w{1,20}){0,9}?\s*(?:\bis\b|\bare\b|\bbe\b|:|=)\s*:?\s*(?=\S)"
    r"|(?:答案|答え(?=\s?は)|정답|답(?=은)|故选|应选|选择|(?<!不)选)\s*(?:是|为|は|은)?\s*[:：]?\s*(?=\S)",
    re.IGNORECASE,
)
_END = re.compile(r"(?<![\s(.][A-J])(?<!^[A-J])(?<!\bapprox)(?<!\bno)[.!?](?=\s+[A-Z\"(*]|\s*$)|\n")


_BOXES_OR = re.compile(
    r"\}[\s$.,;()]{0,9}(?:or|and|else|maybe|perhaps|possibly|alternatively|unless|/|or maybe|or perhaps|"
    r"or possibly)[\s$,(\\]{0,9}$",
    re.IGNORECASE,
)
_BOXES_BESIDE = re.compile(r"\}[\s$,;]{0,9}$")  # two boxes with nothing between them are one statement


@lru_cache(maxsize=64)
def candidates(text: str) -> tuple[Candidate, ...]:
    """What the model may mean as its answer, the most explicit first."""
    return tuple(_candidates(text))


def _candidates(text: str) -> Iterator[Candidate]:
    text = _beside_letters(clean.collapsed(_SPECIAL.sub(" ", text)))
    text = text[-TAIL:] if len(text) > TAIL else text
    parts = _THINK.split(text)
    text = parts[-1] if parts[-1].strip() else parts[-2] if len(parts) > 1 else text
    if (more := _NEXT.search(text)) and more.start() > 10:
        text = text[: more.start()]  # it goes on with a problem of its own
    boxes = clean.boxed(text)
    if boxes:
        before = clean.worded(text[: text.rfind("\\boxed")][-60:])
        either = _BOXES_OR.search(before)
        if len(set(boxes)) == 1 or not (either or _BOXES_BESIDE.search(before)):
            yield Candidate(boxes[-1], True)
        if len(set(boxes)) > 1:
            joint = ", " if either is None or "and" in either[0].lower() else " or "
            yield Candidate(joint.join(dict.fromkeys(boxes)), True, several=True)
    if tags := list(_TAG.finditer(text)):
        inner = tags[-1][2].strip()
        if len(inner) <= 200 and "\n" not in inner:
            yield Candidate(inner, True)
        text = inner or text
    elif hashes := _HASHES.findall(text):
        yield Candidate(hashes[-1].strip(), True)
        return
    bold = {m[1].strip(" .:") for m in _BOLD.finditer(text)}
    if boxes:  # only what was said after the last box can correct it
        text = text[text.rfind("\\boxed") :] if "\\boxed" in text else ""
    text = clean.collapsed(clean.markdown(text))
    said = None
    for match in reversed(list(_SAYS.finditer(text))):
        before = text[max(0, match.start() - 160) : match.start()]
        if _NEGATED.search(match[0]) or _WRONGLY.search(before):
            continue
        if not (_SUPPOSING.search(before) or _DENIED.search(before)):
            said = match.end()
            break
    if (corrected := taken_back(text)) > (said or 0):
        text, said = text[corrected:].strip(), None
    if said is not None:
        said = _said(text, said)
    if said is not None:
        yield Candidate(said, True)
    if boxes or (said is not None and (_NOTHING.match(said) or _refuses(said))):
        return
    everything = sentences(text)
    if everything and _refuses(everything[-1]):
        yield Candidate(everything[-1], False, refuses=True)
        return
    if len(bold) == 1:
        yield Candidate(bold.pop(), False)
    if len(everything) == 1 and len(text) <= 160 and said is None and not _SO.search(text) and not _HEDGE.search(text):
        yield Candidate(text.rstrip("!") if _WORDS.search(text) else text, False)  # "That's 5!" is no factorial
    telling = [x for x in everything if not (_refuses(x) or _POLITE.match(x) or _HEDGE.search(x))]
    for sentence in telling[:-4:-1]:
        clauses = _SO.split(sentence)
        if len(clauses) > 1:
            yield Candidate(clauses[-1].strip(" ,:"), False)
        yield Candidate(sentence, False)


def taken_back(text: str) -> int:
    """Where the text goes on after the last place at which it takes back what it said; 0 where it does not."""
    ends = [m.end() for pattern in (_TAKEN_BACK, _INSTEAD) for m in pattern.finditer(text)]
    return max(ends, default=0)


def _said(text: str, start: int) -> str | None:
    """The sentence of an answer that begins here; None for one that is asked ("12?") and gone on from."""
    line = text[start:].partition("\n")[0]
    found = _END.search(line)
    asked = found is not None and found[0] == "?" and found.start() < 60 and text[start + found.end() :].strip()
    return None if asked else (line[: found.start()] if found else line).strip()


_STOPS = str.maketrans({"。": ". ", "，": ", ", "：": ": ", "；": "; ", "！": "! ", "（": " (", "）": ") "})
_GLUED = re.compile(
    r"(?<=[\dA-J%])(?=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])|"
    r"(?<=[\u3040-\u30ff\u4e00-\u9fff\uac00-\ud7a3])(?=[\dA-J])"
)


_POLITELY = re.compile(r"\s?(?:です|だ|입니다)(?=[\s.]|$)")


def _beside_letters(text: str) -> str:
    """Chinese and Japanese with the blanks that other languages put around numbers and behind stops."""
    return text if text.isascii() else clean.collapsed(_POLITELY.sub("", _GLUED.sub(" ", text.translate(_STOPS))))


def refuses(text: str) -> bool:
    """Whether the last sentence says that there is no answer."""
    found = sentences(clean.markdown(text[-TAIL // 3 :]))
    return bool(found) and _refuses(found[-1])


@lru_cache(maxsize=64)
def _refuses(sentence: str) -> bool:
    """Whether a sentence says that there is no answer, and not, behind that, what the answer is."""
    found = list(_REFUSAL.finditer(sentence))
    return bool(found) and _GOES_ON.search(sentence, found[-1].end()) is None


def supposes(sentence: str) -> bool:
    """Whether a sentence only says what would be if something were so."""
    return _HEDGE.search(sentence) is not None


def sentences(text: str) -> list[str]:
    """The sentences of a text, line by line, without white space around them."""
    out = []
    for line in text.split("\n"):
        start = 0
        for match in _END.finditer(line):
            out.append(line[start : match.start()].strip())
            start = match.end()
        out.append(line[start:].strip())
    return [s for s in out if re.search(r"[^\W_]|[∞∅]|\{\s*\\?\}", s)]


# -- pieces of a sentence ------------------------------------------------------------------------------------------

_ARROW = re.compile(r"^\s*(?:[=-]{1,3}>|⇒|→|⟹|\\(?:Rightarrow|implies|to)(?![a-z]))\s*")
_LABEL = re.compile(r"^\s*(?:\(\s*[A-J]\s*\)|\[[A-J]\]|[A-J]\s*[.):])\s*(?=\S)")
_LEAD = re.compile(
    r"^(?:(?:therefore|thus|hence|so|then|finally|and|okay|ok|well|now|alright|we (?:get|have|find|obtain)|"
    r"it(?:'s| is)|that(?:'s| is)|this is|there (?:are|is)|"
    r"approximately|approx\.?|about|around|roughly|nearly|definitely|clearly|probably|likely|most likely|certainly|"
    r"exactly|simply|only|just|equals?(?: to)?|equal to|to be|be|is|are|"
    r"a total of|total of|option|choice|point|letter|figure|shape|\\approx|≈|~|=|the|value|number|length|area|angle|"
    r"of)\b[\s,:]*|[\s,:=~≈]+|\\approx\s*)+",
    re.IGNORECASE,
)
REASON = re.compile(
    r"[,;]?\s+(?:because|since|which|where|when|so that|as|if|for|after|given|using|based|rounded|while|but|with|"
    r"attained|achieved|reached|occurring)\b.*$|\s*[,;]\s+(?:so|"
    r"and(?:(?<![\d$}], and)|(?! [$\\(]{0,2}-?\d[\d./]{0,12}[$\\)]{0,2}\.?$))|because)\b.*$",
    re.I | re.S,
)
_CAUSE = re.compile(r"(?<=\S)[,;]?\s+(?:because|since)\b.*$|\s*[,;]\s+(?:so|and because)\b.*$", re.I | re.S)
_BESIDE = re.compile(r"\s+\([^()]*(?:[%≈]|\\approx)[^()]*\)\s*\.?$")
_PAREN = re.compile(
    r"\s*\([^()]*\b(?:rejected|extraneous|discarded|invalid|impossible)\b[^()]*\)\s*$|"
    r"\s*\((?:approx|about|or|i\.e|rounded|since|in|where|which|to|correct|option|answer|\w+\s+\w+)[^()]*\)\s*$",
    re.I,
)
_IS = re.compile(
    r"\b(?:is|are|was|were|equals?|be|has|have|had|needs?|takes?|costs?|gives?|get|gets|makes?|becomes?|contains?|by|"
    r"at|of|to)\b[\s:]*",
    re.I,
)
_MATH = re.compile(r"\$\$?([^$]+)\$\$?|\\\(((?:[^\\]|\\[^()])+)\\\)|\\\[((?:[^\\]|\\[^\[\]])+)\\\]")
_UNIT_WORD = (
    r"(?:\s*(?:%|\\%|°|\^\s*\{?\\circ\}?|degrees?|percent|"
    r"(?:square|cubic|sq)?\s*(?:[cmk]?m|meters?|centimeters?|inches|feet|units?|hours?|minutes?|dollars?|cents)"
    r"(?:\^\{?[23]\}?|²|³)?(?![a-zA-Z])))?"
)
_NUMBER = re.compile(
    r"(?<![\w.,])[-−]?(?:\$|\\\$)?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:\s*/\s*\d+|\s+\d+/\d+)?"
    + _UNIT_WORD
    + r"(?![\w]|\.\d|,\d)"
)


_COMMANDS = re.compile(
    r"\\(?!text|mathrm|mbox|approx|circ|degree|angle|quad|triangle|left|right)[a-zA-Z]{2,}|[\^_]\{?\d"
)


_NEGATED = re.compile(
    r"\b(?:not|never|neither|nor|cannot|wrong|incorrect|false|mistakes?|misconception|"
    r"(?:might|may|would) (?:think|guess|expect|suppose)|nicht|kein\w{0,2}|no (?:es|son)|pas|не)\b|"
    r"n't\b|[不非没]",
    re.IGNORECASE,
)
# "the number that cannot be made is": the negation is of what is counted, not of what is said of it
_WHICH_NOT = re.compile(
    r"\b(?:that|who|which|whom|of|without)\s+(?:\w+\s+){0,2}(?:not|cannot|never|"
    r"\w+n't)\b(?:(?!\bthat\b)[^,;.]){1,80}?(?=\b(?:is|are|was|were|equals?)\b[^\w]*$)",
    re.IGNORECASE,
)
_BOUND_OR_PART = re.compile(  # what stands before a number that is then not the number stated
    r"(?:\bthan(?: or equal to)?|\bat (?:least|most)|\bup to(?: and including)?|\bfrom\b[^,;.]{1,30}\bto|"
    r"\bbetween\b[^,;.]{1,30}\band|\d[^,;.]{0,12}\s(?:by|to|through)|"
    r"\b(?:divisible|divided|multiplied|increased|decreased|reduced|raised|differs?) by|\bplus|\bminus|\bmod(?:ulo)?|"
    r"\bexcept(?: for)?|\bexcluding|\bbesides|\bwithout|"
    r",,|\.\.,?|…,?|[\d)\]]\s?[|\\]|[(\[{][^()\[\]{}]{0,40},|\bbelow|\babove|\bunder|\bover|"
    r"\b(?:half|quarter) (?:past|to|after)|\b\d+ past|"
    r"\bhalf(?: of)?|\btwice|\bdouble(?: of)?|\btriple(?: of)?|\btimes|\bchoose|\bbase|"
    r"\b(?:close|next|proportional) to|\bnear|\d(?:\s?/\s?\d+)? (?:out )?of|\d in(?: every)?|"
    r"[≡≅∝⊥⇔↔⊂⊃⊆⊇⊄∈∉∋∣∤∥≪≫≺≻⟂]|\\in|[^\sA-Za-z]\s?(?::=|↦)|"
    r"\bor maybe|\bor perhaps|"
    r"\bat (?:minimum|maximum)|\bupwards? of|=/=|(?<!\w)!|\b(?:más|menos) de|\b(?:mehr|weniger) als|"
    r"\b(?:plus|moins) de|\b(?:mindestens|höchstens|больше|меньше|ou|oder|или)|\b(?:au|al) (?:moins|plus|menos|más)|"
    r"\bnão(?: é)?|\?[^?\n]{1,40}:|[至最][少多]|超过|[大小多少]于|或|到|"
    r"\b(?:root|square|cube|factorial|log|logarithm|sine|cosine|tangent|percent|multiple|factor|divisor|"
    r"(?:third|quarter|fourth|(?:fif|six|seven|eigh|nin|ten|hundred|thousand)th)s?|halves|"
    r"reciprocal|opposite|inverse|power) of|% of|\bto the(?: power(?: of)?)?|[<>≤≥]=?|"
    r"\\(?:ge|le|geq|leq|gt|lt|geqslant|leqslant))(?:\s(?:the|an?|of|number|value|quantity)\b){0,3}[\s$(]*$",
    re.IGNORECASE,
)
_BEHIND_NUMBER = re.compile(
    r"\d(?:\s?(?:-|–|bis|a|à|y|e|et|und|и|和|と))?[\s$]{1,3}$|\d\s?[-–]$", re.IGNORECASE
)  # 12 bis 13
_TURNED = re.compile(  # what stands after it
    r"\s*(?:squared|cubed|factorial|times|choose|mod(?:ulo)?|hundred|thousand|million|billion|trillion|dozen|plus|"
    r"minus|"
    r"(?:divided|multiplied|raised) (?:by|to)|(?:or|and) (?:more|less|fewer|greater|higher|lower|larger|smaller|longer|"
    r"above|below|over|under|so|up)|at (?:most|least|minimum|maximum)|with (?:a )?remainder|"
    r"(?:minimum|maximum|min|max|twice|and counting|per mille|değil|ou|oder|или)|"
    r"(?:,\s*)?(?:or|but) (?:maybe|perhaps|possibly))\b|'s\b|"
    r"\s*(?:或|到|以[上下]|では|이?\s?아니|‰)|"
    r"\s*\+(?!\s*[\d(\\])|\.\.+\d|"
    r"\s*,\s*(?:,|\.\.|…)|\s*\.\.+,",
    re.IGNORECASE,
)
_THAN = re.compile(r"\s*(?:\w+\s){0,2}(?:more|less|fewer)(?: \w+)? than\b", re.IGNORECASE)
_ANSWER = re.compile(r"\b(?:final\s|my\s)?(?:answer|result)\b", re.IGNORECASE)
_BUT = re.compile(
    r"\bbut \$?-?\d|\b(?:but|however|although|though|yet)\b(?! not)[^\n]{0,60}?\b(?:correct|right|actual|real|true|"
    r"should|must|answer|is|are)\b[^\n]{0,30}?\d",
    re.IGNORECASE,
)  # what comes after it is said instead
_FORMULA = re.compile(r"[|\\{}\[\]=^_<>]|,,|\d[\s,]{0,3}\.\.")
_WORDS = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{3,}|[^\W\da-zA-Z_]")
CONTRAST = re.compile(
    r"(?:,\s+not|,?\s(?:and|but) not|\s\(not|,?\s(?:rather than|instead of|as opposed to))\b[^,;]{1,60}$", re.IGNORECASE
)
_NOT_BUT = re.compile(
    r"^(?:(?:it is|it's|the answer is) )?(?:not [^,;.]{1,30},? but|instead of [^,;.]{1,30},) ", re.IGNORECASE
)
_NAMED = re.compile(r"(?:^|[.;,]\s)([A-Za-z][^.;,:]{0,40}):[\s$*]*$")
_CLAUSE = re.compile(r"[,;.:]\s")


def qualified(text: str, piece: str) -> bool:
    """Whether the words around a piece of a sentence say that it is not the answer: not 12, more than 12, half of
    12."""
    start = text.rfind(piece)
    if start < 0 or piece == text:
        return False
    before, after = text[:start], CONTRAST.sub("", text[start + len(piece) :])
    if (named := _NAMED.search(before)) and clean.changes(named[1]):
        return True
    if not named and _NOT_BUT.fullmatch(before):
        return False
    if piece[:1].isdigit() and _BEHIND_NUMBER.search(before[-12:]):
        return True
    if _BOUND_OR_PART.search(before[-60:]) or _TURNED.match(after[:60]) or _BUT.search(after):
        return True
    if _THAN.match(after) and not _LEAD.sub("", _ANSWER.sub("the", before)):
        return True  # "5 apples more than Bob"; that she has 5 apples more than Bob says how many more she has
    if _of_approximations(before):
        return True
    return bool(
        _NEGATED.search(_WHICH_NOT.sub("", _CLAUSE.split(before)[-1])) or _NEGATED.search(_CLAUSE.split(after)[0])
    )


def _of_approximations(before: str) -> bool:
    """Whether these words end in a chain of numbers that are each about the next: 0 ≈ 1 ≈, of which no name is said."""
    before = before.replace("\\approx", "≈")
    if before.count("≈") < 2:
        return False
    chain = _IS.split(before)[-1].rstrip(" $(")
    return chain.endswith("≈") and chain.count("≈") > 1 and not re.search("[A-Za-z]", chain)


def _ends(text: str) -> str:
    """The beginning and the end of a text too long to be read as a whole: where an answer in it can stand."""
    return text if len(text) <= 2 * MAX_PIECE else f"{text[:MAX_PIECE]} … {text[-MAX_PIECE:]}"


@lru_cache(maxsize=64)
def _forms(text: str) -> tuple[str, str, str]:
    """A sentence as its pieces are cut from it; with its number words in digits; and, if it has any, with the words of
    `\\text{}` as words."""
    text = clean.scaled(clean.signed(_ARROW.sub("", _ends(text))))
    worded = clean.digits_for_words(clean.worded(text)) if clean.WRAPPED.search(text) else ""
    return text, clean.digits_for_words(text), worded


@lru_cache(maxsize=64)
def pieces(text: str, labels: bool = True) -> tuple[str, ...]:
    """Ever smaller parts of a sentence that may be the value it states; the whole first. labels: `B. 5` may say 5."""
    return tuple(_pieces(text, labels))


def _pieces(text: str, labels: bool) -> Iterator[str]:
    seen = set()

    def fresh(piece: str) -> bool:
        piece = piece.strip().rstrip(".,;:! ")
        if not piece or piece in seen or piece.count("{") != piece.count("}"):
            return False
        seen.add(piece)
        return not (
            qualified(whole, piece)
            or (digits != whole and qualified(digits, piece))
            or (worded and qualified(worded, clean.worded(piece)))
        )

    whole, digits, worded = _forms(text)
    text = _NOT_BUT.sub("", _BESIDE.sub("", whole.strip()))
    label = _LABEL.sub("", text) if labels else text
    bare = _LEAD.sub("", label)
    cut = _PAREN.sub("", REASON.sub("", CONTRAST.sub("", bare)))
    for piece in (text, label, bare, cut, _PAREN.sub("", bare)):
        if fresh(piece):
            yield piece
    stated = _LEAD.sub("", _IS.split(cut)[-1])
    if stated != cut and fresh(stated):
        yield stated
    found = list(_MATH.finditer(cut)) or list(_MATH.finditer(text))
    if maths := [next(g for g in m.groups() if g) for m in found]:
        if fresh(maths[-1]):
            yield maths[-1]
        if (last := maths[-1].rpartition("=")[2]) and fresh(last):
            yield last
    for source in (cut, _CAUSE.sub("", bare)):  # what a reason says is not what it is the reason for
        for cutter in (_IS.split(source)[-1], re.split(r"=|≈|\\approx", source)[-1], _IS.split(source, maxsplit=1)[-1]):
            piece = _LEAD.sub("", cutter)
            if fresh(piece):
                yield piece
    if _COMMANDS.search(cut or text) or (_FORMULA.search(cut or text) and not _WORDS.search(cut or text)):
        return  # a number cut out of a formula is not its value
    numbers = [m[0] for m in _NUMBER.finditer(clean.digits_for_words(cut or text))]
    if numbers and fresh(numbers[-1]):
        yield numbers[-1]


def stated(text: str) -> Iterator[str]:
    """What a sentence states as a text: the whole of it, without what leads to it and reasons, and what "is" said
    last."""
    text = _BESIDE.sub("", _ends(text).strip())
    label = _LABEL.sub("", text)
    bare = _LEAD.sub("", label)
    cut = _PAREN.sub("", REASON.sub("", bare))
    last = _LEAD.sub("", _IS.split(cut)[-1])
    maths = [next(g for g in m.groups() if g) for m in _MATH.finditer(last)]
    seen = (text, label, bare, cut, last, *maths[-1:])
    yield from dict.fromkeys(piece for s in seen if (piece := s.strip().rstrip(".,;:! ")))
