"""No key lies: every key of every command has a line here, which names where it is shown to act or to be refused.

A key without a line fails. `SHOWN` names tests: those of this file run the key and watch what changes; others are named
by their path, must exist and must speak of the key. What is refused or told in a combination stands in
`test_bad_input.py` and below.
"""

import ast
import copy
import dataclasses
import json
import re
from functools import lru_cache
from pathlib import Path

import pytest
import torch

from nsrl.config import (
    EngineConfig,
    EvalConfig,
    ExperimentConfig,
    GalleryConfig,
    HarvestConfig,
    LoraConfig,
    ModelConfig,
    ObjectiveConfig,
    SolveConfig,
    TrainConfig,
    from_yaml,
    parse,
    require_sound,
    to_yaml,
)
from nsrl.config.acts import EVAL, HARVEST, SOLVE, TRAIN
from nsrl.config.keys import flat, keys
from nsrl.config.names import OTHERS
from nsrl.config.ranges import LANGUAGES, REPORTERS
from nsrl.config.schema import SCALES
from nsrl.errors import UserError
from nsrl_kernels import Objective
from nsrl_kernels.ops.policy_loss.spec import OPTIONS as OF_POLICY_LOSS

ROOT = Path(__file__).resolve().parents[1]
STAGES = "tests/trainer/test_stages.py::"
RESUME, RANKS = "tests/trainer/test_resume.py::", "tests/trainer/test_distributed.py::"
MODEL, STEP, RUN, DATA, EVALUATED, SOLVED = (
    "test_keys_of_the_model", "test_keys_of_a_step", "test_keys_of_a_run", "test_keys_of_data", "test_keys_of_eval",
    "test_keys_of_solve",
)  # fmt: skip
POOL = "test_keys_of_the_pool"
# An option of policy_loss acts where its test shows it, and reaches it: the objective is handed on whole.
OF_THE_OP = "tests/ops/test_policy_loss.py::test_an_objective_is_taken_whole_or_by_its_options"
REFUSED = "tests/test_bad_input.py::test_one_sentence"
ENGINE = {f"engine.{name}": POOL for name in ("workers", "cpu_s", "wall_s", "memory_mb", "allow_unsandboxed",
          "backend", "command")}  # fmt: skip
