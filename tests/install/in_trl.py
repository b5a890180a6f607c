"""Twenty steps of TRL's trainer and of docs/in-trl.md's, with the nsrl_kernels that is installed: `in_trl.sh` runs it.

Knows no pytest: the environment has nsrl and TRL and nothing else.
"""

import re
import sys
import tempfile
from pathlib import Path

import tiny  # tests/peers/tiny.py
import trl
from datasets import Dataset

import nsrl_kernels

ROOT = Path(__file__).resolve().parents[2]
STEPS = 20


def vowels(completions, **_):
    return [float(sum(letter in "aeiou" for letter in text)) for text in completions]


def losses(block, model, folder):
    """The losses of the steps of a trainer that some lines make and train."""
    config = trl.GRPOConfig(
        output_dir=folder, use_cpu=True, bf16=False, report_to=[], max_steps=STEPS, per_device_train_batch_size=8,
        num_generations=4, max_completion_length=8, learning_rate=1e-3, logging_steps=1, save_strategy="no", seed=3,
        disable_tqdm=True, num_iterations=2, steps_per_generation=2, beta=0.04,
    )  # fmt: skip
    prompts = Dataset.from_dict({"prompt": [f"{a}+{b}=?" for a in range(8) for b in range(8)]})
    names = {"model": model, "rewards": vowels, "dataset": prompts, "config": config}
    exec(block, names)
    history = names["trainer"].state.log_history
    return [row["loss"] for row in history if "loss" in row]


def main() -> int:
    assert ROOT / "kernels" not in Path(nsrl_kernels.__file__).parents, "the source, not what is installed"
    (block, *_) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "in-trl.md").read_text(), re.S)
    with tempfile.TemporaryDirectory() as folder:
        model = tiny.folder(Path(folder) / "model")
        plain = block.replace("from nsrl_kernels.adapters.trl import", "from trl import")
        want, got = (losses(lines, model, folder) for lines in (plain, block))
    worst = max(abs(a - b) for a, b in zip(got, want, strict=True))
    print(
        f"in_trl: trl {trl.__version__}, {len(got)} steps, losses {min(got):.4f} to {max(got):.4f}, apart {worst:.1e}"
    )
    return int(not (len(got) == STEPS and worst <= 1e-6 and max(map(abs, want)) > 1e-3))


if __name__ == "__main__":
    sys.exit(main())
