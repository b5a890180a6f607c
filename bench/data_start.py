"""`python -m bench.data_start [ROWS] [MODEL]`: CPU seconds from the first row of a data set to both sets counted and
split.

Makes a set shaped like ViRL39K in a temporary folder (38,482 rows; a few hundred pictures of its kinds and sizes under
a name per row), with one thread. MODEL: whose tokenizer counts, `small` or a checkpoint; its weights are loaded as
well.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image, ImageDraw

from nsrl.config import DataConfig, LoraConfig, ModelConfig

ROWS, DISTINCT = 38_482, 400
WORDS = (
    "in",
    "the",
    "figure",
    "triangle",
    "angle",
    "length",
    "side",
    "value",
    "area",
    "radius",
    "given",
    "chart",
    "number",
    "of",
)


def pictures(folder: Path, rng: random.Random) -> list[str]:
    """Drawings (PNG) of 150x100 to 1200x900 pixels, photographs (JPEG) of 300x250 to 2400x1600. Returns their names."""
    names = []
    for number in range(DISTINCT):
        kind = rng.random()
        if kind < 0.75:
            size = (
                (rng.randint(150, 600), rng.randint(100, 450))
                if kind < 0.45
                else (rng.randint(500, 1200), rng.randint(350, 900))
            )
            picture = Image.blend(Image.new("L", size, 255), Image.effect_noise(size, 8), 0.05).convert("RGB")
            canvas = ImageDraw.Draw(picture)
            for _ in range(rng.randint(5, 40)):
                ends = [rng.randint(0, side) for side in size * 2]
                canvas.line(ends, tuple(rng.randrange(256) for _ in range(3)), rng.randint(1, 4))
        else:
            size = (
                (rng.randint(300, 1000), rng.randint(250, 800))
                if kind < 0.97
                else (rng.randint(1200, 2400), rng.randint(900, 1600))
            )
            picture = Image.effect_noise((size[0] // 4, size[1] // 4), 90).resize(size).convert("RGB")
        names.append(f"distinct{number}.{'png' if kind < 0.75 else 'jpg'}")
        picture.save(folder / names[-1])
    return names


def make(folder: Path, count: int) -> None:
    import pyarrow
    from pyarrow import parquet

    rng = random.Random(0)
    (folder / "images").mkdir()
    names, rows = pictures(folder / "images", rng), []
    for number in range(count):
        source = names[number % len(names)]
        name = f"images/{number}{source[-4:]}"
        os.link(folder / "images" / source, folder / name)
        question = "<image>\n" + " ".join(rng.choice(WORDS) for _ in range(rng.randint(8, 90))) + "?"
        answer = rng.choice(["A", str(rng.randrange(5000)), rf"\frac{{{rng.randint(1, 99)}}}{{{rng.randint(2, 99)}}}"])
        rows.append(
            {
                "qid": f"q{number}",
                "question": question,
                "answer": rf"\boxed{{{answer}}}",
                "image": [name],
                "category": rng.choice("abcdefg"),
            }
        )
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "39Krelease.parquet")


def main(argv: list[str]) -> int:
    from nsrl.models import loading
    from nsrl.trainer.problems import read_data

    torch.set_num_threads(1)
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    vlm = loading.load(ModelConfig(name=argv[1] if len(argv) > 1 else "small", device="cpu"), LoraConfig(enabled=False))
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), int(argv[0]) if argv else ROWS)
        size = sum(
            entry.stat().st_size for entry in os.scandir(Path(folder) / "images") if not entry.name.startswith("d")
        )
        start, cpu = time.perf_counter(), time.process_time()
        train, test, *_ = read_data(DataConfig(source="virl39k", path=folder), vlm)
        spent = time.process_time() - cpu
        print(f"{len(train)} + {len(test)} problems, {size / 1e9:.1f} GB of pictures: {spent:.1f} s of CPU time, "
              f"{time.perf_counter() - start:.1f} s by the clock")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
