"""Stages of a run: each is a run of its own from the weights before it, ends when it is to, and goes on bit for bit."""

import json
import math
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch
import yaml
from pyarrow import parquet
from safetensors.torch import load_file
from test_resume import outcome, same

from nsrl import check
from nsrl.config import EvalConfig, LoraConfig, ModelConfig, TrainConfig, from_yaml, parse, require_sound, to_yaml
from nsrl.config.schedules import parse_schedule, scheduled, widest
from nsrl.config.stages import Until, parse_until, planned_stages
from nsrl.data.shapes import Shapes
from nsrl.errors import UserError
from nsrl.models import chats, loading
from nsrl.models.learning import learning, only
from nsrl.models.pack import Group
from nsrl.models.policy import Policy
from nsrl.train import main
from nsrl.trainer import checkpoint, heldout
from nsrl.trainer import loss as objective
from nsrl.trainer.metrics import Timer
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.resume import Order, State, is_over
from nsrl.trainer.supervised import supervised_step
from nsrl.types import Problem

FEW = [
    "data.eval_size=4", "warm_start.batch_size=4", "prompts_per_step=2", "num_generations=3", "save_steps=2",
    "save_total_limit=null", "completions_steps=1", "max_completion_length=10", "eval_samples=1", "threads=1",
    "engine.workers=1", "parity_check=false", "preflight=false", "eval_size_midway=3", "logging_steps=99",
]  # fmt: skip
REWARD = '''
def odd(batch):
    """Spread in every group, and another value every time the same is asked."""
    batch.state["calls"] = batch.state.get("calls", 0) + 1
    return [float((ids[0] + len(ids) + batch.state["calls"]) % 3) for ids in batch.completion_ids]
'''


@pytest.fixture(scope="module")
def reward(tmp_path_factory):
    file = tmp_path_factory.mktemp("rewards") / "mine.py"
    file.write_text(REWARD)
    return [f"reward_funcs=[{file}:odd]", "reward_weights=[1.0]"]


def run(folder, *options, stages=()):
    given = [f"stages={json.dumps(list(stages))}"] if stages else []
    few = [
        option
        for option in FEW
        if stages or ("midway" not in option and ("warm_start.steps=0" not in options or "warm_start" not in option))
    ]
    assert main([f"output_dir={folder}", *few, *map(str, options), *given]) == 0
    return folder


STAGES = [
    {"name": "shown", "kind": "supervised", "until": "loss <= 99", "min_steps": 20, "max_steps": 30,
        "data": {"level": 1}},
    {"name": "looked", "kind": "evaluate"},
    {"name": "easy", "kind": "grpo", "until": "eval/accuracy >= 0 every 2", "max_steps": 5, "min_steps": 3,
        "beta": 0.05, "schedules": {"learning_rate": "linear 0.0006 0"},
     "data": {"level": 1}},
    {"name": "on", "kind": "grpo", "joins": "easy", "steps": 1, "data": {"level": 1}, "beta": 0.05,
        "schedules": {"learning_rate": "linear 0.0006 0", "reward_noise": "linear 0.6 0"}},
    {"name": "hard", "kind": "grpo", "steps": 3, "learning_rate": 0.001,
     "schedules": {"beta": "cosine 0.04 0", "reward_weights.odd": "0.5 until 1 then 1", "temperature": "linear 1 0.7"}},
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory, reward):
    return run(tmp_path_factory.mktemp("whole") / "run", *reward, "data.level=2", "save_steps=3", stages=STAGES)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.long
