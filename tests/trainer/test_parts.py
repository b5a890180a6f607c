"""Tokens by part: hand-counted completions, any Unicode, and tokenizers that do not simply join their pieces."""

import random
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from tokenizers import Tokenizer, decoders, models

from nsrl.engines import extract
from nsrl.models.small import build_tokenizer
from nsrl.report.table import PARTS
from nsrl.trainer.grader import Graded
from nsrl.trainer.parts import named_tokens, token_parts


@pytest.fixture(scope="module")
def vlm():
    tokenizer = build_tokenizer()
    return SimpleNamespace(tokenizer=tokenizer, stop_ids=lambda: [tokenizer.eos_token_id])


def counted(vlm, text, prefill="", stop=True):
    ids = vlm.tokenizer(text, add_special_tokens=False)["input_ids"] + [vlm.tokenizer.eos_token_id] * stop
    cut = extract(prefill + text)
    found = token_parts(vlm, ids, Graded(prefill + text, cut, None, None, ""))
    assert list(found) == list(PARTS) and sum(found.values()) == len(ids)
    named = named_tokens(vlm, ids, Graded(prefill + text, cut, None, None, ""))
    assert "".join(word for word, _ in named[: len(ids) - stop]) == vlm.tokenizer.decode(ids[: len(ids) - stop])
    return tuple(found.values())


def test_parts_of_completions_counted_by_hand(vlm):
    length = lambda text: len(vlm.tokenizer(text, add_special_tokens=False)["input_ids"])
    assert counted(vlm, "12") == (0, 0, 2, 1)
    assert counted(vlm, "12", stop=False) == (0, 0, 2, 0)
    assert counted(vlm, "<nsl>1+2</nsl>") == (0, 3, 0, 3)
    assert counted(vlm, "<nsl></nsl>") == (0, 0, 0, 3)
    assert counted(vlm, "<nsl>1+2") == (0, 3, 0, 2)  # cut off or closed by the end of the turn
    assert counted(vlm, "1+2", prefill="<nsl>") == (0, 3, 0, 1)
    said = "The numbers are 3 and 5. So the answer is"
    assert counted(vlm, f"{said} 8.") == (length(said) + 2, 0, 1, 1)
    assert counted(vlm, f"{said} <nsl>3+5</nsl>") == (length(said) + 1, 3, 0, 3)
    boxed = counted(vlm, "So it is \\boxed{8}")
    assert boxed == (length("So it is "), 0, 1, length("\\boxed{") + 2)  # its brace, and the end of the turn
    assert counted(vlm, "\\boxed{8}")[0] == 0 and counted(vlm, "\\boxed{8}")[2] == 1
    both = counted(vlm, "<nsl>8</nsl>\\boxed{8}")
    assert both[1:3] == (1, 1) and both[0] == 0
    assert counted(vlm, "The sum is 8.")[2] == 0  # not stated as an answer
    assert counted(vlm, "") == (0, 0, 0, 1)


def test_any_text_adds_up_and_a_program_has_the_tokens_of_its_signs(vlm):
    rng = random.Random(0)
    pieces = ["é", "\U0001f600", "漢字", "<nsl>", "</nsl>", "```python\n", "\n```", "\\boxed{", "}", "7", " x+1",
        "\ufffd",
              "answer is ", "\n", "a\u0301"]  # fmt: skip
    for _ in range(300):
        text = "".join(rng.choices(pieces, k=rng.randint(1, 9)))
        counted(vlm, text)
    made = vlm.tokenizer("é漢<nsl>\U0001f600+漢</nsl>字", add_special_tokens=False, return_offsets_mapping=True)
    inside = [b for b, e in made["offset_mapping"] if 7 <= b < 10]
    assert counted(vlm, "é漢<nsl>\U0001f600+漢</nsl>字")[1] == len(inside)


def test_a_tokenizer_whose_first_piece_loses_its_blank(vlm):
    """As those that mark the beginning of a word do: pieces decoded alone do not join to the text."""
    words = {w: i for i, w in enumerate(["▁the", "▁answer", "▁is", "▁12", "▁so", "</s>"])}
    inner = Tokenizer(models.WordLevel(words, unk_token="▁so"))
    inner.decoder = decoders.Metaspace()
    decode = lambda ids, **_: inner.decode(ids, skip_special_tokens=False)
    other = SimpleNamespace(tokenizer=Mock(decode=decode), stop_ids=lambda: [words["</s>"]])
    text = "so the answer is 12"
    found = token_parts(other, [4, 0, 1, 2, 3, 5], Graded(text, extract(text), None, None, ""))
    assert found == {"prose": 4, "program": 0, "answer": 1, "delimiters": 1}