HARVESTED = "tests/trainer/test_harvest.py::test_every_key_of_a_harvest_and_an_interrupted_one"
PAPER = "tests/test_experiment_checkpoint.py::"
EXPERIMENT = "tests/test_experiment.py::"
GALLERY = "tests/test_gallery.py::"
CONTEXTS = "tests/trainer/test_contexts.py::"
DRAWN = "tests/trainer/test_draw.py::"
NOISE = "tests/data/test_procedural.py::test_each_knob_does_what_it_says"
MADE_RUN = "tests/trainer/test_made_run.py::test_a_run_on_chains_and_what_evaluates_it"
SPANS = "tests/rewards/test_spans.py::test_a_reward_file_pays_by_spans_and_their_tokens"
VERIFIED = "tests/trainer/test_verifiers.py::test_a_run_and_its_commands_are_judged_by_the_users_verifier"
TALK = "tests/trainer/test_turns.py::"
TURNS = {
    "turns.max": TALK + "test_a_step_learns_from_what_the_policy_wrote_and_from_nothing_else",
    "turns.observe": TALK + "test_a_crop_comes_back_as_a_picture",
    **dict.fromkeys(("turns.max_observation", "turns.around"),
                    TALK + "test_what_is_shown_is_no_longer_than_allowed_and_holds_no_control_token"),
    "turns.stop": TALK + "test_stop_texts_become_tokens_or_texts",
    **dict.fromkeys(("turns.on_length", "turns.reserve"), TALK + "test_the_forced_answer_is_in_the_step"),
}  # fmt: skip
PROMPTS = "tests/models/test_prompts.py"
ASKED = {
    **{f"prompt.{name}": f"{PROMPTS}::test_a_run_under_a_head_of_the_turn_and_what_evaluates_it"
       for name in ("mode", "examples", "prefill")},
    "prompt.system": "tests/data/test_chat.py::test_a_file_comes_before_a_rows_own_text_and_that_before_the_modes",
    "prompt.images": f"{PROMPTS}::test_a_prompt_is_the_chat_template_of_hand_written_messages",
    "prompt.delimiters": f"{PROMPTS}::test_delimiters_take_two_tokens_of_output_at_most",
}  # fmt: skip
SHOWN = {
    TrainConfig: {
        "recipe": "tests/test_config.py::test_the_paper_recipe_is_the_seeds_experiment",
        "output_dir": RUN,
        "resume": RESUME + "test_killed_and_resumed_is_the_same_run",
        "resume_from_checkpoint": RANKS + "test_two_sharded_ranks_go_on_from_one_process",
        "seed": STEP,
        **{f"model.{name}": MODEL for name in ("name", "dtype", "device", "attention", "freeze_vision_tower",
        "min_pixels",
                                               "max_pixels", "gradient_checkpointing")},
        "model.liger": "tests/models/test_policy.py::test_liger_kernels_change_nothing_but_rounding",
        **{f"lora.{name}": MODEL for name in ("enabled", "r", "alpha", "target_modules")},
        "lora.dropout": MODEL,
        **{f"data.{name}": DATA for name in ("source", "path", "split", "columns", "max_prompt_length")},
        "data.subset": REFUSED,  # acts on the Hub alone
        **{f"data.{name}": "tests/trainer/test_data_run.py::"
           "test_rows_that_cannot_be_shown_cost_themselves_and_a_resumed_run_is_the_same"
           for name in ("picture_memory_mb", "picture_threads")},
        **{f"data.{name}": RUN for name in ("level", "eval_size")},
        **{f"data.{name}": NOISE for name in ("noise", "occlusion", "contrast")},
        **{f"demonstrations.{name}": "tests/trainer/test_taught.py::test_a_warm_start_on_rows"
           for name in ("source", "path", "split", "columns")},
        **{f"warm_start.{name}": RUN for name in ("steps", "reading_steps", "batch_size", "optimizer", "learning_rate",
        "languages", "wrong")},
        **{f"warm_start.{name}": STAGES + "test_the_default_warm_start_can_end_by_a_condition"
           for name in ("until", "reading_until")},
        "stages": STAGES + "test_stages_end_when_they_are_to_and_keep_what_is_said",
        "schedules": STAGES + "test_stages_end_when_they_are_to_and_keep_what_is_said",
        **ENGINE,
        **ASKED,
        "spans": SPANS,
        **TURNS,
        "max_steps": RUN,
        "extra_supervised_steps": DATA,
        "shuffle_rewards": STEP,
        "reward_noise": STEP,
        "prompts_per_step": STEP,
        "num_generations": STEP,
        "max_completion_length": STEP,
        "temperature": STEP,
        "top_p": REFUSED,
        "top_k": REFUSED,
        "reward_funcs": STEP,
        "reward_weights": STEP,
        "rewards": STEP,
        "combine": STEP,
        "verifiers": VERIFIED,
        "data.answered": VERIFIED,
        "scale_rewards": STEP,
        **{key.name: OF_THE_OP for key in keys(TrainConfig).values() if key.path[0] == "objective"},
        **dict.fromkeys(("loss_type", "importance_sampling_level", "epsilon", "epsilon_high", "delta", "beta",
                         "use_bias_correction_kl", "entropy_coef", "sampler_correction"), STEP),
        "objective.nll_on": CONTEXTS + "test_papo_against_dense_logits",
        "contexts": CONTEXTS + "test_papo_against_dense_logits",
        "terms": CONTEXTS + "test_schedules_groups_without_spread_and_terms_of_nothing",
        "dead_groups": CONTEXTS + "test_schedules_groups_without_spread_and_terms_of_nothing",
        "shape_funcs": "tests/trainer/test_shape_recipes.py::test_three_steps_of_each_on_real_components",
        **dict.fromkeys(("objective.top_entropy", "objective.clip_cov", "objective.cov_band", "objective.kl_cov",
                         "objective.nll_coef"), STEP),
        "members": "tests/trainer/test_members.py::test_what_is_given_is_in_no_statistic",
        "num_iterations": STEP,
        "mini_batches": STEP,
        "mask_truncated_completions": STEP,
        "dynamic_sampling": STEP,
        "draw.kind": DRAWN + "test_each_kind_has_its_class_and_one_of_your_own_its_methods",
        "draw.by": DRAWN + "test_variance_has_the_live_share_that_its_weights_give",
        "draw.weights": DRAWN + "test_a_mixture_has_its_shares_and_each_part_its_own_stream",
        **{f"draw.{name}": DRAWN + "test_tiers_by_measured_rates_are_a_simulated_learners"
           for name in ("tiers", "pass_at", "decay")},
        "draw.column": DRAWN + "test_tiers_of_a_column_take_what_is_in_them_once_an_epoch",
        "draw.least": DRAWN + "test_variance_has_the_live_share_that_its_weights_give",
        **{f"draw.{name}": DRAWN + "test_promotion_is_saturns_rule_on_a_simulated_learner"
           for name in ("threshold", "window")},
        "draw.order": DRAWN + "test_parts_of_rows_and_of_levels",
        "draw.most": DRAWN + "test_rlcs_has_its_fixed_point_and_keeps_those_nearest_one_half",
        "draw.gate": DRAWN + "test_the_gate_closes_where_a_component_is_zero_throughout",
        "draw.arguments": DRAWN + "test_n_steps_and_n_resumed_ones_are_2n",
        "rollout": REFUSED,  # vllm acts in tests/vllm, in an environment that has it
        "parallel": RANKS + "test_two_sharded_ranks_go_on_from_one_process",
        **{f"vllm.{name}": REFUSED for name in ("memory_share", "cache_gib", "max_sequences", "max_images", "eager")},
        "train": STAGES + "test_a_stage_trains_the_parts_it_names",
        "token_budget": RUN,
        "learning_rate": RUN,
        "lr_scheduler_type": RUN,
        "warmup_steps": RUN,
        "weight_decay": RUN,
        "adam_beta2": RUN,
        "noise_gate": RUN,
        "max_grad_norm": DATA,
        "eval_samples": RUN,
        "eval_steps": RUN,
        "eval_size_midway": RUN,
        "save_steps": RUN,
        "save_total_limit": RUN,
        "save_best": "tests/trainer/test_monitor.py::test_the_best_checkpoint_is_kept_beside_the_newest",
        "logging_steps": RUN,
        "completions_steps": RUN,
        "report_to": REFUSED,
        "parity_check": "test_keys_of_a_run_left_out",
        "preflight": "test_keys_of_a_run_left_out",
        "threads": "test_keys_of_a_run_left_out",
    },
    EvalConfig: {
        **dict.fromkeys(("noise", "occlusion", "contrast"), MADE_RUN),
        **{name: EVALUATED for name in ("size", "seed", "level", "samples", "temperature", "max_completion_length",
        "output",
                                        "batch", "dtype", "data")},
        "model": "tests/test_user_commands.py::test_eval_prints_and_saves_the_table",
        "max_pixels": "tests/test_user_commands.py::test_eval_on_real_problems",
        "device": MODEL,
        **ENGINE,
        **ASKED,
        "spans": SPANS,
        **TURNS,
        **dict.fromkeys(("verifiers", "answered"), VERIFIED),
    },
    HarvestConfig: {
        **dict.fromkeys(("verifiers", "answered"), VERIFIED),
        **{name: HARVESTED for name in ("model", "output", "data", "held_out", "size", "seed", "level", "samples",
        "keep", "languages", "translate", "temperature", "max_completion_length", "batch")},
        **{name: MODEL for name in ("device", "dtype", "max_pixels")},
        **dict.fromkeys(("run", "allow_empty"), f"{PAPER}test_the_paper_on_a_checkpoint_of_strangers"),
        **ENGINE,
        **ASKED,
    },
    ExperimentConfig: {
        **{name: f"{EXPERIMENT}test_killed_and_begun_again_is_the_same_table_and_may_grow"
           for name in ("folder", "arms", "seeds", "points", "cold_steps", "against")},
        "recipe": f"{EXPERIMENT}test_a_recipe_has_keys_of_the_experiment_and_of_its_runs",
        "tokenizer": f"{EXPERIMENT}test_the_table_the_pairs_and_the_page",
        **{name: f"{PAPER}test_the_paper_on_a_checkpoint_of_strangers"
           for name in ("harvest_size", "harvest_samples", "benchmarks", "benchmark_size")},
        "jobs": f"{EXPERIMENT}test_jobs_run_after_what_they_need_and_are_not_done_twice",
    },
    GalleryConfig: {
        **dict.fromkeys(("rows", "folder", "seeds", "quick"), f"{GALLERY}test_killed_and_begun_again_it_ends_the_same"),
        **dict.fromkeys(("jobs", "dry", "publish"), f"{GALLERY}test_the_command_says_what_it_would_do"),
    },
    SolveConfig: {
        **{name: "tests/test_user_commands.py::test_solve_prints_program_value_and_time" for name in ("model",
        "question", "image")},
        "problem": "tests/test_user_commands.py::test_solve_asks_a_held_out_problem_of_the_run",
        **{name: SOLVED for name in ("max_completion_length", "temperature", "seed")},
        **TURNS,
        "device": MODEL,
        **ENGINE,
        **ASKED,
    },
}  # fmt: skip


