"""The command line: overrides, recipes, suggestions, one sentence per mistake."""

import dataclasses
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from nsrl.config import (
    EvalConfig,
    ExperimentConfig,
    GalleryConfig,
    HarvestConfig,
    SolveConfig,
    TrainConfig,
    from_yaml,
    parse,
    run_path,
    to_yaml,
)
from nsrl.config.helptext import shown
from nsrl.config.keys import groups, keys, summary
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
        (["temperature=0"], ["temperature", "at least 0.01"]),
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


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        ("train", TrainConfig),
        ("eval", EvalConfig),
        ("harvest", HarvestConfig),
        ("solve", SolveConfig),
        ("experiment", ExperimentConfig),
        ("gallery", GalleryConfig),
    ],
)
def test_help_tells_every_key_in_80_columns(command, kind):
    out = subprocess.run([sys.executable, "-m", f"nsrl.{command}", "--help"], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert max(map(len, out.stdout.splitlines())) <= 80 and "<class" not in out.stdout
    words = " ".join(out.stdout.split())
    for key in keys(kind).values():
        _, _, rest = words.partition(f"--{key.name} ")
        assert rest and len(key.text) >= 5 and f") {' '.join(key.text.split())}" in rest, key.name
        told = "(required)" if key.default is dataclasses.MISSING else f"(default: {shown(key.default)})"
        assert told in rest[: rest.index(" --") if " --" in rest else None], key.name
        assert all(choice in rest[:120] for choice in key.choices)
    for name, inner in groups(kind).items():
        assert f"{name}: {summary(inner)}" in words and f"--{name}" in words


def test_recipes_by_path_in_files_and_on_recipes(tmp_path):
    own = tmp_path / "own.yaml"
    own.write_text("recipe: paper\nbeta: 0.2\nmax_steps: 9\n")
    config = train(f"recipe={own}", "max_steps=7")
    assert (config.model.name, config.beta, config.max_steps) == ("Qwen/Qwen3-VL-2B-Instruct", 0.2, 7)
    assert config.recipe == str(own) and str(run_path(config)) == "runs/own-0"
    file = tmp_path / "file.yaml"
    file.write_text("recipe: paper\nlearning_rate: 1e-5\ndata.level: 2\n")
    for argv in (
        ["--config", str(file), "seed=3"],
        ["seed=3", f"--config={file}"],
    ):  # the order is not that of the words
        config = train(*argv)
        assert (config.recipe, config.beta, config.learning_rate, config.data.level, config.seed) == (
            "paper",
            0.05,
            1e-5,
            2,
            3,
        )
    config = train("--config", str(file), "recipe=default", "learning_rate=2e-5")
    assert (config.recipe, config.beta, config.learning_rate) == ("default", 0.0, 2e-5)
    second = tmp_path / "second.yaml"
    second.write_text("")
    assert train("--config", str(file), "--config", str(second)) == train(
        "--config", str(file)
    )  # an empty file says nothing


def test_where_each_key_came_from(tmp_path):
    file = tmp_path / "file.yaml"
    file.write_text("beta: 0.1\nepsilon: 0.2\nlora: {r: 4}\n")
    given = train("recipe=paper", "--config", str(file), "seed=0").given
    assert (given["beta"], given["lora.r"], given["lora.alpha"], given["seed"]) == ("file", "file", "recipe", "line")
    assert "max_grad_norm" in given and "threads" not in given and "warm_start.wrong" not in given
    assert dict(TrainConfig().given) == {}


def test_print_config_is_a_config():
    out = subprocess.run(
        [sys.executable, "-m", "nsrl.train", "recipe=paper", "--print_config"], capture_output=True, text=True
    )
    assert out.returncode == 0, out.stderr
    assert from_yaml(TrainConfig, out.stdout).beta == 0.05


def test_print_config_of_what_differs():
    out = subprocess.run(
        [sys.executable, "-m", "nsrl.train", "lora.r=4", "--print_config=skip_default"], capture_output=True, text=True
    )
    assert out.stdout == "lora:\n  r: 4\n"


def test_eval_config():
    config = parse(EvalConfig, ["--model", "runs/x", "--data", "shapes", "--samples", "8"], "nsrl.eval")
    assert (config.model, config.samples) == ("runs/x", 8)


def test_lists_of_words():
    config = parse(SolveConfig, ["--model", "m", "--question", "q", "--image", "a.png", "image=b.png"], "nsrl.solve")
    assert config.image == ["a.png", "b.png"]
    assert train("reward_funcs=[correct,format]", "reward_weights=[1,1]").reward_funcs == ["correct", "format"]
    assert train("report_to=tensorboard").report_to == ["tensorboard"]


def test_the_page_of_keys_is_the_one_the_source_gives():
    root = Path(__file__).resolve().parents[1]
    spec = importlib.util.spec_from_file_location("configuration_page", root / ".ci" / "configuration.py")
    page = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(page)
    _, mark, tables = page.PAGE.read_text().partition(page.MARK)
    assert mark and tables.strip() == page.tables().strip(), "make house writes it anew"
    for kind in (TrainConfig, EvalConfig, ExperimentConfig, GalleryConfig, HarvestConfig, SolveConfig):
        for name, key in keys(kind).items():
            assert key.text and f"| `{name}` | " in tables, name


def test_a_run_begun_before_goes_on_as_it_was():
    """Keys that its config.yaml lacks have the values that runs had then, whatever the defaults are now."""
    import yaml

    told = yaml.safe_load(to_yaml(TrainConfig()))
    del told["noise_gate"], told["warm_start"]["optimizer"]
    for text in ("", "- 1", "a: [", "beta"):
        with pytest.raises(UserError, match="config.yaml of a run must hold its keys; got"):
            from_yaml(TrainConfig, text)
    before = from_yaml(TrainConfig, yaml.safe_dump(told))
    assert (before.noise_gate, before.warm_start.optimizer) == (0.0, "adamw")
    assert from_yaml(TrainConfig, to_yaml(TrainConfig())).noise_gate is None
