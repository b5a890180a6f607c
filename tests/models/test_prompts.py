"""Prompts as a checkpoint gets them: its own chat template, delimiters that its tokenizer has, the head of a turn."""

import json

import pytest
from pyarrow import parquet
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from nsrl import eval, solve, train
from nsrl.config import PromptConfig, TrainConfig
from nsrl.data.chat import Chat, system_text
from nsrl.data.modes import MODES
from nsrl.data.shapes import Shapes
from nsrl.engines import LANGUAGES, TAGS
from nsrl.errors import UserError
from nsrl.models import chats, small
from nsrl.models.vlm import VLM
from nsrl.trainer.problems import read_demonstrations
from nsrl.types import ImageRef, Problem
from tests.models.kinds import KINDS

# What a published tokenizer has besides the tokens of pictures: not flagged as special, so that decoding keeps them.
QWEN3 = ("<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<|fim_prefix|>", "<|fim_suffix|>")
QWEN2 = ("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_suffix|>", "<|repo_name|>", "<|file_sep|>")
OWN = {"qwen3_vl": QWEN3, "qwen3_vl_moe": QWEN3, "qwen2_5_vl": QWEN2, "internvl": QWEN2}
TAG_TEXTS = tuple(text for pair in TAGS for text in (pair.open, pair.close))


def stranger(kind: str, tokens: tuple[str, ...]) -> VLM:
    """A checkpoint as others publish them: our tags are text to its tokenizer, which has `tokens` in their place."""
    ours = small.build_tokenizer(kind)
    state = json.loads(ours.backend_tokenizer.to_str())
    names = dict(zip(TAG_TEXTS, tokens))
    for token in state["added_tokens"]:
        token["content"] = names.get(token["content"], token["content"])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_str(json.dumps(state)), eos_token=ours.eos_token, pad_token=ours.pad_token,
        extra_special_tokens=ours.all_special_tokens[2:], clean_up_tokenization_spaces=False,
        model_specific_special_tokens=getattr(ours, "model_specific_special_tokens", {}),
    )  # fmt: skip
    tokenizer.chat_template = ours.chat_template
    return VLM(small.build_model(tokenizer, 0, kind), tokenizer, small.build_image_processor(kind), "theirs")


@pytest.fixture(scope="module", params=KINDS)
def theirs(request):
    return stranger(request.param, OWN[request.param])


@pytest.fixture(scope="module")
def qwen():
    return stranger("qwen3_vl", QWEN3)


def asked(vlm, **options):
    vlm.chat = chats.chat_for(vlm, PromptConfig(**options))
    return vlm


PICTURE = ImageRef("grey", lambda: __import__("PIL.Image").Image.new("RGB", (64, 32), (90, 90, 90)))
IMAGE = {"type": "image"}


def text(words):
    return {"type": "text", "text": words}


@pytest.mark.parametrize(
    ("problem", "options", "user", "head"),
    [
        (Problem("1", "How many?", "5", (PICTURE,)), {}, [text("How many?"), IMAGE], None),
        (
            Problem("2", "From <image>\nto <image>?", "B", (PICTURE, PICTURE), ("3", "5")),
            {"prefill": "Let me see: "},
            [text("From "), IMAGE, text("to "), IMAGE, text("?"), text("\nA. 3\nB. 5")],
            "Let me see: ",
        ),
        (Problem("3", "Text only", "5"), {"prefill": "open"}, [text("Text only")], "<tool_call>"),
        (Problem("4", "<image>Left out?", "5", (PICTURE,)), {"images": "none"}, [text("Left out?")], None),
    ],
)
def test_a_prompt_is_the_chat_template_of_hand_written_messages(qwen, problem, options, user, head):
    asked(qwen, mode="wolfram", **options)
    system = system_text("wolfram").replace("<wolfram>", "<tool_call>").replace("</wolfram>", "</tool_call>")
    messages = [{"role": "system", "content": [text(system)]}, {"role": "user", "content": user}]
    if head is None:
        want = qwen.tokenizer.apply_chat_template(messages, add_generation_prompt=True)
    else:
        turn = {
            "role": "assistant",
            "content": [text(head + "|")],
        }  # continued behind the bar, which the template trims
        want = qwen.tokenizer.apply_chat_template([*messages, turn], tokenize=False)
        want = qwen.tokenizer(want[: want.rindex("|<|im_end|>")])
    prompt = qwen.encode(problem)
    assert list(prompt.template_ids) == list(want["input_ids"])
    assert len(prompt.images) == user.count(IMAGE) and qwen.prompt_lengths([problem]) == [len(prompt.ids)]


