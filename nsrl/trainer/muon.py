"""Muon steps a matrix along its momentum with every singular value made about one (Keller Jordan, 2024).

So directions that gradients seldom point in learn as fast as the common ones. Equal to `torch.optim.Muon` with its
default coefficients, in fp32 and with the matrices of one shape orthogonalised in one batched call.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nsrl.models.fsdp import gathered_tensor, place

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic: steep at zero, so that five rounds suffice
ROUNDS = 5
SMALLEST_NORM = 1e-7
MOMENTUM = 0.95
TIMES = 7.0  # Muon's rate over that of AdamW beside it: 0.021 at 3e-3 (measured on the small model)


class Muon:
    """matrices: fp32, two-dimensional; what steps them is the gradient on them, which is taken away (so that an AdamW
    over all parameters leaves them alone). Shards are gathered for the step, of one matrix after the other."""

    def __init__(self, matrices: Sequence[Tensor]) -> None:
        self.matrices = list(matrices)
        self.momenta = [torch.zeros_like(matrix) for matrix in self.matrices]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step at `rate`, times √(rows / columns) for a tall matrix. Those without a gradient stay as they are."""
        alike: dict[tuple[int, int], list[tuple[Tensor, Tensor]]] = defaultdict(list)  # by shape, lying
        for matrix, momentum in zip(self.matrices, self.momenta):
            if matrix.grad is None:
                continue
            momentum.lerp_(matrix.grad, 1 - MOMENTUM)
            ahead = gathered_tensor(matrix.grad.lerp(momentum, MOMENTUM))  # Nesterov's
            rows, columns = matrix.shape
            lying = ahead if rows <= columns else ahead.T
            alike[lying.shape[0], lying.shape[1]].append((matrix, lying))
            matrix.grad = None
        for pairs in alike.values():
            for (matrix, _), step in zip(pairs, orthogonalised(torch.stack([lying for _, lying in pairs]))):
                rows, columns = matrix.shape
                step = place(step if rows <= columns else step.T.contiguous(), matrix)
                matrix.add_(step, alpha=-rate * math.sqrt(max(1.0, rows / columns)))

    def state_dict(self) -> list[Tensor]:
        """The momenta, in the matrices' order."""
        return self.momenta

    def load_state_dict(self, state: Sequence[Tensor]) -> None:
        """The inverse."""
        for momentum, kept in zip(self.momenta, state, strict=True):
            momentum.copy_(place(kept, momentum))


def orthogonalised(x: Tensor) -> Tensor:
    """(B, r, c) with r ≤ c: the same singular vectors, and singular values between about 0.7 and 1.2."""
    a, b, c = COEFFICIENTS
    x = x / x.flatten(1).norm(dim=1).clamp(min=SMALLEST_NORM)[:, None, None]
    for _ in range(ROUNDS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def matrices(model: nn.Module) -> list[nn.Parameter]:
    """What Muon is for: the weights of linear layers that learn, but for the output layer's (embeddings are not
    linear layers; a tied output layer is the embedding)."""
    head = getattr(model, "get_output_embeddings", lambda: None)()
    linear = [m.weight for m in model.modules() if isinstance(m, nn.Linear) and m is not head]
    return [weight for weight in linear if isinstance(weight, nn.Parameter) and weight.requires_grad]
