"""Packing makes micro-batches of groups of rollouts: each prompt once, its completions behind it, no padding.

A micro-batch is one stream of token rows. Every group occupies a contiguous stretch: the prompt's rows, then, for each
completion, all of its tokens but the last (nothing is predicted from the last one). The first token of a completion is
predicted from the prompt's last row, so that row is read once per completion.

    stream   | prompt 0 | c00 | c01 | ... | prompt 1 | c10 | ...
    cu_seqlens 0         .     .           .

Everything here is CPU tensors and host integers.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain, pairwise

import torch
from torch import Tensor

from nsrl.errors import UserError
from nsrl.models.prompt import Prompt, PromptImage


@dataclass(frozen=True, eq=False)
class Group:
    """A prompt with the completions that are learned from, each a list of token ids: the unit that packing keeps
    together.

    masks: for each completion which of its tokens the policy wrote (None: all of them); the others are context. Empty:
    all of all completions. images: for each completion the pictures whose placeholders are among its tokens (empty:
    none in any). A completion with pictures shares no prompt: what comes before its last picture's end is its prompt.
    """

    prompt: Prompt
    completions: Sequence[Sequence[int]]
    masks: Sequence[Sequence[bool] | None] = ()
    images: Sequence[tuple[PromptImage, ...]] = ()

    @property
    def tokens(self) -> int:
        """Of the prompt once and of every completion."""
        return len(self.prompt.ids) + sum(map(len, self.completions))

    def written(self, completion: int) -> int:
        """Tokens of a completion that the policy wrote."""
        mask = self.masks[completion] if self.masks else None
        return len(self.completions[completion]) if mask is None else sum(mask)


@dataclass(frozen=True)
class Layout:
    """Lengths of one stream on the host: prompts, and for each prompt its completions' rows (their length − 1)."""

    prompts: tuple[int, ...]
    suffixes: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Work:
    """What one pass over the batch costs, packed and as a padded batch of one row per completion."""

    tokens: int
    padded_tokens: int
    patches: int
    padded_patches: int

    def __add__(self, other: Work) -> Work:
        return Work(
            self.tokens + other.tokens,
            self.padded_tokens + other.padded_tokens,
            self.patches + other.patches,
            self.padded_patches + other.padded_patches,
        )


@dataclass(frozen=True, eq=False)
class PackedBatch:
    """A micro-batch. T stream rows, S sequences, I images, U distinct images, R completions, N completion tokens.

    token_ids (T,), cu_seqlens (S+1,), parent (S,) (a completion's prompt sequence; a prompt's own index), cu_images
    (S+1,), image_grid (I, 3), image_key (I,) (equal for equal images): what `nsrl_kernels.pack_vision` plans from.
    pixel_values (patches, C) and distinct_grid (U, 3): every distinct image once, in order of first use; image_names:
    of each its key, by which contexts draw, and its patches. target (N,): the completion tokens that the policy wrote;
    predict_row (N,): the stream row that predicts each of them.
    cu_completions (R+1,): where each completion starts in the N tokens. token_rows (N,): where each token
    stands when all completions given to `pack` are written one after the other (values[token_rows] is this batch's
    part). rows (R,): the completion's number when the groups' completions are counted through in the order they were
    given; groups (R,): the group's number.
    """

    token_ids: Tensor
    cu_seqlens: Tensor
    parent: Tensor
    cu_images: Tensor
    image_grid: Tensor
    image_key: Tensor
    pixel_values: Tensor | None
    distinct_grid: Tensor
    target: Tensor
    predict_row: Tensor
    cu_completions: Tensor
    token_rows: Tensor
    rows: Tensor
    groups: Tensor
    layout: Layout
    total_visual: int
    total_kv: int
    merge: int
    image_token_id: int
    work: Work
    image_names: tuple[tuple[Hashable, int], ...] = ()
    kept: dict = field(default_factory=dict, repr=False)  # plans, copies, image features

    @property
    def tokens(self) -> int:
        """Rows of the stream."""
        return self.token_ids.numel()

    def to(self, device: torch.device | str) -> PackedBatch:
        """The same batch with its tensors on `device` (itself when they are there already)."""
        device = torch.device(device)
        if self.token_ids.device == device:
            return self
        if device not in self.kept:  # once: what is kept for later passes is kept on the copy
            moved = {k: v.to(device, non_blocking=True) for k, v in vars(self).items() if isinstance(v, Tensor)}
            self.kept[device] = replace(self, **moved, kept={})
        return self.kept[device]


