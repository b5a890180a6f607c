"""Rewards say what a completion is worth. Components by name, kept apart; `nsrl.answers.checker` decides what is
right."""

from nsrl.answers.checker import Verdict, check
from nsrl.rewards import boxes
from nsrl.rewards.batch import RewardBatch
from nsrl.rewards.registry import Rewards, builtin_names, resolve
from nsrl.rewards.services import post, posted
from nsrl.rewards.verify import Verifiers, gold_of, number_of

__all__ = [
    "RewardBatch", "Rewards", "Verdict", "Verifiers", "boxes", "builtin_names", "check", "gold_of", "number_of",
    "post", "posted", "resolve",
]  # fmt: skip
