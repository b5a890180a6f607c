"""The scored-pass API: contexts, what is kept, what is not stored, LoRA, errors, a 2B step on the meta device."""

import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from nsrl.errors import MissingBackend, UserError
from nsrl.models.contexts import ADAPTER_OFF, BLANK_IMAGES, POLICY, Context
from nsrl.models.pack import Group, pack
from nsrl.models.padded import padded_hidden
from nsrl.models.policy import Policy
from nsrl.models.prompt import Prompt, PromptImage
from nsrl.models.registry import family_class
from tests.models.kinds import KINDS
from tests.models.packing_cases import IMAGE, cases, group, image, small_model

CASES = {kind: cases(kind) for kind in KINDS}


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def small(kind):
    """A function that builds the family's model."""
    return partial(small_model, kind=kind)


@pytest.fixture
def mixed(kind):
    return CASES[kind]["mixed"]


@pytest.fixture
def batch(mixed):
    return pack(mixed, 10_000, image_token_id=IMAGE)[0]


def lora(model, **options):
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=4, lora_alpha=8, target_modules=r".*language_model.*\.[qkvo]_proj", **options)
    wrapped = get_peft_model(model, config)
    torch.manual_seed(3)
    for name, p in wrapped.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.1)
    return wrapped


def count_tower(policy):
    """Patches of every call of the vision tower from now on."""
    calls, width = [], policy.family.smallest_picture()[0].shape[1]
    seen = lambda args, kwargs: args[0] if args else kwargs["pixel_values"]
    policy.towers[0].register_forward_pre_hook(
        lambda module, args, kwargs: calls.append(seen(args, kwargs).numel() // width), with_kwargs=True
    )
    return calls


def test_scores_are_the_log_softmax_without_banned_tokens(batch, small, mixed):
    model = small()
    banned = torch.tensor([IMAGE, 501, 502])
    scored = Policy(model).score(batch, temperature=0.7, banned=banned)
    groups = mixed
    logits = padded_hidden(model, groups)[batch.token_rows] @ model.lm_head.weight.T / 0.7
    logits[:, banned] = -torch.inf
    want = logits.log_softmax(-1)
    assert (scored.logp - want.gather(1, batch.target[:, None])[:, 0]).abs().max() <= 1e-5
    p = want.exp()
    assert (scored.entropy + (p * want.nan_to_num(neginf=0)).sum(-1)).abs().max() <= 1e-5
    assert scored.logp.dtype == torch.float32 and scored.logp.requires_grad


def test_gradient_through_the_fused_head_is_the_padded_one(batch, small, mixed):
    model = small()
    weight = torch.randn(batch.target.numel(), generator=torch.Generator().manual_seed(0))
    (Policy(model).score(batch).logp * weight).sum().backward()
    got = {n: p.grad.clone() for n, p in model.named_parameters()}
    model.zero_grad()
    hidden = padded_hidden(model, mixed)[batch.token_rows]
    logp = (hidden @ model.lm_head.weight.T).log_softmax(-1).gather(1, batch.target[:, None])[:, 0]
    (logp * weight).sum().backward()
    whole = torch.cat([p.grad.flatten() for p in model.parameters()]).norm()
    for name, p in model.named_parameters():
        assert (got[name] - p.grad).norm() <= 1e-4 * max(p.grad.norm(), 1e-3 * whole), name


def test_frozen_tower_runs_once_for_old_reference_and_policy_passes(batch, small, mixed):
    model = lora(small())
    policy = Policy(model)
    calls = count_tower(policy)
    policy.score(batch, grad=False)
    policy.score(batch, grad=False, context=ADAPTER_OFF)
    scored = policy.score(batch)
    scored.logp.sum().backward()
    distinct = {id(i): i.pixels.shape[0] for g in mixed for i in g.prompt.images}
    assert calls == [sum(distinct.values())] == [batch.work.patches]
    policy.score(batch, grad=False, context=BLANK_IMAGES)
    assert len(calls) == 2


def test_training_tower_runs_every_time_and_gets_a_gradient(batch, small):
    policy = Policy(small())
    calls = count_tower(policy)
    for _ in range(2):
        policy.score(batch).logp.sum().backward()
    assert len(calls) == 2
    assert all(p.grad is not None for p in policy.towers[0].parameters())


def test_frozen_table_and_tower_get_no_gradient(batch, small):
    model = lora(small())
    Policy(model).score(batch).logp.sum().backward()
    for name, p in model.named_parameters():
        assert (p.grad is not None) == ("lora_" in name), name


def test_lora_equals_the_padded_forward_and_adapter_off_equals_the_base(batch, small, mixed):
    base = small()
    with torch.no_grad():
        untouched = Policy(base).score(batch, grad=False)
    model = lora(small())
    policy = Policy(model)
    off = policy.score(batch, grad=False, context=ADAPTER_OFF)
    assert torch.equal(off.logp, untouched.logp)
    on = policy.score(batch, grad=False)
    assert (on.logp - off.logp).abs().max() > 1e-2
    hidden = policy.hidden(batch)
    assert (hidden - padded_hidden(model, mixed)[batch.token_rows]).abs().max() <= 1e-5
    with torch.no_grad(), model.disable_adapter():
        want = padded_hidden(model, mixed)[batch.token_rows]
    assert (policy.hidden(batch, context=ADAPTER_OFF) - want).abs().max() <= 1e-5


def test_dropout_acts_where_a_pass_is_named_and_nowhere_else(batch, small):
    model = lora(small(), lora_dropout=0.5).eval()
    policy = Policy(model, seed=3)
    clean = policy.score(batch, grad=False).logp
    random = torch.get_rng_state()
    names = [("grpo", 1, 0), ("grpo", 1, 0), ("grpo", 2, 0), ("grpo", 1, 1)]
    again, same, other, third = [policy.score(batch, grad=False, dropout=name).logp for name in names]
    assert torch.equal(random, torch.get_rng_state()) and not any(m.training for m in model.modules())
    assert torch.equal(again, same)
    for one, two in ((again, clean), (again, other), (again, third), (other, third)):
        assert (one - two).abs().max() > 1e-3
    assert (Policy(model, seed=4).score(batch, grad=False, dropout=names[0]).logp - again).abs().max() > 1e-3
    assert torch.equal(policy.score(batch, grad=False).logp, clean)
    off = policy.score(batch, grad=False, context=ADAPTER_OFF, dropout=names[0]).logp
    assert torch.equal(off, policy.score(batch, grad=False, context=ADAPTER_OFF).logp), "the reference has no dropout"
    assert not Policy(lora(small())).has_dropout


def test_dropout_is_that_of_peft_in_training(small):
    """A stream of one sequence draws what transformers' own forward of the model in training mode draws."""
    model = small()
    from peft import LoraConfig, get_peft_model

    # not o_proj: behind the last attention the stream holds only the rows that predict something
    model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "k_proj", "v_proj"], lora_dropout=0.3))
    for name, p in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(p, std=0.1)
    policy = Policy(model.eval())
    (batch,) = pack([Group(Prompt([5, 6, 7, 8]), [[9, 10, 11, 12, 13]])], 99, image_token_id=IMAGE)
    with policy.dropout.drawn(("a pass",), policy.device):
        ids = torch.tensor([[5, 6, 7, 8, 9, 10, 11, 12]])  # the last token predicts nothing and is not in the stream
        want = model.train().get_base_model().model(input_ids=ids).last_hidden_state[0, 3:]
    model.eval()
    with policy.dropout.drawn(("a pass",), policy.device):
        got = policy.hidden(batch, drops=True)
    assert (got - want).abs().max() <= 1e-5
    assert (policy.hidden(batch) - want).abs().max() > 1e-2


