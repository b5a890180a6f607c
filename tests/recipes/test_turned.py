"""Recipes of several turns: formulas typed again, and three steps of each on the small model."""

import json
import math
import random

import pytest

from nsrl.config import TrainConfig, parse, require_sound
from nsrl.config.recipes import RECIPES
from nsrl.data.turns import Said
from nsrl.engines import extract
from nsrl.engines.result import Result, Status
from nsrl.rewards import RewardBatch
from nsrl.types import Problem
from nsrl.userfiles import load

NAMES = ("artist", "r1_code_interpreter", "zoom")
RNG = random.Random(random.randrange(10**9))


def test_artist_pays_the_share_of_calls_that_ran():
    tool = load(f"{RECIPES / 'artist' / 'recipe.py'}:tool", "test")[1]
    histories, want = [], []
    for _ in range(40):
        succeeded = called = 0
        turns = []
        for _ in range(RNG.randint(1, 4)):
            result = None
            if RNG.random() < 0.7:
                status = RNG.choice(list(Status))
                result, called, succeeded = Result(status, "1"), called + 1, succeeded + (status is Status.OK)
            turns.append(Said("", extract(""), result))
        histories.append(turns)
        want.append(succeeded / called if called else 0.0)
    batch = RewardBatch(
        problems=[Problem("a", "?", "1")] * 40, completions=[""] * 40, completion_ids=[[1]] * 40,
        extracted=[extract("")] * 40, results=[None] * 40, group_sizes=[40], correct=[True] * 40, turns=histories,
    )  # fmt: skip
    assert tool(batch) == pytest.approx(want)
    assert tool(batch.part([3, 7], [2])) == pytest.approx([want[3], want[7]])


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_three_steps_of_each(name, tmp_path):
    from nsrl.train import main

    few = ["warm_start.steps=2", "warm_start.reading_steps=0", "max_steps=3", "prompts_per_step=2", "num_generations=3",
           "max_completion_length=12", "eval_samples=1", "data.eval_size=2", "engine.workers=1", "preflight=false",
           "parity_check=false", "threads=1"]  # fmt: skip
    assert main([f"recipe={name}", *few, f"output_dir={tmp_path / 'run'}"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["phase"] == "grpo"]
    assert len(steps) == 3 and all(math.isfinite(line["loss"]) and line["turns/mean"] >= 1 for line in steps)


@pytest.mark.parametrize("name", NAMES)
def test_each_is_sound_as_it_stands(name):
    config = parse(TrainConfig, [f"recipe={name}"], "nsrl train")
    require_sound(config)
    assert config.turns.on