@lru_cache
def functions(file):
    """Name to source of the test functions of a file."""
    text = (ROOT / file).read_text()
    lines = text.splitlines()
    nodes = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    return {node.name: "\n".join(lines[node.lineno - 1 : node.end_lineno]) for node in nodes}, text


@pytest.mark.parametrize("kind", list(SHOWN), ids=lambda kind: kind.__name__)
def test_every_key_has_a_line_and_every_line_a_test(kind):
    assert SHOWN[kind].keys() == keys(kind).keys()
    for key, where in SHOWN[kind].items():
        file, name = where.split("::") if "::" in where else ("tests/test_options.py", where)
        found, text = functions(file)
        assert name in found, f"{key}: {where}"
        leaf = keys(kind)[key].path[-1] if where == OF_THE_OP else key.rsplit(".", 1)[-1]
        own = found[name] if file == "tests/test_options.py" and name != STEP else text
        assert re.search(rf"\b{leaf}\b", own), f"{where} does not speak of {key}"


@pytest.mark.parametrize("kind", list(SHOWN), ids=lambda kind: kind.__name__)
def test_every_number_has_bounds_and_every_key_words(kind):
    for key in keys(kind).values():
        numbers = not key.choices and ("int" in str(key.type) or "float" in str(key.type))
        assert (key.bound is not None) == numbers, key.name
        assert len(key.text) >= 5, f"{key.name} needs a description"


def test_tables_name_keys_and_choices_that_exist():
    from nsrl.data.shapes import LANGUAGES as OF_SHAPES
    from nsrl.models.attention import BACKENDS
    from nsrl_kernels.ops.group_advantage.reference import MODES, ONLY_TORCH

    ours = keys(TrainConfig)
    for other, key in OTHERS.items():
        assert other not in ours
        assert not key or key.split()[0].split("=")[0] in (*ours, "torchrun"), other
    for rules, kind in ((TRAIN, TrainConfig), (EVAL, EvalConfig), (HARVEST, HarvestConfig), (SOLVE, SolveConfig)):
        assert {name for rule in rules for name in rule.keys} <= keys(kind).keys()
    assert ours["model.attention"].choices == ("auto", *BACKENDS) and set(SCALES.values()) <= {*MODES, *ONLY_TORCH}
    config = TrainConfig()
    config.beta = 0.5  # of the group too, which is what acts
    assert config.objective.beta == flat(config)["beta"] == 0.5
    assert set(LANGUAGES) == set(OF_SHAPES) and REPORTERS == ("tensorboard", "wandb")


def test_every_option_of_the_objective_is_a_key():
    """The law: what `policy_loss` takes and is no tensor has a key, and what a key says reaches it."""
    fields = {key.path[-1]: key.name for key in keys(TrainConfig).values() if key.path[0] == "objective"}
    assert {field.name for field in dataclasses.fields(Objective)} == OF_POLICY_LOSS.keys() <= fields.keys()
    values = {"dual_clip": 3.0, "kl": "k1", "kl_log_clamp": 20.0, "kl_clamp": 10.0, "nll_coef": 0.1, "beta": 0.2,
              "tau": (0.9, 1.1), "gppo_beta": (0.5, 0.7), "vespo_k": (1.0, 2.0), "vespo_lambda": (1.0, 3.0),
              "aggregation": "sequence_sum", "importance_level": "sequence", "importance_cap": 3.0, "delta": 4.0,
              "drift_coef": 0.5, "loss_type": "grpo", "importance_sampling_level": "sequence", "epsilon": 0.1,
              "epsilon_high": 0.3, "kl_times_ratio": True, "entropy_coef": 0.01, "importance": "mask"}  # fmt: skip
    assert values.keys() == OF_POLICY_LOSS.keys()
    line = [f"{fields[name]}={list(v) if isinstance(v, tuple) else v}" for name, v in values.items()]
    config = parse(TrainConfig, line, "nsrl")
    handed = config.objective.handed_on()
    assert {name: getattr(handed, name) for name in values} == values
    assert from_yaml(TrainConfig, to_yaml(config)) == config and flat(config)["objective.tau"] == [0.9, 1.1]
    for word, says in (
        ("objective.tau=[1]", "objective.tau must be 2 numbers; got 1"),
        ("dual_clip=3", "unknown configuration key 'dual_clip'; here it is objective.dual_clip"),
        ("objective=3", "objective is a group of keys, objective.aggregation and others; got '3' for the group"),
    ):
        with pytest.raises(UserError, match=re.escape(says)):
            parse(TrainConfig, [word], "nsrl")


