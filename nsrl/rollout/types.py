"""Every sampler has this interface: what goes in, and what comes out.

Token ids are the only truth here: nothing is decoded, nothing is re-tokenised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Protocol

import torch

from nsrl.errors import UserError
from nsrl.models.prompt import Prompt, PromptImage


class Finish(Enum):
    """Why a completion ended."""

    STOP = "stop"  # the policy chose a stop token, which is the last id of the completion, or ended a stop text
    LENGTH = "length"  # it hit max_tokens


@dataclass(frozen=True)
class Request:
    """A prompt and how many completions of it are wanted.

    n: completions (G); seed: sample g draws from the stream (seed, g), whatever else is in the batch; problem: the
    caller's index, handed back untouched; max_tokens: of each of its completions, where that is fewer than
    `SamplingParams` says.
    """

    prompt: Prompt
    n: int = 1
    seed: int = 0
    problem: int = 0
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if not len(self.prompt.ids):
            raise UserError(f"Request {self.problem}: a prompt must hold at least one token; got none")
        if not self.prompt.has_pixels:
            raise UserError(f"Request {self.problem}: every image of the prompt must have its pixels; got None")
        if self.n < 1:
            raise UserError(f"Request {self.problem}: n must be at least 1; got {self.n}")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise UserError(f"Request {self.problem}: max_tokens must be at least 1 or None; got {self.max_tokens}")


@dataclass(frozen=True)
class StopTexts:
    """Texts that end a completion, whichever tokens write them: the last may hold more than the end of one.

    last_ids: the tokens in which one of them can end; decode: ids to text, special tokens included.
    """

    texts: tuple[str, ...]
    last_ids: frozenset[int] = field(repr=False)
    decode: Callable[[list[int]], str] = field(repr=False, compare=False)

    @property
    def longest(self) -> int:
        """Tokens that the longest text takes at most: one is a byte or more."""
        return max(len(text.encode()) for text in self.texts)

    def end(self, ids: Sequence[int], behind: int = 0) -> int | None:
        """How many of `ids` there are up to the first text's last token, which stands behind the first `behind`; None
        without one."""
        longest = self.longest
        for at in range(behind, len(ids)):
            if ids[at] in self.last_ids:
                tail = self.decode(list(ids[max(0, at - longest) : at + 1]))
                if any(text in tail for text in self.texts):
                    return at + 1
        return None


@dataclass(frozen=True)
class SamplingParams:
    """How to sample. The log-probs returned are those of the distribution sampled from: at this temperature, without
    the banned tokens, after top_k and top_p.

    max_tokens: most tokens per completion, the stop token included; temperature: 0 is greedy (log-probs then at
    temperature 1); top_p in (0, 1], top_k 0 for all: both cut the support, see `for_training`;
    stop_ids: any of these ends a completion; banned_ids: never sampled (vision tokens, padding); stop_texts: what ends
    one beside stop_ids.
    """

    max_tokens: int
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    stop_ids: tuple[int, ...] = ()
    banned_ids: tuple[int, ...] = ()
    stop_texts: StopTexts | None = None

    def __post_init__(self) -> None:
        for name, good, want in (
            ("max_tokens", self.max_tokens >= 1, "at least 1"),
            ("temperature", self.temperature >= 0, "0 (greedy) or more"),
            ("top_p", 0 < self.top_p <= 1, "in (0, 1]"),
            ("top_k", self.top_k >= 0, "0 (off) or more"),
        ):
            if not good:
                raise UserError(f"SamplingParams: {name} must be {want}; got {getattr(self, name)}")
        both = sorted(set(self.stop_ids) & set(self.banned_ids))
        if both:
            raise UserError(f"SamplingParams: stop_ids must not be banned, or nothing ever stops; got {both} in both")

    def for_training(self) -> SamplingParams:
        """Itself, if completions drawn this way may be learned from; else a `UserError` with the reason.

        With top_p or top_k the behaviour policy has no mass outside the cut, so the update's full softmax is another
        distribution: ratios are wrong on every token and importance correction cannot reach the tokens never drawn.
        """
        if self.top_p < 1 or self.top_k > 0:
            raise UserError(
                "top_p must be 1 and top_k 0 for training, because the update's softmax covers the whole vocabulary "
                "and importance weights cannot correct for tokens that are never drawn; "
                f"got top_p={self.top_p}, top_k={self.top_k} (both work in evaluation)"
            )
        if self.temperature == 0:
            raise UserError("temperature must be above 0 for training, or all completions are alike; got 0")
        return self


@dataclass(frozen=True)
class Turn:
    """A stretch of a completion that one side wrote.

    logps: of the tokens, under the distribution they were drawn from; None: the policy was shown them (an engine's
    output). images: those whose placeholders are among the tokens shown; template_ids: these with one placeholder per
    picture, as in `Prompt`; blind_ids: what stands there where the pictures are not shown.
    """

    token_ids: list[int]
    logps: list[float] | None
    images: tuple[PromptImage, ...] = ()
    template_ids: Sequence[int] = ()
    blind_ids: Sequence[int] = ()


@dataclass(frozen=True)
class Sample:
    """One completion: its turns (the stop token of each included), and why it ended. Nearly always a single turn."""

    turns: tuple[Turn, ...]
    finish: Finish

    @classmethod
    def single(cls, token_ids: list[int], logps: list[float], finish: Finish) -> Sample:
        """A completion that the policy wrote in one go."""
        return cls((Turn(token_ids, logps),), finish)

    @property
    def token_ids(self) -> list[int]:
        """Of all turns, as they stand behind the prompt."""
        return self.turns[0].token_ids if len(self.turns) == 1 else [i for turn in self.turns for i in turn.token_ids]

    @property
    def written_ids(self) -> list[int]:
        """The tokens that the policy wrote."""
        return (
            self.token_ids
            if self.mask is None
            else [i for turn in self.turns if turn.logps is not None for i in turn.token_ids]
        )

    @property
    def logps(self) -> list[float]:
        """Of `written_ids`."""
        return (
            self.turns[0].logps or [] if len(self.turns) == 1 else [p for turn in self.turns for p in turn.logps or ()]
        )

    @property
    def images(self) -> tuple[PromptImage, ...]:
        """The pictures that were shown between its turns, in the order of their placeholders."""
        return () if len(self.turns) == 1 else tuple(image for turn in self.turns for image in turn.images)

    @property
    def blind(self) -> Sample:
        """The same without the pictures that were shown between its turns."""
        if not self.images:
            return self
        bare = lambda turn: replace(turn, token_ids=list(turn.blind_ids), images=(), template_ids=turn.blind_ids)
        return replace(self, turns=tuple(bare(turn) if turn.images else turn for turn in self.turns))

    @property
    def mask(self) -> list[bool] | None:
        """For each of `token_ids`, whether the policy wrote it; None: it wrote them all."""
        if all(turn.logps is not None for turn in self.turns):
            return None
        return [turn.logps is not None for turn in self.turns for _ in turn.token_ids]


@dataclass(frozen=True)
class SyncReport:
    """What handing over the weights did: tensors and bytes copied (none where sampler and trainer share them).

    checksum: `nsrl.rollout.fingerprint.policy_checksum` of the policy at that moment, so that later ones tell it is
    stale.
    """

    version: int
    tensors: int
    bytes: int
    checksum: str
    seconds: float


@dataclass
class SampleStats:
    """What the last `sample` cost: counts of work, and wall seconds."""

    prompts: int = 0
    samples: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    images_encoded: int = 0
    patches_encoded: int = 0
    rows_computed: int = 0  # rows that went through a decode step, dead ones of a batch not yet compacted included
    compactions: int = 0
    vision_s: float = 0.0
    prefill_s: float = 0.0
    decode_s: float = 0.0
    extra: dict[str, float] = field(default_factory=dict)


OnGroup = Callable[[int, list[Sample]], None]


class Sampler(Protocol):
    """Every sampler: the native one and vLLM."""

    @property
    def stats(self) -> SampleStats:
        """Of the last `sample`."""
        ...

    @property
    def last_sync(self) -> SyncReport | None:
        """The report of the last `sync`."""
        ...

    def sample(
        self, requests: Sequence[Request], params: SamplingParams, on_group: OnGroup | None = None
    ) -> list[list[Sample]]:
        """n completions for each request, in the order of the requests.

        on_group: called as on_group(i, samples) as soon as request i has all of its completions, while others are
        still being sampled, in the order of finishing. It runs on the sampling thread: hand work over, don't do it.
        """
        ...

    def sync(self, policy: torch.nn.Module) -> SyncReport:
        """Make the sampler's weights those of `policy` and drop every cache computed with older ones."""
        ...

    def close(self) -> None:
        """Give back memory and processes. Further calls are errors."""
        ...
