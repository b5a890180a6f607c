"""A warm start on rows that have a completion: what is learned, what is dropped and said, and going on bit for bit."""

import json
import shutil

import pytest
from PIL import Image
from test_resume import outcome, same

from nsrl.config import EvalConfig, LoraConfig, ModelConfig
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.models import loading
from nsrl.models.policy import Policy
from nsrl.train import main
from nsrl.trainer import heldout
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.supervised import supervised_step

FEW = ["warm_start.steps=4", "warm_start.batch_size=3", "max_steps=1", "prompts_per_step=2", "num_generations=2",
       "max_completion_length=12", "eval_samples=1", "engine.workers=1", "threads=1", "save_steps=2",
       "save_total_limit=null",
       "preflight=false", "parity_check=false", "data.eval_size=2", "completions_steps=0"]  # fmt: skip


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    """Ten questions with pictures, of which two are test problems too, and rows that cannot be learned."""
    folder = tmp_path_factory.mktemp("rows")
    entries = []
    for number in range(10):
        Image.new("RGB", (64, 64), (20 * number, 9, 99)).save(folder / f"{number}.png")
        asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"<image>Shade {number}?"}]
        answer = {"role": "assistant", "content": f"<nsl>{number}</nsl>"}
        row = {"id": str(number), "images": [f"{number}.png"], "answer": str(number)}
        turn = (
            {"messages": [*asked, answer]}
            if number % 2
            else {"question": asked[1]["content"], "completion": answer["content"]}
        )
        entries.append(row | turn)
    entries += [
        {"id": "long", "question": "word " * 500, "answer": "1", "completion": "1"},
        {"id": "wordy", "question": "What?", "answer": "1", "completion": "one two three four five six"},
        {"id": "padded", "question": "Why?", "answer": "1", "completion": "1<|endoftext|>2"},
        {"id": "ended", "question": "When?", "answer": "1", "completion": "1<|im_end|>2"},
        {"id": "bare", "question": "Who?", "answer": "1"},
    ]
    (folder / "train.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    (folder / "test.jsonl").write_text("".join(json.dumps({"loesung": "3"} | entry) + "\n" for entry in entries[:2]))
    return folder


def test_a_warm_start_on_rows(rows, tmp_path, capsys):
    options = [*FEW, f"data.path={rows}", "data.max_prompt_length=300", "lora.enabled=true", "lora.dropout=0.3"]
    whole = tmp_path / "whole"
    assert main([*options, f"output_dir={whole}"]) == 0
    said = capsys.readouterr().out
    for words in ("2 demonstrations dropped: held out", "1 demonstrations dropped: no completion (first: bare",
                  "1 demonstrations dropped: prompt longer than data.max_prompt_length 300 tokens (first: long",
                  "1 demonstrations dropped: completion longer than max_completion_length 12 tokens (first: wordy",
                  "2 demonstrations dropped: control token in the completion (first: padded"):  # fmt: skip
        assert words in said
    kept = outcome(whole, "adapter_model")
    assert [row["phase"] for row in kept["rows"]] == ["warm_start"] * 4 + ["grpo"]  # nothing is read out
    assert kept["rows"][3]["loss"] < kept["rows"][0]["loss"]
    other = tmp_path / "other"
    shutil.copytree(whole, other, symlinks=True)
    assert main([f"output_dir={other}", f"resume_from_checkpoint={other / 'checkpoint-warm-start-2'}"]) == 0
    assert same(outcome(other, "adapter_model"), kept)
    assert {p.id for p in heldout.choose(EvalConfig(model=str(whole)))[0]} == {"0", "1"}

    # Of a data set of its own, for shapes: what was demonstrated is left out of other evaluations of that set.
    shapes = tmp_path / "shapes"
    own = [f"demonstrations.path={rows}", "demonstrations.source=hf", "demonstrations.split=test",
           "demonstrations.columns.completion=loesung", "demonstrations.columns.question=none"]  # fmt: skip
    with pytest.raises(UserError, match="data.columns must name columns of the data set .*got 'none'"):
        main([*FEW, f"output_dir={shapes}", *own])
    assert main([*FEW, f"output_dir={shapes}", *own[:-1], "max_steps=0", "warm_start.steps=1"]) == 0
    problems, _, notes = heldout.choose(EvalConfig(model=str(shapes), data=f"hf:{rows / 'train.jsonl'}"))
    assert "0" not in {p.id for p in problems} and "1" not in {p.id for p in problems} and len(problems) == 13
    assert "2 problems left out: they were demonstrated to the model" in notes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "warm_start.steps=0 goes without, demonstrations.source=shapes learns those of shapes"),
        (["warm_start.languages={nsl: 1}"], "warm_start.languages cannot act here, because the demonstrations are "
            "rows"),
        (["warm_start.reading_steps=5"], "warm_start.reading_steps cannot act here, because the demonstrations are "
            "rows"),
        (["warm_start.steps=0", "demonstrations.source=hf"], "cannot act here, because warm_start.steps is 0"),
        (["demonstrations.source=shapes", "demonstrations.columns.completion=a"],
        "shapes makes its demonstrations itself"),
        (["demonstrations.path=/no/such"], "demonstrations.path must exist; got '/no/such'"),
        (["demonstrations.columns.answr=a"], "demonstrations.columns must be by role"),
    ],
)  # fmt: skip
def test_what_cannot_be_learned_is_refused(tmp_path, options, words):
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"question": f"{i}+1?", "answer": str(i + 1)}) + "\n" for i in range(5)))
    with pytest.raises(UserError, match=words):
        main([*FEW, f"data.path={file}", f"output_dir={tmp_path / 'run'}", *options])
    assert not (tmp_path / "run").exists()


def test_the_loss_is_over_completions_and_their_end():
    """Packed together, with a prompt that two pictures' problems share nothing of: the mean over all their tokens."""
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=1)
    policy = Policy(vlm.model)
    taught = [one for one, _ in zip(Shapes(1, 0, 0).demonstrations({"nsl": 1.0}), range(3))]
    optimizer = Optimizer(vlm.model, learning_rate=0.0, schedule="constant", warmup=0, total=9, max_grad_norm=1e9)
    together = supervised_step(vlm, policy, optimizer, iter(taught), 3, 90)["loss"]
    apart = [supervised_step(vlm, policy, optimizer, iter([one]), 1, 64)["loss"] for one in taught]
    lengths = [len(vlm.learned_ids(one.text)) for one in taught]
    assert together == pytest.approx(sum(a * n for a, n in zip(apart, lengths)) / sum(lengths), rel=1e-5)
    assert vlm.learned_ids("5<|im_end|>") == vlm.learned_ids("5") == [*vlm.token_ids("5"), vlm.end_of_turn]