def test_a_recomputed_layer_drops_the_same(batch, small):
    """The backward of a checkpointed pass, long after dropout was switched off again."""
    gradients = []
    for checkpointing in (False, True):
        model = lora(small(), lora_dropout=0.3).eval()
        Policy(model, checkpointing=checkpointing).score(batch, dropout=("x",)).logp.sum().backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, want in gradients[0].items():
        assert (gradients[1][name] - want).abs().max() <= 1e-5 * want.abs().max(), name


def test_a_frozen_copy_of_the_tower_stays_frozen_behind_the_reference(batch, small, kind):
    """peft has all that belongs to an adapter learn when it is switched on again."""
    model = lora(small(), modules_to_save=list(family_class(kind).tower_names))
    policy = Policy(model.eval())
    for tower in policy.towers:
        tower.requires_grad_(False)
    policy.score(batch, grad=False, context=ADAPTER_OFF)
    assert not any(p.requires_grad for p in policy.towers[0].parameters())
    assert all(p.requires_grad for n, p in model.named_parameters() if "lora_" in n)


def test_no_grad_passes_store_nothing(batch, small):
    for model, contexts in ((small(), (POLICY, BLANK_IMAGES)), (lora(small()), (POLICY, ADAPTER_OFF))):
        policy = Policy(model)
        for context in contexts:
            stored = []
            with torch.autograd.graph.saved_tensors_hooks(lambda t, s=stored: s.append(t) or t, lambda t: t):
                scored = policy.score(batch, grad=False, context=context)
            assert stored == [] and not scored.logp.requires_grad and scored.logp.grad_fn is None


def test_black_images_are_the_same_tokens_with_black_pixels(batch, small, mixed):
    model = small()
    policy = Policy(model)
    black = policy.score(batch, grad=False, context=BLANK_IMAGES)
    repainted = [
        Group(replace(g.prompt, images=tuple(PromptImage((id(i), "black"), i.grid, torch.full_like(i.pixels,
        -1.0)) for i in g.prompt.images)), g.completions)
        for g in mixed
    ]  # fmt: skip
    (painted,) = pack(repainted, 10_000, image_token_id=IMAGE)
    assert torch.equal(painted.token_ids, batch.token_ids)
    assert (black.logp - policy.score(painted, grad=False).logp).abs().max() <= 1e-6
    real = policy.score(batch, grad=False)
    texts = torch.isin(batch.groups, torch.tensor([0, 1]))  # groups without images do not change
    token_texts = texts.repeat_interleave(batch.cu_completions.diff().long())
    assert torch.equal(black.logp[token_texts], real.logp[token_texts])
    assert (black.logp - real.logp)[~token_texts].abs().max() > 1e-3