# -- what is told, and what is not -----------------------------------------------------------------------------------


def notes(capsys, *argv, kind=TrainConfig):
    require_sound(parse(kind, list(argv), "nsrl"))
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        ([], None),
        (["recipe=paper"], None),
        (["extra_supervised_steps=5"], None),
        (["max_steps=0"], None),
        (["epsilon=0.2"], "epsilon=0.2 cannot act in this run: with num_iterations=1 and mini_batches=1 the ratio"),
        (["epsilon=0.2", "num_iterations=2"], None),
        (["epsilon=0.2", "mini_batches=2"], None),
        (["objective.dual_clip=3"], "objective.dual_clip=3.0 cannot act in this run: with num_iterations=1"),
        (["objective.kl_cov=0.002"], "objective.kl_cov=0.002 cannot act in this run: with num_iterations=1 and"),
        (["objective.kl_cov=0.002", "mini_batches=2"], None),
        (["objective.nll_coef=0.1", "objective.top_entropy=0.2", "objective.clip_cov=0.1"], None),
        (["max_steps=0", "mini_batches=2"], "mini_batches=2 cannot act in this run: max_steps is 0"),
        (["epsilon_high=null"], "epsilon_high=null cannot act"),
        (["delta=2"], "delta=2.0 cannot act"),
        (["importance_sampling_level=sequence"], "importance_sampling_level=sequence cannot act"),
        (["loss_type=gspo"], "loss_type=gspo cannot act in this run: with num_iterations=1 and mini_batches=1 the "
                             "ratio is 1 whenever it is taken, which makes it grpo"),
        (["loss_type=luspo"], "which makes it grpo with objective.aggregation=sequence_sum"),
        (["loss_type=gmpo"], "which makes it grpo"),
        (["loss_type=vespo"], "which makes it dapo"),
        (["loss_type=vespo", "mini_batches=4"], None),
        (["loss_type=gppo"], "which makes it dapo"),
        (["loss_type=sapo"], "which makes it grpo"),
        (["loss_type=gspo", "num_iterations=2"], None),
        (["loss_type=grpo"], None),
        (["loss_type=reinforce"], None),
        (["extra_supervised_steps=5", "beta=0.1", "learning_rate=1e-4"], "beta=0.1, learning_rate=0.0001 cannot act "
                                                                         "in this run: extra_sup"),
        (["max_steps=0", "num_iterations=2"], "num_iterations=2 cannot act in this run: max_steps is 0"),
        (["max_steps=0", "prompts_per_step=7", "num_generations=4", "logging_steps=2"],
        "prompts_per_step=7, num_generations=4"),
        (["sampler_correction=truncate"], "its log-probs differ by rounding alone"),
        (["eval_steps=500"], "the run ends before the first such step"),
        (["warmup_steps=500"], "never reaches its peak"),
        (["recipe=paper", "data.source=shapes"], "data.path=TIGER-Lab/ViRL39K"),
        (["recipe=paper", "lora.enabled=false"], "lora.r=16, lora.alpha=32"),
        (["lora.enabled=true", "lora.r=4"], None),
        (["warm_start.steps=0", "extra_supervised_steps=4", "warm_start.batch_size=5"], None),
    ],
)  # fmt: skip
def test_idle_keys_are_told(capsys, argv, words):
    said = notes(capsys, *argv)
    if words is None:
        assert said == ""
    else:
        assert words in said and said.startswith("note: "), said


def test_a_file_that_repeats_defaults_has_said_nothing(capsys, tmp_path):
    from nsrl.config import to_yaml

    whole = tmp_path / "whole.yaml"
    whole.write_text(to_yaml(TrainConfig()))
    assert notes(capsys, "--config", str(whole)) == ""
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"question": "1?", "answer": "1"}\n')
    assert parse(TrainConfig, ["--config", str(whole), f"data.path={rows}"], "nsrl").data.source == "hf"


def test_the_keys_of_a_continued_run_are_its_own_affair(capsys, tmp_path):
    begun = tmp_path / "config.yaml"
    begun.write_text("recipe: gone.yaml\nlora: {r: 8}\nbeta: 0.3\nof_an_older_version: 1\n")
    config = parse(TrainConfig, ["max_steps=7"], "nsrl", begun=begun)
    assert (config.recipe, config.lora.r, config.beta, config.max_steps) == ("gone.yaml", 8, 0.3, 7)
    require_sound(config)
    assert capsys.readouterr().out == ""
    assert parse(TrainConfig, ["beta=0.1"], "nsrl", begun=begun).beta == 0.1
    with pytest.raises(UserError, match="lora.alpha cannot act"):
        require_sound(parse(TrainConfig, ["lora.alpha=4"], "nsrl", begun=begun))