def test_stages_end_when_they_are_to_and_keep_what_is_said(whole):
    rows = rows_of(whole)
    # 20 losses make the mean; the easy stage has its minimum behind the evaluation at step 2, and is asked again at 4
    assert [row["phase"] for row in rows] == ["shown"] * 20 + ["easy"] * 3 + ["on"] + ["hard"] * 3
    assert [row["step"] for row in rows] == [*range(1, 21), 1, 2, 3, 1, 1, 2, 3]
    easy, on, hard = rows[20:23], rows[23], rows[24:]
    assert "eval/worst_category" in easy[1] and "eval/worst_category" not in easy[0]
    assert abs(easy[0]["kl"]) < 1e-7 < easy[1]["kl"] and on["kl"] > 1e-6 and abs(hard[0]["kl"]) < 1e-7  # own references
    assert [row["schedule/beta"] for row in hard] == [0.02 * (1 + math.cos(math.pi * t / 3)) for t in range(3)]
    assert [row["schedule/reward_weights.odd"] for row in hard] == [0.5, 1, 1]
    assert [row["schedule/temperature"] for row in hard] == [1, 1 + (0.7 - 1) * (1 / 3), 1 + (0.7 - 1) * (2 / 3)]
    rates = [(row["learning_rate"], row["schedule/learning_rate"]) for row in [*easy, on]]  # over 5 + 1 steps
    assert rates == [(pytest.approx(0.0006 - 0.0001 * t), pytest.approx(0.0006 - 0.0001 * t)) for t in range(4)]
    assert on["schedule/reward_noise"] == pytest.approx(0.3)  # of a stage that goes on, too
    kept = {p.name: json.loads((p / "trainer_state.json").read_text()) for p in checkpoint.kept(whole)}
    positions = {
        name: (state["position"], state["rewards"].get("odd", {}).get("calls")) for name, state in kept.items()
    }
    assert positions["checkpoint-easy-3"] == (6, 3) and positions["checkpoint-on-1"] == (8, 4)  # joined: they go on
    assert positions["checkpoint-hard-3"] == (6, 3) and kept["checkpoint-hard-3"]["done"]["shown"] == [20, 0]
    assert sorted(p.stem for p in (whole / "completions").iterdir()) == [f"step_{n:06d}" for n in range(1, 8)]
    assert {p.stem for p in (whole / "eval").glob("*.json")} == {"warm_start", "looked", "step_000002", "final"}
    summary = json.loads((whole / "summary.json").read_text())
    assert summary["steps"] == {"shown": 20, "easy": 3, "on": 1, "hard": 3}
    assert set(summary["evaluations"]) == {"warm_start", "looked", "final"}
    of = {
        name: json.loads((whole / "eval" / f"{name}.json").read_text())["of"]
        for name in ("warm_start", "final", "looked")
    }
    assert of["warm_start"]["problems"] == of["final"]["problems"] == of["looked"]["problems"]


@pytest.mark.long
def test_what_each_stage_learned_from_is_left_out_of_evaluations(whole):
    rows = parquet.read_table(whole / "eval" / "final.parquet").to_pylist()
    own = heldout.choose(EvalConfig(model=str(whole)))[0]
    assert {p.id for p in own} == {row["problem_id"] for row in rows}
    (run,) = heldout.lineage(str(whole))
    easy, hard = Shapes(1, 0, 0, excluded=own), Shapes(2, 0, 4)
    seen = easy.seen(demonstrations=20 * 4, train=8) | hard.seen(train=6)  # `on` goes on in the stream of `easy`
    assert run.seen_made(set()) == seen and len(seen) > 80


@pytest.mark.long
@pytest.mark.parametrize("name", ["shown-18", "easy-3", "on-1"])
def test_going_on_is_the_same_run_across_borders(whole, tmp_path, name):
    """From within a supervised stage that a condition ends, from the end of one of GRPO, and between joined ones."""
    again = tmp_path / "again"
    shutil.copytree(whole, again, symlinks=True)
    assert main([f"output_dir={again}", f"resume_from_checkpoint={again}/checkpoint-{name}"]) == 0
    assert same(outcome(again), outcome(whole))
    assert sorted(p.name for p in (again / "eval").iterdir()) == sorted(p.name for p in (whole / "eval").iterdir())
    for file in ("completions/step_000007.parquet", "eval/final.parquet"):
        assert (again / file).read_bytes() == (whole / file).read_bytes()


