"""RRVF: a turn's code is drawn and compared with the picture, what differs is said, and the next turn does better; at
the end R = vision + format + tool: how like the last drawing is, and the share of calls that drew. arXiv 2507.20766."""

from nsrl.data.turns import Observation
from nsrl.rewards import post, posted

URL = "http://127.0.0.1:8000/render"  # draws the code in a text, and compares: {ran, feedback, similarity from 0 to 1}


def observe(problem, extracted, result, history):
    """What a judge says of the turn's drawing; None where nothing is to be drawn."""
    if "<tool_call>" not in history[-1].text:
        return None
    reply = post(URL, {"id": problem.id, "text": history[-1].text})
    return Observation(reply["feedback"] if reply["ran"] else f"error: {reply['feedback']}")


async def vision(batch):
    """How like the picture the last turn's drawing is; 0 where nothing could be drawn."""
    said = [turns[-1].text if turns else text for turns, text in zip(batch.turns, batch.completions)]
    replies = await posted(URL, [{"id": p.id, "text": text} for p, text in zip(batch.problems, said)])
    return [float(reply["similarity"]) if reply["ran"] else 0.0 for reply in replies]


def tool(batch):
    """The share of calls that drew; 0 without one."""
    drew = [[turn.shown.text[:6] != "error:" for turn in turns if turn.shown] for turns in batch.turns]
    return [sum(own) / len(own) if own else 0.0 for own in drew]
