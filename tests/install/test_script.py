"""The command `nsrl`: its list, its version, wrong names, exit codes, every key's description, and life without the
extra."""

import contextlib
import json
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from nsrl import __main__ as script
from nsrl import __version__
from nsrl.config import EvalConfig, SolveConfig, TrainConfig
from nsrl.config.keys import groups, keys
from nsrl.errors import TRAIN_EXTRA, UserError, extras_named

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def nsrl(*words, path=(), python=(sys.executable,), module="nsrl"):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*map(str, path), str(ROOT / "kernels"), str(ROOT)])}
    command = [*python, "-m", module, *words]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_every_module_that_can_be_run_is_a_command():
    runnable = set()
    for file in (ROOT / "nsrl").rglob("*.py"):
        if re.search(r'^if __name__ == "__main__":$', file.read_text(), re.MULTILINE):
            runnable.add(".".join(file.relative_to(ROOT).with_suffix("").parts))
    # parts of others: of nsrl itself, the pool, another engine's environment, and of an experiment
    own = {"nsrl.__main__", "nsrl.engines.pool.launch", "nsrl.engines.mathics_server"}
    own |= {"nsrl.experiments.kept", "nsrl.experiments.lessons"}
    assert runnable - own == {module for module, _ in script.COMMANDS.values()}
    assert PROJECT["scripts"] == {"nsrl": "nsrl.__main__:main"}


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_the_list(words, capsys):
    assert script.main(words) == 0
    out = capsys.readouterr().out
    for name, (_, what) in script.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(what)}$", out, re.MULTILINE)


@pytest.mark.parametrize(
    ("word", "words"),
    [("trian", "did you mean 'train'?"), ("Eval", "did you mean 'eval'?"), ("reprot", "did you mean 'report'?"),
     ("xyz", "the commands are train, eval"), ("--tarin", "did you mean 'train'?"), ("", "the commands are")],
)  # fmt: skip
def test_a_wrong_name_is_one_sentence(word, words, capsys):
    assert script.main([word]) == 2
    out, err = capsys.readouterr()
    assert (
        out == "" and err.startswith(f"error: nsrl has no command {word!r}; ") and words in err and err.count("\n") == 1
    )


def test_version(capsys):
    assert script.main(["--version"]) == 0 and capsys.readouterr().out == f"nsrl {__version__}\n"


def test_exit_codes_and_help_pass_through():
    done = nsrl("rewards", "check", "1/2", "0.5")
    assert done.returncode == 0 and '"correct": true' in done.stdout
    done = nsrl("train", "num_generation=4")
    assert done.returncode == 2 and done.stderr.startswith("error: ") and "num_generations" in done.stderr
    done = nsrl("help", "solve")
    assert done.returncode == 0 and done.stdout.startswith("usage: nsrl solve ")
    done = nsrl("--help", module="nsrl.solve")
    assert done.returncode == 0 and done.stdout.startswith("usage: python -m nsrl.solve ")
    assert nsrl("engines", "run", "--language", "nsl", "--wall-s", "-1").returncode == 2


def described(kind):
    """(dotted key, description) of every key, and of a group what its class says of itself."""
    yield from ((name, inner.__doc__) for name, inner in groups(kind).items())
    yield from ((name, key.text) for name, key in keys(kind).items())


