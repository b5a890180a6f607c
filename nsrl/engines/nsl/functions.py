"""The functions that a program defines, told from equations about words and from single values."""

from __future__ import annotations

from typing import Any

from nsrl.engines.nsl.lexer import NslSyntaxError, Token
from nsrl.engines.nsl.words import WORDS


def definitions(toks: list[Token]) -> set[Any]:
    """Names f of `f(x)=…` (plain names in the brackets) that are called again, or defined by `:=`. `sin(x)=1/2` and
    its like are equations."""
    found, calls, given = set(), {}, {}
    t = toks
    for i, tok in enumerate(t[:-1]):
        if tok.kind in ("name", "word") and t[i + 1].value == "(" and not t[i + 1].gap:
            calls[tok.value] = calls.get(tok.value, 0) + 1
            if i and t[i - 1].value != ";":
                continue
            j = i + 2
            if len(tok.value) < 3 and t[j].kind in ("num", "name") and t[j + 1].value == ")" and t[j + 2].value == "=":
                given.setdefault(tok.value, []).append(j)
            while t[j].kind in ("name", "word") and t[j + 1].value == ",":
                j += 2
            if t[j].kind in ("name", "word") and t[j + 1].value == ")" and t[j + 2].value in ("=", ":="):
                if tok.value not in WORDS or t[j + 2].value == ":=" or _is_rule(toks, i, j):
                    found.add((tok.value, t[j + 2].value))
    for places in given.values():
        _refuse_given(toks, places)
    return {
        f for f, eq in found if eq == ":=" or (calls[f] > 1 and not (f in WORDS and (WORDS[f].most == 1 or f == "log")))
    }


def _is_rule(toks: list[Token], head: int, last: int) -> bool:
    """Whether `word(names)=…` gives the word a rule of its own, rather than being an equation about the word that
    the language has: every name is in what follows, the word itself is not. head, last: the places of word and last
    name."""
    t, k = toks, last + 3
    while t[k].kind != "end" and t[k].value != ";":
        k += 1
    body = [str(x.value) for x in t[last + 3 : k] if x.kind in ("name", "word")]
    return t[head].value not in body and all(any(x.value in b for b in body) for x in t[head + 2 : last + 1 : 2])


def _refuse_given(toks: list[Token], places: list[int]) -> None:
    """Refuses f(1)=2;f(2)=3, P(A)=½;P(B)=⅓: values of a function, of which no statement gives the rule."""
    t = toks
    if len({t[at].value for at in places}) < 2:
        return
    for at in places:
        k = at + 1
        while t[k].kind != "end" and t[k].value != ";":
            k += 1
            if t[k].kind == "name" and t[at].kind == "name" and t[at].value in t[k].value:
                return  # f(x)=ax+b
    raise NslSyntaxError(
        "a function has a rule: f(x)=2x+1; name single values, such as p1=0.3",
        t[places[0] - 2].start,
        t[places[0] + 1].end,
    )
