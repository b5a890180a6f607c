"""An evaluation samples, and answers greedily, on held-out problems; the report makes its table of the records.

Used by the run (before, midway, after) and by `python -m nsrl.eval`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nsrl.data.chat import options_text
from nsrl.data.turns import told
from nsrl.errors import UserError
from nsrl.models.prompt import Prompt
from nsrl.models.vlm import VLM
from nsrl.report.calibration import calibration
from nsrl.report.statistics import mean_interval
from nsrl.report.table import GROUP, PARTS
from nsrl.rewards.spans import texts
from nsrl.rollout.types import Sample, Sampler
from nsrl.trainer.completions import complete, sampling_params
from nsrl.trainer.distributed import ALONE, World
from nsrl.trainer.grader import Graded, Grader
from nsrl.trainer.metrics import Timer
from nsrl.trainer.parts import token_parts
from nsrl.trainer.talk import Talk
from nsrl.types import Problem

LANGUAGES = ("direct", "prose", "sympy", "wolfram", "nsl")


@dataclass
class Evaluation:
    """Records (one per completion) and what they come to. Accuracies are 0 to 1; ci95 are (low, high); None is of
    nothing.

    unscored: ids of problems that could not be shown to the model, and why; they are in no number. calibration: of
    samples that state a confidence (nsrl.report.calibration); None without that span.
    """

    records: list[dict[str, Any]] = field(repr=False)
    accuracy: float | None
    ci95: tuple[float | None, float | None]
    greedy_accuracy: float | None
    greedy_ci95: tuple[float | None, float | None]
    pass_at_n: float | None
    language_share: dict[str, float]
    tokens_by_language: dict[str, float]
    mean_tokens: float | None
    tokens_by_part: dict[str, float] = field(default_factory=dict)
    unscored: dict[str, str] = field(default_factory=dict)
    calibration: dict[str, Any] | None = None

    def numbers(self) -> dict[str, Any]:
        """Everything but the records, under the names of eval/*.json; intervals are lists, as JSON has them."""
        return {
            "accuracy": self.accuracy,
            "ci95": list(self.ci95),
            "greedy_accuracy": self.greedy_accuracy,
            "greedy_ci95": list(self.greedy_ci95),
            "pass_at_n": self.pass_at_n,
            "language_share": self.language_share,
            "tokens_by_language": self.tokens_by_language,
            "mean_tokens": self.mean_tokens,
            "tokens_by_part": self.tokens_by_part,
            "unscored": self.unscored,
            **({} if self.calibration is None else {"calibration": self.calibration}),
        }


def evaluate(
    vlm: VLM,
    sampler: Sampler,
    grader: Grader,
    problems: Sequence[Problem],
    *,
    samples: int,
    temperature: float,
    max_tokens: int,
    seed: int,
    batch: int = 64,
    progress: Callable[[int], None] | None = None,
    world: World = ALONE,
    greedy: bool = True,
    first: int = 0,
    spans: Mapping[str, str] | None = None,
    talk: Talk | None = None,
) -> Evaluation:
    """`samples` completions per problem at `temperature` (mean@n, the headline) and, with `greedy`, one greedy one.

    At temperature 0 every sample is the greedy answer: it is computed and kept once, and its numbers are those of
    samples too. progress is called with the number of problems done; world: problems are shared out, every rank gets
    all records; first: how many problems stand before these in a whole that is evaluated in parts; spans: templates
    by name, whose texts are columns `span/NAME`; talk: how completions go on behind their first turn. Records have
    sample = 0.. for samples and -1 for greedy. Pictures of the next batch are read meanwhile; a problem whose picture
    cannot be read is not scored, and named.
    """
    records: list[dict[str, Any]] = []
    passes = [(samples, temperature, 0), (1, 0.0, -1)][: 1 + greedy] if temperature else [(1, 0.0, -1)]
    unscored: dict[str, str] = {}
    timer = Timer()
    for start in range(0, len(problems), batch):
        whole = problems[start : start + batch]
        mine = world.share(whole)
        vlm.read_ahead(mine)
        encoded = [_encoded(vlm, problem) for problem in mine]
        vlm.read_ahead(world.share(problems[start + batch : start + 2 * batch]))
        errors = world.gather_in_order([e if isinstance(e, str) else None for e in encoded])
        unscored |= {p.id: why for p, why in zip(whole, errors) if why is not None}
        fitting = {i: e for i, e in enumerate(encoded) if not isinstance(e, str)}
        shown, prompts = list(fitting), list(fitting.values())
        part = [mine[i] for i in shown]
        # seeds go by the problem, not by who samples it
        numbers = [n for i, n in enumerate(world.share(range(start, start + len(whole)))) if i in shown]
        for count, pass_temperature, named in passes:
            seeds = [(seed << 24) + first + numbers[i] for i in range(len(prompts))]
            params = sampling_params(vlm, max_tokens, pass_temperature)
            done = complete(vlm, sampler, grader, part, prompts, params, count, seeds, timer, talk)
            rows: dict[int, list[dict[str, Any]]] = {}
            for index, (drawn, graded) in enumerate(zip(done.samples, done.graded)):
                rows[shown[index]] = [
                    record(part[index], one, len(prompts[index].ids), sample, number, parts)
                    | texts(one.text, spans or {})
                    for number, (sample, one) in enumerate(zip(drawn, graded), named)
                    for parts in [token_parts(vlm, sample.written_ids, one)]
                ]
            records += [
                row
                for of_problem in world.gather_in_order([rows.get(i, []) for i in range(len(mine))])
                for row in of_problem
            ]
        if progress is not None:
            progress(len(whole))
    if unscored and world.is_main:
        problem_id, why = next(iter(unscored.items()))
        print(
            f"{len(unscored)} of {len(problems)} problems not scored, since they cannot be shown to the model (first: "
            f"{problem_id}: {why})"
        )
    return replace(summarise(records), unscored=unscored)


def _encoded(vlm: VLM, problem: Problem) -> Prompt | str:
    """The prompt, or why there can be none."""
    try:
        return vlm.encode(problem)
    except UserError as error:
        return str(error)


def record(
    problem: Problem, graded: Graded, prompt_tokens: int, sample: Sample, number: int, parts: Mapping[str, int]
) -> dict[str, Any]:
    """One completion as a flat row: the columns of completions/*.parquet and of the table.

    parts: its tokens by part (`token_parts`). Sizes of pictures are as given, in pixels, the mean over the problem's;
    None where there is none or only opening would tell.
    """
    sizes = [image.size for image in problem.images if image.size is not None]
    width, height = (sum(side) / len(sizes) for side in zip(*sizes)) if sizes else (None, None)
    return {
        "problem_id": problem.id,
        "category": problem.category,
        "question": problem.question,
        "options": options_text(problem.options),
        "answer": problem.answer,
        "sample": number,
        "completion": graded.text,
        "language": graded.language,
        "program": graded.extracted.program,
        "has_code": graded.extracted.language is not None,
        "status": graded.result.status.value if graded.result is not None else "",
        "no_error": graded.result is not None and graded.result.no_error,
        "value_text": graded.value,
        "correct": graded.correct,
        "reason": graded.reason,
        **({"verifier": graded.verifier, "score": graded.score} if graded.verifier else {}),
        **({"turns": told(graded.history), "n_turns": len(graded.history)} if graded.history else {}),
        "tokens": len(sample.written_ids),
        **{f"tokens_{part}": count for part, count in parts.items()},
        "prompt_tokens": prompt_tokens,
        "n_images": len(problem.images),
        "image_width": width,
        "image_height": height,
        "finish": sample.finish.value,
        **{f"{GROUP}{name}": value for name, value in problem.groups.items()},
    }


def summarise(records: list[dict[str, Any]]) -> Evaluation:
    """Accuracies with 95% intervals: over problems for samples (samples of one problem are not independent).

    Where there are greedy answers alone, they are the samples.
    """
    sampled = [r for r in records if r["sample"] >= 0] or records
    greedy = [r["correct"] for r in records if r["sample"] < 0 and r["correct"] is not None]
    by_problem: dict[str, list[bool]] = defaultdict(list)
    for row in sampled:
        if row["correct"] is not None:
            by_problem[row["problem_id"]].append(row["correct"])
    means = [sum(v) / len(v) for v in by_problem.values()]
    accuracy, low, high = mean_interval(means)
    greedy_accuracy, greedy_low, greedy_high = mean_interval([float(c) for c in greedy])
    share = {name: sum(r["language"] == name for r in sampled) / len(sampled) for name in LANGUAGES if sampled}
    tokens = {}
    for name in LANGUAGES:
        lengths = [r["tokens"] for r in sampled if r["language"] == name]
        if lengths:
            tokens[name] = sum(lengths) / len(lengths)
    return Evaluation(
        records=records,
        accuracy=accuracy,
        ci95=(low, high),
        greedy_accuracy=greedy_accuracy,
        greedy_ci95=(greedy_low, greedy_high),
        pass_at_n=sum(any(v) for v in by_problem.values()) / len(by_problem) if by_problem else None,
        language_share=share,
        tokens_by_language=tokens,
        mean_tokens=sum(r["tokens"] for r in sampled) / len(sampled) if sampled else None,
        tokens_by_part=means_by_part(sampled),
        calibration=calibration(sampled),
    )


def means_by_part(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Mean tokens of each part over the rows that say (those kept before parts were counted do not)."""
    told = [r for r in rows if r.get("tokens_prose") is not None]
    return {part: sum(r[f"tokens_{part}"] for r in told) / len(told) for part in PARTS if told}
