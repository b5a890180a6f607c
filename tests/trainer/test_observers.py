"""Who answers between turns, when, and what is left of it: observers beside each other, what they are told, texts that
end a turn, nothing to show, and scores without the pictures that were shown."""

import copy
import random
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from nsrl import solve
from nsrl.config import EvalConfig, LoraConfig, ModelConfig, TrainConfig, parse
from nsrl.config.sound import notes_on
from nsrl.config.turns import TurnsConfig
from nsrl.data.chat import Chat
from nsrl.data.made import opened
from nsrl.data.shapes import Shapes
from nsrl.data.turns import Observation
from nsrl.engines import EnginePool, Limits
from nsrl.errors import UserError
from nsrl.models import loading
from nsrl.models.pack import Group
from nsrl.models.padded import padded_hidden
from nsrl.trainer import contexts
from nsrl.trainer.loop import rollout
from nsrl.trainer.talk import EMPTY, Talk, _stops
from tests.trainer.talking import ANSWER, learner, talked

WAIT = 60  # seconds that something may take on a machine that others use too


@pytest.fixture(scope="module")
def pool():
    with EnginePool(1, Limits(cpu_s=0.4, wall_s=0.5)) as pool:
        yield pool


@pytest.fixture(scope="module")
def vlm():
    return loading.load(ModelConfig(), LoraConfig(enabled=False), seed=2, sources=("zoom",))


# -- observers ---------------------------------------------------------------------------------------------------------


def test_observers_are_told_where_a_turn_begins(vlm, pool):
    """As rewards are told."""
    seen = {}

    def observe(problem, extracted, result, history):
        seen[problem.id, len(history)] = [turn.start for turn in history]
        return Observation("go on")

    problems = Shapes(1, 0, 2).test()
    script = [["first one", "<nsl>3+4</nsl>", "7"], ["é and so on", "more", "8"]]
    done, _ = talked(vlm, pool, problems, script, TurnsConfig(max=3), observe=observe)
    for problem, (graded,) in zip(problems, done.graded):
        starts = [turn.start for turn in graded.history]
        assert starts[0] == 0 < starts[1] < starts[2]
        for turn in graded.history:
            assert graded.text[turn.start :].startswith(turn.text)
        for number in (1, 2):
            assert seen[problem.id, number] == starts[:number]


def test_observers_of_different_completions_run_at_the_same_time(vlm, pool):
    """So many that each waits for all others: one after the other would wait for ever."""
    together = threading.Barrier(16)

    def observe(problem, extracted, result, history):
        together.wait(WAIT)
        return Observation("go on")

    problems = Shapes(1, 0, 4).test()
    done, _ = talked(vlm, pool, problems, [["1", "2"]] * 4, TurnsConfig(max=2), n=4, observe=observe)
    assert [len(graded.history) for group in done.graded for graded in group] == [2] * 16


def test_a_program_of_one_completion_keeps_no_other_observer_waiting(vlm, pool):
    """The engine kills the first program after half a second; the others were answered by then."""
    order = []

    def observe(problem, extracted, result, history):
        order.append(problem.id)
        return Observation("go on")

    problems = Shapes(1, 0, 3).test()
    script = [["<sympy>while True: pass</sympy>", "1"], ["2", "2"], ["3", "3"]]
    talked(vlm, pool, problems, script, TurnsConfig(max=2), observe=observe)
    assert len(order) == 3 and order[-1] == problems[0].id


def test_observers_run_while_others_are_sampled(vlm, pool):
    """The last completion is sampled when the first one has been answered, programs included."""
    answered = threading.Event()
    problems = Shapes(1, 0, 2).test()

    def observe(problem, extracted, result, history):
        if problem.id == problems[0].id:
            answered.set()
        return Observation("go on")

    class Waits(list):
        def __getitem__(self, turn):
            assert answered.wait(WAIT)
            return super().__getitem__(turn)

    script = [["<nsl>3+4</nsl>", "7"], Waits(["1", "2"])]
    done, _ = talked(vlm, pool, problems, script, TurnsConfig(max=2), observe=observe)
    assert [len(graded.history) for (graded,) in done.graded] == [2, 2]


