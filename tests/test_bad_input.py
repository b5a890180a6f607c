"""Every bad input gets one clear sentence and exit code 2, or a counted skip; nothing already computed is lost.

`ROWS` is the catalogue: what people type, what the sentence must hold. All rows run in one process that must end
without
torch: a wrong word costs milliseconds and leaves nothing behind.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nsrl.config import EvalConfig, SolveConfig, TrainConfig, parse
from nsrl.errors import UserError
from nsrl.train import main

ROOT = Path(__file__).resolve().parents[1]
SHORT = ["warm_start.steps=0", "max_steps=1", "prompts_per_step=2", "num_generations=2", "max_completion_length=8",
         "eval_samples=1", "engine.workers=1", "data.eval_size=2", "logging_steps=1"]  # fmt: skip

# (command, words of the line, what the sentence must hold); {at} is a folder with the files of `FILES`.
NUMBERS = [
    ("train", f"{key}={value}", (key.split(".nsl")[0], str(expected)))
    for key, expected, values in [
        ("logging_steps", "at least 1", (0, -1)),
        ("threads", "at least 1", (-2, 0, 1000000)),
        ("lora.r", "at least 1", (0, -4)),
        ("lora.alpha", "at least 1", (0,)),
        ("lora.alpha", "at most 65,536", ("99999999999999999999999",)),
        ("lora.dropout", "at least 0 and below 1", (2, 1, -0.1)),
        ("weight_decay", "at least 0", (-1,)),
        ("weight_decay", "below 1 / learning_rate", (1e30,)),
        ("seed", "4,294,967,295", ("1e20", -1)),
        ("delta", "above 1", (-1, 0, 0.5)),
        ("delta", "above 1 + epsilon_high", (1.2,)),
        ("max_grad_norm", "above 0", (-1, 0)),
        ("max_grad_norm", "finite", ("inf", "nan")),
        ("warmup_steps", "at least 0", (-3,)),
        ("epsilon", "at least 0", (-0.5,)),
        ("epsilon_high", "at least 0", (-1,)),
        ("beta", "at least 0", (-0.1,)),
        ("beta", "finite", ("nan",)),
        ("beta", "between", (1e300,)),
        ("max_grad_norm", "between", (1e300,)),
        ("entropy_coef", "between", (1e39, -1e39)),
        ("max_steps", "between", (10**30,)),
        ("data.picture_memory_mb", "between", (10**30,)),
        ("warm_start.languages.nsl", "at most 1,000,000", (1e308,)),
        ("engine.wall_s", "at most 86,400", (1e30,)),
        ("entropy_coef", "finite", ("nan", "-inf")),
        ("reward_noise", "at most 1", (5,)),
        ("reward_noise", "at least 0", (-0.1,)),
        ("save_total_limit", "at least 1 or null", (-3, 0)),
        ("save_steps", "at least 1", (0, -5)),
        ("data.eval_size", "at least 1", (0, -5)),
        ("data.eval_size", "at most 100,000 with shapes", (10**7,)),
        ("data.level", "at least 1 and at most", (0, 4, 10)),
        ("data.max_prompt_length", "at least 1", (0, -1)),
        ("data.picture_memory_mb", "at least 0", (-1,)),
        ("data.picture_threads", "at least 0 and at most 256", (-1, 257)),
        ("model.max_pixels", "at least 1024", (-5, 0, 100)),
        ("model.min_pixels", "at least 1", (-5, 0)),
        ("engine.memory_mb", "at least 16", (1, 0, -1)),
        ("engine.workers", "at least 1", (0, -1, 10**6)),
        ("engine.cpu_s", "above 0", (0, -1)),
        ("engine.cpu_s", "engine.wall_s must be at least", (5, 2.5)),
        ("engine.wall_s", "above 0", (0, -3)),
        ("engine.wall_s", "at least 1.25, engine.cpu_s / 0.8", (0.5, 1.1)),
        ("temperature", "at least 0.01", (0, -1, 1e-320, 1e-9)),
        ("temperature", "at most 10", (1e30,)),
        ("temperature", "finite number", ("nan", "inf")),
        ("learning_rate", "above 0", (0, -1e-4)),
        ("learning_rate", "at most 1", (1e30,)),
        ("learning_rate", "finite", ("nan",)),
        ("max_steps", "at least 0", (-1,)),
        ("max_steps", "an integer", ("abc", "1.5", "nan", "inf", "[3]", "1e-3")),
        ("extra_supervised_steps", "at least 0", (-1,)),
        ("num_generations", "at least 2", (0, 1, -3)),
        ("num_generations", "at most 4096", (100000000, 4097)),
        ("prompts_per_step", "at least 1", (0, -2)),
        ("prompts_per_step", "at most 65,536", (100000000,)),
        ("eval_samples", "at most 4096", (100000000,)),
        ("max_completion_length", "at least 1", (0, -8)),
        ("num_iterations", "at least 1", (0, -1)),
        ("mini_batches", "at least 1", (0, -1)),
        ("dynamic_sampling", "at least 0", (-1,)),
        ("token_budget", "at least 1", (0, -100)),
        ("completions_steps", "at least 0", (-1,)),
        ("eval_steps", "at least 0", (-1,)),
        ("eval_samples", "at least 1", (0, -1)),
        ("eval_size_midway", "at least 1", (0, -1)),
        ("warm_start.steps", "at least 0", (-1,)),
        ("warm_start.reading_steps", "at least 0", (-1,)),
        ("warm_start.batch_size", "at least 1", (0, -1)),
        ("warm_start.learning_rate", "above 0", (0, -1)),
        ("warm_start.learning_rate", "at most 1", (1e20,)),
        ("warm_start.wrong", "at most 1", (1.5,)),
        ("warm_start.wrong", "at least 0", (-0.2,)),
        ("warm_start.languages.nsl", "at least 0", (-1,)),
        ("warm_start.languages.nsl", "a number", ("much",)),
        ("vllm.memory_share", "above 0 and below 1", (0, 1, 1.5, -0.1)),
        ("vllm.cache_gib", "above 0", (0, -1)),
        ("vllm.max_sequences", "at least 1", (0,)),
        ("vllm.max_images", "at least 1", (0,)),
        ("top_p", "top_p must be 1", (0.9,)),
        ("top_p", "at most 1", (2,)),
        ("top_p", "above 0", (0,)),
        ("top_k", "top_k=50", (50,)),
        ("top_k", "at least 0", (-1,)),
    ]
    for value in values
]
WORDS = [
    ("train", "loss_type=foo", ("loss_type", "dapo", "'foo'")),
    ("train", "loss_type=grppo", ("did you mean 'grpo'?",)),
    ("train", "scale_rewards=std", ("scale_rewards", "group, none, batch, rloo")),
    ("train", "rollout=sglang", ("rollout", "native, vllm")),
    ("train", "model.dtype=float16", ("model.dtype", "float32, bfloat16")),
    ("train", "model.attention=eager", ("model.attention", "sdpa")),
    ("train", "data.source=shape", ("data.source", "did you mean 'shapes'?")),
    ("train", "preflight=maybe", ("preflight", "true or false", "'maybe'")),
    ("train", "report_to=wanbd", ("report_to", "did you mean 'wandb'?")),
    ("train", "report_to=all", ("report_to", "tensorboard or wandb")),
    ("train", "lora.target_modules=[]", ("lora.target_modules", "at least one")),
    ("train", "reward_funcs=[] reward_weights=[]", ("reward_funcs", "at least one")),
    ("train", "reward_weights=[1.0]", ("reward_weights", "3", "got 1", "give both keys")),
    ("train", "reward_funcs=correct", ("reward_weights", "(1: correct)", "got 3")),
    ("train", "reward_weights=[0,0,0]", ("reward_weights", "not 0")),
    ("train", "reward_weights=[1,1e308,1e308]", ("reward_weights", "at most 1,000,000")),
    ("train", "prompts_per_step=60000 num_generations=4000", ("prompts_per_step x num_generations", "60000 x 4000")),
    ("train", "--config {at}/level-twice.yaml", ("level-twice.yaml", "data.level is there twice")),
    ("train", "--config {at}/level-first.yaml", ("data.level is there twice",)),
    ("train", "--config {at}/shares.yaml", ("warm_start.languages", "is there twice")),
    ("train", "reward_weights=[1,nan,1]", ("reward_weights", "finite")),
    ("train", "reward_weights=[1,x,1]", ("reward_weights", "a number", "'x'")),
    ("train", "warm_start.languages={}", ("warm_start.languages", "one language")),
    ("train", "warm_start.languages={nsl:0}", ("warm_start.languages",)),
    ("train", "warm_start.languages={'nls':1}", ("'nls'", "did you mean 'nsl'?")),
    ("train", "warm_start.languages=nsl", ("warm_start.languages", "a mapping")),
    ("train", "model.min_pixels=90000 model.max_pixels=4096", ("model.min_pixels", "model.max_pixels (4096)", "90000")),
    ("train", "loss_type=cispo", ("epsilon_high must be above 1 with loss_type=cispo", "got 0.28")),
    ("train", "loss_type=cispo delta=2.0", ("delta must be null with loss_type=cispo",)),
    ("train", "loss_type=sapo delta=2.0", ("delta must be null",)),
    # names
    ("train", "num_generation=4", ("num_generation", "did you mean 'num_generations'?")),
    ("train", "data.sorce=x", ("did you mean 'data.source'?",)),
    ("train", "sorce=x", ("data.source",)),
    ("train", "--lerning-rate 1", ("did you mean 'learning_rate'?",)),
    ("train", "model.nme=x", ("model.name",)),
    ("train", "version=1", ("version", "nsrl --version")),
    ("train", "per_device_train_batch_size=8", ("prompts_per_step",)),
    ("train", "--use_vllm true", ("rollout=vllm",)),
    ("train", "num_train_epochs=3", ("max_steps",)),
    ("train", "model_name_or_path=x", ("model.name",)),
    ("train", "actor_rollout_ref.rollout.n=5", ("num_generations",)),
    ("train", "data.max_response_length=5", ("max_completion_length",)),
    ("train", "trainer.total_epochs=5", ("max_steps",)),
    ("train", "push_to_hub=true", ("no such option",)),
    ("train", "qqqq=1", ("--help lists them all",)),
    # how things are written
    ("train", "learning_rate", ("key=value", "'learning_rate'")),
    ("train", "--learning_rate", ("learning_rate needs a value",)),
    ("train", "--config", ("config needs a value",)),
    ("train", "dapo", ("key=value", "'dapo'")),
    ("train", "=3", ("unknown configuration key",)),
    ("train", "model=Qwen/Qwen3-VL-2B-Instruct", ("model is a group of keys, model.name",)),
    ("train", "data={source:", ("data must be YAML",)),
    ("train", "seed=null", ("seed must be an integer", "got 'null'")),
    ("train", "--print_config=yaml", ("print_config",)),
    # recipes and files
    *(
        ("train", f"{key}=~nosuchuser/x", ("~name of a user of this machine", "'~nosuchuser/x'"))
        for key in ("recipe", "output_dir", "data.path", "resume_from_checkpoint", "data.source=hf data.path")
    ),
    ("train", "reward_funcs=~nosuchuser/x.py:f reward_weights=1", ("~name of a user of this machine",)),
    ("train", "--config ~nosuchuser/x.yaml", ("~name of a user of this machine",)),
    ("solve", "question=1 model=~nosuchuser/x", ("~name of a user of this machine",)),
    ("solve", "model=small question=1 image=~nosuchuser/x.png", ("~name of a user of this machine",)),
    ("train", "recipe=papr", ("recipe", "did you mean 'paper'?")),
    ("train", "recipe={at}/absent.yaml", ("recipe", "absent.yaml", "is no file")),
    ("train", "recipe={at}/loop.yaml", ("recipe", "lead back to itself")),
    ("train", "--config {at}/absent.yaml", ("--config file", "absent.yaml", "No such file")),
    ("train", "--config {at}", ("--config file", "directory")),
    ("train", "--config {at}/latin1.yaml", ("latin1.yaml", "UTF-8", "byte 13")),
    ("train", "--config {at}/broken.yaml", ("broken.yaml", "must be YAML", "line 3")),
    ("train", "--config {at}/list.yaml", ("list.yaml", "keys and values", "a list")),
    ("train", "--config {at}/twice.yaml", ("twice.yaml", "'seed' is there twice")),
    ("train", "--config {at}/misspelt.yaml", ("misspelt.yaml", "num_generation", "did you mean 'num_generations'?")),
    ("train", "--config {at}/trl.yaml", ("trl.yaml", "per_device_train_batch_size", "prompts_per_step")),
    ("train", "--config {at}/group.yaml", ("group.yaml", "lora is a group of keys")),
    ("train", "--config {at}/negative.yaml", ("seed must be at least 0", "-3")),
    ("train", "--config {at}/papr.yaml", ("recipe", "did you mean 'paper'?")),
]
REWARDS = [
    ("train", "reward_funcs=corect reward_weights=1", ("reward_funcs", "did you mean 'correct'?")),
    ("train", "reward_funcs=[correct,correct] reward_weights=[1,1]", ("reward_funcs must have different names",)),
    ("train", "reward_funcs={at}/absent.py:f reward_weights=1", ("no file", "absent.py")),
    ("train", "reward_funcs={at}/syntax.py:f reward_weights=1", ("syntax.py", "line 2", "SyntaxError")),
    ("train", "reward_funcs={at}/raises.py:f reward_weights=1", ("raises.py", "line 3", "ZeroDivisionError")),
    ("train", "reward_funcs={at}/imports.py:f reward_weights=1", ("imports.py", "no_such_module_here")),
    ("train", "reward_funcs={at}/exits.py:f reward_weights=1", ("exits.py", "SystemExit")),
    ("train", "reward_funcs={at}/half.py:f reward_weights=1", ("'f' has state_dict and no load_state_dict",)),
    ("train", "output_dir=", ("output_dir must be a folder; got none",)),
    ("train", "model.name=", ("model.name must be", "got none")),
    ("eval", "model=", ("model must be", "got none")),
    ("train", "reward_funcs={at}/good.py:lenght reward_weights=1", ("no function 'lenght'", "did you mean 'length'?")),
    ("train", "reward_funcs={at}/good.py:NUMBER reward_weights=1", ("no function 'NUMBER'",)),
    ("train", "reward_funcs={at}/good.py:nothing reward_weights=1", ("'nothing'", "by name")),
    ("train", "reward_funcs={at}/good.py:positional reward_weights=1", ("'positional'", "also wants x")),
    ("train", "reward_funcs={at}/good.py:stranger reward_weights=1", ("'stranger'", "also wants magic")),
    ("train", "reward_funcs={at}/good.py:two reward_weights=1", ("'two'", "also wants other")),
    ("train", "reward_funcs={at}/good.py:Class reward_weights=1", ("'Class'", "a class")),
    ("train", "reward_funcs={at}/good.py: reward_weights=1", ("no function ''",)),
    ("train", "reward_funcs={at}/picture.png:f reward_weights=1", ("not a Python file",)),
    ("train", "rewards=[corect]", ("rewards must name one of", "did you mean 'correct'?")),
    ("train", "rewards=[correct,correct]", ("rewards must have different names",)),
    ("train", "rewards=[[correct]]", ("rewards must be a list of mappings with name", "['correct']")),
    ("train", "--config {at}/weightless.yaml", ("rewards must have a weight that is not 0", "[0.0]")),
    ("train", "--config {at}/nameless.yaml", ("name of entry 2 must be given",)),
    ("train", "--config {at}/heavy.yaml", ("rewards.laser.weight must be", "at most 1,000,000", "1000000000.0")),
    ("train", "--config {at}/tarjet.yaml", ("rewards: 'laser' takes target, bonus", "did you mean 'target'?")),
    ("train", "--config {at}/gated.yaml", ("rewards: gate of 'laser' must be one of laser", "got 'correct'")),
    ("train", "rewards=[correct] reward_weights=[1,1,1]", ("reward_weights cannot act", "rewards says what is paid")),
    (
        "train",
        "rewards=[correct] schedules.reward_weights.correct=1",
        ("schedules must be of", "rewards.correct.weight"),
    ),
    ("train", "combine=gdp", ("combine must be one of sum, gdpo, by_member", "did you mean 'gdpo'?")),
    ("train", "combine={at}/good.py:lenght", ("combine: good.py has no function 'lenght'",)),
    ("train", "combine={at}/good.py:nothing", ("combine: 'nothing' must take components and batch",)),
    ("train", "verifiers=answer", ("verifiers must be a mapping such as {default: recipe.py:verify}",)),
    ("train", "verifiers.default=boxes", ("verifiers.default must be answer, or file.py:function", "'boxes'")),
    ("train", "verifiers.boxes={at}/good.py:two", ("verifiers.boxes must take problem, text, extracted and result",)),
    ("train", "verifiers.boxes={at}/good.py:Class", ("verifiers.boxes must be a function; got a class",)),
    ("eval", "verifiers.default={at}/absent.py:f", ("verifiers.default: no file", "absent.py")),
    ("train", "data.answered=false", ("data.answered cannot act", "every problem of shapes has its answer")),
    ("eval", "answered=false", ("answered cannot act", "the rows are read as the run reads them")),
]
IDLE = [
    ("train", "data.path={at}/rows.jsonl data.source=shapes", ("data.path cannot act", "data.source=shapes")),
    ("train", "data.path={at}/absent.jsonl", ("data.path must exist",)),
    ("train", "demonstrations.path=absent.jsonl", ("demonstrations.path must exist; got 'absent.jsonl'",)),
    (
        "train",
        "engine.backend=mathics engine.command=/bin/true engine.allow_unsandboxed=true",
        ("engine.command='/bin/true' cannot load Mathics3", "nothing"),
    ),
    ("train", "data.source=hf", ("data.path must be a Hub id",)),
    ("train", "data.source=mathvision", ("data.path must be a MathVision folder",)),
    ("train", "data.split=test", ("data.split cannot act", "shapes has no splits")),
    ("train", "data.path={at}/rows.jsonl data.split=test", ("data.split cannot act", "single file")),
    ("train", "data.path={at}/rows.jsonl warm_start.steps=0 data.level=2", ("data.level cannot act",)),
    ("train", "data.max_prompt_length=100", ("data.max_prompt_length cannot act",)),
    ("train", "data.picture_threads=2", ("data.picture_threads cannot act", "shapes makes its problems itself")),
    ("train", "data.columns.question=Frage", ("data.columns", "shapes has no columns")),
    (
        "train",
        "data.path={at}/rows.jsonl data.columns.frage=x",
        ("data.columns must be by role (question, answer", "got 'frage'"),
    ),
    ("train", "data.path={at}/rows.jsonl data.subset=main", ("data.subset cannot act", "local")),
    ("train", "lora.r=8", ("lora.r cannot act", "lora.enabled=true")),
    ("train", "lora.enabled=false lora.dropout=0.1", ("lora.dropout cannot act", "lora.enabled is false")),
    ("train", "lora.alpha=8", ("lora.alpha cannot act",)),
    ("train", "lora.target_modules=q_proj", ("lora.target_modules cannot act",)),
    ("train", "model.name={at}/adapter lora.r=8", ("lora.r cannot act", "adapter of its own")),
    ("train", "model.name={at}/adapter lora.enabled=false", ("lora.enabled cannot act", "is an adapter")),
    ("train", "prompt.mode=nsl warm_start.languages={prose:1}", ("warm_start.languages cannot act", "prompt.mode=nsl")),
    ("train", "prompt.mode=nsl warm_start.steps=0", ("prompt.mode cannot act", "no system text", "no demonstrations")),
    ("train", "prompt.system={at}/rows.jsonl", ("prompt.system cannot act", "no system text")),
    ("train", "prompt.examples=nsl", ("prompt.examples cannot act", "no system text")),
    ("train", "prompt.delimiters=tokens", ("prompt.delimiters cannot act", "has the tags as single tokens")),
    (
        "train",
        "model.name={at}/adapter prompt.mode=cot prompt.delimiters=tags",
        ("prompt.mode=cot asks for no program",),
    ),
    (
        "train",
        "model.name={at}/adapter prompt.system={at}/none.txt",
        ("prompt.system must be a file that can be read",),
    ),
    ("train", "model.name={at}/adapter prompt.examples=nls", ("prompt.examples must be a file", "'nls'")),
    ("train", "prompt.mode=prose", ("prompt.mode must be one of any, answer, cot", "'prose'")),
    ("train", "prompt.prefill=open", ("prompt.prefill=open needs a prompt.mode of one language",)),
    ("train", "spans.info=<info>", ("spans.info must be a text around one {}", "'<info>'")),
    ("train", "spans.9=<i>{}</i>", ("spans: a name must be a word", "'9'")),
    ("train", "spans.a/b=<i>{}</i>", ("spans: a name must be a word", "'a/b'")),
    ("eval", "spans.info=<i>{}{}</i>", ("spans.info must be a text around one {}",)),
    ("train", "spans.program=<p>{}</p>", ("spans.program is there",)),
    ("train", "spans=info", ("spans must be a mapping such as {info:",)),
    ("eval", "prompt.mode=nsl", ("prompt.mode cannot act", "no system text")),
    ("solve", "model=small question=q prompt.mode=nsl", ("prompt.mode cannot act", "no system text")),
    ("train", "vllm.eager=true", ("vllm.eager cannot act", "rollout is native")),
    ("train", "vllm.memory_share=0.5", ("vllm.memory_share cannot act",)),
    ("train", "vllm.cache_gib=2", ("vllm.cache_gib cannot act",)),
    ("train", "vllm.max_sequences=2", ("vllm.max_sequences cannot act",)),
    ("train", "vllm.max_images=2", ("vllm.max_images cannot act",)),
    (
        "train",
        "warm_start.steps=0 warm_start.reading_steps=5",
        ("warm_start.reading_steps cannot act", "no warm start"),
    ),
    ("train", "warm_start.steps=0 warm_start.batch_size=5", ("warm_start.batch_size cannot act",)),
    ("train", "warm_start.steps=0 warm_start.learning_rate=.1", ("warm_start.learning_rate cannot act",)),
    ("train", "warm_start.steps=0 warm_start.wrong=.1", ("warm_start.wrong cannot act",)),
    ("train", "warm_start.steps=0 warm_start.languages={nsl:1}", ("warm_start.languages cannot act",)),
    ("train", "model.name={at}/adapter warm_start.languages.nsl=2", ("warm_start.languages cannot act", "not small")),
    ("train", "eval_size_midway=5", ("eval_size_midway cannot act", "eval_steps is 0")),
    ("train", "extra_supervised_steps=5 max_steps=7", ("max_steps cannot act", "takes the place of GRPO")),
    ("train", "parallel=fsdp", ("parallel cannot act", "one process")),
    ("train", "aggregation=token", ("unknown configuration key 'aggregation'; here it is objective.aggregation",)),
    ("train", "mini_batches=5 prompts_per_step=4", ("mini_batches must be at most prompts_per_step (4)", "got 5")),
    ("train", "objective.dual_clip=3 loss_type=gmpo num_iterations=2", ("objective.dual_clip must be null", "gmpo")),
    ("train", "scale_rewards=reinforce++ dynamic_sampling=2", ("dynamic_sampling cannot act", "REINFORCE++")),
    ("train", "draw.weights={1:2}", ("draw.weights cannot act", "draw.kind=plain does not use it")),
    ("train", "draw.kind=mix", ("draw.kind must be one of plain, mixture", "FILE.py:Class", "did you mean 'mixture'?")),
    ("train", "draw.kind=mixture draw.weights={4:1}", ("parts must be levels of shapes, 1 to 3; got '4'",)),
    ("train", "draw.kind=mixture draw.weights={1:0}", ("draw.weights must be above 0 for one part",)),
    ("train", "draw.kind=mixture draw.by=source", ("draw.weights (promote: draw.order) must name the sources",)),
    ("train", "draw.kind=mixture draw.by=source draw.weights={hf:1}", ("sources that make their problems; got 'hf'",)),
    ("train", "draw.kind=promote draw.by=category", ("draw.by must be level or source", "got 'category'")),
    ("train", "draw.kind=promote draw.order=[1,1]", ("draw.order must name each part once",)),
    ("train", "draw.kind=promote data.path={at}/rows.jsonl", ("draw.order must name the parts one after the other",)),
    ("train", "reward_funcs=[from_caption] reward_weights=[1]", ("spans.caption must be given for the reward",)),
    ("train", "draw.kind=promote draw.pass_at=11", ("draw.pass_at must be at most num_generations (10); got 11",)),
    ("train", "draw.kind=tiers", ("draw.tiers must name a tier at least",)),
    ("train", "draw.kind=tiers draw.tiers={a:3}", ("draw.tiers.a must be `A to B`", "got '3'")),
    ("train", "--config {at}/tiers.yaml", ("draw.tiers.low must be `A to B` with A at most B; got '1 to 0'",)),
    ("train", "--config {at}/weighed.yaml", ("draw.weights must be of tiers (low); got 'lwo'; did you mean 'low'?",)),
    ("train", "draw.kind=variance draw.by=id", ("draw.by must not be id where problems are made",)),
    ("train", "draw.kind=variance draw.column=rate", ("draw.column must be a column of shapes (level); got 'rate'",)),
    ("train", "draw.kind=variance draw.column=level draw.decay=.1", ("draw.decay cannot act", "none is measured")),
    ("train", "draw.kind=rlcs draw.weights={a:1}", ("draw.weights cannot act", "draw.tiers names none")),
    ("train", "draw.kind=rlcs draw.by=category", ("draw.by cannot act", "no problem is passed over")),
    ("train", "draw.gate=corect", ("draw.gate must be a reward component (correct,", "did you mean 'correct'?")),
    (
        "train",
        "draw.kind={at}/good.py:Class",
        ("draw.kind", "must be a class of nsrl.trainer.draw.Draw", "without wanted"),
    ),
    ("train", "draw.kind={at}/absent.py:Own", ("draw.kind: no file",)),
    ("train", "objective.dual_clip=1", ("objective.dual_clip must be above 1 or null; got 1.0",)),
    ("train", "objective.kl=k2", ("objective.kl cannot act", "beta is 0")),
    ("train", "objective.importance_cap=3", ("objective.importance_cap cannot act", "sampler_correction is none")),
    (
        "train",
        "loss_type=vespo rollout=vllm sampler_correction=mask objective.importance_level=sequence",
        ("objective.importance_level must be token with loss_type=vespo",),
    ),
    ("train", "objective.tau=[1,2]", ("objective.tau cannot act", "loss_type=sapo")),
    ("train", "objective.vespo_k=[1,-1]", ("objective.vespo_k must be at least 0; got -1.0",)),
    ("train", "objective.cov_band=[1,2]", ("objective.cov_band cannot act", "objective.clip_cov is 0")),
    ("train", "objective.clip_cov=.1 objective.cov_band=[2,1]", ("objective.cov_band must be two numbers",)),
    ("train", "objective.drift_coef=.1", ("objective.drift_coef cannot act", "objective.kl_cov is 0")),
    ("train", "objective.top_entropy=0", ("objective.top_entropy must be above 0 and at most 1; got 0.0",)),
    ("train", "objective.nll_coef=.1 shuffle_rewards=true", ("objective.nll_coef must be 0 with shuffle_rewards",)),
    ("train", "importance=mask", ("unknown configuration key 'importance'; here it is sampler_correction",)),
    ("train", "loss_type=reinforce epsilon=0.3", ("epsilon cannot act", "reinforce does not use it")),
    ("train", "loss_type=reinforce importance_sampling_level=sequence", ("importance_sampling_level cannot act",)),
    ("train", "loss_type=sapo num_iterations=2 epsilon_high=0.3", ("epsilon_high cannot act", "sapo")),
    ("train", "use_bias_correction_kl=true", ("use_bias_correction_kl cannot act", "beta is 0")),
    (
        "train",
        "loss_type=cispo num_iterations=2 epsilon=0.3 epsilon_high=5.0",
        ("epsilon cannot act", "upper clip only"),
    ),
    (
        "train",
        "loss_type=gspo num_iterations=2 importance_sampling_level=token",
        ("importance_sampling_level", "sequence's"),
    ),
    ("train", "--config {at}/idle.yaml", ("lora.r cannot act",)),
    ("train", "rollout=vllm", ("rollout=vllm", "nsrl[vllm]")),
    ("train", "report_to=[tensorboard]", ("report_to tensorboard needs the package",)),
    ("train", "report_to=[wandb]", ("report_to wandb needs the package",)),
    ("check", "num_generations=1", ("num_generations must be at least 2",)),
    ("check", "top_p=0.5", ("top_p must be 1",)),
    ("check", "reward_funcs=corect reward_weights=1", ("did you mean 'correct'?",)),
]
OTHER_COMMANDS = [
    ("eval", "batch=0", ("batch must be at least 1",)),
    ("eval", "max_pixels=-5", ("max_pixels must be at least 1024",)),
    ("eval", "size=0", ("size must be at least 1", "null takes all")),
    ("eval", "size=-3", ("size must be at least 1",)),
    ("eval", "size=1e9", ("size must be at most 100,000",)),
    ("eval", "samples=0", ("samples must be at least 1",)),
    ("eval", "temperature=-1", ("temperature must be 0, or at least 0.01",)),
    ("eval", "temperature=1e-40", ("temperature must be 0, or at least 0.01",)),
    ("eval", "samples=100000000", ("samples must be at least 1 and at most 4096",)),
    ("eval", "temperature=nan", ("temperature must be a finite number",)),
    ("eval", "level=10", ("level must be at least 1 and at most 9",)),
    ("eval", "data=shapes level=4", ("level must be at least 1 and at most 3 with shapes",)),
    ("eval", "data=hf:{at}/rows.jsonl noise=3", ("noise cannot act",)),
    ("eval", "seed=-1", ("seed must be at least 0",)),
    ("eval", "max_completion_length=0", ("max_completion_length must be at least 1",)),
    ("eval", "engine.workers=0", ("engine.workers must be at least 1",)),
    ("eval", "dtype=int8", ("dtype must be one of",)),
    ("eval", "output={at}/special/pipe", ("output must be a file", "pipe", "not a regular file")),
    ("eval", "output={at}", ("output must be a file", "a folder")),
    ("eval", "output=.", ("output must be a file", "a folder")),
    ("eval", "output=o.parquet", ("output must not end in .parquet", "o.parquet")),
    ("eval", "output=o.PARQUET", ("output must not end in .parquet",)),
    ("eval", "--config {at}/nul.yaml", ("output", "NUL")),
    ("train", "--config {at}/nul-train.yaml", ("data.path", "NUL")),
    ("eval", "sample=4", ("did you mean 'samples'?",)),
    ("eval", "recipe=paper", ("unknown configuration key 'recipe'",)),
    ("eval", "data=hf:{at}/rows.jsonl level=2", ("level cannot act",)),
    ("solve", "--model small", ("question must be given",)),
    ("solve", "--question q", ("model must be given",)),
    ("solve", "", ("model must be given",)),
    ("solve", "--model small --question=", ("question must be given",)),
    ("solve", "--model small --problem 0 --question q", ("problem stands in place of question",)),
    ("solve", "--model small --problem 0", ("problem needs a run folder",)),
    ("solve", "--model small --question q --image {at}/absent.png", ("absent.png", "is missing")),
    ("solve", "--model small --question q --image {at}/rows.jsonl", ("rows.jsonl", "image")),
    ("solve", "--model small --question q --image {at}/cut.png", ("cut.png",)),
    ("solve", "--model small --question q --image {at}", ("cannot be read",)),
    ("solve", "--model small --question q temperature=-1", ("temperature must be 0, or at least 0.01",)),
    ("solve", "--model small --question q temperature=1e-40", ("temperature must be 0, or at least 0.01",)),
    ("solve", "--model small --question <image>what?", ("question", "one <image> per image given (0); got 1")),
    ("solve", "--model small --image {at}/picture.png --question <image>what<image>", ("(1); got 2",)),
    ("solve", "--model small --question q max_completion_length=-1", ("max_completion_length must be at least 1",)),
    ("solve", "--model small --question q engine.memory_mb=1", ("engine.memory_mb must be at least 16",)),
]
ROWS = [*NUMBERS, *WORDS, *REWARDS, *IDLE, *OTHER_COMMANDS]
FILES = {
    "loop.yaml": "recipe: {at}/loop.yaml\n",
    "broken.yaml": "seed: 1\nmodel: [small\n",
    "list.yaml": "- seed\n",
    "twice.yaml": "seed: 1\nseed: 2\n",
    "level-twice.yaml": "data.level: 2\ndata: {level: 3}\n",
    "level-first.yaml": "data: {level: 3}\ndata.level: 3\n",
    "shares.yaml": "warm_start.languages.nsl: 2\nwarm_start: {languages: {nsl: 1, prose: 1}}\n",
    "misspelt.yaml": "num_generation: 4\n",
    "trl.yaml": "per_device_train_batch_size: 4\n",
    "group.yaml": "lora: true\n",
    "negative.yaml": "seed: -3\n",
    "papr.yaml": "recipe: papr\n",
    "idle.yaml": "lora: {r: 8}\n",
    "weightless.yaml": "rewards: [{name: correct, weight: 0}]\n",
    "tiers.yaml": "draw: {kind: tiers, tiers: {low: 1 to 0}}\n",
    "weighed.yaml": "draw: {kind: tiers, tiers: {low: 0 to 0.5}, weights: {lwo: 1}}\n",
    "nameless.yaml": "rewards: [correct, {weight: 1}]\n",
    "heavy.yaml": "rewards: [{name: laser, weight: 1e9}]\n",
    "tarjet.yaml": "rewards: [{name: laser, tarjet: 3}]\n",
    "gated.yaml": "rewards: [{name: laser, gate: correct}]\n",
    "nul.yaml": 'output: "a\\0b.json"\n',
    "nul-train.yaml": 'data: {source: hf, path: "a\\0b"}\n',
    "rows.jsonl": '{"question": "1 + 1?", "answer": "2"}\n',
    "adapter/config.json": '{"model_type": "qwen3_vl"}',
    "adapter/adapter_config.json": '{"base_model_name_or_path": "small"}',
    "syntax.py": "def f(batch):\n    return [1.0 for in batch]\n",
    "raises.py": "\n\n1 / 0\n",
    "imports.py": "import no_such_module_here\n",
    "exits.py": "import sys\nsys.exit(3)\n",
    "half.py": "class Half:\n    def __call__(self, completions, **columns): ...\n    def state_dict(self): ...\nf = "
    "Half()\n",
    "good.py": (
        "NUMBER = 3\ndef length(completions, **columns): ...\ndef nothing(): ...\ndef positional(x, /): ...\n"
        "def stranger(completions, magic): ...\ndef two(batch, other): ...\nclass Class:\n    def __init__(self, "
        "batch): ...\n"
    ),
}
RUN_ROWS = """
import contextlib, importlib, io, json, sys, time, traceback
from nsrl.errors import UserError
told = []
for name, argv in json.load(sys.stdin):
    out, start = io.StringIO(), time.perf_counter()
    try:
        with contextlib.redirect_stdout(out):
            importlib.import_module("nsrl." + name).main(argv)
        said = "nothing"
    except UserError as error:
        said = "error: " + str(error)
    except BaseException:
        said = traceback.format_exc()
    told.append((said, time.perf_counter() - start))
