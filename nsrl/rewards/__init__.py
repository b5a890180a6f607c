"""Rewards say what a completion is worth. Components by name, kept apart; `nsrl.answers.checker` decides what is
right."""

from nsrl.answers.checker import Verdict, check
from nsrl.rewards.batch import RewardBatch
from nsrl.rewards.registry import Rewards, builtin_names, resolve

__all__ = ["RewardBatch", "Rewards", "Verdict", "builtin_names", "check", "resolve"]
