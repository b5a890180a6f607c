"""The model card of a checkpoint (README.md) says what it is, what it comes from, how it was trained and how to load
it.
"""

from __future__ import annotations

from typing import Any

import yaml

from nsrl.models.family import Family

_LOAD_FULL = """\
from transformers import AutoTokenizer, {family}
model = {family}.from_pretrained(".", dtype="auto")
tokenizer = AutoTokenizer.from_pretrained(".")"""

_LOAD_ADAPTER = """\
from peft import PeftModel
from transformers import AutoTokenizer, {family}
base = {family}.from_pretrained({base!r}, dtype="auto")
model = PeftModel.from_pretrained(base, ".")
tokenizer = AutoTokenizer.from_pretrained(".")"""


def model_card(family: Family, name: str, base: str, adapter: bool, facts: dict[str, Any]) -> str:
    """README.md of a checkpoint folder.

    family: of the model; name: the model it was started from, as the user named it; base: where an adapter's base
    weights are, from the checkpoint folder or as a Hub id; adapter: whether the folder holds an adapter; facts: what is
    known of the training.
    """
    head: dict[str, Any] = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": "image-text-to-text",
        "tags": ["nsrl", "grpo", family.model_type] + (["lora"] if adapter else []),
    }
    if name.count("/") == 1 and not name.startswith((".", "/", "~")):
        head["base_model"] = name
    what = "a LoRA adapter for" if adapter else "all weights of"
    origin = "the small model built into nsrl" if name == "small" else f"`{name}`"
    rows = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    training = f"## Training\n\n| | |\n|---|---|\n{rows}\n\n" if rows else ""
    load = (_LOAD_ADAPTER if adapter else _LOAD_FULL).format(base=base, family=family.class_name)
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False)}---\n\n# {what[0].upper() + what[1:]} {origin}, trained with "
        f"nsrl\n\n"
        f"A {family.title} that answers a question about a picture by writing a short program, whose value is the "
        f"answer.\n\n"
        f"{training}## Use\n\nWith the picture and the question, the program and its value:\n\n"
        "```bash\npython -m nsrl.solve --model . --image picture.png --question 'What is the area?'\n```\n\n"
        f"From this folder, with transformers:\n\n```python\n{load}\n```\n\n"
        '`AutoProcessor.from_pretrained(".")` works where torchvision is installed, which transformers\' processor '
        "needs; nsrl does not.\n"
    )
