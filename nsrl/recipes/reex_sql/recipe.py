"""ReEx-SQL: queries in <intermediate_sql> are run and their rows shown, the one in <final_sql> answers. R = 2 format +
3 right + 1 exact + 1 entities + 2 exploration. arXiv 2505.12768 (10 queries, the weights; what parts count is ours)."""

from statistics import fmean

from nsrl.data.turns import Observation
from nsrl.engines.queries import rows
from nsrl.rewards import Verdict, gold_of

last = lambda text, tag: text.rpartition(f"</{tag}>")[0].rpartition(f"<{tag}>")[2].strip()
final = lambda batch: [last(text, "final_sql").split() for text in batch.completions]
both = lambda batch: zip(final(batch), (gold_of(problem).split() for problem in batch.problems))
exact = lambda batch: [float(said == gold) for said, gold in both(batch)]
entities = lambda batch: [len({*said} & {*gold}) / len({*gold}) for said, gold in both(batch)]
explored = lambda batch: [fmean([t.shown.text[:5] != "error" for t in own if t.shown] or [0]) for own in batch.turns]


def observe(problem, extracted, result, history):
    """The rows of the turn's query, or what is wrong with it; None where it has none."""
    query = last(history[-1].text, "intermediate_sql")
    return Observation(str(rows(problem.columns["schema"], query))) if query else None


def executed(problem, text, extracted, result):
    """Right is the query that gives the gold's rows."""
    found, gold = [rows(problem.columns["schema"], q) for q in (last(text, "final_sql"), gold_of(problem))]
    return Verdict(found == gold, "rows")
