"""Skywork-R1V3: supervised, GRPO with R = correct + format, then the connector alone. Which checkpoint has learned to
reason is told by the entropy at the tokens that begin a turn of thought: it stays high where thinking is not imitated.
arXiv 2507.06167, sections 3 and 5. Nothing that is learned depends on this function: it measures."""

import re

_TURN = re.compile(r"\b(?:Wait|Alternatively|Hmm|However|But wait|Let me (?:check|verify|reconsider))\b")


def critical(step):
    """The mean entropy at critical tokens, of the policy before the update."""
    entropy, found = step.entropies["policy"], []
    for i, text in enumerate(step.batch.completions):
        for turn in _TURN.finditer(text[:60000]):
            tokens = step.tokens(i, turn.span())
            found += [float(entropy[tokens.start])] if tokens.start < tokens.stop else []
    if found:
        step.metrics["critical"] = sum(found) / len(found)
    step.metrics["critical_tokens"] = float(len(found))
