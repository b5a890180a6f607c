"""Runs whose problems are drawn: resumed, in two processes, in stages, and what is evaluated of them afterwards."""

import json
from itertools import islice

import forked
import pytest
import shaping
import torch
from test_draw import own_file

from nsrl.config.draw import DrawConfig
from nsrl.data.made import opened as source_of
from nsrl.data.procedural import content
from nsrl.engines import EnginePool
from nsrl.errors import UserError
from nsrl.trainer import draw, heldout
from nsrl.trainer.distributed import ALONE
from nsrl.trainer.draw import Draw, Streams
from nsrl.trainer.loop import grpo_step
from nsrl.trainer.metrics import CLOCK_KEYS
from nsrl.trainer.problems import ProblemStream

PER_RANK = (*CLOCK_KEYS, "pack/", "engine/submitted", "engine/done")
REWARD = '''
def odd(batch):
    """Spread in most groups, whatever the model has learned."""
    return [float(sum(ids) % 2) for ids in batch.completion_ids]
'''
VERIFIER = """
from nsrl.rewards import Verdict
def even(problem, text, extracted, result):
    return Verdict(len(text) % 2 == 0, "even")
"""
TINY = [
    "data.eval_size=4", "warm_start.steps=0", "prompts_per_step=3", "num_generations=3", "save_steps=1",
    "save_total_limit=null", "completions_steps=1", "max_completion_length=8", "eval_samples=1", "threads=1",
    "engine.workers=1", "preflight=false", "parity_check=false", "logging_steps=1", "max_steps=4",
]  # fmt: skip
DRAWS = {
    "mixture": ["draw.kind=mixture", "draw.weights={1: 1, 2: 1, 3: 1}"],
    "sources": ["draw.kind=mixture", "draw.by=source", "draw.weights={chains: 1, shapes: 1}"],
    "promote": ["draw.kind=promote", "draw.threshold=0.2", "draw.window=4"],
    "tiers": ["draw.kind=tiers", "draw.tiers={some: 0.1 to 0.9}", "draw.by=category", "dynamic_sampling=1"],
    "variance": ["draw.kind=variance", "draw.least=0.3", "draw.decay=0.2"],
    "rlcs": ["draw.kind=rlcs", "draw.most=3", "dynamic_sampling=1", "scale_rewards=batch"],
    "own": ["draw.kind={own}", "draw.arguments={most: 2}", "draw.gate=odd"],
}


def words(folder, name):
    (folder / "reward.py").write_text(REWARD)
    (folder / "verify.py").write_text(VERIFIER)
    own = own_file(folder)
    judged = [f"reward_funcs=[{folder / 'reward.py'}:odd]", "reward_weights=[1.0]",
              f"verifiers={{default: {folder / 'verify.py'}:even}}"]  # fmt: skip
    return [*TINY, *judged, *(word.replace("{own}", own) for word in DRAWS[name])]


def rows(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if not k.startswith(PER_RANK)} for row in lines]


def asked(folder):
    """The problems of each step, in order."""
    import pyarrow.parquet as parquet

    files = sorted((folder / "completions").glob("step_*.parquet"))
    return [list(dict.fromkeys(parquet.read_table(f, columns=["problem_id"])[0].to_pylist())) for f in files]


def done(*argv, module="nsrl.train"):
    result = forked.run(module, *argv)
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.long
@pytest.mark.parametrize("name", DRAWS)
def test_two_processes_and_a_resumed_run_take_the_very_problems(name, tmp_path):
    settings = words(tmp_path, name)
    done(*settings, f"output_dir={tmp_path}/whole")
    whole, taken = rows(tmp_path / "whole"), asked(tmp_path / "whole")
    told = [{k for k in row if k.startswith("draw/")} for row in whole]
    assert len(whole) == 4 and all({"draw/kept"} <= keys for keys in told)
    done(*settings, f"output_dir={tmp_path}/half", "max_steps=2")
    assert "resumed from checkpoint-2" in done(f"output_dir={tmp_path}/half", "--resume", "max_steps=4")
    assert rows(tmp_path / "half") == whole and asked(tmp_path / "half") == taken
    both = forked.ranks(2, "nsrl.train", *settings, f"output_dir={tmp_path}/two")
    assert [rank.returncode for rank in both] == [0, 0], [rank.stderr[-3000:] for rank in both]
    assert asked(tmp_path / "two") == taken
    for one, other in zip(rows(tmp_path / "two"), whole, strict=True):
        assert one.keys() == other.keys()
        assert all(
            one[k] == (v if isinstance(v, str) else pytest.approx(v, rel=1e-4, abs=1e-5)) for k, v in other.items()
        )
    refused = forked.run("nsrl.train", f"output_dir={tmp_path}/half", "--resume", "draw.kind=plain")
    assert refused.returncode == 2 and "draw.kind cannot change when a run is continued" in refused.stderr
    state = json.loads((tmp_path / "whole" / "latest" / "trainer_state.json").read_text())
    drawn = state["drawn"]["grpo"]
    assert sum(drawn.values()) >= sum(map(len, taken)) and state["draw"]["kind"] in " ".join(settings)
    seen = heldout.lineage(str(tmp_path / "whole"))[0].seen_made(frozenset())
    parts = {"mixture": [("shapes", n) for n in (1, 2, 3)], "promote": [("shapes", n) for n in (1, 2, 3)],
             "sources": [("chains", 1), ("shapes", 1)]}.get(name, [("shapes", 1)])  # fmt: skip
    own = source_of("shapes", 1, 0, 4)
    streams = [own if part == ("shapes", 1) else source_of(*part, 0, 0, excluded=own.test()) for part in parts]
    wanted = [stream.seen(train=count) for stream, count in zip(streams, drawn.values(), strict=True)]
    assert seen == set.union(*wanted) and not seen & {content(p) for p in own.test()}


