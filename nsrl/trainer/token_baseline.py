"""The optimal token baseline: what a reward is compared with changes from token to token (`scale_rewards=otb`).

Of a group's completions that have a t-th token, B_t = sum of R W_t / sum of W_t, with W_t the sum over their first t
tokens of 1 - 2 pi + sum over the vocabulary of pi^2: the squared norm of log pi's gradient by the logits, so that B_t
leaves the least variance. A_t = R - B_t. Where one completion alone goes on, B_t is 0.
Source: Optimal Token Baseline, arXiv 2602.07078, as verl has it (`optimal_token_baseline`, with `handle_zero_tail`; in
completions of several turns `tir_optimal_token_baseline`, for what the policy was shown is no token here).

The sum of pi^2 needs no logits: for any token y it is exp(2 log pi(y) - log pi'(y)), pi' at half the temperature, since
the normaliser of pi' is the sum of exp(2 z). So the tokens are scored once more, at half the temperature.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from nsrl.trainer.shape import Step

SHARP = "sharp temperature"  # the pass at half the temperature, among what was scored; no context can be called so
EPSILON = 1e-8  # verl's


def otb(step: Step) -> None:
    """Replace the advantages by R - B_t. A completion without a reward has advantage 0, and is in no baseline."""
    pi = step.sampled_N.double().exp()
    squares = (2 * step.sampled_N.double() - step.scored[SHARP].double()).exp()
    grown = 1 - 2 * pi + squares.clamp(max=1).maximum(pi * pi)  # a rounding error can leave neither bound
    rows = step.rows()
    for group in step.batch.groups():
        known = [i for i in group if not bool(step.reward_R[i].isnan())]
        weight = torch.nn.utils.rnn.pad_sequence([grown[rows[i]].cumsum(0) for i in known] or [grown[:0]])  # (L, G)
        counts = torch.tensor([rows[i].stop - rows[i].start for i in known] or [0])
        reward = step.reward_R[known].double()
        baseline = (weight * reward).sum(1) / (weight.sum(1) + EPSILON) if known else weight.sum(1)
        ends = counts.sort().values
        alone = int(ends[-2]) if len(known) > 1 else 0  # from here on no more than one completion has tokens
        baseline[alone:] = 0
        for i in group:
            step.advantage_N[rows[i]] = 0.0
        for i, own in zip(known, reward):
            step.advantage_N[rows[i]] = (own - baseline[: rows[i].stop - rows[i].start]).float()