@pytest.mark.parametrize("mode", MODES)
def test_delimiters_take_two_tokens_of_output_at_most(theirs, mode):
    program = "1+1"
    count = lambda said: len(theirs.token_ids(said)) - len(theirs.token_ids(program))
    asked(theirs, mode=mode, delimiters="auto")
    pairs = [pair for pair in theirs.chat.delimiters if mode in ("any", pair.language)]
    assert len({part for pair in pairs for part in pair[1:]}) == 2 * len(pairs)
    for pair in pairs:
        assert count(f"{pair.open}{program}{pair.close}") == 2 == chats.output_tokens(theirs)
        written = theirs.token_ids(f"{pair.open}{program}{pair.close}")
        assert theirs.decode(written) == theirs.tokenizer.decode(written, skip_special_tokens=True)
        assert not set(written) & set(theirs.banned_ids())
        assert theirs.chat.read(theirs.decode(written), True).language == pair.language
    assert chats.note_on_cost(theirs) is None
    if mode in LANGUAGES:
        asked(theirs, mode=mode, prefill="open")
        (learned,) = {theirs.chat.learned(f"<{mode}>{program}</{mode}>")}
        assert learned == program and chats.output_tokens(theirs) == 1
    elif mode == "any":
        asked(theirs, delimiters="tags")
        assert theirs.chat == Chat(), "our text and tags"
        tags = max(count(f"{pair.open}{program}{pair.close}") for pair in TAGS)
        assert chats.output_tokens(theirs) == tags > 2 and f"up to {tags} tokens" in chats.note_on_cost(theirs)
        assert chats.note_on_cost(theirs).endswith("; prompt.delimiters=tokens takes 2")


@pytest.mark.parametrize(("pairs", "less"), [(1, "a prompt.mode of one language takes 2"), (0, "prompt.prefill=open")])
def test_too_few_tokens_leave_the_tags_and_the_note_says_what_is_cheaper(pairs, less):
    vlm = stranger("qwen3_vl", (*QWEN3[: 2 * pairs], *(f"<{n}>" for n in range(6 - 2 * pairs))))
    assert asked(vlm).chat.delimiters == TAGS and less in chats.note_on_cost(vlm)
    asked(vlm, mode="wolfram")
    assert chats.output_tokens(vlm) == 2 if pairs else "; prompt.prefill=open takes none" in chats.note_on_cost(vlm)
    asked(vlm, mode="wolfram", prefill="open", delimiters="tags")
    assert (note := chats.note_on_cost(vlm)) is None or "prefill=open" not in note
    with pytest.raises(UserError, match=f"needs 3 of the pairs .* has {pairs}"):
        asked(vlm, delimiters="tokens")


