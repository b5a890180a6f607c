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
    assert {row["language"] for row in rows["engines"] if row["engine"] == "embedded"} == set(LANGUAGES)
    absent = [row for row in rows["engines"] if not row["present"]]
    assert all(row["needs"] for row in absent if row["engine"] != "embedded")
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
        with pytest.raises(MissingBackend, match=f"backend '{name}' is not on this machine: it needs "):
            external.evaluate(name, "1")
        with pytest.raises(MissingBackend, match=f"backend '{name}' is not at '/none/x'"):
            external.evaluate(name, "1", command="/none/x")
    done = call("run", "--language", "wolfram", "--backend", "woxi", text=b"1", env={"PATH": "/nowhere"})
    assert done.returncode == 2
    assert done.stderr.startswith(b"error: backend 'woxi' is not on this machine: it needs Woxi: pip install woxi")
    with pytest.raises(UserError, match="backend must be one of embedded, wolframscript"):
        external.evaluate("maple", "1")
    done = call("run", "--language", "nsl", "--backend", "woxi", text=b"1")
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
    assert external.evaluate("woxi", "f = 3; f + 1").stdout == "f = 3; f + 1"  # f is not what is asked for
    assert external.evaluate("woxi", "\x00").status is Status.SYNTAX
    assert external.evaluate("woxi", "x" * 200_000).status is Status.REFUSED
    stand_in("wolframscript", 'cat "$3"')
    assert external.evaluate("wolframscript", "1 + 1").text == "1 + 1"
    stand_in("woxi", 'printf "Error: Parse error: 1:1" >&2; exit 1')
    assert external.evaluate("woxi", "1 +").status is Status.SYNTAX
    for printed, status, text in (
        ("Solve[x == Sin[x], x]", "unevaluated", "Solve[x == Sin[x], x]"), ("{1, 2}", "ok", "{1, 2}"),
        ("7\\nNull", "ok", "7"), ("Null", "unevaluated", ""), ("3.14`20.", "ok", "3.14"), ("a ⇾ b", "ok", "a -> b"),
    ):  # fmt: skip
        stand_in("woxi", f"printf '%b' '{printed}'")
        result = external.evaluate("woxi", "1")
        assert (result.status.value, result.text) == (status, text), printed
    rows = b'{"id": 1, "program": "a"}\n{"id": 2, "program": "b"}\n'
    done = call("batch", "--language", "wolfram", "--backend", "wolframscript", "--quiet", text=rows)
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["a", "b"]


def test_an_engine_of_others_is_bounded(stand_in):
    started = time.perf_counter()
    stand_in("woxi", "sleep 60 & sleep 60")
    assert external.evaluate("woxi", "1", Limits(wall_s=0.5)).status is Status.TIMEOUT
    stand_in("woxi", "while true; do :; done")
    assert external.evaluate("woxi", "1", Limits(cpu_s=0.5, wall_s=1)).status is Status.TIMEOUT
    stand_in("woxi", "yes")
    assert external.evaluate("woxi", "1").status is Status.MEMORY
    stand_in("woxi", "exec python3 -c 'x = bytearray(3 << 30)'")
    assert external.evaluate("woxi", "1", Limits(memory_mb=16)).status is Status.MEMORY
    stand_in("woxi", "kill -SEGV $$")
    assert external.evaluate("woxi", "1").status is Status.CRASH
    assert time.perf_counter() - started < 6


def test_engines_are_compared_by_value(stand_in, tmp_path, capsys):
    stand_in("woxi", 'case "$2" in 1/2) echo 0.5;; 2+2) echo 5;; *) echo "Foo[1]";; esac')
    file = tmp_path / "programs.json"
    rows = [{"id": "a", "program": "1/2"}, {"id": "b", "program": "2+2", "expected": "4"}, {"id": "c", "program": "3"}]
    file.write_text(json.dumps({"about": "x", "rows": [*rows, {"program": "Foo[1]"}, {"other": 1}]}))
    assert main(["agree", str(file), "--backends", "embedded,woxi"]) == 0
    out = capsys.readouterr().out
    assert "4 programs: agreed 1, differ 1, only the first 1, only the second 0, neither 1" in out
    assert "b: 2+2" in out and "woxi           ok       5" in out and "expected                4" in out
    file.write_text("\n".join(map(json.dumps, rows)))
    assert main(["agree", str(file), "--backends", "embedded,woxi", "--json"]) == 0
    read = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["agreement"] for row in read] == [["agreed"], ["differ"], ["only the first"]]
    assert read[1]["values"] == {"embedded": ["ok", "4"], "woxi": ["ok", "5"]}
    for arguments, sentence in (
        ([str(file), "--backends", "embedded"], "two or more"), ([str(tmp_path), "--backends", "embedded,woxi"],
        "cannot be"),
        ([str(file), "--backends", "embedded,woxi=/none"], "is not at '/none'"),
    ):  # fmt: skip
        assert main(["agree", *arguments]) == 2
        assert sentence in capsys.readouterr().err
    file.write_text("[1]")
    assert main(["agree", str(file), "--backends", "embedded,woxi"]) == 2 and "has none" in capsys.readouterr().err
