"""What a model knows of its teacher's programs, by category and language."""

import math
import random

import pytest
import torch

from nsrl.config import LoraConfig, ModelConfig
from nsrl.data.shapes import Shapes
from nsrl.data.source import Demonstration
from nsrl.models import loading
from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.trainer.learned import ROWS, Learned, cell, known
from nsrl.types import Problem


def test_the_least_known_is_told_and_nothing_before_enough_was_seen():
    learned = Learned({})
    assert learned.worst() is None
    learned.see([("area/nsl", True)] * ROWS + [("bars/nsl", True)] * (ROWS - 4) + [("", False)] * 9)
    assert learned.worst() == 1 - 4 / ROWS and learned.kept.keys() == {"area/nsl", "bars/nsl"}
    learned.see([("bars/nsl", True)] * 4 + [("area/nsl", False)] * 10)
    assert learned.worst() == 1 - 10 / ROWS
    learned.see([("area/nsl", True)] * ROWS)  # what was long ago counts no more
    assert learned.worst() == 1.0 and all(len(rows) == ROWS for rows in learned.kept.values())


@pytest.mark.parametrize(
    ("language", "wrong", "name"),
    [
        ("nsl", False, "area/nsl"),
        ("nsl", True, ""),
        ("direct", False, ""),
        ("reading", False, ""),
        ("prose", False, ""),
    ],
)
def test_programs_of_a_teacher_that_read_well_are_counted(language, wrong, name):
    problem = Problem("1", "?", "1", (), category="area")
    assert cell(Demonstration(problem, language, "1", wrong)) == name


@pytest.mark.parametrize("budget", [150, 100_000])
def test_known_is_what_every_token_but_the_first_says(budget):
    """Against the same completions scored one by one, with a head of which half of the tokens are sure."""
    torch.manual_seed(random.randrange(2**31))
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False))
    policy = Policy(vlm.model)
    stream = Shapes(seed=random.randrange(10**6), held_out=4).demonstrations({"nsl": 1.0, "direct": 1.0})
    shown = [next(stream) for _ in range(12)]
    groups = [Group(vlm.encode(one.problem), [vlm.learned_ids(one.text)]) for one in shown]
    logps_of = [torch.where(torch.rand(len(vlm.learned_ids(one.text))) < 0.9, -0.1, -0.7) for one in shown]
    batches = policy.pack(groups, budget)
    whole = torch.cat(logps_of)
    found = known(batches, [whole[batch.token_rows] for batch in batches])
    assert found == [bool((logps[1:] > math.log(0.5)).all()) for logps in logps_of]
    assert len(batches) > 1 or budget > 150
