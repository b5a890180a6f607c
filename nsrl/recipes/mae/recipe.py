"""MAE: R of a proposer = (quality + difficulty + format) / 3, difficulty 1 - mean score of the solver's answers; both
are what the policy says as a judge, 1 to 10, over 10. By role (r - mean) / std. arXiv 2510.23595, section 3."""

import re
from dataclasses import replace
from statistics import mean

ASKED = "Ask a new question about the picture that has one answer, as <question>...</question>. One like it: "
JUDGE = "Rate from 1 to 10, with a number alone, "
ROLE = {"system": "You look at a picture and do what is asked of it, in a sentence or less."}
propose = lambda p: replace(p, question=f"{ASKED}{p.question}", answer=None, options=(), columns=ROLE)
solved = lambda batch: [None if c is None or n != "solver" else float(c) for n, c in zip(batch.members, batch.correct)]


def posed(batch, ask):
    """What proposers earn; None for solvers."""
    found = {i: re.findall(r"<question>(.+?)</question>", t, re.DOTALL) for i, t in enumerate(batch.completions)}
    own = [i for i, name in enumerate(batch.members) if name == "proposer" and found[i]]
    new = [replace(batch.problems[i], question=found[i][-1].strip(), answer=None, options=(), columns={}) for i in own]
    asked = [(p, f"how good this question is: {p.question}") for p in new]
    for p, tried in zip(new, ask(new, n=3, temperature=1.0)):
        asked += [(p, f"{answer.value} as answer to: {p.question}") for answer in tried]
    said = ask([replace(p, question=f"{JUDGE}{text}", columns=ROLE) for p, text in asked], max_tokens=8)
    marks = [min(10, int(m[-1][:3])) / 10 if (m := re.findall(r"\d+", one[0].text)) else 0.0 for one in said]
    out = [0.0 if name == "proposer" else None for name in batch.members]
    for k, i in enumerate(own):
        hard = 1 - mean(marks[len(new) + 3 * k :][:3])
        out[i] = (marks[k] + hard + (1.0 if len(found[i]) == 1 else 0.5)) / 3
    return out
