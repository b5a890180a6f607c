"""How much of a step is signal: an update shrinks where the gradients of different steps have nothing in common.

AdamW makes every step as large as its learning rate, also where the gradient is noise alone: when nearly all groups are
dead, or rewards say nothing. Its first moment m is a weighted sum of the gradients g_i of many steps, and

    |m|² = Σ_i w_i² |g_i|² + Σ_i≠j w_i w_j <g_i, g_j>.

The first sum is what |m|² would be if the gradients were independent with mean zero, whatever their sizes; the second
is what they have in common. Its share of |m|², 1 − Σ w_i² |g_i|² / |m|², is the factor of James and Stein (1961) for a
mean of unknown direction, and costs one norm a step.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from nsrl.models.fsdp import whole

GAIN_OF_SMALL = 5.0  # where nothing is said; no larger model was tried
BLIND = 5  # steps before there is anything to compare
LEAST = 0.1  # of a step: what looks like noise may be a weak signal
MEMORY = 0.95  # of both sums, a step: over a single one noise is a tenth of |m|² in either direction


class Gate:
    """The share of a step that is taken: min(1, max(`LEAST`, gain · signal)).

    gain: a signal of 1 / gain is enough for a whole step; beta: of the first moment.
    """

    def __init__(self, gain: float, beta: float) -> None:
        self.gain, self.beta = gain, beta
        self.steps = 0
        self.noise = 0.0  # Σ w_i² |g_i|²
        self.noises = self.squares = 0.0  # running means of that and of |m|²

    @property
    def signal(self) -> float:
        """What the gradients so far have in common, as a share of |m|²; below 0 by chance."""
        return 1.0 - self.noises / self.squares if self.squares > 0 else 0.0

    def share(self, moments: Sequence[torch.Tensor]) -> float:
        """Of the next step, from the first moments so far (sharded ones: a collective)."""
        if self.steps < BLIND:
            return LEAST
        square = float(whole(torch.nn.utils.get_total_norm(moments))) ** 2
        self.squares = MEMORY * self.squares + (1 - MEMORY) * square
        self.noises = MEMORY * self.noises + (1 - MEMORY) * self.noise
        return min(1.0, max(LEAST, self.gain * self.signal))

    def took(self, norm: float) -> None:
        """A step with a gradient of that norm, behind clipping, was taken."""
        self.noise = self.beta**2 * self.noise + (1 - self.beta) ** 2 * norm**2
        self.steps += 1

    def state_dict(self) -> dict[str, float]:
        """Numbers alone."""
        return {name: getattr(self, name) for name in ("steps", "noise", "noises", "squares")}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Continue where `state` was taken; gain and beta are this one's."""
        for name, value in state.items():
            setattr(self, name, value)