def test_pictures_are_made_where_they_are_seen(vlm, pool):
    """A crop is cut and resized in the observers' time, once for a group that asks for the same."""
    problems = opened("zoom", 1, 0, held_out=2).test()
    boxes = [str(problem.columns["boxes"][0]) for problem in problems]
    threads = []
    before = vlm.pictures._read
    vlm.pictures._read = lambda image: (threads.append(threading.current_thread().name), before(image))[1]
    try:
        done, _ = talked(vlm, pool, problems, [[box, "1"] for box in boxes], TurnsConfig(max=2, observe="crop"), n=3)
    finally:
        vlm.pictures._read = before
    assert [len(sample.images) for group in done.samples for sample in group] == [1] * 6
    main = [name for name in threads if name == threading.main_thread().name]
    assert len(threads) == 4 and len(main) == 2, "the problems' own are encoded before anything is sampled"
    assert not vlm.pictures._waited_for and not vlm.pictures._coming


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def observe(problem):\n    return None", r"history\) \(from .*; got \(problem\)"),
        ("def observe(*, a, b, c, d):\n    return None", r"history\) \(from .*; got \(\*, a, b, c, d\)"),
        ("async def observe(a, b, c, d):\n    return None", r"history\) \(from .*; got an async one"),
        ("observe = 3", "has no function 'observe'"),
        ("import nowhere_at_all", "cannot be run: ModuleNotFoundError"),
    ],
)
def test_an_observer_that_cannot_be_called_is_refused_before_a_model_is_loaded(tmp_path, monkeypatch, text, words):
    """In train, eval and solve, also where the run that a model is of has it."""
    file = tmp_path / "own.py"
    file.write_text(text + "\n")
    said = ["turns.max=2", f"turns.observe={file}:observe"]
    for kind in (TrainConfig, EvalConfig):
        model = ["model=small"] if kind is EvalConfig else []
        with pytest.raises(UserError, match=words):
            notes_on(parse(kind, [*said, *model], "nsrl"))
    run = TrainConfig(turns=TurnsConfig(max=2, observe=f"{file}:observe"))
    monkeypatch.setattr(solve, "_run", lambda model: run)
    monkeypatch.setattr(loading, "load", lambda *_, **__: pytest.fail("a model was loaded"))
    with pytest.raises(UserError, match=words):
        solve.main(["model=small", "question=1+1"])


def test_rewards_that_ask_are_told_of_one_turn(tmp_path):
    """Asking is of one turn: said before the run, where completions have several."""
    (tmp_path / "own.py").write_text("def asking(batch, ask):\n    return [0.0] * len(batch.completions)\n")
    said = [f"reward_funcs=[{tmp_path}/own.py:asking]", "reward_weights=[1]"]
    several, one = (notes_on(parse(TrainConfig, [*said, *more], "nsrl")) for more in (["turns.max=3"], []))
    assert any("answered in one turn, completions have up to 3 (turns.max)" in note for note in several)
    assert not any("answered in one turn" in note for note in one)


# -- texts that end a turn ---------------------------------------------------------------------------------------------

TEXTS = ("</nsl>", "stop", "»", "答", "x=é;", "é\n", "a»b", " end", "🙂")


def byte_level(rng):
    """A tokenizer of bytes with merges of whatever bytes stand beside each other: within, across and behind
    characters."""
    spelled = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    vocabulary = {token: i for i, token in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    merges = []
    for _ in range(600):
        text = "".join(rng.choice([*TEXTS, *"ab é\n;»答🙂x="]) for _ in range(6))
        ((letters, _),) = spelled.pre_tokenize_str(text)
        at = rng.randrange(len(letters))
        cut = rng.randint(at + 1, min(len(letters), at + 5))
        middle = rng.randint(at + 1, cut)
        pair = letters[at:middle], letters[middle:cut]
        if all(part in vocabulary for part in pair) and "".join(pair) not in vocabulary:
            vocabulary["".join(pair)] = len(vocabulary)
            merges.append(pair)
    inner = Tokenizer(models.BPE(vocabulary, merges))
    inner.pre_tokenizer, inner.decoder = spelled, decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, clean_up_tokenization_spaces=False)
    tokenizer.add_tokens(["</nsl>"])
    return tokenizer


