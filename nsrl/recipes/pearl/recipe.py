"""PEARL: R_p, the share of a perception checklist that is answered right, gates a group (0 throughout: it is skipped)
and scales it: A *= min(mean R_p, 1/2); it is learned too, J = J_r + 0.1 J_p. arXiv 2511.18437; math_mqa.py of
MiliLab/PEARL."""

import re

from nsrl.answers import check


def seen(batch):
    """R_p of each completion; None where a row has no checklist."""
    shares = []
    for problem, text in zip(batch.problems, batch.completions):
        golds = [str(answer) for _, answer in problem.columns.get("checklist") or []]
        said = dict(re.findall(r"(?s)<a(\d{1,3})>(.*?)</a\1>", text[-20_000:]))
        right = [check(said.get(str(i), ""), gold).correct is True for i, gold in enumerate(golds, 1)]
        shares.append(sum(right) / len(golds) if golds else None)
    return shares


def anchored(step):
    """Scale the advantages of each group by its mean R_p, at most 1/2."""
    rows, shares = step.rows(), seen(step.whole)
    for mine, whole in step.groups():
        own = [shares[i] for i in whole if shares[i] is not None]
        for i in mine if own else ():
            step.advantage_N[rows[i]] *= min(sum(own) / len(own), 0.5)
