"""PeBR-R1: rows that the first policy always solves teach perception, R = .4 alike + .4 words + .1 format + .1 length;
then rows it solves sometimes teach reasoning, R = .9 correct + .1 format. pebr_1.py, pebr_2.py of cythu/PeBR-R1."""

import asyncio
import json
import re
import urllib.request

URL = "http://127.0.0.1:8000/similarity"
HEADINGS = [f"###\\s*{name}:" for name in ("Image Description", "Rationales", r"Step\s*1", "The final answer is")]


def similarity(problem, text):
    """Of the description and the problem's pictures: min(1, cosine / 0.4)."""
    found = re.split("|".join(HEADINGS[:2]), text, flags=re.IGNORECASE)
    body = json.dumps({"id": problem.id, "text": found[1].strip() if len(found) > 2 else ""}).encode()
    with urllib.request.urlopen(urllib.request.Request(URL, body), timeout=120) as reply:
        return min(1.0, float(json.load(reply)["similarity"]) / 0.4)


async def alike(batch):
    """Of every completion."""
    asked = zip(batch.problems, batch.completions)
    return await asyncio.gather(*(asyncio.to_thread(similarity, *one) for one in asked))


def key_words(batch):
    """The share of a row's key words that occur; 0 where it has none."""
    asked = [problem.columns.get("key_word") or [] for problem in batch.problems]
    return [sum(w.lower() in t.lower() for w in own) / max(1, len(own)) for own, t in zip(asked, batch.completions)]


def headings(batch):
    """Whether all four are there."""
    return [float(all(re.search(h, text, re.IGNORECASE) for h in HEADINGS)) for text in batch.completions]


def brief(batch):
    """1 up to 512 tokens, then 512 / tokens."""
    return [min(1.0, 512 / max(1, n)) for n in batch.lengths]