@pytest.mark.long
def test_stages_are_runs_one_after_the_other(tmp_path, reward):
    """Weights bit for bit: supervised at one rate and in one mode, then GRPO with another G, temperature and prompt."""
    stages = [
        {
            "name": "shown",
            "kind": "supervised",
            "steps": 3,
            "warm_start": {"learning_rate": 0.002},
            "prompt": {"mode": "sympy"},
            "max_grad_norm": 0.1,
        },
        {"name": "looked", "kind": "evaluate", "prompt": {"mode": "nsl", "prefill": "open"}},
        {
            "name": "sampled",
            "kind": "grpo",
            "steps": 2,
            "num_generations": 4,
            "temperature": 0.9,
            "learning_rate": 0.001,
            "prompt": {"mode": "nsl", "prefill": "open"},
        },
    ]
    one = run(tmp_path / "one", *reward, stages=stages)
    first = run(tmp_path / "first", "warm_start.reading_steps=0", "warm_start.steps=3", "max_steps=0",
                "warm_start.learning_rate=0.002", "prompt.mode=sympy", "max_grad_norm=0.1")  # fmt: skip
    options = ["warm_start.steps=0", "max_steps=2", "num_generations=4", "temperature=0.9", "learning_rate=0.001"]
    options += ["prompt.mode=nsl", "prompt.prefill=open"]
    second = run(tmp_path / "second", *reward, *[f"model.name={first}", *options])
    weights = lambda folder: (checkpoint.latest(folder) / "model.safetensors").read_bytes()
    assert weights(one) == weights(second)
    # evaluations and checkpoints are asked as the run is, but for a stage that only evaluates
    final, looked = (parquet.read_table(one / "eval" / f"{name}.parquet").to_pylist() for name in ("final", "looked"))
    assert [r["prompt_tokens"] + 1 for r in final] == [r["prompt_tokens"] for r in looked]
    of = json.loads((one / "eval" / "looked.json").read_text())["of"]
    assert of["prompt"]["mode"] == "nsl" and looked[0]["question"] == final[0]["question"]
    own = lambda folder: json.loads((checkpoint.latest(folder) / "nsrl.json").read_text())
    assert "prompt" not in own(one) and own(second)["prompt"]["mode"] == "nsl"
    config = from_yaml(TrainConfig, (one / "config.yaml").read_text())
    assert config.stages == stages and from_yaml(TrainConfig, to_yaml(config)).stages == stages
    with pytest.raises(UserError, match="stages cannot change when a run is continued"):
        main([f"output_dir={one}", "--resume", f"stages={json.dumps(stages[:1])}"])


@pytest.mark.long
def test_a_stage_trains_the_parts_it_names(tmp_path, reward):
    """Weights bit for bit those of two runs; what does not learn stays as it is, and one that goes on is the same."""
    stages = [
        {"name": "seen", "kind": "supervised", "steps": 2, "train": ["merger", "vision"]},
        {"name": "sampled", "kind": "grpo", "steps": 3, "train": ["language"], "beta": 0.05, "learning_rate": 0.001},
    ]
    one = run(tmp_path / "one", *reward, "preflight=true", "save_steps=1", stages=stages)
    first = run(tmp_path / "first", "warm_start.reading_steps=0", "warm_start.steps=2", "max_steps=0",
                "train=[merger,vision]")  # fmt: skip
    second = run(tmp_path / "second", *reward, f"model.name={first}", "warm_start.steps=0", "max_steps=3",
                 "train=[language]", "beta=0.05", "learning_rate=0.001")  # fmt: skip
    weights = lambda folder: load_file(folder / "model.safetensors")
    begun, seen, end = (weights(one / f"checkpoint-{name}") for name in ("seen-1", "seen-2", "sampled-3"))
    assert all(torch.equal(end[name], weight) for name, weight in weights(checkpoint.latest(second)).items())
    changed = lambda a, b: {name for name in a if not torch.equal(a[name], b[name])}
    assert changed(begun, seen) == {name for name in seen if ".visual." in name}
    assert changed(seen, end) == {name for name in seen if ".visual." not in name}
    trainable = [json.loads((one / "preflight.json").read_text())["stages"][name] for name in ("seen", "sampled")]
    assert trainable[0] != trainable[1]
    again = tmp_path / "again"
    shutil.copytree(one, again, symlinks=True)
    assert main([f"output_dir={again}", f"resume_from_checkpoint={again}/checkpoint-seen-1"]) == 0
    assert same(outcome(again), outcome(one))
    with pytest.raises(UserError, match=r"train must name parts that learn in this run \(language, merger, vision\)"):
        run(tmp_path / "none", *reward, "max_steps=1", "warm_start.steps=0", "train=[head]")


