"""docs/metrics.md and metrics.jsonl name the same keys: nothing is written that is not explained, nothing explained
that is not written."""

import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from nsrl.config import TrainConfig, parse
from nsrl.trainer.run import Run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
TINY = [
    "data.eval_size=4", "warm_start.steps=2", "warm_start.reading_steps=1", "warm_start.batch_size=2", "max_steps=2",
    "prompts_per_step=2", "num_generations=4", "max_completion_length=12", "eval_samples=1", "threads=1",
    "engine.workers=1",
]  # fmt: skip
RUNS = {  # every option that adds or takes away a key
    "default": ["eval_steps=1", "eval_size_midway=2", "dynamic_sampling=1", "save_steps=1", "beta=0.05"],
    "tokens": ["contexts.masked.images=black", "terms.masked=-0.02", "shape_funcs=[REWARD:told]"],
    "cispo": ["loss_type=cispo", "epsilon_high=5.0", "entropy_coef=0.01"],
    "members": ["members=[{n: 2}, {n: 2, images: noise}, {given: gold}]", "scale_rewards=remax", "draw.kind=mixture"],
    "turns": ["turns.max=2", "turns.observe=engine"],
}
REWARD = (
    "def first_token(completion_ids, **_):\n    return [float(ids[0] % 7) for ids in completion_ids]\n"  # it has spread
    "def told(step):\n    step.metrics['told'] = step.progress\n"
)
# Of runs with stages that conditions end and schedules steer: test_stages.py shows them.
SOMETIMES = {"schedule/<key>", "eval/pass_at_n", "eval/worst_category"}
if not torch.cuda.is_available():
    SOMETIMES |= {"gpu/<reading>", "perf/peak_memory_gib"}


def documented() -> dict[str, re.Pattern]:
    """The keys of the first column of every table before the comparison with TRL, and what each one matches."""
    rows = [line for line in PAGE.read_text().split("## Beside TRL's")[0].splitlines() if line.startswith("| `")]
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]
    assert len(names) == len(set(names))
    return {name: re.compile(re.sub(r"<\w+>", r"[^/]+", name.replace("@", r"\@"))) for name in names}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    keys, rows = set(), []
    reward = tmp_path_factory.mktemp("reward") / "reward.py"
    reward.write_text(REWARD)
    for name, options in RUNS.items():
        folder = tmp_path_factory.mktemp("metrics") / name
        rewards = [f"reward_funcs=[{reward}:first_token,correct]", "reward_weights=[1,1]"]
        options = [option.replace("REWARD", str(reward)) for option in options]
        Run(parse(TrainConfig, [*TINY, *options, *rewards, f"output_dir={folder}"], "train")).execute()
        of_run = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        keys |= {key for row in of_run for key in row}
        rows.append(of_run)
    return keys, rows


@pytest.mark.long
def test_every_key_is_explained_and_every_explained_key_is_written(written):
    keys, pages = written[0], documented()
    assert {key for key in keys if not any(p.fullmatch(key) for p in pages.values())} == set()
    assert {name for name, p in pages.items() if not any(p.fullmatch(key) for key in keys)} == SOMETIMES


def test_num_tokens_grows_over_all_phases(written):
    for rows in written[1]:
        counts = [row["num_tokens"] for row in rows]
        assert all(a < b for a, b in pairwise(counts)) and {row["phase"] for row in rows} == {
            "reading",
            "warm_start",
            "grpo",
        }