def test_what_a_prompt_cannot_hold_is_refused_or_costs_its_row(qwen, tmp_path):
    file = tmp_path / "system.txt"
    for key, token in (("system", "<|image_pad|>"), ("examples", "<|im_end|>"), ("prefill", "<|im_start|>")):
        file.write_text(f"See {token}.")
        with pytest.raises(UserError, match=rf"prompt.{key} must hold no control token .* got a text with '<\|im"):
            asked(qwen, **{key: f"So {token}" if key == "prefill" else str(file)})
    with pytest.raises(UserError, match="~name of a user of this machine; got '~nobody-is-called-so/f'"):
        asked(qwen, system="~nobody-is-called-so/f")
    file.write_bytes("\ufeffBe brief.\r\n".encode())
    assert asked(qwen, system=str(file)).chat.system == "Be brief."
    own = qwen.tokenizer.chat_template
    refuses = "{%- for m in messages if m.role == 'tool' -%}{{ raise_exception('no tools') }}{%- endfor -%}"
    turn = lambda role: {"role": role, "content": [text("7")]}
    rows = [Problem("1", "?", "5"), Problem("2", "?", "5", chat=(turn("user"), turn("tool"))), Problem("3", "?", "5")]
    qwen.tokenizer.chat_template = refuses + own
    first, why, last = qwen.prompt_lengths(rows)
    qwen.tokenizer.chat_template = own
    assert first == last and why == "problem 2: the chat template cannot write its messages: no tools"
    assert [qwen.learned_ids(f"7{end}") for end in ("<|im_end|>\n", "<|im_end|>", "")] == [qwen.learned_ids("7")] * 3


def test_a_head_that_ends_in_a_tag_opens_under_the_delimiters_in_force(qwen):
    asked(qwen, mode="nsl", prefill="So: <nsl>")
    assert qwen.chat.prefill == "So: <tool_call>" and qwen.chat.opened.close == "</tool_call>"
    qwen.chat = chats.chat_for(qwen, PromptConfig(delimiters="tags"), {"delimiters"})
    assert qwen.chat.prefill == "So: <nsl>" and qwen.chat.opened.close == "</nsl>"
    asked(qwen, prefill="<sympy>")  # of mode any: said again in the delimiters that are asked for
    for choice, opening in (("tokens", "<|fim_prefix|>"), ("tags", "<sympy>")):
        qwen.chat = chats.chat_for(qwen, PromptConfig(delimiters=choice), {"delimiters"})
        assert qwen.chat.prefill == opening and qwen.chat.opened.language == "sympy"


def test_a_row_that_does_not_begin_with_the_opening_is_not_learned_behind_it(qwen, tmp_path, capsys):
    """Of every text that is kept, head and what is learned are the text itself."""
    texts = ["<nsl>1+1</nsl>", "<tool_call>2</tool_call>", "It is 4.", "<sympy>4</sympy>", "So <nsl>4</nsl>"]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps({"id": t, "question": f"? {t}", "completion": t}) + "\n" for t in texts))
    for prefill, left in (("open", texts[:2]), ("So: ", texts), (None, texts)):
        config = TrainConfig(prompt=PromptConfig(mode="nsl", prefill=prefill))
        config.demonstrations.path, config.demonstrations.source = str(file), "hf"
        asked(qwen, mode="nsl", prefill=prefill)
        kept = read_demonstrations(config, [], qwen)
        assert [one.problem.id for one in kept] == left
        line = ("3 demonstrations dropped: completion that does not begin with '<tool_call>', as prompt.prefill has it "
                "(first: It is 4.: It is 4.)")  # fmt: skip
        assert (line in capsys.readouterr().out) == (prefill == "open")
    file.write_text(json.dumps({"question": "?", "completion": "4"}))
    asked(qwen, mode="nsl", prefill="open")
    with pytest.raises(UserError, match="none is left to learn from; 1 demonstrations dropped: completion that does"):
        read_demonstrations(config, [], qwen)
    config.demonstrations.path = str(tmp_path / "rows.txt")
    (tmp_path / "rows.txt").write_text("?")
    with pytest.raises(UserError, match="^demonstrations.path must end in"):
        read_demonstrations(config, [], qwen)


