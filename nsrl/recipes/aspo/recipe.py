"""ASPO: of a group's right completions with a program, those whose program comes early get more.

A += clip(delta (p - mean p) / mean L, -k |A|, k |A|), p the token at which the program begins, L the tokens of a
completion, both means over those completions; delta -2, k 0.7. The sign of A never changes, which a reward for early
programs, normalised with the others, cannot promise; where a whole group is right A is 0 and stays so.
Source: arXiv 2508.19201, section 3.3. There p is of the first call of several turns; here of the one program.
"""

DELTA, K = -2.0, 0.7


def aspo(step):
    """Shift the advantages of right completions by how early their program begins."""
    rows, batch = step.rows(), step.batch
    for group in batch.groups():
        begins = {}
        for i in group:
            span = batch.span(i, "program") if batch.correct[i] else None
            if span is not None:
                begins[i] = step.tokens(i, (span.start, span.end)).start - rows[i].start
        if len(begins) < 2:
            continue
        p = sum(begins.values()) / len(begins)
        length = sum(rows[i].stop - rows[i].start for i in begins) / len(begins)
        for i, begin in begins.items():
            most = K * step.advantage_N[rows[i]].abs()
            step.advantage_N[rows[i]] += most.new_full(most.shape, DELTA * (begin - p) / length).clamp(-most, most)
