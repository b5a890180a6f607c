"""The command line: overrides, recipes, suggestions, one sentence per mistake."""

import subprocess
import sys

import pytest

from nsrl.config import EvalConfig, SolveConfig, TrainConfig, from_yaml, known_keys, parse, to_yaml
from nsrl.errors import UserError


def train(*argv):
    return parse(TrainConfig, list(argv), "nsrl.train")


def test_overrides_bare_dotted_and_flags(tmp_path):
    config = train("data.source=mathvision", "max_steps=2", "--shuffle_rewards", "--learning-rate", "1e-4")
    assert (config.data.source, config.max_steps, config.shuffle_rewards) == ("mathvision", 2, True)
    assert config.learning_rate == 1e-4
    extra = tmp_path / "mine.yaml"
    extra.write_text("beta: 0.1\ndata: {level: 2}\n")
    config = train("--config", str(extra), "data.level=3")
    assert (config.beta, config.data.level) == (0.1, 3)


def test_the_paper_recipe_is_the_seeds_experiment():
    config = train("recipe=paper", "beta=0.1")
    assert config.model.name == "Qwen/Qwen3-VL-2B-Instruct" and config.data.source == "virl39k"
    assert (config.num_generations, config.learning_rate, config.epsilon, config.beta) == (10, 2e-5, 0.2, 0.1)
    assert config.epsilon_high is None
    assert config.lora.enabled and config.lora.r == 16
    assert config.lora.target_modules == ["q_proj", "k_proj", "v_proj", "o_proj"]


def test_yaml_round_trip():
    config = train("recipe=paper", "warm_start.wrong=0.4")
    assert from_yaml(TrainConfig, to_yaml(config)) == config


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["num_generation=4"], ["num_generation", "did you mean 'num_generations'"]),
        (["data.sorce=x"], ["data.sorce", "data.source"]),
        (["num_generations=1"], ["num_generations", "at least 2", "got 1"]),
        (["max_steps=abc"], ["max_steps", "int", "abc"]),
        (["loss_type=foo"], ["loss_type", "dapo", "foo"]),
        (["recipe=papr"], ["recipe", "paper", "papr"]),
        (["temperature=0"], ["temperature", "above 0"]),
        (["learning_rate"], ["key=value", "learning_rate"]),
        (["--learning_rate"], ["learning_rate", "needs a value"]),
        (["--config", "/nope.yaml"], ["/nope.yaml"]),
        (["reward_weights=[1.0]"], ["reward_weights", "3", "1"]),
    ],
)
def test_one_sentence_per_mistake(argv, words):
    with pytest.raises(UserError) as error:
        train(*argv)
    text = str(error.value)
    assert "\n" not in text
    for word in words:
        assert word in text, text


def test_help_names_every_key():
    out = subprocess.run([sys.executable, "-m", "nsrl.train", "--help"], capture_output=True, text=True)
    assert out.returncode == 0
    for key in known_keys(TrainConfig):
        assert f"--{key}" in out.stdout, key


def test_print_config_is_a_config():
    out = subprocess.run(
        [sys.executable, "-m", "nsrl.train", "recipe=paper", "--print_config"], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert from_yaml(TrainConfig, out.stdout).beta == 0.05


def test_eval_config():
    config = parse(EvalConfig, ["--model", "runs/x", "--data", "shapes", "--samples", "8"], "nsrl.eval")
    assert (config.model, config.samples) == ("runs/x", 8)


def test_lists_of_words():
    config = parse(SolveConfig, ["--model", "m", "--question", "q", "--image", "a.png", "image=b.png"], "nsrl.solve")
    assert config.image == ["a.png", "b.png"]
    assert train("reward_funcs=[correct,format]", "reward_weights=[1,1]").reward_funcs == ["correct", "format"]
    assert train("report_to=tensorboard").report_to == ["tensorboard"]
