"""Rows that say how a problem is answered: each becomes a `Demonstration`, or is skipped with the reason.

A row has a prompt as any problem's has and a `completion` (or `response`); or `messages`, whose last assistant turn is
the completion and whose earlier messages, system and several turns among them, are the prompt as they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from nsrl.data.choices import BadRow, text_of
from nsrl.data.problems import OnRows, Skipped, load
from nsrl.data.rows import QUESTION, column, spoken
from nsrl.data.source import COMPLETION, Demonstration
from nsrl.data.tables import Row, Table
from nsrl.errors import UserError
from nsrl.types import MARK, Problem

MESSAGES = ("messages", "conversations")
TEXT, CHAT, WHY = "nsrl completion", "nsrl chat", "nsrl why"  # columns that `_prepared` adds
PICTURED = ("image", "image_url", "path", "url")  # where an item of a message holds its picture
ROLES = {"human": "user", "gpt": "assistant"}  # ShareGPT's names


def load_demonstrations(config: Any, progress: OnRows | None = None) -> tuple[list[Demonstration], list[Skipped]]:
    """(demonstrations, rows that are none with the reason) of a data configuration (source, path, split, columns).

    Raises `UserError` where no row has a completion.
    """
    split, names = getattr(config, "split", "train"), getattr(config, "columns", None)
    subset = getattr(config, "subset", None)
    problems = load(
        config.source, config.path, split, answered=False, subset=subset, names=names, prepare=_prepared,
        progress=progress,
    )  # fmt: skip
    found: list[Demonstration] = []
    skipped = list(problems.skipped)
    for number, problem in enumerate(problems):
        columns = {name: value for name, value in problem.columns.items() if name not in (TEXT, CHAT, WHY)}
        if (text := problem.columns.get(TEXT)) is None:
            skipped.append(Skipped(number, problem.id, "no completion", problem.columns[WHY]))
            continue
        try:
            chat = _with_pictures(problem.columns.get(CHAT, ()), problem)
        except BadRow as bad:
            skipped.append(Skipped(number, problem.id, bad.reason, str(bad)))
            continue
        found.append(Demonstration(replace(problem, columns=columns, chat=chat), "", text, False))
    if not found:
        raise UserError(
            f"demonstrations: none of the {len(skipped)} rows of {problems.name!r} can be learned from "
            f"({_first(skipped)})"
        )
    return found, skipped


def _first(skipped: Sequence[Skipped]) -> str:
    return f"first: {skipped[0].id}: {skipped[0].reason}: {skipped[0].detail.removeprefix(skipped[0].reason + ': ')}"


def _prepared(table: Table) -> Table:
    """Its rows with what is to be learned in columns of ours, and a conversation as a question."""

    def each() -> Any:
        for row in table.rows:
            yield _row(row) if isinstance(row, Row) else row

    return replace(table, rows=each())


def _row(row: Row) -> Row:
    try:
        before, text = _parts(row)
    except BadRow as bad:
        return _changed(row, {WHY: str(bad)}, row.again)
    if before is None:
        return _changed(row, {TEXT: text}, row.again)
    asked = _question(before)
    inline = any(isinstance(p, Mapping) and any(p.get(name) for name in PICTURED) for p in asked)
    others = {name: value for name, value in row.items() if str(name).strip().lower() not in QUESTION}
    added = {"messages": [{"role": "user", "content": asked}], TEXT: text, CHAT: before}
    return _changed(row, added, None if inline else row.again, others)


def _changed(row: Row, added: Mapping[str, Any], again: Any, kept: Mapping[str, Any] | None = None) -> Row:
    fresh = Row({**(row if kept is None else kept), **added})
    fresh.folder, fresh.metadata, fresh.again = row.folder, row.metadata, again
    return fresh


def _parts(row: Row) -> tuple[list[Mapping[str, Any]] | None, str]:
    """(messages before the completion, None where the prompt is an ordinary question; the completion). Raises
    `BadRow`."""
    completion = column(row, COMPLETION)
    messages = column(row, MESSAGES)
    if completion is None:
        if not _is_chat(messages):
            if any(str(name).strip().lower() in COMPLETION for name in row):
                raise BadRow("no completion", "it is empty")
            there = ", ".join(map(str, list(row)[:20]))
            raise BadRow("no completion", f"looked for a column {', '.join(COMPLETION)} or messages; found {there}")
        last = max((i for i, message in enumerate(messages) if _role(message) == "assistant"), default=None)
        if last is None:
            raise BadRow("no completion", "no message is the assistant's")
        return _uncalled(messages[: last + 1])[:-1], _text(messages[last])
    if _is_chat(completion):
        if len(completion) != 1 or _role(completion[0]) != "assistant":
            raise BadRow("no completion", "a completion of messages must be one of the assistant")
        text = _text(_uncalled(completion)[0])
    elif isinstance(completion, list | tuple | Mapping):
        raise BadRow("no completion", "it is neither a text nor one message of the assistant")
    else:
        text = _required(text_of(completion))
    prompt = column(row, QUESTION)
    return (_uncalled(prompt) if _is_chat(prompt) else None), text


def _uncalled(messages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The messages, none of which calls tools: without its calls a message is another one. Raises `BadRow`."""
    for message in messages:
        if message.get("tool_calls") or message.get("function_call"):
            raise BadRow("no completion", f"a message of the {_role(message)} calls tools, which no prompt shows")
    return list(messages)


