"""SATURN: 1 where all clauses hold, 0 where an assignment is stated that makes one false, -1 without an assignment; the
next difficulty comes when pass@1 is above the threshold (0.5 for 1.5B, 0.75 for 7B). reward_func.py of
gtxygyzb/Saturn-code; arXiv 2505.16368, sections 2 and 3.2."""

from nsrl.data.sat import assignment


def satisfied(batch):
    """A program is looked at by its value, a text as it stands."""
    values = []
    for problem, text, result, right in zip(batch.problems, batch.completions, batch.results, batch.correct):
        stated = text if result is None else result.text or ""
        states = assignment(stated, int(problem.columns.get("variables", 0))) is not None
        values.append(1.0 if right else 0.0 if states else -1.0)
    return values