def test_a_token_that_decoding_drops_is_no_delimiter(qwen):
    few = stranger("qwen3_vl", QWEN3)
    few.tokenizer.add_special_tokens({"extra_special_tokens": ["</tool_call>"]}, replace_extra_special_tokens=False)
    assert asked(few, mode="nsl").chat.opened is None and few.chat.delimiters[0].open == "<tool_response>"
    with pytest.raises(UserError, match=r"tokens with prompt.mode=any needs 3 of the pairs .* has 2"):
        asked(few, delimiters="tokens")
    assert asked(qwen, mode="nsl", delimiters="tags").chat.delimiters == TAGS


@pytest.mark.long
def test_a_run_under_a_head_of_the_turn_and_what_evaluates_it(qwen, tmp_path, capsys):
    """Sampler and trainer agree behind a prefill; eval and solve put problems as the checkpoint was trained."""
    asked(qwen)
    qwen.save(tmp_path / "theirs")
    (tmp_path / "examples.txt").write_text("<nsl>1+1</nsl> gives 2")
    (tmp_path / "spread.py").write_text(
        "def spread(batch):\n    return [float(sum(ids) % 3) for ids in batch.completion_ids]\n"
    )
    run = tmp_path / "run"
    assert train.main([
        f"model.name={tmp_path / 'theirs'}", f"output_dir={run}", "lora.enabled=false", "data.eval_size=2",
            "max_steps=1",
        "prompts_per_step=2", "num_generations=4", "max_completion_length=6", "eval_samples=1", "completions_steps=1",
        "engine.workers=1", "preflight=false", "threads=1", "prompt.mode=nsl", "prompt.prefill=open",
        f"prompt.examples={tmp_path / 'examples.txt'}", "warm_start.steps=1", "warm_start.reading_steps=0",
        "warm_start.batch_size=2", f"reward_funcs=[{tmp_path}/spread.py:spread]", "reward_weights=[1.0]",
    ]) == 0  # fmt: skip
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert rows[-1]["sampling/sampling_logp_difference/max"] < 2e-5
    kept = parquet.read_table(run / "completions" / "step_000001.parquet").to_pylist()
    assert all(row["completion"].startswith("<tool_call>") and row["language"] == "nsl" for row in kept)
    assert max(row["tokens"] for row in kept) <= 6
    problem = Shapes(1, 0, 2).test()[0]
    asked(qwen, mode="nsl", prefill="open", examples=str(tmp_path / "examples.txt"))
    (tmp_path / "examples.txt").unlink()
    demonstrations = Shapes(1, 0, 2).demonstrations({"nsl": 1.0}, 0.2)
    first = [next(demonstrations) for _ in range(2)]
    learned = [len(qwen.encode(d.problem).ids) + len(qwen.learned_ids(d.text)) for d in first]
    assert rows[0]["num_tokens"] == sum(learned), "the head is prompt, and only what stands behind it is learned"
    found = {}
    for name, extra in (("own", []), ("erased", ["prompt.examples=null"])):
        out = tmp_path / f"{name}.json"
        few = [f"model={run}", "size=1", "temperature=0", "max_completion_length=4", "engine.workers=1"]
        assert eval.main([*few, f"output={out}", *extra]) == 0
        assert ("was trained with another prompt.examples" in capsys.readouterr().out) == (name == "erased")
        found[name] = parquet.read_table(out.with_suffix(".parquet")).to_pylist()[0]
    assert found["own"]["prompt_tokens"] == len(qwen.encode(problem).ids) > found["erased"]["prompt_tokens"]
    assert found["erased"]["completion"].startswith("<tool_call>")
    tags = chats.chat_for(qwen, PromptConfig(delimiters="tags"), {"delimiters"})
    assert tags.prefill == "<nsl>" and tags.examples == qwen.chat.examples
    assert chats.chat_for(qwen, PromptConfig(mode="cot"), {"mode"}) == Chat(mode="cot"), "another mode begins anew"
    capsys.readouterr()
    assert solve.main([f"model={run}", "question=How many?", "max_completion_length=4"]) == 0
    assert "program  (nsl)" in capsys.readouterr().out
