"""Completions of several turns: what was written is read and its program run, what an observer says of it is put into
the conversation, and the last turn is judged.

Programs and observers run while other conversations are still being sampled. Verdicts, answers and `result` are of the
last turn; `Graded.history` has them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any

from nsrl.config.turns import OBSERVERS, PLACE, TurnsConfig
from nsrl.data.observers import Observe, observer
from nsrl.data.turns import Observation, Said, message
from nsrl.engines import Extracted, Result, extract
from nsrl.errors import UserError
from nsrl.models.prompt import Prompt, ShownImage
from nsrl.models.vlm import VLM
from nsrl.rewards.registry import exit_named
from nsrl.rollout.turns import Later, Place, Rules, Shown
from nsrl.rollout.types import Sample, StopTexts
from nsrl.trainer.grader import Graded, Grader, Pending
from nsrl.trainer.metrics import Timer
from nsrl.types import ImageRef, Problem

_SPOKEN, _ANSWERED = "what was asked", "what was said"  # stand in a template where a conversation will
EMPTY = "(empty)"  # in place of a text of which control tokens have left nothing
_PER_TOKEN = 64  # characters, more than a token holds: what is longer is cut before it is read
OBSERVING = 32  # observers at the same time
BROKEN = "\ufffd"  # stands in decoded text for bytes that are no whole character
Pictured = Sequence[tuple[ImageRef, Any, tuple[int, int, int]]]  # of each its patches and grid


class Talk:
    """How the completions of a run go on behind their first turn. config: `turns`, some of which is on."""

    def __init__(self, vlm: VLM, config: TurnsConfig) -> None:
        self.vlm, self.config = vlm, config
        self.observe: Observe = observer(config.observe)
        self.mark = _mark(vlm)
        forced = None if config.on_length is None else self._shown_text(config.on_length)
        stop_ids, texts = _stops(vlm, config.stop)
        self.rules = Rules(config.max, stop_ids, texts, forced, config.reserve if forced else 0)
        if config.max > 1:
            self._require_room()

    def require_positions(self, prompts: Sequence[Prompt], max_tokens: int) -> None:
        """Every conversation must fit the model's positions. Raises `UserError`, naming what to lower."""
        longest, room = max((len(prompt.ids) for prompt in prompts), default=0), self.config.shown
        if longest + max_tokens + room > self.vlm.family.positions:
            raise UserError(
                f"turns: a prompt, max_completion_length and what is shown must fit the model's "
                f"{self.vlm.family.positions} positions; got {longest} + {max_tokens} + {room} (lower "
                f"turns.max_observation or turns.max)"
            )

    def shown(self, observation: Observation, inline: bool) -> Shown:
        """An observation as tokens, at most `max_observation` of them: a longer text is cut, pictures that do not fit
        are named in its place, and where nothing else is left `EMPTY` is shown. inline: behind a stop text, where the
        policy's own turn goes on."""
        text = _without_control(self.vlm, observation.text[: _PER_TOKEN * self.config.max_observation])
        if observation.text.strip() and not text.strip():
            text = EMPTY
        pictures: list[tuple[ImageRef, Any, tuple[int, int, int]]] = []
        most = self.config.max_observation
        try:
            pictures = [(image, *self.vlm.pictures.patches(image)) for image in observation.images]
        except UserError as error:
            if self.config.observe not in OBSERVERS:
                raise
            text = f"error: {error}"
        whole = self._laid_out(text, pictures, inline)
        if len(whole.ids) > most and pictures:
            empty = self._laid_out("", pictures, inline)
            if len(empty.ids) > most:
                text, pictures = f"error: the picture takes {len(empty.ids)} tokens, {most} are allowed", []
                whole = self._laid_out(text, pictures, inline)
        ids = self.vlm.token_ids(text)
        while len(whole.ids) > most and ids:
            ids = ids[: len(ids) - (len(whole.ids) - most)]
            whole = self._laid_out(self.vlm.decode(ids), pictures, inline)
        word = self.vlm.token_ids(EMPTY)[:most]
        if not whole.ids:  # two turns of the policy with nothing between them would be one
            return Shown(word, word)
        return replace(whole, blind_ids=whole.blind_ids or word) if pictures else whole

    def _laid_out(self, text: str, pictures: Pictured, inline: bool) -> Shown:
        marks = self.mark * len(pictures) + text
        around = self.config.around
        if around is not None:
            marks = around.replace(PLACE, marks)
        elif inline:
            marks = f"\n{marks}\n"
        else:
            marks = _of_the_user(self.vlm, Observation(text, tuple(image for image, *_ in pictures)))
        return self._shown_text(marks, pictures)

    def _shown_text(self, text: str, pictures: Pictured = ()) -> Shown:
        family = self.vlm.family
        templates = self.vlm.token_ids(text)
        images = tuple(ShownImage(image.key, grid, pixels) for image, pixels, grid in pictures)
        sizes = iter([prod(image.grid) // family.merge**2 for image in images])
        if templates.count(family.image_token_id) != len(images):
            raise UserError(f"turns: what is shown must hold no token of a picture; got {text[:60]!r}")
        ids: list[int] = []
        for token in templates:
            ids += family.expand(next(sizes), self.vlm.tokenizer) if token == family.image_token_id else [token]
        blind = self.vlm.token_ids(text.replace(self.mark, "")) if images else ()
        return Shown(ids, templates, images, blind)

    def _require_room(self) -> None:
        least = max(len(self._laid_out("", [], inline).ids) for inline in {False, bool(self.config.stop)})
        if least >= self.config.max_observation:
            raise UserError(f"turns.max_observation must be above {least}, the tokens around an answer; got "
                            f"{self.config.max_observation}")  # fmt: skip


def talk_of(vlm: VLM, config: TurnsConfig, sharded: bool = False) -> Talk | None:
    """How completions go on; None where they are of one turn. Raises `UserError` for what the model cannot be shown.

    sharded: the model is, so that all processes must sample equally often, which conversations do not.
    """
    if config.on and sharded:
        raise UserError("turns cannot act where the model is sharded; got parallel=fsdp (ddp, or turns.max=1)")
    return Talk(vlm, config) if config.on else None


@dataclass
class _Heard:
    """A turn that was read. start: where it begins in the whole text; program: its engine Result to come, None without
    one; shown: behind it."""

    text: str
    start: int
    extracted: Extracted
    program: Future[Result] | None
    shown: Observation | None = None

    def said(self) -> Said:
        """As observers and rewards see it; waits for its program."""
        result = self.program.result() if self.program is not None else None
        return Said(self.text, self.extracted, result, self.shown, self.start)


class Dialogue:
    """The conversations of one call of `complete`: the `Partner` of its samples, and what they come to.

    timer: gets the seconds of `observe`, those waited for observers when all had been sampled of a turn.
    """

    def __init__(self, talk: Talk, grader: Grader, problems: Sequence[Problem], timer: Timer) -> None:
        self.talk, self.grader, self.problems, self.timer = talk, grader, problems, timer
        self.turns: dict[Place, list[_Heard]] = {}
        self.pending: dict[Place, Pending] = {}
        self.known: dict[tuple[str, tuple[str, ...], bool], Shown] = {}
        self.coming: dict[str, ImageRef] = {}  # pictures that are read ahead, by key

    def heard(self, place: Place, sample: Sample, asked: bool) -> Later | None:
        """See `nsrl.rollout.turns.Partner`."""
        vlm, ids = self.talk.vlm, sample.turns[-1].token_ids
        ended = bool(ids) and ids[-1] in vlm.stop_ids()
        first = place not in self.turns
        text = (vlm.chat.prefill if first else "") + vlm.decode(list(ids))
        whole = text if first else vlm.chat.prefill + vlm.decode(list(sample.written_ids))
        cut = vlm.chat.read(text, ended) if first else extract(text, vlm.chat.delimiters)
        program = self.grader.pool.submit(cut.language, cut.program) if cut.language is not None else None
        turn = _Heard(text, max(0, len(whole) - len(text)), cut, program)  # bytes of two turns may be one character
        self.turns.setdefault(place, []).append(turn)
        if not asked:
            return None
        answer = self._answer(place, program)

        def wait() -> Shown | None:
            with self.timer("observe"):
                found = answer.result().result()
                if found is None:
                    return None
                self.turns[place][-1].shown = found
                return self.shown(found, not ended)

        return wait

    def shown(self, found: Observation, inline: bool) -> Shown:
        """`Talk.shown`, once for observations that are alike: a group asks for the same."""
        key = found.text, tuple(image.key for image in found.images), inline
        if key not in self.known:
            self.known[key] = self.talk.shown(found, inline)
        return self.known[key]

    def ended(self, place: Place, sample: Sample) -> None:
        """See `nsrl.rollout.turns.Partner`: the last turn is judged."""
        last = self.turns[place][-1]
        self.pending[place] = self.grader.follow(self.problems[place[0]], last.text, last.extracted, last.program)

    def finished(self) -> list[bool]:
        """For each program of any turn, whether it is done."""
        heard = [turn for turns in self.turns.values() for turn in turns]
        return [turn.program.done() for turn in heard if turn.program is not None]

    def graded(self, sampled: Sequence[Sequence[Sample]]) -> list[list[Graded]]:
        """What the samples are worth; waits for programs and verdicts."""
        return [[self._graded((i, g), one) for g, one in enumerate(group)] for i, group in enumerate(sampled)]

    def _answer(self, place: Place, program: Future[Result] | None) -> Future[Future[Observation | None]]:
        """The observer's answer, which begins when the program has ended: no thread of the observers' waits for one."""
        begun: Future[Future[Observation | None]] = Future()
        begin = lambda _: begun.set_result(_observers().submit(self._observed, place))
        if program is None:
            begin(None)
        else:
            program.add_done_callback(begin)
        return begun

    def _observed(self, place: Place) -> Observation | None:
        history = [turn.said() for turn in self.turns[place]]
        with exit_named(f"turns.observe {self.talk.config.observe!r}"):
            found = self.talk.observe(self.problems[place[0]], history[-1].extracted, history[-1].result, history)
        if found is not None:
            anew = [image for image in found.images if self.coming.setdefault(image.key, image) is image]
            self.talk.vlm.pictures.ahead(anew)
        return found

    def _graded(self, place: Place, sample: Sample) -> Graded:
        vlm = self.talk.vlm
        whole = vlm.chat.prefill + vlm.decode(list(sample.written_ids))
        judged = self.pending[place].verdict.result().result()
        turns = self.turns[place]
        for turn in turns[:-1]:  # behind one that nobody answered the text of on_length was shown
            turn.shown = turn.shown or Observation(self.talk.config.on_length or "")
        said = [turn.said() for turn in turns]
        cut, start = judged.extracted, said[-1].start
        if cut.language is not None:
            cut = replace(cut, span=(cut.span[0] + start, cut.span[1] + start), begin=cut.begin + start)
        return replace(judged, text=whole, extracted=cut, history=tuple(said))


@lru_cache(1)
def _observers() -> ThreadPoolExecutor:
    """Observers of different completions run at the same time: one that waits keeps no other one waiting."""
    return ThreadPoolExecutor(OBSERVING, "observe")


def _of_the_user(vlm: VLM, shown: Observation) -> str:
    """What the chat template puts between two turns of the assistant where the user says this: behind the end of the
    one, up to the head of the other."""
    said: list[dict[str, Any]] = [
        {"role": "user", "content": [{"type": "text", "text": _SPOKEN}]},
        {"role": "assistant", "content": [{"type": "text", "text": _ANSWERED}]},
        message(shown),
    ]
    text = vlm.tokenizer.apply_chat_template(said, tokenize=False, add_generation_prompt=True)
    _, _, behind = text.partition(_ANSWERED)
    end = vlm.tokenizer.eos_token
    if not behind.lstrip().startswith(end):
        raise UserError(f"turns.around must be said, because the chat template of {vlm.name!r} does not end a turn of "
                        f"the assistant by {end!r}")  # fmt: skip
    return behind.lstrip().removeprefix(end)


def _mark(vlm: VLM) -> str:
    """What the chat template writes for one picture."""
    picture = [{"type": "text", "text": _SPOKEN}, {"type": "image"}, {"type": "text", "text": _ANSWERED}]
    text = vlm.tokenizer.apply_chat_template([{"role": "user", "content": picture}], tokenize=False)
    return text.partition(_SPOKEN)[2].partition(_ANSWERED)[0]


def _without_control(vlm: VLM, text: str) -> str:
    """A text with a blank for every control token in it: nothing that is shown may end a turn or be a picture."""
    never = {*vlm.banned_ids(), *vlm.stop_ids()}
    while found := never.intersection(vlm.token_ids(text)):
        before = text
        for token in found:
            text = text.replace(vlm.tokenizer.decode([token], skip_special_tokens=False), " ")
        if text == before:
            return ""
    return text


def _stops(vlm: VLM, texts: Sequence[str]) -> tuple[tuple[int, ...], StopTexts | None]:
    """Stop texts as the tokens that they are, where they are one, and all of them as texts: other tokens can write
    them too, and hold more behind them."""
    if not texts:
        return (), None
    ids = [vlm.token_ids(text) for text in texts]
    decode = lambda tokens: vlm.tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    pieces = vlm.tokenizer.batch_decode([[i] for i in range(len(vlm.tokenizer))], clean_up_tokenization_spaces=False)
    last = frozenset(token for token, piece in enumerate(pieces) if any(_can_end(text, piece) for text in texts))
    return tuple(found[0] for found in ids if len(found) == 1), StopTexts(tuple(texts), last, decode)


def _can_end(text: str, piece: str) -> bool:
    """Whether a text can end in the token that is decoded as `piece` alone. One that begins inside of a character
    shows `BROKEN` for what it has of that, which may be of any character of several bytes."""
    if text in piece or any(piece.startswith(text[-k:]) for k in range(1, len(text))):
        return True
    rest = piece.lstrip(BROKEN)
    inside = (k for k in range(len(text)) if not text[len(text) - k - 1].isascii())
    return rest != piece and any(rest.startswith(text[len(text) - k :]) for k in inside)
