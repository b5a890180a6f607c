"""Room 6: what a completion is worth. Components by name, kept apart; `nsrl.rewards.answer` decides what is right."""

from nsrl.rewards.answer import Verdict, check
from nsrl.rewards.batch import RewardBatch
from nsrl.rewards.registry import Rewards, builtin_names, resolve

__all__ = ["RewardBatch", "Rewards", "Verdict", "builtin_names", "check", "resolve"]