def pack(
    groups: Sequence[Group], token_budget: int, *, image_token_id: int, merge: int = 2, parts: int = 1
) -> list[PackedBatch]:
    """Micro-batches of at most `token_budget` stream rows each, as equal in size as whole groups allow.

    A group is split over several micro-batches only when it does not fit into one; its prompt is then computed in each.
    parts: at least so many micro-batches (when there are as many groups). image_token_id: the model's image
    placeholder. merge: the vision tower's spatial merge size.
    Raises UserError, naming the row, when a prompt with one of its completions exceeds the budget, when a completion is
    empty, or when the prompt's placeholders do not match its images.
    """
    if token_budget < 1:
        raise UserError(f"token_budget must be at least 1; got {token_budget}")
    pieces: list[tuple[int, tuple[int, ...]]] = []  # (group, completions of it)
    for g, group in enumerate(groups):
        _check(g, group, token_budget, image_token_id, merge)
        pieces += [(g, part) for part in _split(group, token_budget)]
    sizes = [_rows(groups[g], part) for g, part in pieces]
    first_row = list(accumulate((len(g.completions) for g in groups), initial=0))
    starts = list(accumulate((g.written(c) for g in groups for c in range(len(g.completions))), initial=0))
    out = []
    for bin_ in _balance(sizes, token_budget, parts):
        out.append(_batch(groups, [pieces[i] for i in bin_], first_row, starts, image_token_id, merge))
    return out


def pack_metrics(batches: Sequence[PackedBatch]) -> dict[str, float]:
    """`pack/token_ratio` and `pack/vision_ratio`: padded work over packed work, 1.0 where there is none."""
    work = sum((b.work for b in batches), Work(0, 0, 0, 0))
    return {
        "pack/token_ratio": work.padded_tokens / work.tokens if work.tokens else 1.0,
        "pack/vision_ratio": work.padded_patches / work.patches if work.patches else 1.0,
    }


def _rows(group: Group, part: Sequence[int]) -> int:
    return len(group.prompt.ids) + sum(len(group.completions[c]) - 1 for c in part)


def _check(g: int, group: Group, budget: int, image_token_id: int, merge: int) -> None:
    name = group.prompt.name or f"row {g}"
    if not group.prompt.ids:
        raise UserError(f"{name}: the prompt must have at least one token; got none")
    if not group.completions or not all(len(c) for c in group.completions):
        raise UserError(f"{name}: every completion must have at least one token; got an empty one or none at all")
    for number, mask in enumerate(group.masks):
        if mask is not None and (len(mask) != len(group.completions[number]) or not any(mask)):
            raise UserError(f"{name}: the mask of a completion must have an entry per token and one of them True; got "
                            f"{sum(mask)} "
                            f"of {len(mask)} for {len(group.completions[number])} tokens")  # fmt: skip
    if len(group.masks) not in (0, len(group.completions)):
        raise UserError(
            f"{name}: masks must be none or one per completion ({len(group.completions)}); got {len(group.masks)}"
        )
    longest = max(len(c) for c in group.completions)
    if len(group.prompt.ids) + longest - 1 > budget:
        raise UserError(
            f"{name}: a prompt of {len(group.prompt.ids)} tokens with a completion of {longest} needs "
            f"{len(group.prompt.ids) + longest - 1} rows; the token budget of a micro-batch is {budget}"
        )
    if len(group.images) not in (0, len(group.completions)):
        raise UserError(
            f"{name}: images must be none or one tuple per completion ({len(group.completions)}); got "
            f"{len(group.images)}"
        )
    for what, ids, images in (
        ("the prompt", group.prompt.ids, group.prompt.images),
        *(("a completion", group.completions[c], pictures) for c, pictures in enumerate(group.images)),
    ):
        want = sum(t * h * w for t, h, w in (i.grid for i in images)) // merge**2
        have = sum(map(image_token_id.__eq__, ids))
        if want != have:
            raise UserError(f"{name}: {what} has {have} image placeholders; its {len(images)} images need {want}")
        if what == "a completion" and ids[-1] == image_token_id:
            raise UserError(f"{name}: a completion must end by a token of the policy; got one that ends by a picture")


