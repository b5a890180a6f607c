"""Keys by the names that users of other trainers know, and what to say to a name that is no key."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

_PROMPTS = "prompts_per_step (problems; each gets num_generations completions)"
_LENGTHS = "max_completion_length"
_STEPS = "max_steps (there are no epochs)"
_DATA = "data.source and data.path"

# The last part of a dotted name is enough; names of TRL, transformers, peft, verl, EasyR1 and vLLM.
OTHERS = {
    "actor_rollout_ref.model.path": "model.name",
    "adam_beta1": "",
    "adv_estimator": "scale_rewards (group: GRPO, none: Dr. GRPO; rloo, opo, gpg, otb, ... by their names)",
    "attn_implementation": "model.attention",
    "batch_size": _PROMPTS,
    "bf16": "model.dtype",
    "clip_ratio": "epsilon",
    "clip_ratio_c": "objective.dual_clip",
    "clip_ratio_high": "epsilon_high",
    "clip_ratio_low": "epsilon",
    "compute_score": "reward_funcs",
    "custom_reward_function": "reward_funcs=[file.py:function]",
    "dataset": _DATA,
    "dataset_name": _DATA,
    "dataset_test_split": "data.split (a test split is found by its name)",
    "dataset_train_split": "data.split",
    "deepspeed": "parallel",
    "default_local_dir": "output_dir",
    "disable_kl": "beta=0",
    "do_eval": "eval_steps",
    "enforce_eager": "vllm.eager",
    "entropy_coeff": "entropy_coef",
    "epochs": _STEPS,
    "eval_strategy": "eval_steps",
    "experiment_name": "output_dir",
    "filter_groups": "dynamic_sampling",
    "fp16": "model.dtype (float32 or bfloat16)",
    "freeze_vision_modules": "model.freeze_vision_tower",
    "fsdp": "parallel=fsdp",
    "generation_batch_size": _PROMPTS,
    "gpu_memory_utilization": "vllm.memory_share",
    "gradient_accumulation_steps": "prompts_per_step (micro-batches are packed to token_budget by themselves)",
    "kl_coef": "beta",
    "kl_loss_coef": "beta",
    "kv_cache_memory_bytes": "vllm.cache_gib",
    "log_completions": "completions_steps",
    "logger": "report_to",
    "logging_strategy": "logging_steps",
    "lora_alpha": "lora.alpha",
    "lora_dropout": "lora.dropout",
    "lora_r": "lora.r",
    "lora_rank": "lora.r",
    "lora_target_modules": "lora.target_modules",
    "lr": "learning_rate",
    "lr_scheduler": "lr_scheduler_type",
    "max_new_tokens": _LENGTHS,
    "max_num_seqs": "vllm.max_sequences",
    "max_prompt_length": "data.max_prompt_length",
    "max_response_length": _LENGTHS,
    "max_tokens": _LENGTHS,
    "micro_batch_size": "token_budget",
    "min_p": "",
    "model_id": "model.name",
    "model_name": "model.name",
    "model_name_or_path": "model.name",
    "model_path": "model.name",
    "multi_objective_aggregation": "combine (gdpo is normalize_then_sum)",
    "n": "num_generations",
    "n_gpus_per_node": "torchrun --nproc-per-node N",
    "nproc_per_node": "torchrun --nproc-per-node N",
    "num_epochs": _STEPS,
    "num_samples": "num_generations",
    "num_train_epochs": _STEPS,
    "num_workers": "engine.workers",
    "optim": "",
    "per_device_eval_batch_size": "",
    "per_device_train_batch_size": _PROMPTS,
    "ppo_epochs": "num_iterations",
    "ppo_micro_batch_size_per_gpu": "token_budget",
    "ppo_mini_batch_size": "mini_batches (into how many parts a rollout's groups go)",
    "project_name": "output_dir",
    "push_to_hub": "",
    "ref_model": "beta (the reference is the start of GRPO)",
    "repetition_penalty": "",
    "reward_function": "reward_funcs",
    "reward_functions": "reward_funcs",
    "reward_kwargs": "rewards (arguments stand beside the name)",
    "reward_model": "reward_funcs=[file.py:function]",
    "rollout_batch_size": _PROMPTS,
    "run_name": "output_dir",
    "save_freq": "save_steps",
    "save_strategy": "save_steps",
    "steps_per_generation": "mini_batches",
    "tensor_parallel_size": "",
    "test_freq": "eval_steps",
    "torch_dtype": "model.dtype",
    "total_epochs": _STEPS,
    "total_training_steps": "max_steps",
    "train_batch_size": _PROMPTS,
    "train_files": _DATA,
    "use_kl_loss": "beta",
    "use_liger_kernel": "model.liger",
    "use_liger_loss": "model.liger",
    "use_lora": "lora.enabled",
    "use_peft": "lora.enabled",
    "use_vllm": "rollout=vllm",
    "val_files": "data.eval_size (held out of the training data)",
    "vllm_gpu_memory_utilization": "vllm.memory_share",
    "vllm_importance_sampling_correction": "sampler_correction",
    "vllm_mode": "rollout=vllm (always in the trainer's process)",
    "vllm_tensor_parallel_size": "",
    "wandb_project": "report_to=wandb",
    "warmup_ratio": "warmup_steps",
}
OF_OURSELVES = {
    "version": "`nsrl --version` prints it",
}


def unknown_key(key: str, keys: Iterable[str], where: str = "", others: Mapping[str, str] | None = None) -> str:
    """The sentence for a name that is no key: what it is called here, why there is none, or the nearest key.

    others: names that the configuration itself has an answer to, which is what follows the name.
    """
    keys = list(keys)
    start = f"{where}unknown configuration key {key!r}"
    last = key.rsplit(".", 1)[-1]
    if others and key in others:
        return start + others[key]
    if key in OF_OURSELVES:
        return f"{start}: {OF_OURSELVES[key]}"
    ours = OTHERS.get(key, OTHERS.get(last))
    if ours == "":
        return f"{start}: nsrl has no such option; --help lists them all"
    if ours is not None and ours.split()[0].split("=")[0] in (*keys, "torchrun"):
        return f"{start}; here it is {ours}"
    by_last = {k.rsplit(".", 1)[-1]: k for k in reversed(keys)}  # the first of a name
    near = (
        [by_last[last]] if last in by_last else
        difflib.get_close_matches(key, keys, 1, 0.75)
        or [by_last[m] for m in difflib.get_close_matches(last, list(by_last), 1, 0.75)]
        or [k for k in keys if len(last) > 2 and k.rsplit(".", 1)[-1].startswith(last)][:1]
    )  # fmt: skip
    return start + (f"; did you mean {near[0]!r}?" if near else "; --help lists them all")
