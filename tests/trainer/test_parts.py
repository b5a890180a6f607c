"""Tokens by part: hand-counted completions, any Unicode, and tokenizers that do not simply join their pieces."""

import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from nsrl.data.turns import Said
from nsrl.engines import Pair, extract
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


def test_programs_of_earlier_turns_are_programs(vlm):
    first, last = "Try <nsl>1+2</nsl>", "<nsl>30+4</nsl>"
    cut = extract(last)
    moved = replace(cut, span=(cut.span[0] + len(first), cut.span[1] + len(first)), begin=cut.begin + len(first))
    graded = Graded(
        first + last, moved, None, None, "", history=(Said(first, extract(first)), Said(last, cut, start=len(first)))
    )
    ids = vlm.tokenizer(first + last, add_special_tokens=False)["input_ids"]
    programs = [word for word, part in named_tokens(vlm, ids, graded) if part == "program"]
    assert "".join(programs) == "1+230+4"
    assert "".join(word for word, part in named_tokens(vlm, ids, graded) if part == "prose").strip() == "Try"


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


def bytewise(size):
    """A tokenizer as Qwen's is: byte-level BPE, whose pieces hold parts of characters and several words of signs."""
    words = [
        "answer is",
        "The answer is **4**",
        "\\boxed{4}",
        "\\fbox{ 4 }",
        "4 sides, so 4.",
        "<nsl>2+2</nsl>",
        "漢字 é",
    ]
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False
    )
    inner.train_from_iterator(words * 4, trainer)
    inner.add_tokens(["<tool_call>", "</tool_call>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", clean_up_tokenization_spaces=False)
    return SimpleNamespace(tokenizer=fast, stop_ids=lambda: [fast.eos_token_id])


HERMES = (Pair("wolfram", "<tool_call>", "</tool_call>"),)


def parts_of(vlm, text):
    """(its text, its part) of each token that a text is."""
    ids = vlm.tokenizer(text, add_special_tokens=False)["input_ids"]
    return named_tokens(vlm, ids, Graded(text, extract(text, HERMES), None, None, ""))


@pytest.mark.parametrize(
    ("text", "answer", "program"),
    [
        ("\\boxed{4} because it has 4 sides, so 4.", (7, 8), None),
        ("\\boxed{A}. A is it", (7, 8), None),
        ("\\fbox{ 4 } 4 it is", (7, 8), None),
        ("The answer is **4**\n\nDone with 4", (16, 17), None),
        ("The answer is 4-it-is-4.", (14, 23), None),
        ("<tool_call>2+2</tool_call> The answer is 4", (41, 42), (11, 14)),
        ("The answer is 4 <tool_call>4</tool_call> 4", (14, 15), (27, 28)),
        ("The answer is <tool_call>4</tool_call> as said", None, (25, 26)),
        ("so <nsl>n</nsl> it is", None, (8, 9)),
        ("<sympy>s</sympy>", None, (7, 8)),
        ("it is \\boxed{<nsl>4</nsl>} by far", None, (18, 19)),
        ("<nsl>\\boxed{4}</nsl> and \\boxed{4} or 4", (32, 33), (5, 14)),
    ],
)
def test_an_answer_is_where_it_is_stated_and_not_where_it_is_said_again(text, answer, program):
    found = parts_of(bytewise(257), text)  # a token is a sign, but the delimiters
    starts = [len("".join(word for word, _ in found[:i])) for i in range(len(found))]
    for span, part in ((answer, "answer"), (program, "program")):
        assert [at for at, (_, of) in zip(starts, found) if of == part] == [*range(*(span or (0, 0)))]


def painted_by_hand(text, cut):
    """A part per sign, without a regular expression: the slow way, sign by sign."""
    inside = lambda i: cut.span[0] <= i < cut.span[1]
    parts = ["answer" if cut.language is None and len(text.split()) <= 2 else "prose"] * len(text)
    boxes = []
    for i in range(len(text)):
        for name in ("\\boxed{", "\\fbox{"):
            if text.startswith(name, i) and not inside(i):
                depth, at = 1, i + len(name)
                while at < len(text) and depth:
                    if not inside(at):
                        depth += {"{": 1, "}": -1}.get(text[at], 0)
                    at += 1
                if not depth:
                    boxes.append((at - 1, i, i + len(name)))
    begin = end = 0
    if boxes:
        last, first, begin = max(boxes)
        parts[first : last + 1] = ["delimiters"] * (last + 1 - first)
        end = last
    else:
        said = [
            i for i in range(len(text)) if text.startswith("answer is", i) and not any(map(inside, range(i, i + 9)))
        ]
        if said:
            begin = end = said[-1] + 9
            while begin < len(text) and text[begin].isspace() and not inside(begin):
                begin += 1
            end = begin
            while end < len(text) and text[end] != "\n" and not inside(end):
                end += 1
    strip = " \n" if boxes else " *$\n"
    while begin < end and text[begin] in strip:
        begin += 1
    while begin < end and text[end - 1] in strip:
        end -= 1
    if not boxes and begin < end and text[end - 1] == ".":
        end -= 1
        while begin < end and text[end - 1] in strip:
            end -= 1
    parts[begin:end] = ["answer"] * (end - begin)
    if cut.language is not None:
        parts[slice(*cut.span)] = ["delimiters"] * (cut.span[1] - cut.span[0])
        parts[cut.begin : cut.begin + len(cut.program)] = ["program"] * len(cut.program)
    return parts


def test_parts_of_random_texts_are_those_of_a_search_sign_by_sign():
    rng = random.Random(12)
    pieces = ["4", " 4", "4 sides", "A", " so ", "**4**", "\\boxed{4}", "\\fbox{ 4 }", "\\boxed{", "}", "{", "é", "漢",
        " The answer is ", "answer is", ".", "\n", "<nsl>", "</nsl>", "<tool_call>", "</tool_call>",
        "<nsl>4</nsl>", " it is "]  # fmt: skip
    seen = Counter()
    for size in (257, 280, 320, 340):
        vlm = bytewise(size)
        for _ in range(400):
            text = "".join(rng.choices(pieces, k=rng.randint(1, 10)))
            cut = extract(text, HERMES)
            made = vlm.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
            signs = painted_by_hand(text, cut)
            wanted = []
            for begin, end in made["offset_mapping"]:
                first = next((i for i in range(begin, end) if not text[i].isspace()), begin)
                wanted.append(signs[first])
            found = [part for _, part in parts_of(vlm, text)]
            whole = [i for i, (b, e) in enumerate(made["offset_mapping"]) if text[b:e].isascii()]
            assert [found[i] for i in whole] == [wanted[i] for i in whole], (text, cut, signs)
            seen.update(found)
    assert min(seen[part] for part in PARTS) > 100, seen


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
