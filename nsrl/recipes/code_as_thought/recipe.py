"""Code-as-Thought: R = 0.8 accuracy + 0.3 decision + 0.15 data + 0.05 format; data is the share of the chart's numbers
that stand in the program. arXiv 2509.09286, section 3.3; without the decision term one mode takes all."""

import re

_NUMBER = re.compile(r"(?<![\w.])-?\d{1,12}(?:\.\d{1,9})?")


def data_accuracy(batch, tolerance=0.05):
    """The share of a chart's numbers that the program holds, each once, within the tolerance; None without data."""
    out = []
    for problem, extracted in zip(batch.problems, batch.extracted):
        gold, said = problem.columns.get("data"), [float(n) for n in _NUMBER.findall(extracted.program[:6000])]
        held = 0
        for number in map(float, gold or ()):
            near = min(said, key=lambda one: abs(one - number), default=None)
            if near is not None and abs(near - number) <= tolerance * abs(number):
                held += 1
                said.remove(near)
        out.append(held / len(gold) if gold and extracted.language is not None else None)
    return out
