"""MAE: proposer R = (quality + difficulty + format) / 3, difficulty = 1 - mean score of the solver's answers to it.

Quality and scores are what the policy says as a judge, 1 to 10, over 10. By role r := (r - mean) / std, in its group.
Source: arXiv 2510.23595, section 3.
"""

import re
from dataclasses import replace
from statistics import mean, pstdev

ASKED = "Ask a new question about the picture that has one answer, as <question>...</question>. One like it: "
JUDGE = "Rate from 1 to 10, with a number alone, "


def propose(problem):
    """A problem as the proposer sees it."""
    return replace(problem, question=f"{problem.question}\n{ASKED}", answer=None)


def scored(ask, problems):
    """Marks between 0 and 1."""
    said = [re.findall(r"\d+", one[0].text) for one in ask(problems, max_tokens=8)]
    return [min(10, int(marks[-1][:3])) / 10 if marks else 0.0 for marks in said]


def evolved(batch, ask):
    """What proposers earn, and solvers by being right."""
    out = [None if right is None else float(right) for right in batch.correct]
    own = [i for i, name in enumerate(batch.members) if name == "proposer"]
    found = {i: re.findall(r"<question>(.+?)</question>", batch.completions[i], re.DOTALL) for i in own}
    new = [replace(batch.problems[i], question=found[i][-1].strip(), answer=None) for i in own if found[i]]
    quality = scored(ask, [replace(p, question=f"{JUDGE}how good this question is: {p.question}") for p in new])
    tried = ask(new, n=3, temperature=1.0)
    pairs = [replace(p, question=f"{JUDGE}{a.value} as answer to: {p.question}") for p, x in zip(new, tried) for a in x]
    marks, rest = scored(ask, pairs), iter(quality)
    hard = iter(1 - mean(marks[k : k + 3]) for k in range(0, len(marks), 3))
    for i in own:
        out[i] = (next(rest) + next(hard) + (1.0 if len(found[i]) == 1 else 0.5)) / 3 if found[i] else 0.0
    return out


def by_role(components, batch):
    """Centred and scaled among those of one role."""
    out = [None] * len(batch)
    for rows in batch.groups():
        for role in ("solver", "proposer"):
            own = {i: components[i][1] for i in rows if batch.members[i] == role and components[i][1] >= 0}
            for i, value in own.items():
                out[i] = (value - mean(own.values())) / (pstdev(own.values()) + 1e-4)
    return out