@pytest.mark.parametrize(("command", "kind"), [("train", TrainConfig), ("eval", EvalConfig), ("solve", SolveConfig)])
def test_help_describes_every_key(command, kind):
    done = nsrl(command, "--help")
    assert done.returncode == 0, done.stderr
    assert "<class" not in done.stdout
    text = "".join(done.stdout.split())  # lines may break at any blank or hyphen
    wanted = list(described(kind))
    assert len(wanted) >= 8 and all(sentence for _, sentence in wanted)
    for key, sentence in wanted:
        assert re.search(rf"^ *--{re.escape(key)} |^{re.escape(key)}: ", done.stdout, re.MULTILINE), key
        assert "".join(sentence.split()).rstrip(".") in text, f"{key}: no {sentence!r}"


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What `pip install nsrl` brings without an extra: the packages that torch and triton ask for, and nothing else."""
    folder, names, seen = tmp_path_factory.mktemp("bare"), ["torch", "triton"], set()
    while names:
        try:
            found = metadata.distribution(names.pop())
        except metadata.PackageNotFoundError:  # of another platform, or torch's CUDA half on a CPU
            continue
        if found.metadata["Name"] in seen:
            continue
        seen.add(found.metadata["Name"])
        wanted = map(Requirement, found.requires or [])
        names += [each.name for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
        for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            (folder / top).exists() or (folder / top).symlink_to(found.locate_file(top))
    return folder


@pytest.mark.parametrize(
    "module",
    ["nsrl.train", "nsrl.eval", "nsrl.solve", "nsrl.check", "nsrl train", "nsrl.report", "nsrl.view", "nsrl.attend"],
)
def test_without_the_extra_a_command_names_it(bare, tmp_path, module):
    (tmp_path / "summary.json").write_text('{"seed": 0}\n')
    words = {
        "nsrl.solve": ["model=x", "question=y"],
        "nsrl.report": [str(tmp_path)],
        "nsrl.attend": ["--model=x", "--problem=0"],
    }.get(module, ["seed=1"])
    module, *before = module.split()
    done = nsrl(*before, *words, path=[bare], python=(sys.executable, "-S"), module=module)
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.fullmatch(
        r"error: this needs the Python packages? \w.*, which .*: pip install 'nsrl\[train\]'\n", done.stderr
    )


def test_what_works_without_the_extra(bare):
    run = lambda *words: nsrl(*words, path=[bare], python=(sys.executable, "-S"))
    assert run().returncode == 0
    done = run("rewards", "check", "\\frac{3}{4}", "0.75")
    assert done.returncode == 0 and '"correct": true' in done.stdout, done.stderr
    done = run("engines", "list", "--json")
    assert done.returncode == 0 and '"language": "nsl"' in done.stdout, done.stderr


def test_without_sympy_no_language_is_there_and_list_says_so():
    run = lambda *words: nsrl(*words, python=(sys.executable, "-S"))  # no packages at all
    done = run("engines", "list", "--json")
    assert done.returncode == 0 and done.stderr == "", done.stderr
    rows = [row for row in json.loads(done.stdout)["engines"] if row["engine"] == "embedded"]
    assert (
        len(rows) == 3
        and not any(row["present"] for row in rows)
        and all("nsrl[train]" in row["needs"] for row in rows)
    )
    done = run("engines", "list")
    assert done.returncode == 0 and done.stderr == "" and done.stdout.count("absent: needs the package sympy") == 3
    done = run("engines", "run", "--language", "nsl")
    assert (
        done.returncode == 2
        and done.stderr.startswith("error: ")
        and done.stderr.count("\n") == 1
        and "sympy" in done.stderr
    )


@pytest.mark.parametrize(
    "words", [["report", "--help"], ["rewards", "--help"], ["rewards"], ["rewards", "attack", "--help"], ["report"]]
)
def test_usage_names_what_was_typed(words, capsys, monkeypatch):
    for started, shown in ((f"nsrl {words[0]}", f"nsrl {words[0]}"), ("/x/__main__.py", f"python -m nsrl.{words[0]}")):
        monkeypatch.setattr(sys, "argv", [started])
        with contextlib.suppress(SystemExit):
            import_module(script.COMMANDS[words[0]][0]).main(words[1:])
        said = "".join(capsys.readouterr())
        assert shown in said and ("python -m" in said) == shown.startswith("python"), said


def test_only_an_absent_package_of_the_extra_is_a_users_error():
    def importing(name):
        with extras_named():
            __import__(name)

    for ours in ("nsrl.no_such_module", "no_such_package", "transformers.no_such_module", "numpy.nothing"):
        with pytest.raises(ModuleNotFoundError):
            importing(ours)
    absent = ModuleNotFoundError("No module named 'peft'", name="peft")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nsrl.errors.find_spec", lambda name: None)
        with pytest.raises(UserError, match=r"package peft, .*nsrl\[train\]"), extras_named():
            raise absent
        with pytest.raises(ModuleNotFoundError), extras_named():
            raise ModuleNotFoundError("No module named 'nsrl.x'", name="nsrl.x")


def test_the_packages_of_the_extra_are_known_by_their_import_names():
    names = {}
    for top, distributions in metadata.packages_distributions().items():
        for distribution in distributions:
            names.setdefault(re.sub(r"[-_.]+", "-", distribution).lower(), set()).add(top)
    for line in PROJECT["optional-dependencies"]["train"]:
        name = re.sub(r"[-_.]+", "-", Requirement(line).name).lower()
        assert names[name] & TRAIN_EXTRA, f"{name} is imported as one of {names[name]}"


def test_tree_says_something_about_every_file():
    done = subprocess.run([sys.executable, ".ci/tree.py"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("    ")]
    silent = [line for line in lines if len(line.split(maxsplit=1)) < 2]
    assert len(lines) > 150 and silent == []


def test_make_lists_its_targets():
    makefile = (ROOT / "Makefile").read_text()
    assert re.search(r"^[a-z-]+:", makefile, re.MULTILINE)[0] == "help:"  # what `make` alone does
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0
    for target in re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split():
        assert re.search(rf"^  make {target} +\S", done.stdout, re.MULTILINE), target


def test_what_test_fast_names_is_there():
    named = (
        re.search(r"^FAST +:= ((?:.*\\\n)*.*)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
        .replace("\\", "")
        .split()
    )
    assert len(named) > 10 and all((ROOT / name).exists() for name in named)
