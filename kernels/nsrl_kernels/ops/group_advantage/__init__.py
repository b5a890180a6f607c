"""Rewards to advantages, group by group. Knows nothing of tokens."""
