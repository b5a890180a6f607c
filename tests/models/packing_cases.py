"""Models and batches that the packing tests share."""

import torch
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from nsrl.models.pack import Group
from nsrl.models.prompt import Prompt, PromptImage
from tests.models import kinds

IMAGE, START, END, VOCAB = 500, 501, 502, 512


def small_model(seed: int = 0, kind: str = "qwen3_vl", **text):
    """The default run's shape: hidden 96, 3 layers, DeepStack after layer 0, tied head, fp32, random weights; or
    another family's."""
    if kind != "qwen3_vl":
        ids = {"image": IMAGE, "start": START, "end": END, "video": 503}
        return kinds.build(kind, seed, VOCAB, pad=504, eos=505, spread=0.08, ids=ids, **text)  # ids that no prompt has
    sizes = dict(
        hidden_size=96, intermediate_size=256, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=1
    )
    vision = dict(
        hidden_size=64, depth=2, intermediate_size=128, num_heads=2, out_hidden_size=96, deepstack_visual_indexes=[0]
    )
    return _model(seed, {**sizes, "head_dim": 32, **text}, vision, [6, 5, 5])


def middle_model(seed: int = 0) -> Qwen3VLForConditionalGeneration:
    """Qwen3-VL-2B's structure with fewer layers: GQA 16/8, head_dim 128, mRoPE [24, 20, 20], DeepStack of 3 layers
    at tower depths 5, 11, 17."""
    text = dict(
        hidden_size=256, intermediate_size=512, num_hidden_layers=5, num_attention_heads=16, num_key_value_heads=8
    )
    vision = dict(
        hidden_size=64,
        depth=18,
        intermediate_size=128,
        num_heads=2,
        out_hidden_size=256,
        deepstack_visual_indexes=[5, 11, 17],
    )
    return _model(seed, {**text, "head_dim": 128}, vision, [24, 20, 20])


def _model(seed, text, vision, sections):
    torch.manual_seed(seed)
    config = Qwen3VLConfig(
        text_config={
            "vocab_size": VOCAB, **text, "max_position_embeddings": 4096, "initializer_range": 0.08,
            "rope_parameters": {"rope_type": "default", "rope_theta": 5e6, "mrope_section": sections,
            "mrope_interleaved": True},
        },
        vision_config={"patch_size": 16, "num_position_embeddings": 64, "initializer_range": 0.08, **vision},
        image_token_id=IMAGE, vision_start_token_id=START, vision_end_token_id=END, tie_word_embeddings=True,
    )  # fmt: skip
    return Qwen3VLForConditionalGeneration(config).float().eval()


def image(rng: torch.Generator, h: int, w: int, key=None, kind: str = "qwen3_vl") -> PromptImage:
    """An image of h×w visual tokens, about so many where a family has pictures of whole tiles."""
    if kind != "qwen3_vl":
        return kinds.random_picture(kind, rng, h, w, object() if key is None else key)
    patches = torch.randn(4 * h * w, 3 * 2 * 16 * 16, generator=rng) * 0.5
    return PromptImage(object() if key is None else key, (1, 2 * h, 2 * w), patches)


def tokens(rng: torch.Generator, n: int) -> list[int]:
    return torch.randint(0, 490, (n,), generator=rng).tolist()


def group(rng, before: int, images=(), after: int = 3, lengths=(4, 7, 1), name=None) -> Group:
    prompt = tokens(rng, before)
    for i in images:
        t, h, w = i.grid
        prompt += [START, *[IMAGE] * (t * h * w // 4), END, *tokens(rng, 2)]
    return Group(
        Prompt(prompt + tokens(rng, after), images=tuple(images), name=name), [tokens(rng, n) for n in lengths]
    )


def cases(kind: str = "qwen3_vl") -> dict[str, list[Group]]:
    """Every kind of batch that Build 4 of the packing page lists."""
    rng = torch.Generator().manual_seed(7)
    one, other = image(rng, 2, 3, kind=kind), image(rng, 3, 3, kind=kind)
    text = [group(rng, 9, lengths=(3, 5)), group(rng, 4, lengths=(6, 2, 2))]
    single = [group(rng, 5, [one]), group(rng, 8, [other], lengths=(9, 2, 5))]
    several = [
        group(rng, 3, [one, other, image(rng, 1, 4, kind=kind)]),
        group(rng, 6, [image(rng, 4, 1, kind=kind), one]),
    ]
    limits = [
        group(rng, 4, [one], lengths=(1, 1, 24)),
        group(rng, 2, [other], lengths=(24, 24)),
        group(rng, 7, lengths=(1,)),
    ]
    ones = [group(rng, 4, [other], lengths=(1, 1))]
    unequal = [group(rng, 3, [other], lengths=(5,) * n) for n in (1, 4, 10)]
    mixed = [*text, *single, *several, *limits, *ones, *unequal]
    return {
        "text only": text, "one image": single, "several images": several, "length 1 and limit": limits,
        "only length 1": ones, "unequal groups": unequal, "mixed": mixed,
    }  # fmt: skip


def default_run_groups(seed: int = 0, prompts: int = 32, G: int = 10) -> list[Group]:
    """Shaped like the default run's step: prompts of 30 to 60 tokens with 4 to 9 visual ones, completions up to 40."""
    rng = torch.Generator().manual_seed(seed)
    sizes = [(2, 2), (2, 3), (3, 3), (3, 2)]
    out = []
    for p in range(prompts):
        lengths = torch.randint(8, 41, (G,), generator=rng).tolist()
        n = int(torch.randint(15, 40, (1,), generator=rng))
        out.append(group(rng, n, [image(rng, *sizes[p % 4])], after=8, lengths=lengths))
    return out
