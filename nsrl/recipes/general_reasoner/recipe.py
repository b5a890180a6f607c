"""General-Reasoner: a verifier model judges; r = 1 - 0.05 min(10, |L_said - L_gold|) where it says yes, 0 where it says
no, -0.5 without an answer. arXiv 2505.14652, section 3, and its reward function (lengths in words here)."""

from nsrl.rewards import Verdict, gold_of, posted

URL = "http://127.0.0.1:8000/v1/completions"
ASK = "Question: {}\nReference answer: {}\nStudent answer: {}\nIs the student's answer equivalent? Yes or No:"


async def judged(problem, text, extracted, result):
    """Right is what the judge says yes to."""
    said, gold = (result.text if result is not None else extracted.answer) or "", gold_of(problem)
    if gold is None or not said:
        return Verdict(None if gold is None else False, "no_answer", None if gold is None else -0.5)
    body = {"model": "general-verifier", "prompt": ASK.format(problem.question, gold, said[:1000])}
    (reply,) = await posted(URL, [body | {"max_tokens": 8, "temperature": 0}])
    yes = reply["choices"][0]["text"].strip().lower().startswith("yes")
    further = abs(len(said.split()) - len(str(gold).split()))
    return Verdict(yes, "judge", 1 - 0.05 * min(10, further) if yes else 0.0)
