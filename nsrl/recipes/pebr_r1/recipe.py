"""PeBR-R1: rows that the first policy always solves teach perception, R = .4 alike + .4 words + .1 format + .1 length;
then rows it solves sometimes teach reasoning, R = .9 correct + .1 format. pebr_1.py, pebr_2.py of cythu/PeBR-R1."""

import re

from nsrl.rewards import posted

URL = "http://127.0.0.1:8000/similarity"  # of a description and a problem's pictures
HEADINGS = [rf"###\s*{name}:" for name in ("Image Description", "Rationales", r"Step\s*1", "The final answer is")]
headings = lambda batch: [float(all(re.search(h, t, re.IGNORECASE) for h in HEADINGS)) for t in batch.completions]
brief = lambda batch: [min(1.0, 512 / max(1, tokens)) for tokens in batch.lengths]


async def alike(batch):
    """Of every completion min(1, cosine / 0.4)."""
    parts = [re.split("|".join(HEADINGS[:2]), text, flags=re.IGNORECASE) for text in batch.completions]
    asked = [{"id": p.id, "text": part[1].strip() if len(part) > 2 else ""} for p, part in zip(batch.problems, parts)]
    return [min(1.0, float(reply["similarity"]) / 0.4) for reply in await posted(URL, asked)]


def key_words(batch):
    """The share of a row's key words that occur; 0 where it has none."""
    asked = [problem.columns.get("key_word") or [] for problem in batch.problems]
    return [sum(w.lower() in t.lower() for w in own) / max(1, len(own)) for own, t in zip(asked, batch.completions)]
