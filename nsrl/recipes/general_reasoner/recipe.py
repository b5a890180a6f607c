"""General-Reasoner: a verifier model judges; r = 1 - 0.05 min(10, |L_said - L_gold|) where it says yes, 0 where it says
no, -0.5 without an answer. arXiv 2505.14652, section 3, and its reward function (lengths in words here)."""

import asyncio
import json
import urllib.request

from nsrl.rewards import Verdict, gold_of

URL = "http://127.0.0.1:8000/v1/completions"
ASK = "Question: {}\nReference answer: {}\nStudent answer: {}\nIs the student's answer equivalent? Yes or No:"


def asked(prompt):
    """What the judge says to a prompt."""
    body = json.dumps({"model": "general-verifier", "prompt": prompt, "max_tokens": 8, "temperature": 0}).encode()
    request = urllib.request.Request(URL, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)["choices"][0]["text"]


async def judged(problem, text, extracted, result):
    """Right is what the judge says yes to."""
    said, gold = (result.text if result is not None else extracted.answer) or "", gold_of(problem)
    if gold is None or not said:
        return Verdict(None if gold is None else False, "no_answer", None if gold is None else -0.5)
    reply = await asyncio.to_thread(asked, ASK.format(problem.question, gold, said[:1000]))
    yes, further = reply.strip().lower().startswith("yes"), abs(len(said.split()) - len(str(gold).split()))
    return Verdict(yes, "judge", 1 - 0.05 * min(10, further) if yes else 0.0)
