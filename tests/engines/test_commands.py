"""The commands, as a user calls them: run, batch, tokens, list; and engines of others, played by scripts."""

import json
import os
import stat
import subprocess
import sys
import time

import pytest

from nsrl.engines import LANGUAGES, Limits, Status, external, languages
from nsrl.engines import token_counts as token_count
from nsrl.engines.__main__ import main
from nsrl.errors import MissingBackend, UserError

HERE = [language for language in LANGUAGES if languages.present(language)]


def call(*arguments, text=b"", **options):
    return subprocess.run(
        [sys.executable, "-m", "nsrl.engines", *arguments], input=text, capture_output=True, **options
    )


@pytest.mark.parametrize("language", HERE)
def test_run_prints_a_result(language):
    done = call("run", "--language", language, text=b"1 + 1")
    result = json.loads(done.stdout)
    assert done.returncode == 0 and done.stderr == b""
    assert (result["status"], result["text"], result["value"], result["engine"]) == ("ok", "2", 2, language)
    assert "cpu_ms" not in result
    assert done.stdout == call("run", "--language", language, text=b"1 + 1").stdout


def test_run_takes_limits_and_any_bytes():
    done = call("run", "--language", "sympy", "--cpu-s", "0.2", "--wall-s", "0.5", "--timing", text=b"while True: pass")
    assert json.loads(done.stdout)["status"] == "timeout" and "cpu_ms" in json.loads(done.stdout)
    for text in (b"\xff\xfe\x00", b""):
        assert json.loads(call("run", "--language", "sympy", text=text).stdout)["status"]


def test_bad_limits_are_one_sentence():
    done = call("run", "--language", "sympy", "--cpu-s", "0", text=b"1")
    assert done.returncode == 2
    assert done.stderr == b"error: limits.cpu_s must be a positive number; got 0.0\n"


def test_batch_keeps_order_and_ids():
    rows = [{"id": n if n % 2 else f"n{n}", "program": f"print({n})"} for n in range(60)]
    rows.insert(10, {"id": "slow", "program": "while True: pass"})
    text = "\n".join(json.dumps(row) for row in rows).encode() + b"\n\n"
    done = call("batch", "--language", "sympy", "--cpu-s", "0.3", "--wall-s", "0.6", text=text)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [row["id"] for row in out] == [row["id"] for row in rows]
    assert out[10]["status"] == "timeout"
    assert all(row["text"] == source["program"][6:-1] for row, source in zip(out, rows) if row["id"] != "slow")
    assert b"61 programs in" in done.stderr and b"ok 60, timeout 1" in done.stderr


@pytest.mark.parametrize(
    "line, got",
    [
        (b"no json", b"got 'no json'"), (b"[1]", b"got list"), (b'{"id": 1}', b"got the fields id"),
        (b'{"program": "1"}', b"got the fields program"), (b'{"id": 1, "program": 2}', b"got the fields id, program"),
        (b"[" * 100_000, b"got '[[["), (b"\xff", b"got '"),
    ],
)  # fmt: skip
def test_batch_names_a_bad_line(line, got):
    done = call("batch", "--language", "nsl", "--quiet", text=b'{"id": 0, "program": "1"}\n\n' + line + b"\n")
    assert done.returncode == 2
    assert json.loads(done.stdout)["text"] == "1"
    assert (
        done.stderr.startswith(b"error: line 3: expected a JSON object with the fields id and program")
        and got in done.stderr
    )


def test_a_reader_that_leaves_early_is_no_error():
    rows = "\n".join(json.dumps({"id": n, "program": str(n)}) for n in range(300))
    command = f"{sys.executable} -m nsrl.engines batch --language sympy --quiet | head -n 1"
    done = subprocess.run(command, shell=True, input=rows.encode(), capture_output=True)
    assert json.loads(done.stdout)["id"] == 0 and done.stderr == b""


def test_list_says_what_is_here():
    rows = json.loads(call("list", "--json").stdout)
    assert {row["language"] for row in rows["engines"] if row["engine"] == "builtin"} == set(LANGUAGES)
    absent = [row for row in rows["engines"] if not row["present"]]
    assert all(row["needs"] for row in absent if row["engine"] != "builtin")
    assert all(set(wall) == {"layers", "allowed", "absent"} for wall in rows["sandbox"].values())
    assert b"sandbox of python workers: " in call("list").stdout


@pytest.mark.parametrize("command", ["", "run", "batch", "tokens", "list"])
def test_help_is_complete(command):
    done = call(*([command] if command else []), "--help")
    assert done.returncode == 0
    wanted = {"run": b"--wall-s", "batch": b"--workers", "tokens": b"DIR_OR_ID", "list": b"--json", "": b"COMMAND"}[
        command
    ]
    assert wanted in done.stdout


