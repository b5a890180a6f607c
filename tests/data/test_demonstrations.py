"""Rows that say how a problem is answered: columns, conversations, pictures, and what is skipped with which reason."""

import base64
import io
import json
from types import SimpleNamespace

import pytest
from PIL import Image

from nsrl.data.chat import Chat, messages, system_text
from nsrl.data.demonstrations import load_demonstrations
from nsrl.errors import UserError


def loaded(folder, rows, **columns):
    file = folder / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_demonstrations(SimpleNamespace(source="hf", path=str(file), split="train", columns=columns))


def said(role, *parts):
    return {"role": role, "content": [p if isinstance(p, dict) else {"type": "text", "text": p} for p in parts]}


def test_columns_and_conversations(tmp_path):
    for name, colour in (("a", 10), ("b", 90)):
        Image.new("RGB", (32, 32), (colour, 9, 99)).save(tmp_path / f"{name}.png")
    data = io.BytesIO()
    Image.new("RGB", (32, 64), (1, 2, 3)).save(data, "PNG")
    url = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()},
    }
    rows = [
        {"id": "plain", "question": "<image>Sum?", "image": "a.png", "options": ["1", "2"],
            "completion": "<nsl>1+1</nsl>"},
        {"id": "other", "Prompt": "2+3?", "Response": "5", "answer": "5"},
        {"id": "turns", "images": ["a.png", "b.png"], "messages": [
            {"role": "system", "content": "Be brief."}, {"role": "user", "content": "<image>Sum <|im_end|>?"},
            {"role": "assistant", "content": "3"}, {"role": "user", "content": "And <image> here?"},
            {"role": "assistant", "content": [{"type": "text", "text": "4"}, {"type": "text", "text": "!"}]},
            {"role": "user", "content": "Thanks."}]},
        {"id": "inside", "messages": [said("user", url, "How high?"), said("assistant", "64")]},
        {"id": "share", "images": ["b.png"], "conversations": [{"from": "human", "value": "Colour?"}, {"from": "gpt",
            "value": "dark"}]},
        {"id": "trl", "prompt": [said("system", "S"), said("user", "Q")], "completion": [said("assistant", "A")]},
        {"id": "none", "question": "1+1?", "answer": "2"},
        {"id": "empty", "question": "1+1?", "completion": "  "},
        {"id": "silent", "messages": [said("user", "Hello?")]},
        {"id": "lacking", "messages": [said("user", "<image> What?"), said("assistant", "3")]},
        {"id": "many", "images": ["a.png", "b.png"], "messages": [said("user", "<image> What?"), said("assistant",
            "3")]},
        {"id": "unasked", "messages": [said("system", "Say"), said("assistant", "3")]},
        {"id": "own", "question": "1+1?", "System": [{"type": "text", "text": "Be <|im_end|> kind."}],
            "completion": "2"},
        {"id": "odd", "question": "1+1?", "system": 5, "completion": 2},
        {"id": "choice", "question": "1+1?", "completion": ["2", "two"]},
        {"id": "calls", "messages": [said("user", "Q"), said("assistant", "A") | {"tool_calls": [{"id": "1"}]},
            said("tool", "7"), said("assistant", "B")]},
    ]  # fmt: skip
    found, skipped = loaded(tmp_path, rows)
    assert {one.problem.id: one.text for one in found} == {
        "plain": "<nsl>1+1</nsl>", "other": "5", "turns": "4!", "inside": "64", "share": "dark", "trl": "A",
        "own": "2", "odd": "2",
    }  # fmt: skip
    assert {one.id: one.reason for one in skipped} == {
        "none": "no completion", "empty": "no completion", "silent": "no completion", "lacking": "missing image",
        "many": "missing image", "unasked": "no question", "choice": "no completion", "calls": "no completion",
    }  # fmt: skip
    by_id = {one.problem.id: one.problem for one in found}
    image = {"type": "image"}
    assert messages(by_id["plain"], system="S")[1] == said("user", image, "Sum?", "\nA. 1\nB. 2")
    assert messages(by_id["turns"], system="never added") == [
        said("system", "Be brief."), said("user", image, "Sum  ?"), said("assistant", "3"),
        said("user", "And ", image, " here?"),
    ]  # fmt: skip
    assert by_id["turns"].question == "<image>Sum  ?\n<image>" and len(by_id["turns"].images) == 2
    assert messages(by_id["inside"]) == [said("user", image, "How high?")]
    assert by_id["inside"].images[0].open().size == (32, 64)
    assert messages(by_id["share"]) == [said("user", image, "Colour?")]  # without a marker: before the first words
    assert Chat().messages(by_id["own"])[0] == said("system", "Be   kind.")
    assert Chat().messages(by_id["odd"])[0] == said("system", system_text())  # a number is no system text
    assert messages(by_id["trl"]) == [said("system", "S"), said("user", "Q")]


def test_other_names_of_columns_and_rows_without_any(tmp_path):
    rows = [{"frage": "1+1?", "loesung": "2"}]
    found, skipped = loaded(tmp_path, rows, question="frage", completion="loesung")
    assert [one.text for one in found] == ["2"] and not skipped
    with pytest.raises(UserError, match="looked for a column completion, response or messages; found question, loes"):
        loaded(tmp_path, rows, question="frage")
    empty = [{"question": f"{text!r}?", "completion": text} for text in ("5", " ", "", None)]
    _, skipped = loaded(tmp_path, empty)
    assert [one.detail for one in skipped] == ["no completion: it is empty"] * 3