def test_seeds_of_a_greedy_answer_and_levels_of_other_data(capsys):
    words = ["--model", "small", "--question", "q", "seed=3"]
    assert "seed=3 cannot act in this run: at temperature=0" in notes(capsys, *words, kind=SolveConfig)
    assert notes(capsys, *words, "temperature=1", kind=SolveConfig) == ""


# -- keys that act ---------------------------------------------------------------------------------------------------

OFF = 0.3  # nats that the doctored sampler says too much
REWARDS = """
def odd(batch):
    return [float(ids[0] % 2) for ids in batch.completion_ids]
def third(batch):
    return [float(ids[0] % 3 == 0) for ids in batch.completion_ids]
"""


class Boasting:
    """A native sampler whose log-probs are too high."""

    def __init__(self, inner):
        self.inner = inner

    def sample(self, *args):
        samples = self.inner.sample(*args)
        for group in samples:
            for sample in group:
                sample.logps[:] = [value + OFF for value in sample.logps]
        return samples

    def sync(self, model):
        return self.inner.sync(model)


@pytest.fixture(scope="module")
def pool():
    from nsrl.engines import EnginePool

    with EnginePool(1) as pool:
        yield pool


@pytest.fixture(scope="module")
def step(pool, tmp_path_factory):
    """Weights after one step of a tiny run with these options, and where its stream of problems stands; remembered."""
    from nsrl.data.shapes import Shapes
    from nsrl.models import loading
    from nsrl.models.policy import Policy
    from nsrl.rewards import Rewards
    from nsrl.rollout.native import NativeSampler
    from nsrl.trainer.grader import Grader
    from nsrl.trainer.learner import Learner
    from nsrl.trainer.loop import grpo_step
    from nsrl.trainer.optim import Optimizer
    from nsrl.trainer.problems import ProblemStream

    file = tmp_path_factory.mktemp("rewards") / "two.py"
    file.write_text(REWARDS)
    loaded = {seed: loading.load(ModelConfig(), LoraConfig(), seed=seed) for seed in (0, 1, 9)}
    known = {}

    def run(**options):
        key = json.dumps(options, sort_keys=True, default=str)
        if key in known:
            return known[key]
        options = {"prompts_per_step": 2, "num_generations": 4, "max_completion_length": 5, "loss_type": "grpo",
                   "reward_funcs": ["odd", "third"], "reward_weights": [1.0, 0.5], "num_iterations": 2,
                   "parity_check": False,
                   "epsilon": 0.01, "epsilon_high": 0.01} | options  # fmt: skip
        options["reward_funcs"] = [f"{file}:{n}" if n in ("odd", "third") else n for n in options["reward_funcs"]]
        options["rewards"] = [entry | {"name": f"{file}:{entry['name']}"} for entry in options.get("rewards", [])]
        boasts = options.pop("boasts", False)
        if isinstance(options.get("objective"), dict):
            options["objective"] = ObjectiveConfig(**options["objective"])
        config = TrainConfig(**options)
        vlm = dataclasses.replace(loaded[config.seed], model=copy.deepcopy(loaded[config.seed].model))
        rewards = Rewards(**config.paid.asked())
        native = NativeSampler(vlm.model)
        other = loaded[9].model.requires_grad_(False)
        learner = Learner(
            config, vlm, Policy(vlm.model), Boasting(native) if boasts else native, Grader(pool), rewards,
            Optimizer(vlm.model, learning_rate=1e-2, schedule="constant", warmup=0, total=10, max_grad_norm=1.0),
            ProblemStream(Shapes(1, 0, 10)), 4096, reference=Policy(other) if config.beta else None,
        )  # fmt: skip
        grpo_step(learner, 1)
        weights = torch.cat([p.detach().flatten() for p in vlm.model.parameters()])
        known[key] = weights, learner.problems.position
        return known[key]

    return run


