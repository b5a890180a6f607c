"""Built-in components: right, executes, well formed. Each looks at the batch and nothing else."""

from __future__ import annotations

from nsrl.rewards.batch import RewardBatch
from nsrl.rewards.programs import computes


def correct(batch: RewardBatch) -> list[float | None]:
    """1 if the engine's value is right (without a program: the direct answer), 0 if not, None without a usable gold."""
    return [None if c is None else float(c) for c in batch.correct]


def score(batch: RewardBatch) -> list[float | None]:
    """What the verifier says beside right and wrong, an overlap of boxes say; None where it says nothing."""
    return list(batch.scores)


def graded(batch: RewardBatch) -> list[float | None]:
    """The verifier's score where it says one, else 1 or 0 as `correct`: for rows of several verifiers."""
    return [s if s is not None else c for s, c in zip(batch.scores, correct(batch))]


def executes(batch: RewardBatch) -> list[float | None]:
    """1 if the program ran to a value without a message, 0.5 with one, 0 if it failed; None without a program. A
    program that computes nothing (a number, a letter, a string, also passed through an operation) is paid only if its
    answer is right."""
    out: list[float | None] = []
    for result, extracted, right in zip(batch.results, batch.extracted, batch.correct):
        if result is None:
            out.append(None)
        elif not result.has_value or not (right or computes(extracted.language, extracted.program, result.text)):
            out.append(0.0)
        else:
            out.append(1.0 if result.no_error else 0.5)
    return out


def has_code(batch: RewardBatch) -> list[float | None]:
    """1 if there is a program, 0 if not."""
    return [float(e.language is not None) for e in batch.extracted]


def format_(batch: RewardBatch) -> list[float | None]:
    """1 if the completion ended by itself and holds a complete program or a direct answer, else 0."""
    out: list[float | None] = []
    for extracted, truncated in zip(batch.extracted, batch.truncated):
        whole = getattr(extracted, "complete", True)
        said = (extracted.language is not None and bool(extracted.program.strip())) or bool(extracted.answer)
        out.append(float(whole and said and not truncated))
    return out


def decision(batch: RewardBatch) -> list[float | None]:
    """Keeps a group from collapsing into one mode (Code-as-Thought's decision term): a right answer earns the share of
    its group that answered in the other way (with or without a program); 0 for wrong ones."""
    out: list[float | None] = [None] * len(batch)
    for rows in batch.groups():
        coded = [batch.extracted[i].language is not None for i in rows]
        share = sum(coded) / max(1, len(coded))
        for i, has in zip(rows, coded):
            out[i] = None if batch.correct[i] is None else ((1 - share if has else share) if batch.correct[i] else 0.0)
    return out


REWARDS = {
    "correct": correct,
    "score": score,
    "graded": graded,
    "executes": executes,
    "has_code": has_code,
    "format": format_,
    "decision": decision,
}