def test_a_stage_draws_as_it_says_and_one_that_joins_goes_on(tmp_path):
    """Rows by category, then by a column of measured pass rates; a stage of its own begins at the beginning."""
    table = [
        {"id": str(i), "question": f"{i}?", "answer": "5", "category": "ab"[i % 2], "rate": i / 20} for i in range(20)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in table))
    stages = ("[{name: a, kind: grpo, steps: 2, draw: {kind: mixture, weights: {a: 1}}}, "
              "{name: b, kind: grpo, steps: 1, joins: a, draw: {kind: mixture, weights: {a: 1}}}, "
              "{name: c, kind: grpo, steps: 1, draw: {kind: tiers, column: rate, tiers: {low: 0 to 0.3}}}, "
              "{name: d, kind: grpo, steps: 1}]")  # fmt: skip
    words = [w for w in TINY if not w.startswith(("max_steps", "warm_start"))]
    done(
        *words,
        "data.source=hf",
        f"data.path={tmp_path / 'rows.jsonl'}",
        f"stages={stages}",
        f"output_dir={tmp_path}/run",
    )
    taken = asked(tmp_path / "run")
    assert [len(ids) for ids in taken] == [3] * 5
    assert all(int(i) % 2 == 0 for ids in taken[:3] for i in ids) and len({i for ids in taken[:3] for i in ids}) >= 7
    assert all(int(i) <= 6 for i in taken[3])
    lines = rows(tmp_path / "run")
    assert ["draw/kept" in row for row in lines] == [True] * 4 + [False] and "draw/refused" in lines[3]
    state = json.loads((tmp_path / "run" / "latest" / "trainer_state.json").read_text())
    assert state["drawn"]["b"]["a"] == 9 and state["draw"] == {} and state["best"]["step"] == 1


class First(Draw):
    """Learns from the first group alone, or from none."""

    kept = (0,)

    def keep(self, outcomes, count):
        self.asked = [one.problem.id for one in outcomes]
        return [*self.kept]

    def report(self, outcomes):
        self.outcomes = outcomes


def test_a_step_learns_from_what_is_kept_and_from_nothing_else(monkeypatch):
    """The update of a rollout of which one group is kept is that of a rollout of this group alone; all that was
    sampled is in the metrics. Without `draw` nobody asks."""
    start, weights = shaping.untrained(), []
    source = source_of("shapes", 1, 0, 10)
    alive = next(i for i, p in enumerate(islice(source.train(), 99)) if sum(map(ord, p.id)) % 3)
    with EnginePool(1) as pool:
        for count, chooser in (
            (4, First(Streams({"": source}), DrawConfig())),
            (1, None),
            (4, First(Streams({"": source}), DrawConfig())),
        ):
            runner = shaping.learner(pool, start, prompts_per_step=count)
            if chooser is not None:
                chooser.streams.go_to({"": alive})
            runner.problems = ProblemStream(source, alive, runner.vlm, ALONE, chooser)
            if len(weights) == 2:
                chooser.kept = ()
            if chooser is None:
                monkeypatch.setattr(draw, "outcomes_of", None)  # it would be an error to call it
            metrics, records = grpo_step(runner, 1)
            monkeypatch.undo()
            weights.append({n: v.clone() for n, v in runner.vlm.model.state_dict().items()})
            assert len(records) == count * shaping.G
            assert any("draw/" in k or k == "perf/rollout_ratio" for k in metrics) == (chooser is not None)
            if chooser is not None:
                assert metrics["draw/kept"] == len(chooser.kept) / 4 and metrics["perf/rollout_ratio"] == 1
                assert [one.mean for one in chooser.outcomes] == pytest.approx(
                    [sum(r["reward"] for r in records[i : i + shaping.G]) / shaping.G for i in range(0, 16, shaping.G)]
                )
        chooser = First(Streams({"": source}), DrawConfig())
        runner.problems = ProblemStream(source, 0, runner.vlm, ALONE, chooser)
        for wrong in ([99], [-1], [True], [0.0]):
            chooser.kept = wrong
            with pytest.raises(UserError, match="keep must return a list of places, 0 to "):
                grpo_step(runner, 2)
    before = dict(start.model.state_dict())
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=1e-5, atol=1e-7)
        assert torch.equal(weights[2][name], before[name]), "a step that keeps nothing learns nothing"
    assert any(not torch.equal(weights[0][n], before[n]) for n in before)
