"""Named stretches of a completion, and exactly the tokens that hold them."""

import json
import random
import re

import pytest
from pyarrow import parquet

from nsrl import eval, train
from nsrl.engines import extract
from nsrl.models import small
from nsrl.rewards import spans
from nsrl.rewards.spans import Offsets, Span, find


@pytest.fixture(scope="module")
def tokenizer():
    return small.build_tokenizer()


def decoder(tokenizer):
    return lambda ids: tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize(
    ("text", "template", "want"),
    [
        ("<i>a</i> and <i>b</i>", "<i>{}</i>", ("b", 16)),
        ("<i>a</i> and <i>b", "<i>{}</i>", ("a", 3)),  # the last whole one
        ("<i>a <i>b</i> c</i>", "<i>{}</i>", ("b", 8)),
        ("<i></i>", "<i>{}</i>", ("", 3)),
        ("$x$ and $y$", "${}$", ("y", 9)),
        ("`a` and `b", "`{}`", ("a", 1)),  # delimiters that are alike open and close in turn
        ("`a` and `b` or `", "`{}`", ("b", 9)),
        ("**a** and ** b", "**{}**", ("a", 2)),
        ("a</i> <i>", "<i>{}</i>", None),
        ("</i><i>a", "<i>{}</i>", None),
        ("", "<i>{}</i>", None),
    ],
)
def test_the_last_whole_span(text, template, want):
    assert find(text, template) == (None if want is None else Span(want[0], want[1], want[1] + len(want[0])))


def test_spans_of_unlike_delimiters_are_what_a_regular_expression_finds():
    rng = random.Random(4)
    for _ in range(2000):
        text = "".join(rng.choices(["<i>", "</i>", "a", " ", "$"], k=rng.randint(0, 12)))
        for template, pattern in (("<i>{}</i>", r"<i>((?:(?!<i>|</i>).)*)</i>"), ("${}$", r"\$([^$]*)\$")):
            whole = [*re.finditer(pattern, text)]
            want = Span(whole[-1][1], *whole[-1].span(1)) if whole else None
            assert find(text, template) == want, (text, template)


def test_the_program_is_a_span():
    text = "nsl: <nsl>nsl+1</nsl>"
    assert spans.of_program(extract(text)) == Span("nsl+1", 10, 15) and spans.of_program(extract("7")) is None


PIECES = (
    "é",
    "漢字",
    "🙂",
    "👩\u200d👧",
    "e\u0301",
    "\ufffd",
    "\ufffd\ufffd",
    " ",
    "\n",
    "mean{2,3}",
    "<nsl>",
    "</nsl>",
    "the",
)


def pieces(rng, count):
    some = lambda: chr(
        rng.choice((rng.randrange(32, 0x250), rng.randrange(0x4E00, 0x9FFF), rng.randrange(0x1F300, 0x1FAFF)))
    )
    return [rng.choice(PIECES) if rng.random() < 0.7 else some() for _ in range(count)]


def test_tokens_of_characters_are_those_of_the_tokenizers_own_offsets(tokenizer):
    """Wherever tokenising the decoded text again gives the same ids; a token that holds a byte of a character holds
    it."""
    rng, compared = random.Random(0), 0
    for _ in range(150):
        text = "".join(pieces(rng, rng.randrange(1, 14)))
        coded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, own = coded["input_ids"], coded["offset_mapping"]
        decode = decoder(tokenizer)
        if decode(ids) != text:
            continue  # the tokenizer normalised it
        found = Offsets(decode, ids)
        for start in range(len(text)):
            for end in (start + 1, rng.randrange(start + 1, len(text) + 1)):
                want = [i for i, (a, b) in enumerate(own) if a < end and b > start]
                assert list(range(len(ids)))[found.tokens(start, end)] == want, (text, start, end)
                compared += 1
    assert compared > 1500


def test_ids_that_no_text_has_are_covered_once(tokenizer):
    """Sampled ids may be no tokenisation, and no valid text: every character has its tokens, in order, none beside
    them."""
    rng, decode = random.Random(1), decoder(tokenizer)
    bytes_alone = [i for i in range(len(tokenizer)) if decode([i]) == "\ufffd"]
    assert len(bytes_alone) > 64, "continuation bytes are tokens"
    for _ in range(60):
        ids = [rng.choice(bytes_alone) if rng.random() < 0.8 else rng.randrange(5, len(tokenizer)) for _ in range(40)]
        text, found = decode(ids), Offsets(decode, ids, head=3)
        assert (
            found.ends[-1] == 3 + len(text)
            and found.starts == sorted(found.starts)
            and found.ends == sorted(found.ends)
        )
        for k in range(len(ids)):  # what is known of a prefix: the last character of it may wait for bytes
            assert found.ends[k] == 3 + len(decode(ids[: k + 1])), (ids, k)
        assert found.tokens(3, 3 + len(text)) == slice(0, len(ids))


def test_a_reward_file_pays_by_spans_and_their_tokens(tmp_path):
    """Through a step of a run, behind a head of the turn; what is kept of it, and of an evaluation, has the spans."""
    (tmp_path / "paid.py").write_text(
        "import json\n"
        "def paid(batch):\n"
        "    found = []\n"
        "    for i, (text, ids) in enumerate(zip(batch.completions, batch.completion_ids)):\n"
        "        caption, program = batch.span(i, 'caption'), batch.span(i, 'program')\n"
        "        held = batch.tokens(i, caption.start, caption.end) if caption else None\n"
        "        every = batch.tokens(i, len(batch.head), len(text))\n"
        "        assert batch.decode(ids[every]) == text[len(batch.head):], 'all of it'\n"
        "        found.append([text, ids, caption and caption.text, held and [held.start, held.stop], program is not "
        "None])\n"
        f"    open({str(tmp_path / 'seen.json')!r}, 'w').write(json.dumps(found))\n"
        "    return [float(sum(ids) % 3) for ids in batch.completion_ids]\n"
    )
    spans_key = "spans.caption=m{}e"  # an untrained model writes that now and then
    run = tmp_path / "run"
    assert train.main([
        f"output_dir={run}", "warm_start.steps=0", "data.eval_size=1", "max_steps=1", "prompts_per_step=2",
        "num_generations=8", "max_completion_length=12", "eval_samples=1", "completions_steps=1", "engine.workers=1",
        "preflight=false", "parity_check=false", f"reward_funcs=[{tmp_path}/paid.py:paid]", "reward_weights=[1.0]",
        "threads=1", "prompt.prefill=me, e: ", spans_key,
    ]) == 0  # fmt: skip
    kept = parquet.read_table(run / "completions" / "step_000001.parquet").to_pylist()
    seen = json.loads((tmp_path / "seen.json").read_text())
    decode = decoder(small.build_tokenizer())
    assert len(seen) == 16 and {row["completion"] for row in kept} == {text for text, *_ in seen}
    for (text, ids, caption, held, _), row in zip(seen, kept):
        assert row["span/caption"] == caption == find(text, "m{}e").text
        inside = find(text, "m{}e")
        head = len("me, e: ")
        tokens = ids[slice(*held)]
        assert caption[max(0, head - inside.start) :] in decode(tokens)
        if inside.end <= head:
            assert tokens == [], "it stands in the prompt"
    out = tmp_path / "eval.json"
    few = ["model=small", "size=1", "temperature=0", "max_completion_length=4", "engine.workers=1"]
    assert eval.main([*few, "prompt.prefill=me", "spans.caption=m{}e", f"output={out}"]) == 0
    assert parquet.read_table(out.with_suffix(".parquet")).to_pylist()[0]["span/caption"] == ""
