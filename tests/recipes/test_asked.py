"""What a recipe rewards, its prompt asks for: every span, every tag and every form that a reward reads stands in it."""

import re
from pathlib import Path

import pytest

from nsrl.config import TrainConfig, parse
from nsrl.config.recipes import RECIPES
from nsrl.config.stages import planned_stages
from nsrl.data.chat import Chat, text_of_file
from nsrl.engines import extract
from nsrl.recipes import methods
from nsrl.rewards import boxes
from nsrl.types import Problem
from nsrl.userfiles import load

PROBLEM = Problem("a", "How many?", "5", columns={"checklist": [["what?", "a cat"], ["how many?", "2"]]})


def of(name, function):
    return load(f"{RECIPES / name / 'recipe.py'}:{function}", "test")[1]


def config(name):
    return parse(TrainConfig, [f"recipe={name}"], "nsrl train")


def told(name, entry=None):
    """All that a policy is told of a problem: by the recipe, or by an entry of its members."""
    prompt = config(name).prompt
    chat = Chat(prompt.mode, text_of_file("prompt.system", prompt.system) if prompt.system is not None else None)
    asked = PROBLEM if entry is None else of(name, entry)(PROBLEM)
    return "\n".join(
        part["text"] for said in chat.messages(asked) for part in said["content"] if part["type"] == "text"
    )


# What a reward of the recipe reads, found in its own prompt by that very reader.
READ = {
    "pebr_r1": lambda text: of("pebr_r1", "headings")(type("B", (), {"completions": [text]})) == [1.0],
    "visual_rft": lambda text: len(boxes.read(text)) == 2,
    "vlm_r1": lambda text: len(boxes.read(text)) == 2 and '"label": "cat"' in text,
    "vlaa_thinker": boxes.read,
    "grip": boxes.read,
    "curr_reft": lambda text: boxes.read(text) and "A, C" in text,
    "star_r1": of("star_r1", "changes").__globals__["_TRIPLET"].findall,
    "temporal_r1": of("temporal_r1", "stretch").__globals__["_STRETCH"].findall,
    "visualquality_r1": lambda text: "from 1 (very poor) to 5" in text and "as 3.25." in text,
    "openvlthinker": lambda text: of("openvlthinker", "accuracy")(
        type("B", (), {"completions": [text.partition(": <think>")[2]], "correct": [True]})
    ) == [1.0],
    "fast_math_r1": lambda text: "</think>" in text and "\\boxed{}" in text,
    "autothink": lambda text: "</think>" in text and "\\boxed{}" in text,
    "code_as_thought": lambda text: extract(text).language is not None and "without a program" in text,
    "look_less": lambda text: extract(text).language is not None and "no program" in text,
    **dict.fromkeys(("chain_of_focus", "pixel_reasoner", "virl"), lambda text: "right, bottom] in pixels" in text),
    "reex_sql": lambda text: of("reex_sql", "last")(text, "final_sql") == "select ..." and "<intermediate_sql>" in text,
    "rrvf": lambda text: "<tool_call>" in text,
    "step_grpo": lambda text: "<boltAction" in text,
    "vicrit": lambda text: "\\boxed{}" in text and "phrase" in text,
    **dict.fromkeys(("perception_r1", "rpr", "rewardmap", "reason_rft"), lambda text: "step by step" in text),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_a_prompt_asks_for_the_form_that_is_paid(name):
    assert READ[name](told(name))


@pytest.mark.parametrize("recipe", methods(), ids=lambda recipe: recipe.name)
def test_what_stands_around_a_span_stands_in_the_prompt(recipe):
    """And every tag that a recipe's Python reads in a completion, but those of programs and of several turns."""
    asked = told(recipe.name)
    for stage in [config(recipe.name), *(stage.config for stage in planned_stages(config(recipe.name)))]:
        for template in stage.spans.values():
            assert all(part in asked for part in template.split("{}"))
    if recipe.name in ("mae", "pearl"):
        asked = told(recipe.name, {"mae": "propose", "pearl": "probe"}[recipe.name])
    python = [Path(file).read_text() for file in recipe.files if file.suffix == ".py"]
    tags = {tag for text in python for tag in re.findall(r"</([a-z]+)>", text)}
    assert all(f"</{tag}>" in asked or f"</{tag}1>" in asked for tag in tags), tags


def test_probes_and_proposers_are_told_what_to_write():
    asked = told("pearl", "probe")
    assert "<q1>what?</q1>\n<q2>how many?</q2>" in asked and "<a1>" in asked and "program" not in asked
    asked = told("mae", "propose")
    assert "<question>...</question>" in asked and "How many?" in asked and "program" not in asked
