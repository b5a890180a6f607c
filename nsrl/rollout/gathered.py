"""`GatheredSampler` samples from a sharded model."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from nsrl.models.fsdp import gathered
from nsrl.rollout.types import OnGroup, Request, Sample, Sampler, SampleStats, SamplingParams, SyncReport


class GatheredSampler:
    """A sampler over a sharded model: the weights are whole while it samples, and while it is handed new ones.

    Every rank must call `sample` and `sync` equally often; with no requests a call only takes part.
    """

    def __init__(self, inner: Sampler, model: nn.Module) -> None:
        self.inner, self.model = inner, model

    @property
    def stats(self) -> SampleStats:
        """See `nsrl.rollout.types.Sampler`."""
        return self.inner.stats

    @property
    def last_sync(self) -> SyncReport | None:
        """See `nsrl.rollout.types.Sampler`."""
        return self.inner.last_sync

    def sample(
        self, requests: Sequence[Request], params: SamplingParams, on_group: OnGroup | None = None
    ) -> list[list[Sample]]:
        """See `nsrl.rollout.types.Sampler.sample`."""
        with gathered(self.model):
            return self.inner.sample(requests, params, on_group)

    def sync(self, policy: nn.Module) -> SyncReport:
        """See `nsrl.rollout.types.Sampler.sync`."""
        with gathered(self.model):
            return self.inner.sync(policy)

    def close(self) -> None:
        """See `nsrl.rollout.types.Sampler.close`."""
        self.inner.close()