def test_a_share_of_black_patches_depends_on_its_seed_alone(batch, small):
    policy = Policy(small())
    some = [policy.score(batch, grad=False, context=Context(images="black", share=0.6, seed=s)).logp for s in (1, 1, 2)]
    assert torch.equal(some[0], some[1]) and not torch.equal(some[0], some[2])


def test_a_moved_batch_keeps_its_plan_and_features(kind):
    (batch,) = pack(CASES[kind]["one image"], 10_000, image_token_id=IMAGE)
    assert batch.to("cpu") is batch
    meta = batch.to("meta")
    assert meta is batch.to("meta") and meta.token_ids.device.type == "meta" and meta.kept == {}


def test_completion_tokens_that_look_like_image_placeholders_are_text(small, kind):
    rng = torch.Generator().manual_seed(1)
    g = group(rng, 4, [image(rng, 2, 2, kind=kind)])
    g = Group(g.prompt, [[5, IMAGE, 7, 8]])
    (batch,) = pack([g], 999, image_token_id=IMAGE)
    model = small()
    hidden = Policy(model).hidden(batch)
    table = model.model.language_model.embed_tokens.weight
    assert torch.isfinite(hidden).all() and hidden.shape == (4, table.shape[1])


def test_sharded_ranks_have_one_graph_when_one_has_no_images(small, kind):
    (batch,) = pack(CASES[kind]["text only"], 999, image_token_id=IMAGE)
    model = small()
    policy = Policy(model)
    alone = policy.hidden(batch)
    alone.sum().backward()
    assert all(p.grad is None for p in policy.towers[0].parameters())
    policy.same_graph = True
    together = policy.hidden(batch)
    together.sum().backward()
    assert torch.equal(together, alone)
    assert all(p.grad is not None and not p.grad.any() for p in policy.towers[0].parameters() if p.requires_grad)
    with torch.no_grad():
        calls = count_tower(policy)
        policy.hidden(batch)
    assert calls == []


def test_errors_name_the_cause(batch, small):
    with pytest.raises(UserError, match="no adapter"):
        Policy(small()).score(batch, context=ADAPTER_OFF)
    with pytest.raises(UserError, match="of a family that nsrl knows .*; got Linear"):
        Policy(torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="attention_dropout"):
        Policy(small(attention_dropout=0.1))


LIGER = """
import sys; sys.path.insert(0, {here!r})
import numpy, torch
device = "cuda" if torch.cuda.is_available() else "cpu"
import triton.language as tl
from triton.runtime import interpreter
from tests.models.packing_cases import IMAGE, cases, small_model
from nsrl.models.pack import pack
from nsrl.models.policy import Policy

if device == "cpu":
    import liger_kernel.ops.rms_norm
    liger_kernel.ops.rms_norm.rsqrt = lambda x: tl.rsqrt(x)  # libdevice's is device code, nothing under the interpreter
    # the interpreter hands floats over as Python's, and Liger calls .to on them as on the scalars of a compiled kernel
    convert = interpreter._implicit_cvt
    handle = lambda x: interpreter.TensorHandle(numpy.array([x], dtype=numpy.float32), tl.float32)
    scalar = lambda x: tl.tensor(handle(x), tl.float32)
    interpreter._implicit_cvt = lambda x: scalar(x) if isinstance(x, float) else convert(x)
model = small_model(num_hidden_layers=1).to(device)
(batch,) = pack(cases()["one image"][:1], 999, image_token_id=IMAGE)
results = []
for liger in (False, True):
    model.zero_grad()
    hidden = Policy(model, liger=liger).hidden(batch)
    hidden.square().sum().backward()
    results.append([hidden.detach(), *(p.grad for p in model.parameters())])
for want, got in zip(*results):
    assert (got - want).abs().max() <= 1e-4 * max(1.0, want.abs().max().item())
"""


@pytest.mark.long
def test_liger_kernels_change_nothing_but_rounding():
    """In a process of its own; without a GPU under Triton's interpreter: Liger's kernels then run on a CPU."""
    pytest.importorskip("liger_kernel")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    env |= {} if torch.cuda.is_available() else {"TRITON_INTERPRET": "1"}
    code = LIGER.format(here=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    if "only 0-dimensional arrays can be converted" in done.stderr:
        pytest.skip("this triton's interpreter does not run with this numpy")
    assert done.returncode == 0, done.stderr


def test_liger_without_the_package_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers.functional", None)
    with pytest.raises(MissingBackend, match="liger-kernel is not installed"):
        Policy(small_model(), liger=True)
