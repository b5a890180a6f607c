"""VerlTool's agent for mathematics, by ToRL's rewards: 1 or -1, less 1/4 where some call is no program, less 1/4
without a call that is one. arXiv 2509.01055; verl_tool/workers/reward_manager/torl.py of TIGER-AI-Lab/verl-tool."""

from nsrl.engines.result import Status


def called(batch):
    """What calls cost: turns with the delimiters of a program are calls, those that can be read are valid ones."""
    costs = []
    for turns in batch.turns:
        results = [turn.result for turn in turns if turn.extracted.language is not None]
        valid = [result is not None and result.status is not Status.SYNTAX for result in results]
        costs.append(-0.25 * (not all(valid)) - 0.25 * (not any(valid)))
    return costs


def signed(batch):
    """1 for a right answer, -1 for a wrong one."""
    return [None if right is None else 2.0 * right - 1 for right in batch.correct]
