"""Random packed streams for the tests of the packing ops."""

import torch

IMAGE = 500


def stream(seed: int, prompts: int, G: int, longest: int, images: tuple[int, ...], keys: int = 3) -> dict:
    """A random stream: `images[p % len(images)]` images in prompt p, drawn from `keys` distinct ones."""
    g = torch.Generator().manual_seed(seed)
    draw = lambda low, high: int(torch.randint(low, high, (1,), generator=g))
    grids = [(1, 2 * draw(1, 9), 2 * draw(1, 9)) for _ in range(keys)]
    ids, lengths, parent, counts, grid, key = [], [], [], [], [], []
    for p in range(prompts):
        prompt = torch.randint(0, 490, (draw(1, 30),), generator=g).tolist()
        for _ in range(images[p % len(images)]):
            k = draw(0, keys)
            key.append(k)
            grid.append(grids[k])
            t, h, w = grids[k]
            prompt += [IMAGE] * (t * h * w // 4) + torch.randint(0, 490, (draw(0, 5),), generator=g).tolist()
        me = len(lengths)
        for n, tokens in [(images[p % len(images)], prompt)] + [(0, [1] * draw(0, longest)) for _ in range(G)]:
            ids += tokens
            lengths.append(len(tokens))
            parent.append(me)
            counts.append(n)
    ints = lambda x, *shape: torch.tensor(x, dtype=torch.int32).reshape(*shape or (-1,))
    cu = lambda x: torch.cat([torch.zeros(1, dtype=torch.int32), ints(x).cumsum(0).int()])
    order: dict[int, int] = {}
    for k in key:
        order.setdefault(k, len(order))
    prefix = [lengths[p] if p != s else 0 for s, p in enumerate(parent)]
    return {
        "args": (ints(ids), cu(lengths), ints(parent), cu(counts), ints(grid, -1, 3), ints(key)),
        "kwargs": {
            "image_token_id": IMAGE, "merge": 2,
            "total_visual": sum(t * h * w // 4 for t, h, w in grid), "total_kv": sum(lengths) + sum(prefix),
        },
        "visual_rows": sum(grids[k][1] * grids[k][2] // 4 for k in order),
    }  # fmt: skip


STREAMS = {
    "text": stream(0, 4, 3, 20, (0,)),
    "one image each": stream(1, 5, 10, 40, (1,)),
    "several, shared": stream(2, 6, 2, 300, (3, 0, 5)),
    "long": stream(3, 2, 1, 900, (9,), keys=12),
}
