"""report.html shows problems with picture, question, gold answer, and every attempt with its verdict.

Attempts stand side by side where one problem was tried at several points of the run. What models and data sets wrote is
hostile input: the page escapes it, here it is only made visible (control characters) and kept to a length.
"""

from __future__ import annotations

import base64
import io
import math
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nsrl.report.formulas import markup
from nsrl.report.plots import LANGUAGES

Record = Mapping[str, Any]
PROBLEMS = 40  # shown of each set
ATTEMPTS = 12  # shown of each problem at each point of the run
LONGEST = 20_000  # characters of a completion: more than 4,096 tokens have
PIXELS = 512  # longest side of a picture on the page
_VISIBLE = {"\n", "\t", "\u200c", "\u200d"}  # joiners belong to scripts and emoji


def problem_set(
    name: str, columns: Sequence[tuple[str, Sequence[Record]]], pictures: Mapping[str, bytes]
) -> list[dict[str, Any]]:
    """Cards of one set of problems.

    columns: (title, records) for each point of the run; the last one decides what is shown: problems with wrong answers
    first, categories in turn. pictures: PNG by problem id, where the records have none.
    """
    points = [(title, _by_problem(records)) for title, records in columns if records]
    if not points:
        return []
    last = points[-1][1]
    cards = []
    for problem in _chosen(last):
        first = last[problem][0]
        groups = [(title, found[problem]) for title, found in points if problem in found]
        picture = next(
            (r["image_png"] for _, group in groups for r in group if r.get("image_png")), pictures.get(problem)
        )
        cards.append({
            "set": name,
            "id": clean(problem),
            "category": clean(first.get("category") or ""),
            "question": markup(clean(first.get("question") or "").replace("<image>", " ").strip()),
            "options": [markup(o) for o in clean(first.get("options") or "").splitlines()],
            "gold": markup(clean(first.get("answer"))) if first.get("answer") is not None else "–",
            "image": _data_url(picture) if picture else "",
            "columns": [_column(title, group) for title, group in groups],
        })  # fmt: skip
    return cards


def clean(text: Any) -> str:
    """A text whose control and direction characters can be seen, and lone surrogates replaced."""
    out = []
    for sign in str(text):
        kind = unicodedata.category(sign)
        if kind in ("Cc", "Cf") and sign not in _VISIBLE:
            sign = chr(0x2400 + ord(sign)) if ord(sign) < 32 else f"⟨U+{ord(sign):04X}⟩"
        out.append("\ufffd" if kind == "Cs" else sign)
    return "".join(out)


def thumbnail(picture: bytes, pixels: int = PIXELS) -> bytes:
    """The picture itself where it is small, else a smaller one; nothing where the bytes are no picture."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(io.BytesIO(picture)) as image:
            if max(image.size) <= pixels:
                return picture
            image.thumbnail((pixels, pixels))
            out = io.BytesIO()
            image.save(out, format="PNG")
    except (UnidentifiedImageError, OSError):
        return b""
    return out.getvalue()


def _data_url(picture: bytes) -> str:
    small = thumbnail(picture)
    return "data:image/png;base64," + base64.b64encode(small).decode() if small else ""


def _by_problem(records: Iterable[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for r in records:
        found[str(r.get("problem_id"))].append(r)
    return found


def _chosen(groups: Mapping[str, Sequence[Record]]) -> list[str]:
    """Problems with a wrong answer first, at most three quarters of the page while there are others; categories in
    turn."""
    wrong = [p for p, g in groups.items() if any(r.get("correct") is False for r in g)]
    others = [p for p in groups if p not in set(wrong)]
    category = lambda p: str(groups[p][0].get("category") or "")
    few = _in_turn(wrong, category)[: max(PROBLEMS * 3 // 4, PROBLEMS - len(others))]
    return few + _in_turn(others, category)[: PROBLEMS - len(few)]


def _in_turn(problems: Sequence[str], category: Any) -> list[str]:
    """One of each category, then the next of each."""
    rank: dict[str, int] = defaultdict(int)
    keyed = []
    for p in problems:
        keyed.append((rank[category(p)], category(p), p))
        rank[category(p)] += 1
    return [p for *_, p in sorted(keyed, key=lambda k: k[:2])]


def _column(title: str, group: Sequence[Record]) -> dict[str, Any]:
    """What was tried at one point: the greedy answer first, as many wrong ones as there is room for."""
    scored = [bool(r["correct"]) for r in group if r.get("correct") is not None]
    order = sorted(group, key=lambda r: (_number(r) >= 0, r.get("correct") is not False, _number(r)))
    shown = sorted(order[:ATTEMPTS], key=_number)
    attempts = [_attempt(r) for r in shown]
    for wanted in ("wrong", "right"):  # the first of each is open
        for a in attempts:
            if a["verdict"] == wanted:
                a["open"] = True
                break
    if attempts and not any(a["open"] for a in attempts):
        attempts[0]["open"] = True
    return {
        "title": title,
        "note": f"{sum(scored)} of {len(scored)} right" if scored else "not scored",
        "attempts": attempts,
        "left_out": len(group) - len(shown),
    }


def _number(r: Record) -> int:
    """Which sample a record is; -1 for the greedy answer."""
    return r["sample"] if isinstance(r.get("sample"), int) else 0


def _attempt(r: Record) -> dict[str, Any]:
    language, text = str(r.get("language") or ""), str(r.get("completion") or "")
    program = str(r.get("program") or "")
    ran = bool(r.get("has_code", program))
    at = text.find(program) if program else -1
    before, middle, after = (text[:at], program, text[at + len(program) :]) if at >= 0 else (text, "", "")
    if program and at < 0:  # a file without completions, or a program that was mended
        before, middle = (text + "\n" if text else ""), program
    correct, reward = r.get("correct"), r.get("reward")
    return {
        "verdict": "not scored" if correct is None else "right" if correct else "wrong",
        "language": clean(language),
        "colour": LANGUAGES.get(language, "#64748b"),
        "status": clean(r.get("status") or ("" if ran else "no program")),
        "value": _ends(clean(r.get("value_text") or ""), ran) or "(no value)",
        "ran": ran,
        "pieces": [clean(piece) for piece in _shortened(before, middle, after)],
        "reward": _two(reward),
        "rewards": clean(", ".join(f"{k[8:]} {_two(v)}" for k, v in r.items() if k.startswith("rewards/") and _two(v))),
        "tokens": r.get("tokens"),
        "greedy": _number(r) < 0,
        "cut": r.get("finish") == "length",
        "open": False,
    }


def _shortened(*pieces: str) -> list[str]:
    out = []
    for piece in pieces:
        over = len(piece) - LONGEST
        out.append(piece if over <= 0 else f"{piece[:LONGEST]} … {over} more characters")
    return out


def _two(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) and math.isfinite(value) else ""


def _ends(value: str, ran: bool) -> str:
    """A value in one line: the beginning of a long one, the end of long prose (where its answer is)."""
    if ran:
        return value if len(value) <= 120 else value[:120] + " …"
    return value if len(value) <= 50 else "… " + value[-45:]
