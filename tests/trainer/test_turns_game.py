"""A game of two turns is learned to its known best play (tests/trainer/guess.py)."""

import json
from pathlib import Path

import pytest

from nsrl.train import main
from tests.trainer.guess import BEST, BLIND

GAME = Path(__file__).parent / "guess.py"
WORDS = (
    "warm_start.languages={direct:1} warm_start.steps=80 warm_start.wrong=0.7 entropy_coef=0.01 learning_rate=1e-3 "
    "max_steps=80 reward_funcs=[correct] reward_weights=[1] num_generations=8 data.eval_size=20 eval_samples=1 "
    "threads=1 max_completion_length=8 turns.max=2"
)


@pytest.mark.long
def test_a_game_of_two_turns_is_learned_to_its_best_play(tmp_path):
    """Fresh games in every step: 1,280 in the last forty, whose mean is within 4 standard errors of the best."""
    own = [f"data.source={GAME}:Guess", f"turns.observe={GAME}:observe", f"output_dir={tmp_path / 'run'}"]
    assert main([*WORDS.split(), *own]) == 0
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    right = [row["pass@1"] for row in rows if row["phase"] == "grpo"]
    error = (BEST * (1 - BEST) / (40 * 32)) ** 0.5  # a group plays one game, mostly alike
    assert sum(right[:5]) / 5 < BLIND + 0.1
    assert abs(sum(right[40:]) / 40 - BEST) < 4 * error
