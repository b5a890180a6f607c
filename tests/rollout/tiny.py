"""The model of the default run with random weights, and those of other families; prompts with random images for
them."""

from collections.abc import Sequence
from functools import partial
from math import prod
from types import SimpleNamespace

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.registry import family_of
from nsrl.rollout.types import Request
from tests.models import kinds

VOCAB = 300
PAD, EOS, IMAGE, VIDEO, START, END = 0, 1, 2, 3, 4, 5
BANNED = (PAD, IMAGE, VIDEO, START, END)


def config(**text) -> Qwen3VLConfig:
    return Qwen3VLConfig(
        text_config=dict(
            vocab_size=VOCAB,
            hidden_size=96,
            num_hidden_layers=3,
            intermediate_size=256,
            num_attention_heads=3,
            num_key_value_heads=1,
            head_dim=32,
            max_position_embeddings=2048,
            rope_parameters=dict(
                rope_type="default", rope_theta=10000.0, mrope_section=[6, 5, 5], mrope_interleaved=True
            ),
            initializer_range=0.09,
            pad_token_id=PAD,
            eos_token_id=EOS,
        )
        | text,
        vision_config=dict(
            hidden_size=64,
            depth=2,
            num_heads=2,
            intermediate_size=128,
            out_hidden_size=96,
            num_position_embeddings=64,
            deepstack_visual_indexes=[0],
            initializer_range=0.09,
        ),
        image_token_id=IMAGE,
        video_token_id=VIDEO,
        vision_start_token_id=START,
        vision_end_token_id=END,
        tie_word_embeddings=True,
    )


def build(seed: int = 0, dtype=torch.float32, kind: str = "qwen3_vl", **text):
    if kind != "qwen3_vl":
        ids = {"image": IMAGE, "video": VIDEO, "start": START, "end": END}
        positions = {"max_position_embeddings": 2048}
        return kinds.build(kind, seed, VOCAB, pad=PAD, eos=EOS, spread=0.09, dtype=dtype, ids=ids, **positions | text)
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(config(**text)).to(dtype).eval()
    with torch.no_grad():  # norms of ones hide a forgotten norm
        for name, p in model.named_parameters():
            if "norm" in name and p.ndim == 1:
                p.add_(0.2 * torch.randn_like(p))
    return model


def images(*sides: tuple[int, int], seed: int = 0, kind: str = "qwen3_vl") -> tuple[PromptImage, ...]:
    """Random 8-bit pictures of (rows, columns) visual tokens each, normalised to [-1, 1]; all frames are the same."""
    gen = torch.Generator().manual_seed(seed)
    if not sides:
        return ()
    grid, (frames, side) = torch.tensor([kinds.grid(kind, r, c) for r, c in sides]), kinds.patch(kind)
    levels = torch.randint(0, 256, (int(grid.prod(-1).sum()), 3, 1, side**2), generator=gen).expand(-1, -1, frames, -1)
    pixels = (levels / 255 - 0.5).flatten(1) / 0.5
    parts = zip(grid.tolist(), pixels.split(grid.prod(-1).tolist()))
    return tuple(PromptImage(f"{seed}/{i}", tuple(one), rows) for i, (one, rows) in enumerate(parts))


def request(
    seed: int, *sides: tuple[int, int], text: int = 20, n: int = 1, problem: int = 0, kind: str = "qwen3_vl"
) -> Request:
    """`text` random tokens (printable characters of tiny_tokenizer), then each image between its marks, then three
    more tokens."""
    gen = torch.Generator().manual_seed(1000 + seed)
    head = torch.randint(10, 95, (text,), generator=gen).tolist()
    tail = torch.randint(10, 95, (3,), generator=gen).tolist()
    shown = images(*sides, seed=seed, kind=kind)
    ids, template = (
        [*head, *(i for image in shown for i in [START, *[IMAGE] * (prod(image.grid) // 4 if full else 1), END]), *tail]
        for full in (True, False)
    )
    return Request(Prompt(ids, template, shown), n=n, seed=seed, problem=problem)


def requests(count: int, n: int = 1, kind: str = "qwen3_vl") -> list[Request]:
    """A mix: one image of several sizes, two images, text only; all prompts of different length."""
    shapes = [((2, 2),), ((2, 3),), (), ((3, 3), (2, 2)), ((3, 2),), ((1, 4),)]
    return [request(i, *shapes[i % 6], text=8 + 3 * (i % 7), n=n, problem=i, kind=kind) for i in range(count)]


def inputs(ids: list[int], images: Sequence[PromptImage], kind: str = "qwen3_vl") -> dict:
    """What transformers' forward wants for one sequence."""
    ids = torch.tensor([ids])
    if kind == "internvl":
        shown = dict(pixel_values=torch.cat([kinds.tiles(image) for image in images])) if images else {}
        return dict(input_ids=ids, attention_mask=torch.ones_like(ids)) | shown
    batch = dict(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=(ids == IMAGE).int())
    if images:
        batch |= dict(
            pixel_values=torch.cat([i.pixels for i in images]), image_grid_thw=torch.tensor([i.grid for i in images])
        )
    return batch


@torch.no_grad()
def score(model, request: Request, token_ids: list[int], temperature: float = 1.0, banned=BANNED) -> torch.Tensor:
    """Log-probs of a completion by transformers' own padded forward: the oracle."""
    model.eval()
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    base.model.rope_deltas = None
    kind = family_of(model).model_type
    logits = model(**inputs(list(request.prompt.ids) + token_ids, request.prompt.images, kind)).logits[0].float()
    logits[:, list(banned)] = -torch.inf
    logp = (logits / temperature).log_softmax(-1)[len(request.prompt.ids) - 1 : -1]
    return logp.gather(-1, torch.tensor(token_ids)[:, None])[:, 0]


def of(kind: str) -> SimpleNamespace:
    """This module for one family: its constants, and what it makes for that family."""
    bound = {f.__name__: partial(f, kind=kind) for f in (build, images, request, requests, inputs)}
    return SimpleNamespace(
        kind=kind, **{"score": score, "VOCAB": VOCAB, "EOS": EOS, "IMAGE": IMAGE, "BANNED": BANNED} | bound
    )
