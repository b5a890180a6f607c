"""A made-up run folder, as a run writes it."""

from __future__ import annotations

import io
import json
import math
import random
from pathlib import Path

from PIL import Image, ImageDraw

from nsrl.report.table import PARTS, table

FAMILIES = ("area", "bars", "count", "determinant", "fraction", "mean", "solve", "squares")
PROGRAMS = {
    "nsl": "mean{3,5,7}",
    "wolfram": "f := Module[{a = {3, 5, 7}},\n  Mean[a]\n];",
    "sympy": "from sympy import *\na = [3, 5, 7]\nprint(Rational(sum(a), len(a)))",
    "prose": "",
    "direct": "",
}
TOKENS = {"nsl": 11, "wolfram": 26, "sympy": 34, "prose": 22, "direct": 3}


def png(rng: random.Random) -> bytes:
    image = Image.new("RGB", (96, 96), (225, 225, 225))
    draw = ImageDraw.Draw(image)
    for i in range(9):
        x, y = 32 * (i % 3), 32 * (i // 3)
        draw.ellipse((x + 6, y + 6, x + 26, y + 26), fill=tuple(rng.randint(30, 220) for _ in range(3)))
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def shares(t: float) -> dict[str, float]:
    nsl = 0.2 + 0.7 / (1 + math.exp(8 * (0.4 - t)))
    rest = 1 - nsl
    return {"nsl": nsl, "wolfram": rest * 0.3, "sympy": rest * 0.35, "prose": rest * 0.15, "direct": rest * 0.2}


HOSTILE = "</script><script>alert(2)</script><img src=x onerror=alert(3)>\u202ereversed\x00\x1b[31m"
QUESTION = "What is the mean of the numbers in the picture?\n<image>"
CHOICE = "Which is $\\frac{\\sqrt{3}}{2}$, for $5 and $6, if $\\begin{array}{c}a\\end{array}$ & <b>x</b>?"
OPTIONS = "A. $\\sqrt{3}$\nB. $\\frac{1}{2}$\nC. <i>none</i>"


def records(
    rng: random.Random, count: int, samples: int, t: float, greedy: bool = True, pictures: bool = True
) -> list[dict]:
    """Rows as a run keeps them: greedy answers are sample -1, a picture stands beside a problem's first row only."""
    out = []
    for i in range(count):
        family = FAMILIES[i % len(FAMILIES)]
        picture = png(rng)
        for s in [*([-1] if greedy else []), *range(samples)]:
            mix = shares(t)
            language = rng.choices(list(mix), list(mix.values()))[0]
            right = rng.random() < 0.45 + 0.5 * t * (language == "nsl")
            out.append({
                "problem_id": f"p{i}", "category": family, "question": CHOICE if family == "bars" else QUESTION,
                "options": OPTIONS if family == "bars" else "", "answer": "5", "sample": s, "language": language,
                "program": PROGRAMS[language],
                "completion": PROGRAMS[language] or ("The answer is 5." if family != "area" else HOSTILE),
                "has_code": bool(PROGRAMS[language]),
                "status": "ok" if PROGRAMS[language] else "", "no_error": bool(PROGRAMS[language]),
                "value_text": "5" if right else "16/3",
                "correct": right, "reason": "exact", **_tokens(language, max(4, TOKENS[language] + rng.randint(-2, 3))),
                "prompt_tokens": 40 + i % 9, "n_images": 1, "image_width": 96.0, "image_height": 96.0,
                "reward": 1.1 * right + 0.1, "rewards/correct": float(right), "rewards/short": float("nan"),
                "advantage": 0.0, "finish": "stop",
                **({"image_png": picture if s == 0 else None} if pictures else {}),
            })  # fmt: skip
    return out


def _tokens(language: str, count: int) -> dict:
    """By part: delimiters are two tags and the end of the turn, or that end alone."""
    ends = 3 if PROGRAMS[language] else 1
    of = {"prose": "prose", "direct": "answer"}.get(language, "program")
    parts = {part: (count - ends) * (part == of) for part in PARTS} | {"delimiters": ends}
    return {"tokens": count, **{f"tokens_{part}": parts[part] for part in PARTS}}


def write_run(folder: Path, steps: int = 120, warm: bool = True) -> Path:
    """A finished run of `steps` steps, with a warm start or without."""
    from pyarrow import Table, parquet

    rng = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "metrics.jsonl").open("w") as file:
        for phase, count, start in (("reading", 100, 6.0), ("warm_start", 300, 2.5)) if warm else ():
            for i in range(1, count + 1):
                row = {
                    "phase": phase,
                    "step": i,
                    "loss": start * math.exp(-3 * i / count) + 0.2 * rng.random() + 0.1,
                    "grad_norm": 1.0,
                }
                file.write(json.dumps(row) + "\n")
        for i in range(1, steps + 1):
            t = i / steps
            p = 0.45 + 0.45 / (1 + math.exp(8 * (0.4 - t))) + rng.uniform(-0.04, 0.04)
            row = {
                "phase": "grpo", "step": i, "loss": rng.uniform(-0.01, 0.01), "grad_norm": 0.5 + rng.random(),
                "kl": 0.0, "entropy": 0.6 - 0.4 * t,
                "reward": p * 1.2, "reward_std": 0.45 * (1 - 0.6 * t), "frac_reward_zero_std": 0.05 + 0.5 * t,
                "pass@1": p, "pass@k": min(1, p + 0.25),
                "rewards/correct/mean": p, "rewards/executes/mean": 0.9 + 0.08 * t, "rewards/short/mean": 0.5,
                "completions/mean_length": 22 - 10 * t + rng.random(), "completions/max_length": 56 - 12 * t,
                "completions/clipped_ratio": 0.02,
                **{f"language/{n}": v for n, v in shares(t).items()},
                "engine/ok_frac": 0.93 + 0.05 * t, "engine/syntax_frac": 0.05 * (1 - t), "engine/message_frac": 0.02,
                "timing_s/rollout": 0.27, "timing_s/engine": 0.02, "timing_s/pack": 0.03, "timing_s/forward": 0.12,
                "timing_s/backward": 0.2,
                "timing_s/optim": 0.02, "timing_s/sync": 0.001, "timing_s/step": 0.7,
            }  # fmt: skip
            file.write(json.dumps(row) + "\n")
        file.write('{"phase": "grpo", "st')  # a line a kill cut off
    (folder / "eval").mkdir(exist_ok=True)
    numbers = {}
    for name, t in (("warm_start", 0.0), ("final", 1.0)):
        made = records(rng, 160, 4, t, pictures=False)
        parquet.write_table(Table.from_pylist(made), folder / "eval" / f"{name}.parquet")
        rows = table(made)
        numbers[name] = {"accuracy": rows[-1]["accuracy"], "ci95": rows[-1]["ci95"], "table": rows, "problems": 160}
        (folder / "eval" / f"{name}.json").write_text(json.dumps(numbers[name]))
    seen = [{"problem_id": f"p{i}", "image_png": png(rng)} for i in range(160)]
    parquet.write_table(Table.from_pylist(seen), folder / "eval" / "pictures.parquet")
    (folder / "completions").mkdir(exist_ok=True)
    for step, t in ((1, 0.0), (steps, 1.0)):
        kept = [{"step": step, **r} for r in records(rng, 16, 10, t, greedy=False)]
        parquet.write_table(Table.from_pylist(kept), folder / "completions" / f"step_{step:06d}.parquet")
    (folder / "completions" / "step_999999.parquet").write_bytes(b"half")
    summary = {
        "accuracy_warm_start": numbers["warm_start"]["accuracy"],
        "accuracy_warm_start_ci95": numbers["warm_start"]["ci95"],
        "accuracy_final": numbers["final"]["accuracy"], "accuracy_final_ci95": numbers["final"]["ci95"],
        "language_share": {"before": shares(0.0), "after": shares(1.0)}, "tokens_by_language": TOKENS,
        "mean_output_tokens": {"before": 22.4, "after": 12.1},
        "seconds": {**({"reading": 20.0, "warm_start": 61.0} if warm else {}), "grpo": 98.0, "evaluation": 24.0},
        "seed": 0, "steps": {"reading": 100 * warm, "warm_start": 300 * warm, "extra": 0, "grpo": steps},
        "versions": {"torch": "2.13.0"},
    }  # fmt: skip
    (folder / "summary.json").write_text(json.dumps(summary))
    (folder / "config.yaml").write_text("seed: 0\nnum_generations: 10\nquestion: <script>alert(1)</script>\n")
    return folder


if __name__ == "__main__":
    import sys

    from nsrl.report import write_report

    print(write_report(write_run(Path(sys.argv[1]))))