def pieces_of(rng, tokenizer, text):
    """A text cut into tokens at random, not as the tokenizer would."""
    ((letters, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    known, ids, at = tokenizer.get_vocab(), [], 0
    while at < len(letters):
        ends = [n for n in range(at + 1, min(len(letters), at + 9) + 1) if letters[at:n] in known]
        end = rng.choice(ends)
        ids.append(known[letters[at:end]])
        at = end
    return ids


def test_a_stop_text_is_found_whichever_tokens_hold_its_end():
    """Against a plain search in the text of every beginning: ends within a character and within a token among them."""
    seed = random.randrange(10**9)
    rng = random.Random(seed)
    found = within = 0
    for _ in range(6):
        tokenizer = byte_level(rng)
        ask = SimpleNamespace(
            tokenizer=tokenizer, token_ids=lambda text, t=tokenizer: t(text, add_special_tokens=False)["input_ids"]
        )
        texts = rng.sample(TEXTS, 3)
        _, stops = _stops(ask, texts)
        for _ in range(60):
            around = ["".join(rng.choice("ab é\n;»答x=<") for _ in range(rng.randint(0, 6))) for _ in "12"]
            ids = pieces_of(rng, tokenizer, around[0] + rng.choice(TEXTS) + around[1])
            if rng.random() < 0.3:
                ids.insert(rng.randrange(len(ids) + 1), rng.randrange(len(tokenizer)))
            begun = [tokenizer.decode(ids[:n], skip_special_tokens=False) for n in range(len(ids) + 1)]
            wanted = next((n for n, text in enumerate(begun) if any(stop in text for stop in texts)), None)
            assert stops.end(ids) == wanted, (seed, texts, ids)
            behind = rng.randrange(len(ids))
            if wanted is None or wanted > behind:
                assert stops.end(ids, behind) == wanted, (seed, texts, ids, behind)
            found += wanted is not None
            within += wanted is not None and not begun[wanted].endswith(tuple(texts))
    assert found > 60 and within, seed


def test_a_token_that_is_a_stop_text_is_found_in_pieces_too(vlm):
    """The small model's tag is one token; its characters one by one close a program as well."""
    rules = Talk(vlm, TurnsConfig(max=2, stop=["</nsl>"])).rules
    tokens = [i for letter in "3+4</nsl> 5" for i in vlm.token_ids(letter)]
    assert vlm.tokenizer.decode(tokens) == "3+4</nsl> 5" and rules.stop_ids[0] not in tokens
    assert vlm.tokenizer.decode(tokens[: rules.stop_texts.end(tokens)]) == "3+4</nsl>"


# -- nothing to show ---------------------------------------------------------------------------------------------------


def test_a_text_of_control_tokens_leaves_a_word(vlm):
    talk = Talk(vlm, TurnsConfig(max=2, around="<out>{}</out>"))
    for text in ("<|im_end|>", " <|im_end|>\n<|endoftext|>"):
        assert vlm.tokenizer.decode(talk.shown(Observation(text), False).ids) == f"<out>{EMPTY}</out>"
    odd = copy.copy(vlm)
    odd.model = copy.deepcopy(vlm.model)
    half = vlm.tokenizer.convert_tokens_to_ids("Ã")  # the first byte of é, which no text holds by itself
    odd.base.generation_config.eos_token_id = [vlm.tokenizer.eos_token_id, half]
    talk = Talk(odd, TurnsConfig(max=2, around="<out>{}</out>"))
    assert vlm.tokenizer.decode(talk.shown(Observation("né"), False).ids) == f"<out>{EMPTY}</out>"


def test_two_turns_stay_two_where_nothing_is_shown_between_them(vlm, pool):
    """With nothing around an answer an empty one would make one turn of two."""
    config = TurnsConfig(max=2, around="{}")
    done, _ = talked(vlm, pool, Shapes(1, 0, 1).test(), [["1", "2"]], config, observe=lambda *_: Observation(""))
    ((sample,),) = done.samples
    assert [turn.logps is None for turn in sample.turns] == [False, True, False]
    assert vlm.tokenizer.decode(sample.turns[1].token_ids) == EMPTY and not all(sample.mask)
    for most in (1, 2, 3):
        for text in ("", "\ufffd", "<|im_end|>", "é"):
            shown = Talk(vlm, replace(config, max_observation=most)).shown(Observation(text), True)
            assert 1 <= len(shown.ids) <= most and shown.ids == list(shown.template_ids)


# -- without the pictures ----------------------------------------------------------------------------------------------


def test_what_is_shown_without_its_pictures_is_what_a_blind_prompt_has(vlm, pool):
    """The chat template's own message of a demonstration whose pictures are not shown, token by token."""
    source = opened("zoom", 1, 0, held_out=0)
    stream = source.demonstrations({"nsl": 1.0}, turns=True)
    first, second = next(stream), next(stream)
    done, _ = talked(vlm, pool, [first.problem], [[first.text, second.text]], TurnsConfig(max=2, observe="crop"))
    ((sample,),) = done.samples
    with vlm.asked(Chat(pictures=False)):
        asked, whole = vlm.encode(first.problem), vlm.encode(second.problem)
    ids = [i for turn in sample.blind.turns[:2] for i in turn.token_ids]
    assert [*asked.ids, *ids] == list(whole.ids) and not sample.blind.images and len(sample.images) == 1
    assert sample.blind.written_ids == sample.written_ids and sample.blind.logps == sample.logps
    bare = Talk(vlm, TurnsConfig(max=2, around="{}"))
    assert vlm.tokenizer.decode(bare.shown(Observation("", second.problem.images[1:]), False).blind_ids) == EMPTY


def dense(model, banned, groups):
    """(N,) log-probs of the written tokens, by transformers' padded forward."""
    logits = padded_hidden(model, groups) @ model.lm_head.weight.T
    logits[:, banned] = -torch.inf
    written = [t for g in groups for c, ids in enumerate(g.completions) for t in (
        ids if not g.masks or g.masks[c] is None else [i for i, on in zip(ids, g.masks[c]) if on])]  # fmt: skip
    return logits.log_softmax(-1).gather(1, torch.tensor(written)[:, None])[:, 0].detach()


def test_a_context_without_pictures_has_none_of_those_that_were_shown(vlm, pool, tmp_path):
    """Blind by keys of the prompt, and by a function that leaves them out; black: painted as the prompt's are. Against
    transformers on conversations from which the pictures' tokens were taken out by hand."""
    (tmp_path / "own.py").write_text(
        ANSWER + "\n\ndef bare(problem):\n    from dataclasses import replace\n"
        "    return replace(problem, images=(), question=problem.question.replace('<image>', ''))\n"
    )
    config = TrainConfig(
        turns=TurnsConfig(max=3, observe=f"{tmp_path}/own.py:observe", max_observation=64), reward_funcs=["x"],
        reward_weights=[1.0], prompts_per_step=2, num_generations=3, max_completion_length=24,
        contexts={"blind": {"prompt": {"images": "none"}}, "bare": {"prompt": f"{tmp_path}/own.py:bare"},
                  "black": {"images": "black"}},
        terms={"blind": 0.1, "bare": 0.1, "black": 0.1},
    )  # fmt: skip
    open_ended = copy.copy(vlm)
    open_ended.model = copy.deepcopy(vlm.model)
    open_ended.base.generation_config.eos_token_id = [*range(100, 130), vlm.tokenizer.eos_token_id]
    run = learner(pool, open_ended, config, lambda batch: None)
    groups = rollout(run, run.problems.take(2, 1), 1, 0)
    for group in groups:
        group.learns = [0, 1, 2]
    samples = [s for group in groups for s in group.samples]
    assert any(s.images for s in samples) and any(not s.images for s in samples)
    packed = run.policy.pack([one for group in groups for one in group.to_pack(run.vlm)], 4096)
    sampled_N = torch.tensor([p for s in samples for p in s.logps])
    scored = contexts.score(run, 1, groups, packed, sampled_N, dict.fromkeys(config.contexts, 0.1))

    banned, pictured = run.vlm.banned_ids(), {*run.vlm.family.control_tokens.values()}
    without = lambda ids: [i for i in ids if i not in pictured]
    for name in ("blind", "bare"):
        bare = []
        for group in groups:
            with run.vlm.asked(Chat(pictures=False)):
                prompt = run.vlm.encode(group.problem)
            assert not prompt.images
            for s in group.samples:
                mask = [on for i, on in zip(s.token_ids, s.mask or [True] * len(s.token_ids)) if i not in pictured]
                bare.append(Group(prompt, [without(s.token_ids)], [mask]))
        assert torch.allclose(scored.logp[name], dense(run.vlm.model, banned, bare), atol=1e-5), name
    blank = lambda image: replace(image, pixels=torch.full_like(image.pixels, -1.0))
    painted = [
        Group(replace(g.prompt, images=tuple(map(blank, g.prompt.images))), [s.token_ids], [s.mask],
              [tuple(map(blank, s.images))] if s.images else ())
        for g in groups for s in g.samples
    ]  # fmt: skip
    assert torch.allclose(scored.logp["black"], dense(run.vlm.model, banned, painted), atol=1e-5)
    assert not torch.allclose(scored.logp["black"], scored.logp["blind"], atol=1e-3)