def _split(group: Group, budget: int) -> list[tuple[int, ...]]:
    """The group's completions, in as few parts as the budget allows, of about equal size; those with pictures alone."""
    alone = [(c,) for c, pictures in enumerate(group.images) if pictures]
    others = tuple(c for c in range(len(group.completions)) if (c,) not in alone)
    if not others or _rows(group, others) <= budget:
        return [*alone, others] if others else alone
    prompt = len(group.prompt.ids)
    lengths = [len(group.completions[c]) - 1 for c in others]
    return [*alone, *(tuple(others[i] for i in part) for part in _balance(lengths, budget - prompt, 1))]


def _balance(sizes: Sequence[int], budget: int, parts: int) -> list[list[int]]:
    """Indices of `sizes` in bins of at most `budget`: the largest first, each into the emptiest bin."""
    if not sizes:
        return []
    order = sorted(range(len(sizes)), key=lambda i: (-sizes[i], i))
    count = min(len(sizes), max(parts, -(-sum(sizes) // max(budget, 1)), 1))
    while True:
        bins, load = [[] for _ in range(count)], [0] * count
        for i in order:
            best = min(range(count), key=load.__getitem__)
            bins[best].append(i)
            load[best] += sizes[i]
        if max(load) <= budget:
            return [sorted(b) for b in bins if b]
        count += 1  # ends: with one item per bin every load is within the budget


def _behind_last(ids: Sequence[int], token: int) -> int:
    """How many of `ids` there are up to the last such token."""
    return max(at for at, one in enumerate(ids) if one == token) + 1


def _int(values) -> Tensor:
    return torch.tensor(list(values), dtype=torch.int32)


def _batch(
    groups: Sequence[Group],
    pieces: Sequence[tuple[int, tuple[int, ...]]],
    first_row: Sequence[int],
    starts: Sequence[int],
    image_token_id: int,
    merge: int,
) -> PackedBatch:
    sequences: list[Sequence[int]] = []
    parent: list[int] = []
    images: list[list[PromptImage]] = []
    completions: list[Sequence[int]] = []
    masks: list[Sequence[bool] | None] = []
    prompt_of: list[int] = []  # each completion's prompt sequence
    heads: list[int] = []  # tokens of each completion that stand there: up to the end of its last picture
    rows: list[int] = []
    for g, part in pieces:
        group, prompt = groups[g], len(sequences)
        chosen = [group.completions[c] for c in part]
        pictures = [image for c in part for image in (group.images[c] if group.images else ())]
        head = _behind_last(chosen[0], image_token_id) if pictures else 0  # such a piece has one completion
        sequences += [[*group.prompt.ids, *chosen[0][:head]] if head else group.prompt.ids]
        sequences += [c[head:-1] for c in chosen]
        parent += [prompt] * (1 + len(part))
        images += [[*group.prompt.images, *pictures], *([] for _ in part)]
        heads += [head] * len(part)
        completions += chosen
        masks += [group.masks[c] if group.masks else None for c in part]
        prompt_of += [prompt] * len(part)
        rows += [first_row[g] + c for c in part]
    lengths = [len(s) for s in sequences]
    cu = list(accumulate(lengths, initial=0))
    flat = list(chain.from_iterable(images))
    number: dict[Hashable, int] = {}
    for image in flat:
        number.setdefault(image.key, len(number))
    distinct = {number[i.key]: i for i in reversed(flat)}
    distinct = [distinct[n] for n in range(len(number))]

    # row that predicts token j of a completion: the prompt's last one for j = 0, the completion's row j − 1 after that
    size, head = torch.tensor([len(c) for c in completions]), torch.tensor(heads)
    first = torch.tensor([cu[p + 1] - 1 for p in prompt_of]) - head
    suffix = torch.tensor([s for s, p in enumerate(parent) if s != p])
    cu_c = torch.cat([size.new_zeros(1), size.cumsum(0)])
    which = torch.repeat_interleave(torch.arange(len(completions)), size)
    j = torch.arange(int(cu_c[-1])) - cu_c[which]
    behind = j - head[which]  # the end of what stands in the prompt's sequence
    predict = torch.where(behind <= 0, first[which] + j, torch.tensor(cu)[suffix][which] + behind - 1)
    target = _int(chain.from_iterable(completions)).long()
    if any(mask is not None for mask in masks):  # what the policy was shown predicts and is predicted, but is no target
        mine = torch.tensor([on for c, mask in zip(completions, masks) for on in (mask or [True] * len(c))])
        target, predict, which = target[mine], predict[mine], which[mine]
        size = torch.bincount(which, minlength=len(completions))
        cu_c = torch.cat([size.new_zeros(1), size.cumsum(0)])
        j = torch.arange(int(cu_c[-1])) - cu_c[which]

    prompts = tuple(lengths[s] for s, p in enumerate(parent) if s == p)
    bounds = list(accumulate((len(part) for _, part in pieces), initial=0))
    suffixes = tuple(tuple(len(c) - 1 - h for c, h in zip(completions[a:b], heads[a:b])) for a, b in pairwise(bounds))
    full = [(p + 1 + max(s)) for p, s in zip(prompts, suffixes)]
    work = Work(
        tokens=cu[-1],
        padded_tokens=len(completions) * max(full),
        patches=sum(i.patches.shape[0] for i in distinct),
        padded_patches=sum(
            len(part) * sum(i.patches.shape[0] for i in images[s])
            for (_, part), s in zip(pieces, (s for s, p in enumerate(parent) if s == p))
        ),
    )
    return PackedBatch(
        token_ids=_int(chain.from_iterable(sequences)),
        cu_seqlens=_int(cu),
        parent=_int(parent),
        cu_images=_int(accumulate((len(i) for i in images), initial=0)),
        image_grid=_int(chain.from_iterable(i.grid for i in flat)).view(-1, 3),
        image_key=_int(number[i.key] for i in flat),
        pixel_values=torch.cat([i.patches for i in distinct]) if distinct else None,
        distinct_grid=torch.tensor([i.grid for i in distinct], dtype=torch.long).view(-1, 3),
        target=target,
        predict_row=predict,
        cu_completions=cu_c.int(),
        token_rows=torch.tensor(starts)[torch.tensor(rows)][which] + j,
        rows=torch.tensor(rows),
        groups=torch.tensor([g for g, part in pieces for _ in part]),
        layout=Layout(prompts, suffixes),
        total_visual=sum(t * h * w for t, h, w in (i.grid for i in flat)) // merge**2,
        total_kv=sum(prompts) + sum(p * len(s) + sum(s) for p, s in zip(prompts, suffixes)),
        merge=merge,
        image_token_id=image_token_id,
        work=work,
        image_names=tuple((i.key, i.patches.shape[0]) for i in distinct),
    )