print(json.dumps({"told": told, "torch": "torch" in sys.modules, "transformers": "transformers" in sys.modules}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What every row of the catalogue was answered, and what was imported on the way: one process for all."""
    at, empty = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("empty")
    for name, text in FILES.items():
        (at / name).parent.mkdir(exist_ok=True)
        (at / name).write_text(text.replace("{at}", str(at)))
    (at / "latin1.yaml").write_bytes("output_dir: Gr\u00f6\u00dfe\n".replace("r\u00f6", "\u00f6").encode("latin-1"))
    (at / "special").mkdir()
    os.mkfifo(at / "special" / "pipe")
    Image.new("RGB", (64, 64), (9, 90, 120)).save(at / "picture.png")
    (at / "cut.png").write_bytes((at / "picture.png").read_bytes()[:60])
    rows = [(name, [word.replace("{at}", str(at)) for word in line.split()]) for name, line, _ in ROWS]
    done = subprocess.run(
        [sys.executable, "-c", RUN_ROWS], input=json.dumps(rows), capture_output=True, text=True, cwd=empty,
        timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout), empty


@pytest.mark.parametrize("number", range(len(ROWS)), ids=[f"{name} {line}"[:70] for name, line, _ in ROWS])
def test_one_sentence(told, number):
    said, seconds = told[0]["told"][number]
    assert said.startswith("error: "), said
    assert "\n" not in said and len(said) < 400, said
    for word in ROWS[number][2]:
        assert word in said, said
    assert seconds < 5, said


def test_the_catalogue_needs_no_torch_and_leaves_nothing_behind(told):
    assert not told[0]["torch"] and not told[0]["transformers"]
    assert list(told[1].iterdir()) == []
    assert len(ROWS) >= 188


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("max_steps=1e3", "max_steps", 1000),
        ("max_steps=32.0", "max_steps", 32),
        ("report_to=none", "report_to", []),
        ("report_to=[]", "report_to", []),
        ("save_total_limit=null", "save_total_limit", None),
        ("save_total_limit=None", "save_total_limit", None),
        ("preflight=False", "preflight", False),
        ("preflight=off", "preflight", False),
        ("--no-such-thing=1 max_steps=1", None, "unknown"),
    ("data.columns=question", None, "data.columns must be a mapping such as {question: Frage"),
        ("output_dir=2026-01-02", "output_dir", "2026-01-02"),
        ("model.name=no", "model.name", "no"),
        ("model.name=007", "model.name", "007"),
        ("learning_rate=3E-4", "learning_rate", 3e-4),
        ("reward_funcs=correct reward_weights=2", "reward_weights", [2.0]),
        ("reward_weights=[-1,0.5,0]", "reward_weights", [-1.0, 0.5, 0.0]),
        ("warm_start.languages.nsl=2", "warm_start.languages", {"direct": 1.0, "prose": 1.0, "sympy": 1.0,
        "wolfram": 1.0, "nsl": 2.0}),
        ("warm_start.languages={nsl:1}", "warm_start.languages", {"nsl": 1.0}),
        ("lora={enabled:true,r:4}", "lora.r", 4),
        ("--shuffle_rewards", "shuffle_rewards", True),
        ("--model.gradient-checkpointing max_steps=3", "model.gradient_checkpointing", True),
        ("seed=1 seed=2", "seed", 2),
        ("epsilon_high=null", "epsilon_high", None),
        ("entropy_coef=-0.1", "entropy_coef", -0.1),
        ("data.path=a/b", "data.source", "hf"),
        ("data.path=x/ViRL39K", "data.source", "virl39k"),
    ],
)  # fmt: skip
def test_what_was_refused_and_is_right(line, key, value):
    if key is None:
        with pytest.raises(UserError, match=value):
            parse(TrainConfig, line.split(), "train")
        return
    found = parse(TrainConfig, line.split(), "train")
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value and type(found) is type(value)


def test_configurations_made_in_python_are_checked_too():
    for kind, options in ((TrainConfig, {"max_grad_norm": -1.0}), (TrainConfig, {"max_steps": "3"}), (TrainConfig,
    {"seed": True}),
                          (TrainConfig, {"loss_type": "x"}), (TrainConfig, {"threads": 1.5}), (EvalConfig,
                          {"batch": 0}),
                          (TrainConfig, {"beta": None}), (SolveConfig, {"model": "small",
                          "question": " "})):  # fmt: skip
        with pytest.raises(UserError, match=next(reversed(options))):
            kind(**options)


# -- what needs a model or a run ---------------------------------------------------------------------------------------


def rows(folder, entries):
    (folder / "images").mkdir(exist_ok=True)
    for number in range(4):
        Image.new("RGB", (64, 64), (40 * number, 90, 120)).save(folder / "images" / f"{number}.png")
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in entries))
    return path


def good(number):
    return {"question": f"How many? {number}", "image": f"images/{number}.png", "answer": str(number)}


def refused(tmp_path, *argv):
    with pytest.raises(UserError) as error:
        main([*SHORT, f"output_dir={tmp_path / 'run'}", *argv])
    assert "\n" not in str(error.value)
    return str(error.value)


def test_commands_exit_with_2_and_one_line():
    for argv in (
        ["nsrl.train", "data.sorce=x"],
        ["nsrl.eval", "--model", "/nowhere/at/all"],
        ["nsrl.solve", "--model", "x"],
    ):
        done = subprocess.run([sys.executable, "-m", *argv], capture_output=True, text=True)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr


def test_a_completion_longer_than_the_models_positions(tmp_path, capsys):
    assert "at most 4095, because the model has 4096 positions; got 100000" in refused(
        tmp_path, "max_completion_length=100000"
    )
    assert "behind a prompt of" in refused(tmp_path, "max_completion_length=4090")
    from nsrl import eval as evaluate
    from nsrl import solve

    with pytest.raises(UserError, match="4096 positions; got 100000"):
        evaluate.main(["size=2", "max_completion_length=100000"])
    with pytest.raises(UserError, match="behind a prompt of .* 4096 positions; got 4090"):
        solve.main(["--model", "small", "--question", "How many circles are there?", "max_completion_length=4090"])
    with pytest.raises(UserError, match="must leave room for an answer in the model's 4096 positions; it takes"):
        solve.main(["--model", "small", "--question", "How many? " * 5000])


def test_picture_sizes_follow_what_was_said():
    from nsrl.config import LoraConfig, ModelConfig
    from nsrl.models import loading

    with pytest.raises(UserError, match="model.min_pixels must be below 4,194,304"):
        loading.load(ModelConfig(min_pixels=100_000_000), LoraConfig())
    size = loading.load(
        ModelConfig(min_pixels=300_000), LoraConfig()
    ).image_processor.size  # above the small model's largest
    assert (size["shortest_edge"], size["longest_edge"]) == (300_000, 300_000)
    size = loading.load(ModelConfig(max_pixels=2048), LoraConfig()).image_processor.size
    assert (size["shortest_edge"], size["longest_edge"]) == (1024, 2048)


def test_missing_model_and_other_architecture(tmp_path):
    assert "does not exist" in refused(tmp_path, f"model.name={tmp_path / 'absent'}")
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text('{"model_type": "llama"}')
    assert "qwen3_vl" in refused(tmp_path, f"model.name={other}")


def test_empty_data_and_no_gold(tmp_path):
    empty = tmp_path / "empty.jsonl"
    empty.write_text("")
    assert "empty" in refused(tmp_path, "data.source=hf", f"data.path={empty}")
    path = rows(tmp_path, [{k: v for k, v in good(n).items() if k != "answer"} for n in range(4)])
    assert "gold answer" in refused(tmp_path, "data.source=hf", f"data.path={path}")


def test_bad_images_are_counted_skips_and_the_source_is_recognised(tmp_path, caplog):
    path = rows(tmp_path, [good(0), good(1), good(2), good(3), *({**good(0), "question": "?",
    "image": f"images/{x}"} for x in ("text.png", "cut.png", "gone.png"))])  # fmt: skip
    (tmp_path / "images" / "text.png").write_text("this is no picture")
    whole = (tmp_path / "images" / "1.png").read_bytes()
    (tmp_path / "images" / "cut.png").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level("INFO"):
        assert main([*SHORT, f"output_dir={tmp_path / 'run'}", f"data.path={path}"]) == 0
    assert "3 of 7 rows skipped" in caplog.text
    metrics = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in metrics if row["phase"] == "grpo"] == [1]
    assert "source: hf" in (tmp_path / "run" / "config.yaml").read_text()


def test_resume_from_half_written_checkpoint_and_a_taken_folder(tmp_path):
    folder = tmp_path / "run"
    assert main([*SHORT, f"output_dir={folder}"]) == 0
    assert "--resume" in refused(tmp_path)
    (folder / "latest" / "model.safetensors").write_bytes(b"half")
    with pytest.raises(UserError, match="incomplete: model.safetensors has 4 of"):
        main([f"output_dir={folder}", "--resume", "max_steps=2"])
    half = folder / "checkpoint-9"
    half.mkdir()
    with pytest.raises(UserError, match="half-written"):
        main([f"output_dir={folder}", f"resume_from_checkpoint={half}"])


@pytest.mark.skipif(os.geteuid() == 0 and not shutil.which("chattr"), reason="root may write anywhere")
def test_read_only_output(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file, not a folder")
    with pytest.raises(UserError, match="output_dir must be a folder that can be written"):
        main([*SHORT, f"output_dir={blocked / 'run'}"])
    with pytest.raises(UserError, match="output_dir must be a folder that can be written"):
        main([*SHORT, "output_dir=/proc/nsrl"])


def test_one_generation(tmp_path):
    assert "num_generations must be at least 2" in refused(tmp_path, "num_generations=1")
