"""`python -m nsrl.attend --model RUN --problem N -o FILE` shows where a model looks as it writes: attention over its
pictures.

Prints how much of the attention of program, prose and answer is on the pictures, by layer; FILE.png or FILE.html draws
it over them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from nsrl.config import EvalConfig, ModelConfig, SolveConfig, command, parse, require_sound
from nsrl.config.prompts import PromptConfig, said
from nsrl.errors import UserError, program, require_extra
from nsrl.types import Problem
from nsrl.userfiles import expanded
from nsrl.view import Parser, page_file

_ASKED = "what is asked for (any, answer, cot, nsl, wolfram, sympy), and so each key of `prompt` that eval takes, "\
    "also as prompt.mode=X (without them: as it was trained)"  # fmt: skip
PARTS = ("prose", "program", "answer", "delimiters", "all")  # what --tokens takes beside a range


def parser() -> argparse.ArgumentParser:
    """What the command takes."""
    top = Parser(
        prog=program("attend"),
        description="Where a model looks as it writes: the attention with which each token of a completion was "
        "written, drawn over the pictures, and how much of it is on them for program, prose and answer, by layer.",
        epilog=f"Examples: {program('attend')} --model runs/default-0 --problem 3 -o map.html | {program('attend')} "
        '--model CHECKPOINT --image a.png --question "What is x?" --tokens program --layer 12 -o map.png',
        allow_abbrev=False,
    )
    top.add_argument("--model", required=True, metavar="M", help="a run folder, a checkpoint folder or a Hub id")
    top.add_argument("--problem", metavar="N", help="a held-out problem of the run, by number or id")
    top.add_argument("--question", metavar="TEXT", help="in its place a question of your own, with --image")
    top.add_argument(
        "--image", action="append", default=[], metavar="FILE", help="a picture; several times for several"
    )
    top.add_argument("--completion", metavar="TEXT", help="look at this text (without it: what the model writes)")
    for key in fields(PromptConfig):
        names, told = [f"--prompt.{key.name}"], argparse.SUPPRESS
        if key.name == "mode":
            names, told = [*names, "--mode"], _ASKED
        top.add_argument(*names, metavar="X", help=told)
    top.add_argument("--tokens", default="all", metavar="WHICH", help="drawn: program, prose, answer, delimiters, all, "
                     "or A:B, the tokens from A to before B, counted from 0 (default: all)")  # fmt: skip
    top.add_argument("--layer", default="mean", metavar="N", help="a layer, counted from 0, or mean (default)")
    top.add_argument("--head", default="mean", metavar="N", help="a head of every layer, from 0, or mean (default)")
    top.add_argument("-o", "--output", metavar="FILE", help="a .png, or an .html page in which each token shows its "
                     "map in every layer (without it: the table alone)")  # fmt: skip
    top.add_argument("--max_completion_length", type=int, metavar="N", help="tokens (default: as the run was trained, "
                     "else 1024)")  # fmt: skip
    top.add_argument(
        "--temperature", type=float, default=0.0, metavar="T", help="of the completion; 0 is greedy (default)"
    )
    top.add_argument("--seed", type=int, default=0, metavar="N", help="of sampling (default: 0)")
    top.add_argument("--device", default="auto", metavar="NAME", help="auto takes a GPU when there is one (default)")
    return top


def main(argv: list[str]) -> int:
    """Print the table and draw what was asked for. Returns 0; raises `UserError` for what cannot be done."""
    chosen = parser().parse_args([f"--{word}" if word.startswith("prompt.") else word for word in argv])
    words = [f"{key}={word}" for key, word in vars(chosen).items() if key.startswith("prompt.") and word is not None]
    asked = parse(SolveConfig, [f"model={chosen.model}", *words], "python -m nsrl.attend")
    require_sound(asked)
    layer, head = (_number(chosen, name) for name in ("layer", "head"))
    _require_sound(chosen)
    require_extra()
    problem = _problem(chosen)

    from nsrl.models import loading, maps  # torch and transformers, once the pictures can be read
    from nsrl.models.policy import Policy
    from nsrl.report import attention
    from nsrl.report.problems import clean
    from nsrl.trainer.grader import Graded
    from nsrl.trainer.parts import named_tokens

    vlm = loading.load(ModelConfig(name=chosen.model, device=chosen.device), seed=chosen.seed)
    layers = len(vlm.family.text.layers)
    if layer is not None and layer >= layers:
        raise UserError(f"attend: --layer must be 0 to {layers - 1} or mean; got {layer}")
    loading.ask_as(vlm, asked.prompt, said(asked.prompt, asked.given))
    problem = vlm.chat.shown(problem)
    if not problem.images:
        raise UserError("attend: the prompt must have a picture to look at; this one has none")
    prompt = vlm.encode(problem)
    ids, ended = _completion(chosen, vlm, prompt)
    text = vlm.chat.prefill + vlm.decode(ids)
    graded = Graded(text, vlm.chat.read(text, ended), None, None, "")  # nothing is run: it is cut, not graded
    texts, parts = map(list, zip(*named_tokens(vlm, ids, graded)))
    rows = _rows(chosen.tokens, parts)
    looks = maps.look(Policy(vlm.model), prompt, ids, head=head)
    pictures = [image.open() for image in problem.images]
    seen = attention.Seen(
        title=f"{Path(chosen.model).name} on {problem.id}",
        question=problem.question.replace("<image>", " ").strip(),
        pictures=pictures,
        cells=[vlm.pictures.cells(picture.size) for picture in pictures],
        tokens=texts,
        parts=parts,
        weights=looks.on_pictures.numpy(),
        even=looks.even.numpy(),
        chosen=rows,
        layer=layer,
        head=head,
    )
    print(f"question {clean(seen.question)}\nwrote    {clean(''.join(texts))}\n")
    print("attention on the pictures, of all that a token attends to (even: if it attended to all it sees alike)")
    print(attention.table(seen))
    print(f"\nof each token that is drawn, {seen.which}\n{attention.by_token(seen)}")
    if chosen.output:
        target = expanded(chosen.output)
        (attention.write_png if target.suffix.lower() == ".png" else attention.write_page)(seen, target)
        print(f"drawn: {target}")
    return 0


def _require_sound(chosen: argparse.Namespace) -> None:
    """Raise `UserError` for arguments that do not go together or cannot be."""
    if chosen.problem is not None and (chosen.question is not None or chosen.image):
        raise UserError("attend: --problem stands in place of --question and --image; got more than it")
    if chosen.problem is None and (chosen.question is None or not chosen.image):
        raise UserError("attend: --problem must be given, or --question and --image")
    if chosen.completion is not None and (chosen.temperature or chosen.max_completion_length is not None):
        raise UserError("attend: --completion is looked at as it stands: no --temperature or --max_completion_length")
    if chosen.completion == "":
        raise UserError("attend: --completion must be a text; got an empty one")
    if chosen.max_completion_length is not None and chosen.max_completion_length < 1:
        raise UserError(f"attend: --max_completion_length must be at least 1; got {chosen.max_completion_length}")
    if chosen.temperature < 0:
        raise UserError(f"attend: --temperature must be 0 (greedy) or more; got {chosen.temperature}")
    if chosen.tokens not in PARTS and _range(chosen.tokens) is None:
        raise UserError(f"attend: --tokens must be {', '.join(PARTS)} or A:B; got {chosen.tokens!r}")
    if chosen.output:
        page_file(chosen.output, ".png", ".html")


def _number(chosen: argparse.Namespace, name: str) -> int | None:
    word = getattr(chosen, name)
    if word != "mean" and not word.isdecimal():
        raise UserError(f"attend: --{name} must be a number from 0 or mean; got {word!r}")
    return None if word == "mean" else int(word)


def _range(word: str) -> tuple[int, int] | None:
    first, colon, last = word.partition(":")
    ends = (int(first) if first.isdecimal() else 0, int(last) if last.isdecimal() else 1 << 60)
    return ends if colon and (first + last).isdecimal() and ends[0] < ends[1] else None


def _rows(word: str, parts: Sequence[str]) -> list[int]:
    """The tokens that are drawn."""
    ends = _range(word)
    if ends is not None:
        rows = list(range(len(parts)))[ends[0] : ends[1]]
    else:
        rows = [i for i, part in enumerate(parts) if word in ("all", part)]
    if not rows:
        there = ", ".join(f"{parts.count(p)} of {p}" for p in PARTS if p in parts)
        raise UserError(f"attend: --tokens {word}: the completion has no such tokens; it has {there}")
    return rows


def _problem(chosen: argparse.Namespace) -> Problem:
    """What is asked; its pictures can be read."""
    if chosen.problem is None:
        from nsrl.data.images import file_image

        return Problem("question", chosen.question, None, tuple(file_image(expanded(p)) for p in chosen.image))
    from nsrl.trainer.heldout import choose

    problems, _, _ = choose(EvalConfig(model=chosen.model))
    found = next((p for n, p in enumerate(problems) if chosen.problem in (str(n), p.id)), None)
    if found is None:
        raise UserError(
            f"attend: --problem must be 0 to {len(problems) - 1} or the id of a held-out problem; got "
            f"{chosen.problem!r}"
        )
    return found


def _completion(chosen: argparse.Namespace, vlm: Any, prompt: Any) -> tuple[list[int], bool]:
    """The token ids that are looked at, given or written by the model, and whether the turn ended by itself."""
    from nsrl.models import loading
    from nsrl.rollout.native import NativeSampler
    from nsrl.rollout.types import Finish, Request
    from nsrl.trainer.completions import sampling_params

    if chosen.completion is not None:
        ids = vlm.learned_ids(chosen.completion)
        if never := {*vlm.banned_ids()}.intersection(ids) | {*vlm.stop_ids()}.intersection(ids[:-1]):
            token = vlm.tokenizer.decode([min(never)])
            raise UserError(f"attend: --completion must hold no control token of the model; got a text with {token!r}")
        loading.require_positions(vlm, len(ids), len(prompt.ids))
        return ids, True
    longest = chosen.max_completion_length or loading.trained_length(Path(chosen.model)) or 1024
    loading.require_positions(vlm, longest, len(prompt.ids))
    params = sampling_params(vlm, longest, chosen.temperature)
    ((sample,),) = NativeSampler(vlm.model).sample([Request(prompt, 1, chosen.seed)], params)
    return list(sample.token_ids), sample.finish is Finish.STOP


if __name__ == "__main__":
    command(main)