@pytest.mark.parametrize("learns", [["merger"], ["vision"]])
def test_a_batch_that_holds_nothing_of_what_learns_changes_nothing(learns):
    """A stage of the merger or the tower on texts, supervised and sampled; with a picture in it, that part learns."""
    vlm = loading.load(ModelConfig(), LoraConfig(enabled=False), seed=1)
    policy = Policy(vlm.model)
    taught = list(islice(Shapes(1, 0, 0).demonstrations({"nsl": 1.0}), 3))
    texts = [replace(one, problem=Problem(str(i), f"{i}+1?", str(i + 1))) for i, one in enumerate(taught)]
    weights = lambda: {n: p.detach().clone() for n, p in vlm.model.named_parameters()}
    with only(vlm, learns):
        options = dict(learning_rate=1e-3, schedule="constant", warmup=0, total=9, max_grad_norm=1e9, gate=0.5)
        optimizer, before = Optimizer(vlm.model, **options), weights()
        told = supervised_step(vlm, policy, optimizer, iter(texts), 3, 90)
        assert told["loss"] > 0 and told["grad_norm"] == 0 and told["learning_rate"] == 1e-3
        groups = [Group(vlm.encode(one.problem), [vlm.learned_ids(one.text)] * 2) for one in texts]
        vector = objective.backward(
            policy, policy.pack(groups, 90), torch.linspace(-1, 1, 6), None, None, None, 6.0, TrainConfig(),
            torch.tensor(vlm.banned_ids()), Timer(),
        )  # fmt: skip
        assert torch.isfinite(vector).all() and float(optimizer.step()) == 0
        assert all(torch.equal(weight, before[name]) for name, weight in weights().items())
        assert supervised_step(vlm, policy, optimizer, iter([*texts, *taught]), 6, 90)["grad_norm"] > 0
        changed = {name for name, weight in weights().items() if not torch.equal(weight, before[name])}
        assert changed and all((".merger." in name or "_merger_list" in name) == (learns == ["merger"])
                               and ".visual." in name for name in changed)  # fmt: skip


@pytest.mark.parametrize("wanted", [["lora"], ["merger"], ["vision", "lora"]])
def test_parts_of_a_model_with_an_adapter(wanted):
    vlm = loading.load(ModelConfig(freeze_vision_tower=False), LoraConfig(enabled=True))
    own = learning(vlm)
    assert own.keys() == {"lora", "merger", "vision"}
    with only(vlm, wanted):
        assert sorted(learning(vlm)) == sorted(wanted)
        weights = [w for part in wanted for w in own[part]]
        assert len(Optimizer(vlm.model, learning_rate=1.0, schedule="constant", warmup=0, total=1, max_grad_norm=1.0)
                   .parameters) == len(weights)  # fmt: skip
    assert {part: len(of) for part, of in learning(vlm).items()} == {part: len(of) for part, of in own.items()}


