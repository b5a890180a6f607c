"""Recipes: where they are, how they are laid over each other, and what those of published methods must tell."""

import ast
from pathlib import Path

import pytest
import yaml

from nsrl.config import TrainConfig, parse, run_path
from nsrl.config.recipes import recipe_names, recipe_title
from nsrl.errors import UserError
from nsrl.recipes import MECHANISMS, methods, read
from nsrl.recipes.__main__ import main

ROOT = Path(__file__).resolve().parents[1]
MOST = 40  # lines of a recipe
TOLD = {
    "method": "A thing", "year": 2025, "paper": "On things, arXiv 2501.00000", "uses": ["keys"],
    "differs": "in size", "tested": "tests/test_recipes.py",
}  # fmt: skip


def train(*words):
    return parse(TrainConfig, list(words), "train")


@pytest.fixture
def thing(tmp_path):
    folder = tmp_path / "thing"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(yaml.safe_dump({"about": TOLD, "beta": 0.3, "lora": {"r": 4}}))
    (folder / "recipe.py").write_text(
        '"""What it is\nabout."""\n\n# a comment\ndef one(batch):\n    """Doc."""\n    return 1\n'
    )
    return folder


def test_a_folder_is_a_recipe_and_recipes_lie_over_each_other(thing, monkeypatch):
    config = train(f"recipe={thing}")
    assert (config.beta, config.lora.r) == (0.3, 4) and run_path(config) == Path("runs/thing-0")
    assert train(f"recipe={thing / 'recipe.yaml'}").beta == 0.3 == train(f"recipe={thing}/").beta
    both = train(f"recipe=paper+{thing}", "max_steps=5")
    assert (both.model.name, both.beta, both.lora.r, both.lora.alpha) == ("Qwen/Qwen3-VL-2B-Instruct", 0.3, 4, 32)
    assert run_path(both) == Path("runs/paper+thing-0") and both.given["beta"] == "recipe" == both.given["model.name"]
    assert train(f"recipe={thing}+paper").beta == 0.05, "the later one lies over the earlier"
    monkeypatch.chdir(thing.parent)
    for name in ("thing", "./thing", "thing/", "paper+./thing"):
        assert train(f"recipe={name}").lora.r == 4, name
    assert train("recipe=./thing+paper").beta == 0.05
    (thing.parent / "paper").mkdir()
    (thing.parent / "paper" / "recipe.yaml").write_text("beta: 0.7\n")
    assert (train("recipe=paper").beta, train("recipe=./paper").beta) == (0.05, 0.7), "nsrl's own by a bare name"
    monkeypatch.chdir(thing)
    assert run_path(train("recipe=.")) == Path("runs/thing-0")
    odd = thing.parent / "a+b"
    thing.rename(odd)
    assert train(f"recipe={odd}").beta == 0.3 and recipe_title(str(odd)) == "a+b"


@pytest.mark.parametrize(
    ("word", "words"),
    [("papre", "did you mean 'paper'"), ("paper+papre", "got 'papre'"), ("xyzzy", "the names are"),
     ("{at}/absent", "recipe must be a name, a YAML file or a folder with recipe.yaml; .*absent' is no file"),
     ("{at}", "recipe.yaml' is no file"), ("paper+", "got ''"), ("", "got ''")],
)  # fmt: skip
def test_what_is_no_recipe_is_one_sentence(word, words, tmp_path):
    with pytest.raises(UserError, match=words):
        train(f"recipe={word.format(at=tmp_path)}")


def test_what_is_told_of_a_method(thing, capsys):
    found = read(str(thing))
    assert (found.name, found.about.method, found.about.scale) == ("thing", "A thing", "never run at scale")
    assert found.lines == 4, "beta, lora, def, return"
    assert main([str(thing)]) == 0 and "A thing (2025), On things" in capsys.readouterr().out
    with pytest.raises(UserError, match="one at a time; got 'paper.papo'"):
        read("paper+papo")
    for about, words in (
        ("a method", "its group about must have method"),
        ({**TOLD, "colour": "red"}, "its group about must have method"),
        ({n: v for n, v in TOLD.items() if n != "differs"}, "its group about must have method"),
        ({**TOLD, "uses": ["magic"]}, "uses must name some of"),
    ):
        (thing / "recipe.yaml").write_text(yaml.safe_dump({"about": about}))
        with pytest.raises(UserError, match=words):
            read(str(thing))


def test_a_folder_of_ones_own_needs_no_group_about(thing, capsys):
    """It runs without, and is shown without; no list of methods has it."""
    (thing / "recipe.yaml").write_text("beta: 0.3\n")
    assert train(f"recipe={thing}").beta == 0.3 and read(str(thing)).lines == 3
    assert main([str(thing)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("thing: it has no group about") and "beta: 0.3" in out and "def one" in out


def test_the_list(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert f"{len(methods())} methods" in out and all(recipe.name in out for recipe in methods())
    assert main(["--help"]) == 0 and main(["a", "b"]) == 2
    assert {"paper", "default", "languages", *(r.name for r in methods())} <= set(recipe_names())


def test_mechanisms_have_their_page():
    assert all((ROOT / "docs" / page).is_file() for page in MECHANISMS.values())


@pytest.mark.parametrize("recipe", methods(), ids=lambda recipe: recipe.name)
def test_a_method_is_short_has_its_test_and_is_a_configuration(recipe):
    code = [file for file in recipe.files if file.suffix in (".yaml", ".py")]
    assert len(code) <= 2 and sum(len(file.read_text().splitlines()) for file in code) <= MOST, (
        "all lines, blank ones too"
    )
    file, _, name = recipe.about.tested.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    assert not name or name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert recipe.about.formula or ast.get_docstring(ast.parse(recipe.files[-1].read_text()))
    train(f"recipe={recipe.name}")
