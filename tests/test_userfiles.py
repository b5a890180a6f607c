"""A user's function by `file.py:function`: beside the YAML that names it first, then from the working directory."""

import pytest

from nsrl.config import TrainConfig, from_yaml, parse, require_sound, to_yaml
from nsrl.config.stages import planned_stages
from nsrl.errors import UserError
from nsrl.userfiles import beside, load

REWARD = "def paid(batch, share=1.0):\n    return [share] * len(batch)\n"
VERIFY = "def verify(problem, text, extracted, result):\n    ...\n"


def test_a_file_beside_the_yaml_comes_before_that_of_the_working_directory(tmp_path, monkeypatch):
    home, elsewhere = tmp_path / "recipe", tmp_path / "elsewhere"
    for folder in (home, elsewhere):
        folder.mkdir()
        (folder / "mine.py").write_text(f"def where():\n    return {folder.name!r}\n")
    (elsewhere / "other.py").write_text("def where():\n    return 'other'\n")
    monkeypatch.chdir(elsewhere)
    said = {"reward_funcs": ["correct", "mine.py:where", "other.py:where"], "combine": "mine.py:where", "n": 3}
    found = beside(said, home)
    own = f"{home / 'mine.py'}:where"
    assert found == {"reward_funcs": ["correct", own, "other.py:where"], "combine": own, "n": 3}
    assert [load(spec, "key")[1]() for spec in found["reward_funcs"][1:]] == ["recipe", "other"]
    assert load("mine.py:where", "key")[1]() == "elsewhere"  # of the command line
    with pytest.raises(UserError, match="^key: mine.py has no function 'were'.*did you mean 'where'"):
        load("mine.py:were", "key")


def test_recipes_files_and_stages_name_files_beside_them(tmp_path, monkeypatch):
    home = tmp_path / "method"
    home.mkdir()
    (home / "recipe.py").write_text(REWARD + VERIFY)
    (home / "recipe.yaml").write_text(
        "verifiers: {default: recipe.py:verify}\n"
        "rewards: [{name: correct}, {name: recipe.py:paid, weight: 0.3, share: 0.5, gate: correct}]\n"
        "stages:\n  - {name: a, kind: grpo, steps: 2, rewards: [{name: recipe.py:paid, share: 2}]}\n"
    )
    monkeypatch.chdir(tmp_path)
    for line in ([f"recipe={home / 'recipe.yaml'}"], ["--config", "method/recipe.yaml"]):
        config = parse(TrainConfig, line, "nsrl train")
        require_sound(config)
        own = f"{home / 'recipe.py'}:paid"
        assert config.paid.verifiers == {"default": f"{home / 'recipe.py'}:verify"}
        assert config.paid.rewards == [
            {"name": "correct", "weight": 1.0},
            {"name": own, "weight": 0.3, "share": 0.5, "gate": "correct"},
        ]
        assert planned_stages(config)[0].config.paid.rewards == [{"name": own, "weight": 1.0, "share": 2}]
        again = from_yaml(TrainConfig, to_yaml(config))  # a run goes on from wherever it is called
        assert again.paid == config.paid and again.stages == config.stages
    with pytest.raises(UserError, match="rewards: no file 'recipe.py'"):
        require_sound(parse(TrainConfig, ["rewards=[{name: recipe.py:paid}]"], "nsrl train"))


def test_texts_of_the_prompt_lie_beside_the_yaml(tmp_path, monkeypatch):
    home = tmp_path / "method"
    home.mkdir()
    (home / "asked.txt").write_text("Say how sure you are.")
    (tmp_path / "other.txt").write_text("From the working directory.")
    (home / "recipe.yaml").write_text(
        "prompt: {system: asked.txt, examples: wolfram}\nmodel.name: elsewhere\n"
        "contexts: {bare: {prompt: {system: asked.txt}}}\nterms: {bare: 0.1}\n"
        "stages:\n  - {name: a, kind: grpo, steps: 2, prompt: {system: other.txt}}\n"
        "  - {name: b, kind: grpo, steps: 2, prompt.examples: asked.txt, prompt.system: ~nobody-is-called-so/f}\n"
    )
    monkeypatch.chdir(tmp_path)
    own = str(home / "asked.txt")
    config = parse(TrainConfig, [f"recipe={home}"], "nsrl train")
    assert (config.prompt.system, config.prompt.examples) == (own, "wolfram")
    assert config.tokens.contexts["bare"]["prompt"]["system"] == own
    asked = [stage.config.prompt for stage in planned_stages(config)]
    assert [(one.system, one.examples) for one in asked] == [("other.txt", "wolfram"), ("~nobody-is-called-so/f", own)]
    line = parse(TrainConfig, [f"recipe={home}", "prompt.system=asked.txt"], "nsrl train")
    assert line.prompt.system == "asked.txt", "of the command line: from the working directory"
