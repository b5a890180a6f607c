"""Which `Chat` a model is spoken to with: the keys of `prompt`, their files read, and delimiters that its tokenizer has
as single tokens."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import fields, replace
from typing import Any

from nsrl.config import PromptConfig
from nsrl.data.chat import Chat, examples_text, text_of_file
from nsrl.engines import LANGUAGES, OPEN, TAGS, Pair
from nsrl.errors import UserError
from nsrl.models.vlm import VLM

KEYS = tuple(field.name for field in fields(PromptConfig))


def chat_for(vlm: VLM, asked: PromptConfig, said: Collection[str] = KEYS) -> Chat:
    """What the keys of `asked` that were `said` make of the model's own chat, all of them by default.

    A mode that was said begins anew: nothing else of the model's own chat is kept. Raises `UserError` for a file that
    cannot be read, delimiters that the tokenizer does not have, an opening that no language has, control tokens.
    """
    own = Chat() if "mode" in said else vlm.chat
    values: dict[str, Any] = {"mode": asked.mode} if "mode" in said else {}
    if "system" in said:
        values["system"] = text_of_file("prompt.system", asked.system) if asked.system is not None else None
    if "examples" in said:
        values["examples"] = examples_text(asked.examples) if asked.examples is not None else None
    if "prefill" in said:
        values["prefill"] = asked.prefill or ""
    if "images" in said:
        values["pictures"] = asked.images == "keep"
    if "mode" in said or "delimiters" in said:
        values["delimiters"] = delimiters(vlm, values.get("mode", own.mode), asked.delimiters)
        if own.opened:  # by our tag: `Chat` writes the opening in force in its place
            values = {"prefill": own.prefill.removesuffix(own.opened.open) + OPEN[own.opened.language], **values}
    chat = replace(own, **values)
    never = {*vlm.banned_ids(), *vlm.stop_ids()}
    for key, text in (("system", chat.system), ("examples", chat.examples), ("prefill", chat.prefill)):
        if found := never.intersection(vlm.token_ids(text or "")):
            token = vlm.tokenizer.decode([min(found)])
            raise UserError(f"prompt.{key} must hold no control token of the model; got a text with {token!r}")
    return chat


def delimiters(vlm: VLM, mode: str, choice: str = "auto") -> tuple[Pair, ...]:
    """The first pairs of the family's table that are single tokens of this tokenizer, or the tags: for `tags`, where
    they are single tokens, and for `auto` where there are too few pairs or no program is asked for.

    A mode of one language takes one pair, `any` one for each. Raises `UserError` for `tokens` where there are too few.
    """
    tags = [pair for pair in TAGS if pair.language == mode] or list(TAGS)
    if choice == "tags" or all(single(vlm, pair.open) and single(vlm, pair.close) for pair in tags):
        return TAGS
    languages, there = _languages(mode), _pairs(vlm)
    if len(there) >= len(languages) and (choice == "tokens" or mode in (*LANGUAGES, "any")):
        return tuple(Pair(language, *pair) for language, pair in zip(languages, there))
    if choice == "tokens":
        table = ", ".join(f"{a} {b}" for a, b in vlm.family.delimiters)
        raise UserError(
            f"prompt.delimiters=tokens with prompt.mode={mode} needs {len(languages)} of the pairs that are known of "
            f"{vlm.family.title} ({table}) as single tokens that decoding keeps; {vlm.name!r} has {len(there)}"
        )
    return TAGS


def _languages(mode: str) -> Sequence[str]:
    return [mode] if mode in LANGUAGES else LANGUAGES


def _pairs(vlm: VLM) -> list[tuple[str, str]]:
    """Those of the family's table that are single tokens of this tokenizer."""
    return [(a, b) for a, b in vlm.family.delimiters if single(vlm, a) and single(vlm, b)]


def single(vlm: VLM, token: str) -> bool:
    """Whether a text is one token that may be sampled and that decoding without special tokens keeps."""
    ids = vlm.token_ids(token)
    if len(ids) != 1:
        return False
    added = vlm.tokenizer.added_tokens_decoder.get(ids[0])
    return not (ids[0] in vlm.tokenizer.all_special_ids or (added is not None and added.special)) and ids[0] not in (
        *vlm.banned_ids(),
        *vlm.stop_ids(),
    )


def output_tokens(vlm: VLM, chat: Chat | None = None) -> int:
    """Most tokens that the delimiters of one program take in a completion; 0 in a mode that asks for no program."""
    chat = chat or vlm.chat
    if chat.mode not in (*LANGUAGES, "any"):
        return 0
    if chat.opened:  # the opening stands in the prompt; the end of the turn closes it, or the closing
        return len(vlm.token_ids(chat.opened.close))
    pairs = [pair for pair in chat.delimiters if chat.mode in ("any", pair.language)]
    return max(len(vlm.token_ids(pair.open)) + len(vlm.token_ids(pair.close)) for pair in pairs)


def note_on_cost(vlm: VLM) -> str | None:
    """A sentence where delimiters take more than two tokens of every completion."""
    cost = output_tokens(vlm)
    if cost <= 2:
        return None
    there, mode = len(_pairs(vlm)), vlm.chat.mode
    if there >= len(_languages(mode)):
        less = "prompt.delimiters=tokens takes 2"
    elif there:
        less = "a prompt.mode of one language takes 2"
    elif vlm.chat.opened:
        less = "a program that the end of the turn closes has none"
    else:
        which = "prompt.prefill=open" if mode in LANGUAGES else "a prompt.mode of one language with prompt.prefill=open"
        less = f"{which} takes none where the end of the turn closes the program"
    return f"the tags around a program take up to {cost} tokens of a completion with this tokenizer; {less}"


def note_on_change(vlm: VLM, before: Chat) -> str | None:
    """A sentence where a checkpoint that was trained with keys of `prompt` is asked in another way."""
    changed = [field.name for field in fields(Chat) if getattr(before, field.name) != getattr(vlm.chat, field.name)]
    if before == Chat() or not changed:
        return None
    names = {"pictures": "images"}
    return f"{vlm.name} was trained with another prompt.{', prompt.'.join(names.get(name, name) for name in changed)}"