RIGHT = {"reward_funcs": ["odd"], "reward_weights": [1.0], "reward_noise": 1.0}  # all verdicts turned round: right ones
STEPS = [
    ("seed", {}, {"seed": 1}),
    ("shuffle_rewards", {}, {"shuffle_rewards": True}),
    ("reward_noise", {"reward_funcs": ["correct"], "reward_weights": [1.0]},
     {"reward_funcs": ["correct"], "reward_weights": [1.0], "reward_noise": 0.5}),
    ("prompts_per_step", {}, {"prompts_per_step": 3}),
    ("num_generations", {}, {"num_generations": 5}),
    ("max_completion_length", {}, {"max_completion_length": 6}),
    ("temperature", {}, {"temperature": 0.7}),
    ("reward_funcs", {}, {"reward_funcs": ["third", "odd"]}),
    ("reward_weights", {}, {"reward_weights": [0.2, 1.0]}),
    ("rewards", {}, {"rewards": [{"name": "odd"}, {"name": "third", "weight": 0.5, "gate": "odd"}]}),
    ("combine", {}, {"combine": "gdpo"}),
    ("scale_rewards", {}, {"scale_rewards": "rloo"}),
    ("loss_type", {}, {"loss_type": "sapo"}),
    ("loss_type", {}, {"loss_type": "gspo"}),
    ("loss_type", {}, {"loss_type": "gppo"}),
    ("loss_type", {}, {"loss_type": "cispo", "epsilon_high": 1.01}),
    ("importance_sampling_level", {}, {"importance_sampling_level": "sequence"}),
    ("epsilon", {}, {"epsilon": 0.4}),
    ("epsilon_high", {}, {"epsilon_high": 0.4}),
    ("delta", {}, {"delta": 1.02}),
    ("beta", {"beta": 0.05}, {"beta": 0.5}),
    ("use_bias_correction_kl", {"beta": 0.5}, {"beta": 0.5, "use_bias_correction_kl": True}),
    ("entropy_coef", {}, {"entropy_coef": 0.1}),
    ("sampler_correction", {"boasts": True}, {"boasts": True, "sampler_correction": "truncate"}),
    *(("scale_rewards", {}, {"scale_rewards": name})
      for name in ("gpg", "passk", "reinforce++", "reinforce++_baseline", "otb")),
    ("loss_type", {}, {"loss_type": "luspo"}),
    ("loss_type", {}, {"loss_type": "gmpo"}),
    ("loss_type", {}, {"loss_type": "vespo"}),
    ("top_entropy", {}, {"objective": {"top_entropy": 0.5}}),
    ("clip_cov", {}, {"objective": {"clip_cov": 0.3, "cov_band": (-9.0, 9.0)}}),
    ("cov_band", {"objective": {"clip_cov": 0.9, "cov_band": (-9.0, 9.0)}},
     {"objective": {"clip_cov": 0.9, "cov_band": (0.0, 9.0)}}),
    ("kl_cov", {}, {"objective": {"kl_cov": 0.3}}),
    ("drift_coef", {"objective": {"kl_cov": 0.3}}, {"objective": {"kl_cov": 0.3, "drift_coef": 0.5}}),
    ("nll_coef", RIGHT, RIGHT | {"objective": {"nll_coef": 0.3}}),
    ("dual_clip", {}, {"objective": {"dual_clip": 1.001}}),
    ("aggregation", {}, {"objective": {"aggregation": "sequence_sum"}}),
    ("kl", {"beta": 0.5}, {"beta": 0.5, "objective": {"kl": "k1"}}),
    ("mini_batches", {}, {"mini_batches": 2}),
    ("num_iterations", {}, {"num_iterations": 1}),
    ("mask_truncated_completions", {}, {"mask_truncated_completions": True}),
    ("dynamic_sampling", {"reward_funcs": ["correct"], "reward_weights": [1.0]},
     {"reward_funcs": ["correct"], "reward_weights": [1.0], "dynamic_sampling": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("key", "base", "changed"), STEPS, ids=[f"{k}-{i}" for i, (k, _, _) in enumerate(STEPS)])
def test_keys_of_a_step(step, key, base, changed):
    """Two steps that differ in the key alone end with other weights, or elsewhere in the data."""
    weights, position = step(**base)
    others, elsewhere = step(**changed)
    assert not torch.equal(weights, others) or position != elsewhere, key


def test_the_objective_is_handed_on_whole(step):
    """The options of an objective are the keys."""
    assert torch.equal(step(objective=ObjectiveConfig(entropy_coef=0.1))[0], step(entropy_coef=0.1)[0])
    assert not torch.equal(step(objective=ObjectiveConfig(entropy_coef=0.1))[0], step()[0])


def test_one_update_makes_the_clip_families_one(step):
    """What the note says: with one update per rollout the clip and its families change nothing."""
    grpo = step(num_iterations=1)[0]
    for same in ({"loss_type": "gspo"}, {"loss_type": "gmpo"}, {"loss_type": "sapo"},
                 {"epsilon": 0.4, "epsilon_high": 0.4}, {"delta": 2.0},
                 {"importance_sampling_level": "sequence"}):  # fmt: skip
        torch.testing.assert_close(step(num_iterations=1, **same)[0], grpo, atol=2e-5, rtol=0, msg=str(same))
    dapo = step(num_iterations=1, loss_type="dapo")[0]
    for same in ({"loss_type": "cispo", "epsilon_high": 1.01}, {"loss_type": "gppo"}, {"loss_type": "vespo"}):
        torch.testing.assert_close(step(num_iterations=1, **same)[0], dapo, atol=2e-5, rtol=0, msg=str(same))


TINY = [
    "data.eval_size=5", "data.level=2", "warm_start.steps=3", "warm_start.reading_steps=2", "warm_start.batch_size=3",
    "warm_start.learning_rate=1e-3", "warm_start.optimizer=muon", "warm_start.languages={nsl: 1}",
    "warm_start.wrong=0", "max_steps=4",
    "prompts_per_step=2", "num_generations=2", "max_completion_length=6", "learning_rate=2e-3", "warmup_steps=2",
    "lr_scheduler_type=linear", "weight_decay=0.03", "adam_beta2=0.97", "noise_gate=3", "eval_samples=3",
    "eval_steps=2", "eval_size_midway=2",
    "save_steps=1",
    "save_total_limit=2", "save_best=false", "logging_steps=2", "completions_steps=3", "token_budget=300",
    "threads=1", "engine.workers=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """One run with many keys off their defaults: its folder, what it printed, completions per held-out problem."""
    import contextlib
    import io

    from nsrl.train import main
    from nsrl.trainer.grader import Grader

    folder, out, sizes, submit = tmp_path_factory.mktemp("runs") / "here", io.StringIO(), set(), Grader.submit

    def watched(self, problem, texts, cuts):
        if problem.id.startswith("shapes-test"):
            sizes.add(len(texts))
        return submit(self, problem, texts, cuts)

    with contextlib.redirect_stdout(out), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Grader, "submit", watched)
        assert main([*TINY, f"output_dir={folder}"]) == 0
    return folder, out.getvalue(), sizes


def test_keys_of_a_run(finished):
    from itertools import islice

    from pyarrow import parquet

    from nsrl.data.shapes import Shapes
    from nsrl.models import loading
    from nsrl.trainer import checkpoint
    from nsrl.trainer.changes import own
    from nsrl.trainer.stages import planned

    folder, out, sizes = finished
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    of = lambda phase: [row for row in rows if row["phase"] == phase]
    assert folder.name == "here"  # output_dir
    assert len(of("reading")) == 2 and len(of("warm_start")) == 3  # warm_start: reading_steps, steps
    assert (
        max(row["learning_rate"] for row in of("warm_start")) <= 1e-3 * 5 / 30 + 1e-12
    )  # five of 30 steps up to learning_rate
    assert of("reading")[0]["learning_rate"] == pytest.approx(1e-3 / 30)
    assert planned(own(folder / "config.yaml"))[0].optimizer["muon"]  # optimizer
    shapes, small = Shapes(2, 0, 5), loading.load(ModelConfig(), LoraConfig())
    demonstrations = list(islice(shapes.demonstrations({"nsl": 1.0}, 0.0), 3))  # languages, wrong, batch_size, level
    tokens = sum(
        len(small.encode(d.problem).ids) + len(small.tokenizer(d.text)["input_ids"]) + 1 for d in demonstrations
    )
    assert of("warm_start")[0]["num_tokens"] - of("reading")[-1]["num_tokens"] == tokens
    asked = parquet.read_table(folder / "completions" / "step_000001.parquet")["question"].to_pylist()
    assert set(asked) == {problem.question for problem in islice(shapes.train(), 2)}  # level, prompts_per_step
    rates = [row["learning_rate"] for row in of("grpo")]
    assert [rates[0], *rates[2:]] == pytest.approx(
        [1e-3, 2e-3, 1e-3]
    )  # warmup_steps up to learning_rate, lr_scheduler_type down
    assert len(of("grpo")) == 4  # max_steps
    names = {p.name for p in folder.glob("checkpoint-*")}
    assert names == {"checkpoint-3", "checkpoint-4"}  # save_steps, save_total_limit
    tensors = checkpoint.load(folder / "checkpoint-4")[1]
    assert {0.03, 0.97} <= set(numbers(tensors["optimizer"]))  # weight_decay, adam_beta2
    assert planned(own(folder / "config.yaml"))[-2].optimizer["gate"] == 3  # noise_gate
    middle, final = (json.loads((folder / "eval" / f"{name}.json").read_text()) for name in ("step_000002", "final"))
    assert middle["problems"] == 2 and final["problems"] == 5  # eval_steps, eval_size_midway, eval_size
    assert sizes == {3, 1}  # eval_samples, and the greedy one
    assert "grpo 2/4" in out and "grpo 1/4" not in out  # logging_steps
    assert {p.name for p in (folder / "completions").glob("*.parquet")} == {
        "step_000001.parquet",
        "step_000003.parquet",
    }  # completions_steps
    assert json.loads((folder / "preflight.json").read_text())["token_budget"] == 300
    assert "parity:" in out  # parity_check


def test_keys_of_a_run_left_out(tmp_path, capsys):
    from nsrl.train import main

    few = ["warm_start.steps=0", "max_steps=1", "prompts_per_step=2", "num_generations=2", "max_completion_length=4",
    "eval_samples=1",
           "data.eval_size=1", "completions_steps=0", "preflight=false", "parity_check=false",
           "engine.workers=1"]  # fmt: skip
    before = torch.get_num_threads()
    try:
        assert main([*few, f"threads={before + 1}", f"output_dir={tmp_path / 'run'}"]) == 0
        assert torch.get_num_threads() == before + 1
    finally:
        torch.set_num_threads(before)
    assert not (tmp_path / "run" / "preflight.json").exists() and "parity:" not in capsys.readouterr().out
    assert not list((tmp_path / "run").glob("completions/*"))


def numbers(value):
    """All plain numbers of a nested state."""
    if isinstance(value, dict):
        for inner in value.values():
            yield from numbers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from numbers(inner)
    elif isinstance(value, int | float):
        yield value


def test_keys_of_data(tmp_path):
    """data.source, data.path, data.split, data.columns, data.max_prompt_length; a run of it with
    extra_supervised_steps and max_grad_norm."""
    from nsrl.train import main

    folder = tmp_path / "rows"
    folder.mkdir()
    for split, count in (("train", 4), ("extra", 6), ("test", 3)):
        rows = [
            {"id": f"{split}-{i}", "frage": f"{split} {i} + 1?" + " long" * 200 * (i == 0), "answer": str(i + 1)}
            for i in range(count)
        ]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    few = ["warm_start.steps=0", "max_steps=2", "prompts_per_step=3", "num_generations=2", "max_completion_length=4",
    "eval_samples=1",
           "data.eval_size=2", "completions_steps=1", "engine.workers=1", "preflight=false", "parity_check=false",
           f"data.path={folder}", "data.source=hf", "data.columns.question=frage", "data.max_prompt_length=300",
           "reward_noise=0.5"]  # fmt: skip
    assert main([*few, "data.split=extra", "max_grad_norm=1e-12", f"output_dir={tmp_path / 'run'}"]) == 0
    from pyarrow import parquet

    kept = tmp_path / "run" / "completions"
    seen = {row for file in kept.glob("*.parquet") for row in parquet.read_table(file)["problem_id"].to_pylist()}
    assert seen <= {f"extra-{i}" for i in range(1, 6)} and len(seen) >= 3  # extra-0 is too long
    assert json.loads((tmp_path / "run" / "eval" / "final.json").read_text())["problems"] <= 2
    from nsrl.models import loading

    begun = loading.load(ModelConfig(), LoraConfig(), 0).model.state_dict()
    after = loading.load(ModelConfig(name=str(tmp_path / "run")), LoraConfig(), 0).model.state_dict()
    norms = [json.loads(line)["grad_norm"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert max(norms) > 1e-3  # there was a gradient, and a norm of 1e-12 is below Adam's epsilon
    assert all(torch.allclose(value, begun[name], atol=1e-6) for name, value in after.items())
    assert (
        main(
            [
                *few[:1],
                *few[2:8],
                "engine.workers=1",
                "data.eval_size=2",
                "extra_supervised_steps=2",
                f"output_dir={tmp_path / 'other'}",
            ]
        )
        == 0
    )
    rows = [json.loads(line) for line in (tmp_path / "other" / "metrics.jsonl").read_text().splitlines()]
    assert [row["phase"] for row in rows] == ["extra", "extra"]


def test_keys_of_the_model(tmp_path):
    """name, dtype, device, attention, freeze_vision_tower, min_pixels, max_pixels, gradient_checkpointing; lora.*:
    enabled, r,
    alpha, dropout, target_modules."""
    from nsrl.models import loading
    from nsrl.models.policy import Policy

    plain = loading.load(
        ModelConfig(device="cpu", dtype="bfloat16", freeze_vision_tower=True, min_pixels=4096, max_pixels=8192),
        LoraConfig(),
    )
    assert plain.device.type == "cpu" and next(plain.model.parameters()).dtype == torch.bfloat16
    assert not any(p.requires_grad for p in plain.base.model.visual.parameters())
    assert dict(plain.image_processor.size) == {"shortest_edge": 4096, "longest_edge": 8192}
    with pytest.raises(UserError, match="model.device"):
        loading.load(ModelConfig(device="cuda:99"), LoraConfig())
    assert Policy(plain.model, attention="flex").attention.name == "flex"
    assert Policy(
        plain.model, checkpointing=ModelConfig(gradient_checkpointing=True).gradient_checkpointing
    ).checkpointing
    plain.save(tmp_path)
    assert loading.load(ModelConfig(name=str(tmp_path)), LoraConfig(enabled=False)).is_small
    adapted = loading.load(
        ModelConfig(), LoraConfig(enabled=True, r=3, alpha=7, dropout=0.25, target_modules=["v_proj"])
    )
    config = adapted.model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.lora_dropout) == (3, 7, 0.25)
    assert all(name.endswith("v_proj") for name in config.target_modules)


def test_keys_of_the_pool(tmp_path):
    """workers, cpu_s, wall_s and memory_mb are the pool's limits, and programs meet them; allow_unsandboxed
    reaches it; backend and command say who runs Wolfram programs."""
    from nsrl.trainer.grader import open_pool

    with open_pool(EngineConfig(workers=3, cpu_s=0.3, wall_s=0.9, memory_mb=48, allow_unsandboxed=True)) as pool:
        limits = pool.limits
        assert (limits.cpu_s, limits.wall_s, limits.memory_mb) == (0.3, 0.9, 48)
        assert pool.run("sympy", "while True: pass").status.value == "timeout"
        assert pool.run("nsl", "1+1").text == "2"
    (command := tmp_path / "woxi").write_text("#!/bin/sh\necho from woxi")
    command.chmod(0o755)
    said = [f"engine.command={command}", "engine.backend=woxi"]
    for words, sentence in (
        ([said[1], "engine.command=/none/woxi"], "not at '/none/woxi': it needs Woxi"), (said[:1], "cannot act here"),
        (said, "engine.allow_unsandboxed=true takes that on"), (["engine.backend=maple"], "embedded, wolframscript"),
    ):  # fmt: skip
        for kind, name in ((TrainConfig, "nsrl.train"), (EvalConfig, "nsrl.eval")):
            with pytest.raises(UserError, match=sentence):
                require_sound(parse(kind, words, name))
    config = parse(EvalConfig, [*said, "engine.allow_unsandboxed=true"], "nsrl.eval")
    require_sound(config)
    with open_pool(config.engine) as pool:
        assert (pool.run("wolfram", "1+1").text, pool.run("nsl", "1+1").text) == ("from woxi", "2")
        assert pool.map("wolfram", ["1", "1"])[1].engine == "woxi" and pool.stats()["queued"] == 0


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """What `nsrl.eval` of an untrained model printed and saved; remembered."""
    import contextlib
    import io

    from nsrl import eval as command

    known = {}

    def run(*argv):
        if argv not in known:
            file, out = tmp_path_factory.mktemp("eval") / "out.json", io.StringIO()
            with contextlib.redirect_stdout(out):
                assert (
                    command.main(
                        ["size=3", "samples=2", "max_completion_length=5", "engine.workers=1", f"output={file}", *argv]
                    )
                    == 0
                )
            known[argv] = json.loads(file.read_text()), out.getvalue()
        return known[argv]

    return run


def test_keys_of_eval(evaluated):
    """size, seed, level, samples, temperature, max_completion_length, output, batch, dtype, data."""
    base, out = evaluated()
    assert base["table"][-1]["count"] == 3 and "mean@2" in out  # size, samples, output
    assert base["mean_tokens"] <= 5 < evaluated("max_completion_length=9")[0]["mean_tokens"] <= 9
    others = [
        evaluated(*argv)[0] for argv in (("seed=1",), ("level=3",), ("temperature=0.05", "max_completion_length=9"))
    ]
    texts = [json.dumps(found, sort_keys=True) for found in (base, *others, evaluated("max_completion_length=9")[0])]
    assert len(set(texts)) == 5
    assert evaluated("batch=1")[1].count("evaluate ") == 3 and out.count("evaluate ") == 1  # batch
    assert "shapes" in out and "data" in EvalConfig.__annotations__ and evaluated("dtype=bfloat16")  # data, dtype


def test_keys_of_solve(capsys):
    """max_completion_length, temperature, seed."""
    from nsrl import solve

    def text(*argv):
        assert solve.main(["--model", "small", "--question", "How many circles?", "engine.workers=1", *argv]) == 0
        return [line for line in capsys.readouterr().out.splitlines() if not line.startswith("time")]

    greedy, drawn = text("max_completion_length=12"), text("max_completion_length=12", "temperature=1.5")
    assert greedy != drawn != text("max_completion_length=12", "temperature=1.5", "seed=1")
    assert greedy != text("max_completion_length=3")