def _is_chat(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(m, Mapping) and ("content" in m or "value" in m) for m in value)
    )


def _role(message: Mapping[str, Any]) -> str:
    role = str(message.get("role") or message.get("from") or "user")
    return ROLES.get(role, role)


def _content(message: Mapping[str, Any]) -> Any:
    return message.get("content", message.get("value"))


def _text(message: Mapping[str, Any]) -> str:
    """What the assistant wrote, as it stands."""
    content = _content(message)
    if isinstance(content, list | tuple):
        if any(not isinstance(item, str) and "text" not in item for item in content):
            raise BadRow("no completion", "the assistant's message holds something else than text")
        content = "".join(item if isinstance(item, str) else text_of(item["text"]) for item in content)
    return _required("" if content is None else text_of(content))


def _required(text: str) -> str:
    if not text.strip():
        raise BadRow("no completion", "it is empty")
    return text


def _question(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What stands for a conversation where problems are compared and their pictures are looked up: what the user said
    before the first answer, as a row of problems reads it, and all pictures."""
    asked: list[Any] = []
    answered = False
    for message in messages:
        role, content = _role(message), _content(message)
        answered = answered or role == "assistant"
        pieces = list(content) if isinstance(content, list | tuple) else [] if content is None else [content]
        if role == "system":
            pieces = []
        elif answered:
            pieces = [piece for p in pieces for piece in (_marks(p) if _is_text(p) else [p])]
        asked += pieces
    return asked


def _is_text(piece: Any) -> bool:
    return isinstance(piece, str | bytes) or (isinstance(piece, Mapping) and piece.get("type") == "text")


def _marks(piece: Any) -> list[str]:
    return [MARK] * sum(text.count(MARK) for text in spoken(piece))


def _with_pictures(messages: Sequence[Mapping[str, Any]], problem: Problem) -> tuple[dict[str, Any], ...]:
    """Messages of typed content with one placeholder per picture of the problem. Without any in the texts, all of them
    are put before the first words of the user."""
    if not messages:
        return ()
    chat: list[dict[str, Any]] = []
    for message in messages:
        content: list[dict[str, Any]] = []
        for piece in spoken(_content(message)):
            for number, text in enumerate(piece.split(MARK)):
                content += [{"type": "image"}] * (number > 0) + [{"type": "text", "text": text}] * (text != "")
        chat.append({"role": _role(message), "content": content})
    places = sum(item["type"] == "image" for message in chat for item in message["content"])
    user = next((message for message in chat if message["role"] == "user"), None)
    if user is None:
        raise BadRow("no question", "no message before the answer is the user's")
    if places == 0:
        user["content"] = [{"type": "image"}] * len(problem.images) + user["content"]
    elif places != len(problem.images):
        raise BadRow("missing image", f"{places} image markers for {len(problem.images)} images")
    return tuple(chat)
