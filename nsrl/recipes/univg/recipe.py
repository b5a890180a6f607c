"""UniVG-R1's difficulty weight: A *= (1.05 - s)^w, s the mean score of all of the group's completions, w 1.

After normalisation, because a factor of a whole group cancels under a spread. Before the KL, which it leaves as it is.
Source: arXiv 2505.14231; grpo_trainer.py (miou_adjust_math=power) of AMAP-ML/UniVG-R1. There s is a mean IoU of boxes;
here the share of right answers.
"""

W = 1.0


def univg(step):
    """Scale the advantages of each group by how hard it was."""
    rows = step.rows()
    for mine, whole in step.groups():
        score = sum(bool(step.whole.correct[i]) for i in whole) / len(whole)
        for i in mine:
            step.advantage_N[rows[i]] *= (1.05 - score) ** W
