"""ARTIST's tool reward: of the calls of a completion, in all of its turns, the share that ran; 0 without a call.

R = R_answer + R_format + R_tool with R_tool = calls that succeeded / calls. Source: arXiv 2505.01441, section 4.
"""


def tool(batch):
    """The share of programs that ended with a value and without a complaint."""
    ran = [[turn.result.no_error for turn in turns if turn.result is not None] for turns in batch.turns]
    return [sum(calls) / len(calls) if calls else 0.0 for calls in ran]