def test_rows_are_measured_as_their_stage_asks(tmp_path):
    rows = [{"question": "x " * n, "answer": str(n)} for n in range(1, 41)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stages = [STAGE, STAGE | {"name": "b", "prompt": {"prefill": "y " * 6}}]
    config = parse(TrainConfig, ["data.source=hf", f"data.path={tmp_path}/rows.jsonl", "data.eval_size=2",
                                 "data.max_prompt_length=40", f"stages={json.dumps(stages)}"], "nsrl")  # fmt: skip
    vlm = loading.load(config.model, config.lora, 0, config.prompt)
    own = heldout.own_data(config, State(), vlm)
    found = []
    for stage in planned_stages(config):
        with vlm.asked(chats.chat_for(vlm, stage.config.prompt)):
            data = heldout.stage_data(stage.config, config, own, vlm)
            assert max(vlm.prompt_lengths(data.longest)) <= 40 and data.held_out == own.held_out
            found.append({p.question for p in data.longest})
    assert found[1] < found[0] and vlm.chat == chats.chat_for(vlm, config.prompt)


def test_the_shipped_curriculum(tmp_path, capsys):
    """The recipe as it is, with fewer steps."""
    recipe = Path(parse.__code__.co_filename).parents[1] / "recipes" / "curriculum.yaml"
    content = yaml.safe_load(recipe.read_text())
    for stage in content["stages"]:
        stage |= {
            key: {"steps": 2, "max_steps": 3, "min_steps": 1}[key]
            for key in ("steps", "max_steps", "min_steps")
            if key in stage
        }
        if "until" in stage:
            stage["until"] = stage["until"].replace("every 20", "every 2")
    file = tmp_path / "few.yaml"
    file.write_text(yaml.safe_dump(content))
    assert check.main([f"recipe={file}", "max_completion_length=10", "threads=1"]) == 0
    assert capsys.readouterr().out.count("preflight: worst group") == 4
    folder = run(tmp_path / "run", f"recipe={file}")
    assert [row["phase"] for row in rows_of(folder)] == ["reading"] * 2 + ["shown"] * 3 + ["easy"] * 3 + ["hard"] * 2
    levels = {
        stage.name: stage.config.data.level
        for stage in planned_stages(from_yaml(TrainConfig, (folder / "config.yaml").read_text()))
    }
    assert levels == {"reading": 1, "shown": 1, "easy": 1, "before_hard": 2, "hard": 2}


def test_the_default_warm_start_can_end_by_a_condition(tmp_path):
    options = ["warm_start.reading_steps=30", "warm_start.steps=30", "max_steps=0", "eval_size_midway=3"]
    conditions = ["warm_start.reading_until=loss < 99", "warm_start.until=eval/greedy_accuracy >= 0 every 2"]
    folder = run(tmp_path / "run", *options, *conditions)
    assert [(row["phase"], row["step"]) for row in rows_of(folder)][-3:] == [
        ("reading", 20),
        ("warm_start", 1),
        ("warm_start", 2),
    ]
    assert json.loads((folder / "summary.json").read_text())["steps"] == {
        "reading": 20,
        "warm_start": 2,
        "extra": 0,
        "grpo": 0,
    }
    before = (folder / "eval" / "warm_start.json").stat().st_mtime_ns
    assert main([f"output_dir={folder}", "--resume"]) == 0  # ended: nothing is done again
    assert len(rows_of(folder)) == 22 and (folder / "eval" / "warm_start.json").stat().st_mtime_ns == before


def test_a_condition_is_met_by_the_mean_of_20_steps_or_by_an_evaluation():
    loss = parse_until("loss<=0.3", "supervised", "until")
    assert loss == Until("loss", "<=", 0.3, 0)
    assert not loss.met([0.0] * 19) and loss.met([0.3] * 20) and not loss.met([0.3] * 19 + [0.31])
    best = parse_until("eval/worst_category > 4e-1 every 7", "grpo", "until")
    assert best == Until("eval/worst_category", ">", 0.4, 7)
    assert not best.met([]) and not best.met([0.9, 0.4]) and best.met([0.1, 0.5])
    config = TrainConfig(
        stages=[{"name": "a", "kind": "grpo", "until": "reward > 0", "max_steps": 50, "min_steps": 30}]
    )
    state = State(phase="a", step=29, watched=[1.0] * 20)
    assert not is_over(config, "a", state) and is_over(config, "a", State(phase="a", step=30, watched=[1.0] * 20))
    assert Order.of(config).names == ("a",) and is_over(config, "a", State(phase="a", step=50))


@pytest.mark.parametrize(("until", "first"), [("reward > 1", 20), ("eval/accuracy > 0 every 9", 9)])
def test_a_condition_that_is_never_asked_is_told(until, first, capsys):
    stage = {"name": "a", "kind": "grpo", "until": until, "max_steps": 9}
    require_sound(parse(TrainConfig, [f"stages={json.dumps([stage])}"], ""))
    assert f"stage 'a': until cannot act in this run: {until.split()[0]} is asked first behind step {first}, and" in (
        capsys.readouterr().out
    )


def test_schedules():
    assert [parse_schedule("linear 1 0", "x").at(done, 4) for done in range(5)] == [1, 0.75, 0.5, 0.25, 0]
    for t in range(10):  # Visionary-R1's beta
        assert parse_schedule("cosine 0.04 0", "x").at(t, 10) == pytest.approx(
            0.04 / 2 * (1 + math.cos(math.pi * t / 10))
        )
    steps = parse_schedule("0 until 3 then .5 until 5 then 1e-1", "x")
    assert [steps.at(done, 9) for done in range(7)] == [0, 0, 0, 0.5, 0.5, 0.1, 0.1]
    assert parse_schedule("constant 2", "x").at(7, 9) == parse_schedule("2", "x").at(0, 9) == 2
    line = ["schedules.learning_rate=cosine 1e-3 0", "schedules.reward_weights.short=0 until 1 then 0.2"]
    require_sound(config := parse(TrainConfig, [*line, "schedules.beta=linear 0 1", "use_bias_correction_kl=true"], ""))
    assert [scheduled(config, done, 2)[0].reward_weights[2] for done in range(2)] == [0, 0.2]
    config = TrainConfig(schedules={"beta": "linear 0.1 0", "reward_weights.short": "0 until 1 then 0.2"})
    assert widest(config).beta == 0.1 and scheduled(config, 1, 2)[0].reward_weights == [1.0, 0.1, 0.2]
    entries = [{"name": "correct"}, {"name": "laser", "target": 9}]
    config = TrainConfig(rewards=entries, schedules={"rewards.laser.weight": "linear 1 0", "temperature": "0.5"})
    half, values = scheduled(config, 1, 2)
    assert half.rewards == [{"name": "correct", "weight": 1}, {"name": "laser", "weight": 0.5, "target": 9}]
    assert half.temperature == 0.5 and values == {"rewards.laser.weight": 0.5, "temperature": 0.5}


def test_schedules_of_the_objective():
    """Coefficients, shares and caps of `objective.*`: what a step minimises, and the configuration as it was."""
    line = ["schedules.objective.nll_coef=linear 0.1 0", "schedules.objective.top_entropy=1 until 1 then 0.2",
            "beta=0.1", "schedules.objective.kl_cov=0 until 1 then 0.1", "objective.drift_coef=2", "mini_batches=2",
            "schedules.objective.kl_clamp=cosine 10 2", "schedules.objective.dual_clip=linear 10 3",
            "schedules.objective.importance_cap=2 until 1 then 1.5", "sampler_correction=truncate",
            "schedules.objective.kl_log_clamp=20", "schedules.objective.clip_cov=linear 0 0.01"]  # fmt: skip
    require_sound(config := parse(TrainConfig, line, ""))
    steps = [scheduled(config, done, 2)[0].objective for done in range(2)]
    assert [step.nll_coef for step in steps] == [0.1, 0.05] and [step.kl_clamp for step in steps] == [10, 6]
    assert [step.top_entropy for step in steps] == [1, 0.2] and [step.chooses for step in steps] == [False, True]
    assert [step.dual_clip for step in steps] == [10, 6.5] and [step.importance_cap for step in steps] == [2, 1.5]
    assert [step.kl_cov for step in steps] == [0, 0.1] and steps[1].handed_on().drift_coef == 2
    assert (config.objective.nll_coef, config.objective.dual_clip, widest(config).objective.kl_cov) == (0, None, 0.1)


STAGE = {"name": "a", "kind": "grpo", "steps": 3}
JOINED = {"name": "b", "joins": "a"}
UNTIL = {"steps": None, "until": "reward > 1", "max_steps": 9}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"stages": [STAGE | {"temperature": 99}]}, "stage 'a': temperature must be at least 0.01 and at most 10; got "
            "99"),
        ({"stages": [STAGE | {"reward_weights": [1]}]}, "stage 'a': reward_weights must have one weight per reward"),
        ({"stages": [STAGE | {"tempratur": 1}]}, "stage 'a': unknown configuration key 'tempratur'; did you mean "
            "'temperature'"),
        ({"stages": [STAGE | {"seed": 1}]}, "stage 'a': seed is of the whole run"),
        ({"stages": [STAGE | {"lora": {"r": 4}}]}, "stage 'a': lora.r is of the whole run"),
        ({"train": "[merge]"}, "train must name parts .*got 'merge'; did you mean 'merger'"),
        ({"train": "[]"}, "train must name a part at least"),
        ({"stages": [STAGE, STAGE | {"name": "b", "joins": "a", "train": ["language"]}]}, "stage 'b': train must be as "
            "in a"),
        ({"stages": [STAGE | {"prompt": {"mode": "any", "prefill": "open"}}]}, "stage 'a': prompt.prefill=open needs"),
        ({"stages": [STAGE | {"prompt": {"system": "none.txt"}}]}, "stage 'a': prompt.system cannot act here"),
        ({"stages": [STAGE, {"name": "b", "kind": "evaluate", "beta": 1}]}, "stage 'b': beta cannot act in a stage "
            "that only evaluates"),
        ({"stages": [STAGE | {"warm_start": {"batch_size": 4}}]}, "stage 'a': warm_start.batch_size cannot act here"),
        ({"stages": [STAGE | {"data": {"split": "x"}}]}, "stage 'a': data.split cannot act here"),
        ({"stages": [STAGE | {"until": "loss < 1"}]}, "either steps or until must be given; got both"),
        ({"stages": [STAGE | {"steps": None}]}, "either steps or until must be given; got none"),
        ({"stages": [STAGE | {"steps": 0}]}, "stage 'a': steps must be at least 1"),
        ({"stages": [STAGE | {"max_steps": 9}]}, "max_steps are for a stage with until"),
        ({"stages": [{"name": "a", "kind": "grpo", "until": "loss < 1", "max_steps": 3}]}, "until must compare one of "
            "reward, .*got 'loss'"),
        ({"stages": [{"name": "a", "kind": "grpo", "until": "reward == 1", "max_steps": 3}]},
        "until must be METRIC <= NUMBER"),
        ({"stages": [{"name": "a", "kind": "grpo", "until": "reward > 1 every 3", "max_steps": 3}]}, "of eval/… alone"),
        ({"stages": [{"name": "a", "kind": "grpo", "until": "reward > 1"}]}, "max_steps must be given with until"),
        ({"stages": [STAGE, STAGE]}, "name must be small letters, digits and underscores, and its own"),
        ({"stages": [STAGE | {"name": "A b"}]}, "name must be small letters"),
        ({"stages": [STAGE | {"kind": "sft"}]}, "kind must be one of supervised, grpo, evaluate; got 'sft'"),
        ({"stages": [STAGE | {"joins": "b"}]}, "joins must name the learning stage before it"),
        ({"stages": [STAGE | {"readings": True}]}, "readings is for kind=supervised"),
        ({"stages": [{"name": "final", "kind": "evaluate"}]}, "name is that of an evaluation every run makes"),
        ({"stages": [{"name": "x", "kind": "evaluate"}]}, "stages must have one that learns"),
        ({"stages": [{"name": "x", "kind": "evaluate", "steps": 3}]}, "steps cannot act in a stage that only "
            "evaluates"),
        ({"stages": ["a"]}, "stages must be a list of mappings"),
        ({"stages": [STAGE], "max_steps": 3}, "max_steps cannot act here, because stages say what is done"),
        ({"stages": [STAGE], "warm_start.batch_size": 3}, "warm_start.batch_size cannot act here"),
        ({"stages": [STAGE | {"schedules": {"beta": "up"}}]}, "stage 'a': schedules.beta must be .constant A."),
        ({"schedules": {"beta": "linear 0 -1"}}, "schedules.beta must be at least 0; got -1"),
        ({"schedules": {"num_generations": "2"}}, "schedules must be of learning_rate, .*got 'num_generations'"),
        ({"schedules": {"reward_weights.shor": "2"}}, "did you mean 'reward_weights.short'"),
        ({"schedules": {"beta": "1 until 5 then 2 until 3 then 1"}}, "schedules.beta must be"),
        ({"schedules": {"beta": "0.1"}, "beta": 0.1}, "beta cannot act here, because schedules.beta says it"),
        ({"schedules": {"learning_rate": "0.1"}, "warmup_steps": 3}, "warmup_steps cannot act here"),
        ({"schedules": {"objective.kl_clamp": "linear 5 1"}}, "schedules cannot act here, because of "
            "objective.kl_clamp beta is 0"),
        ({"schedules": {"objective.drift_coef": "2"}}, "of objective.drift_coef objective.kl_cov is 0"),
        ({"schedules": {"objective.dual_clip": "linear 3 0.5"}}, "schedules.objective.dual_clip must be above 1 or "
            "null; got 0.5"),
        ({"schedules": {"objective.dual_clip": "3"}, "loss_type": "gmpo"}, "objective.dual_clip must be null with "
            "loss_type=gmpo"),
        ({"schedules": {"objective.tau": "1"}}, "schedules must be of .*got 'objective.tau'"),
        ({"stages": [STAGE, {"name": "x", "kind": "evaluate", "temperature": 0.5}]}, "'x': temperature cannot act in a "
            "stage that only evaluates"),
        ({"stages": [STAGE | {"data": 3}]}, "'a': data is a group of keys, data.source and others; got"),
        ({"stages": [STAGE, STAGE | JOINED | {"learning_rate": 1e-4}]}, "'b': learning_rate must be as in 'a'"),
        ({"stages": [STAGE, STAGE | JOINED | {"max_grad_norm": 2}]}, "'b': max_grad_norm must be as in 'a', .*1.0"),
        ({"stages": [STAGE, STAGE | JOINED | {"schedules": {"learning_rate": "1e-4"}}]}, "'b': schedules.learn"),
        ({"stages": [STAGE, STAGE | JOINED | {"schedules": {"beta": "linear 0 1"}}]}, "'b': beta must be 0 as in 'a'"),
        ({"stages": [STAGE | UNTIL | {"until": "pass@1 >= 30"}]}, "until must compare with a share from 0 to 1, as "
            "pass@1 is; got 30"),
        ({"stages": [STAGE | UNTIL | {"until": "kl < 1e999"}]}, "until must compare with a finite number; got 1e999"),
        ({"stages": [STAGE | UNTIL | {"until": "kl < 1"}]}, "'a': until must not compare kl where beta is 0"),
        ({"stages": [{"name": "a", "kind": "supervised", "readings": True, "steps": 1, "demonstrations": {"path":
            __file__}}]}, "'a': readings are of pictures that can be read out, as those of shapes; got the rows of"),
        ({"warm_start.until": "loss << 3"}, "warm_start.until must be METRIC <= NUMBER"),
        ({"warm_start.reading_until": "reward > 3"}, "warm_start.reading_until must compare one of loss, "),
        ({"warm_start.until": "loss < 3", "warm_start.steps": 0}, "warm_start.until cannot act here"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_starts(options, words):
    line = [
        f"{name}={json.dumps(value) if isinstance(value, list | dict) else value}" for name, value in options.items()
    ]
    with pytest.raises(UserError, match=words):
        require_sound(parse(TrainConfig, line, "nsrl train"))