def test_commands_start_without_torch():
    code = (
        "import sys, nsrl.engines.__main__; print([m for m in ('torch', 'sympy', 'transformers') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


# Tokens.


@pytest.fixture
def tokenizer(tmp_path):
    tokenizers = pytest.importorskip("tokenizers")
    words = {"[UNK]": 0, "print": 1, "1": 2, "+": 3, "(": 4, ")": 5, "<": 6, ">": 7, "/": 8}
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [tokenizers.pre_tokenizers.WhitespaceSplit(), tokenizers.pre_tokenizers.Punctuation()]
    )
    made.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_tokens_are_counted_per_arm(tokenizer, tmp_path, capsys):
    problems = [
        {"id": "a", "expected": "2", "sympy": "print(1+1)", "nsl": "1+1", "sympy_output": "2"},
        {"id": "b", "expected": "1", "sympy": "print(1)", "sympy_min": "print(1)", "nsl": "1"},
    ]
    file = tmp_path / "problems.json"
    file.write_text(json.dumps({"problems": problems}))
    assert main(["tokens", "--tokenizer", str(tokenizer), "--json", str(file)]) == 0
    rows = {row["arm"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == {"sympy", "nsl", "sympy_min"}
    assert rows["sympy"]["tokens"] == 5 and rows["nsl"]["tokens"] == 2
    assert rows["nsl"]["with_delimiters"] == rows["nsl"]["tokens"] + 2  # each is one added token
    assert rows["nsl"]["vs_sympy"] == pytest.approx((3 / 6 + 1 / 4) / 2)
    assert rows["nsl"]["total_vs_sympy"] == pytest.approx(4 / 10)
    assert rows["nsl"]["vs_sympy_min"] == pytest.approx(1 / 4)
    assert main(["tokens", "--tokenizer", str(tokenizer / "tokenizer.json"), str(file)]) == 0
    assert "mean of ratios to sympy" in capsys.readouterr().out


def test_tokens_says_what_is_wrong(tokenizer, tmp_path, capsys):
    file = tmp_path / "problems.json"
    for text, sentence in [
        ("{", "FILE must be JSON"),
        ("[]", "FILE must hold a list"),
        ("[1]", "FILE must hold a list"),
    ]:
        file.write_text(text)
        assert main(["tokens", "--tokenizer", str(tokenizer), str(file)]) == 2
        assert sentence in capsys.readouterr().err
    assert main(["tokens", "--tokenizer", str(tokenizer), str(tmp_path / "none.json")]) == 2
    assert "FILE cannot be read" in capsys.readouterr().err
    assert main(["tokens", "--tokenizer", str(file), str(file)]) == 2
    assert "is no tokenizer" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert main(["tokens", "--tokenizer", str(tmp_path / "empty"), str(file)]) == 2
    assert "must be a folder with tokenizer.json" in capsys.readouterr().err


def test_arms_have_a_language():
    names = ["nsl", "nsl_proposed", "wl_module", "sympy_min", "wolfram"]
    assert [token_count.language_of(name) for name in names] == ["nsl", "nsl", "wolfram", "sympy", "wolfram"]


# Engines of others.


def test_an_absent_engine_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    for name in external.EXTERNAL:
        with pytest.raises(MissingBackend, match=f"engine '{name}' is not on this machine: it needs "):
            external.evaluate(name, "1")
    done = call("run", "--language", "wolfram", "--engine", "woxi", text=b"1", env={"PATH": "/nowhere"})
    assert done.returncode == 2
    assert done.stderr == b"error: engine 'woxi' is not on this machine: it needs the command woxi on PATH\n"
    with pytest.raises(UserError, match="engine must be one of builtin, wolframscript"):
        external.evaluate("maple", "1")
    done = call("run", "--language", "nsl", "--engine", "woxi", text=b"1")
    assert done.returncode == 2 and b"runs the language wolfram only" in done.stderr


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a script on PATH in an engine's place."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def make(name, body):
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{body}\n")
        file.chmod(file.stat().st_mode | stat.S_IXUSR)

    return make


def test_an_engine_of_others_is_read(stand_in):
    stand_in("woxi", 'echo "Power::infy: Infinite expression 1/0 encountered."; echo ComplexInfinity')
    result = external.evaluate("woxi", "1/0")
    assert (result.status, result.text, result.engine) == (Status.MESSAGE, "ComplexInfinity", "woxi")
    assert [(m.symbol, m.tag) for m in result.messages] == [("Power", "infy")]
    stand_in("woxi", 'printf "%s" "$2"')
    assert external.evaluate("woxi", "f := 3;").stdout.splitlines() == ["f := 3;", "f"]
    assert external.evaluate("woxi", "g == 3").text == "g == 3"
    assert external.evaluate("woxi", "\x00").status is Status.SYNTAX
    assert external.evaluate("woxi", "x" * 200_000).status is Status.REFUSED
    stand_in("wolframscript", 'cat "$3"')
    assert external.evaluate("wolframscript", "1 + 1").text == "1 + 1"
    rows = b'{"id": 1, "program": "a"}\n{"id": 2, "program": "b"}\n'
    done = call("batch", "--language", "wolfram", "--engine", "wolframscript", "--quiet", text=rows)
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["a", "b"]


def test_an_engine_of_others_is_bounded(stand_in):
    started = time.perf_counter()
    stand_in("woxi", "sleep 60 & sleep 60")
    assert external.evaluate("woxi", "1", Limits(wall_s=0.5)).status is Status.TIMEOUT
    stand_in("woxi", "while true; do :; done")
    assert external.evaluate("woxi", "1", Limits(cpu_s=0.5, wall_s=1)).status is Status.TIMEOUT
    stand_in("woxi", "yes")
    assert external.evaluate("woxi", "1").status is Status.MEMORY
    stand_in("woxi", "kill -SEGV $$")
    assert external.evaluate("woxi", "1").status is Status.CRASH
    assert time.perf_counter() - started < 6
