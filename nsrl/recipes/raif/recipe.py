"""RAIF: reasoning is reinforced only where it is no worse than answering at once; beside it golds are cloned.

A := A [r(with reasoning) >= r(without)], r(without) of one greedy answer to the same question; L = L_GRPO - 0.1 log p
of the golds. Source: arXiv 2506.01413, superior CoT enforcement and behaviour cloning.
"""

from dataclasses import replace

AT_ONCE = "\nAnswer at once, without a program and without reasoning."


def plainly(batch, ask):
    """Whether the policy is right at once, for every completion of the problem."""
    firsts = [batch.problems[rows.start] for rows in batch.groups()]
    answers = ask([replace(p, question=p.question + AT_ONCE) for p in firsts])
    right = [None if a[0].correct is None else float(a[0].correct) for a in answers]
    return [value for value, rows in zip(right, batch.groups()) for _ in rows]


def superior(step):
    """Advantage 0 for what is sampled and worse than answering at once."""
    given = step.batch.given
    for row, (cot, plain), of in zip(step.rows(), step.components[:, :2].tolist(), given):
        if not of and cot < plain:
            step.advantage_N[row] = 0
    worse = [c < p and not g for (c, p), g in zip(step.components[:, :2].tolist(), given)]
    step.metrics["left_out"] = sum(worse) / max(1, len(worse))
