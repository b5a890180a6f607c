"""PEARL: J = min(mean R_p, 1/2) J_r + 0.1 J_p, R_p the share of a perception checklist that a probe answers right;
where it is 0 throughout, the group is skipped. arXiv 2511.18437; math_mqa.py and dataset.py of MiliLab/PEARL."""

import re
from dataclasses import replace

from nsrl.rewards import Verdict, check


def probe(problem):
    """The checklist in place of the question; the problem itself where it has none."""
    asked = [f"<q{i}>{question}</q{i}>" for i, (question, _) in enumerate(problem.columns.get("checklist") or [], 1)]
    own = {"verifier": "seen", "system": "Answer <q1>, <q2> and so on, each in a word or two: <a1>…</a1> <a2>…</a2>"}
    return replace(problem, question="\n".join(asked), columns=problem.columns | own) if asked else problem


def seen(problem, text, extracted, result):
    """R_p; nothing is said of the question itself."""
    golds, said = problem.columns["checklist"], dict(re.findall(r"(?s)<a(\d{1,3})>(.*?)</a\1>", text[-20_000:]))
    right = [check(said.get(str(i), ""), str(gold)).correct is True for i, (_, gold) in enumerate(golds, 1)]
    return Verdict(None, "seen", sum(right) / len(right))


def anchored(step):
    """Scale the advantages of solvers by the mean R_p of their group, at most 1/2, those of probes by 0.1."""
    for mine, whole in step.groups():
        shares = [score for score in step.whole.scores[whole.start : whole.stop] if score is not None]
        for i in mine if shares else ():
            scale = min(sum(shares) / len(shares), 0.5) if step.batch.scores[i] is None else 0.1
            step.advantage_N[step.rows()[i]] *= scale
