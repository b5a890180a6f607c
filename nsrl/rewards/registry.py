"""Rewards by name or `file.py:function`: resolve, call, keep the components apart.

A reward takes a `RewardBatch` (one parameter named `batch`), or TRL's arguments
`f(prompts, completions, completion_ids, **columns)`; it is sync or async and returns one float per completion, or None
where it does not apply. Whatever it raises is raised: a bug never becomes reward 0. Knows nothing of advantages.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import inspect
import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from nsrl.errors import UserError, did_you_mean
from nsrl.rewards import captions, combine, components, lengths
from nsrl.rewards.asking import ASK, Ask, asks
from nsrl.rewards.batch import RewardBatch
from nsrl.userfiles import load

RewardFunction = Callable[..., Any]
GIVEN = (  # what a reward with TRL's arguments may ask for by name in every run, beside the data set's own columns
    "prompts", "completions", "completion_ids", "results", "extracted", "correct", "answer", "category", "source",
    "problem_id",
)  # fmt: skip
BUILTIN: dict[str, RewardFunction] = {**components.REWARDS, **lengths.REWARDS, **captions.REWARDS}


def builtin_names() -> list[str]:
    """Names of the built-in rewards."""
    return sorted(BUILTIN)


def resolve(spec: str | RewardFunction, key: str = "reward_funcs") -> tuple[str, RewardFunction]:
    """(name, function) of a reward: a built-in's name, `file.py:function`, or a callable; key: what names it. Raises
    `UserError`."""
    if callable(spec):
        return getattr(spec, "__name__", type(spec).__name__), spec
    if ":" in spec:
        return load(spec, key)
    if spec not in BUILTIN:
        near = did_you_mean(spec, BUILTIN)
        raise UserError(f"{key} must name one of {', '.join(sorted(BUILTIN))}, or file.py:function; got {spec!r}{near}")
    return spec, BUILTIN[spec]


def require_callable(
    name: str,
    function: RewardFunction,
    columns: Collection[str] | None = None,
    arguments: Mapping[str, Any] | None = None,
    key: str = "reward_funcs",
) -> None:
    """Can a reward be called as `Rewards` calls it? Raises `UserError`.

    columns: names of the data set's columns, besides those every problem has; None: not known, so any name may be one.
    arguments: further ones, by name; key: what names the reward.
    """
    parameters = list(inspect.signature(function).parameters.values())
    if inspect.isclass(function):
        raise UserError(f"{key}: {name!r} must be a function; got a class")
    has = {method: hasattr(function, method) for method in ("state_dict", "load_state_dict")}
    if len(set(has.values())) > 1:
        there, absent = sorted(has, key=has.__getitem__, reverse=True)
        raise UserError(
            f"{key}: {name!r} has {there} and no {absent}, so what it remembers could not be saved with the run "
            f"and taken up again"
        )
    takes = "one parameter named batch, or prompts, completions, completion_ids and columns by name"
    needed = [p for p in parameters if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    whole = bool(parameters) and parameters[0].name == "batch"
    taken = (ASK,) if whole else (*GIVEN, ASK, *(columns or ()))
    _require_arguments(name, function, parameters[whole:], taken, arguments or {}, key)
    given = {*(arguments or {}), ASK}
    if whole:
        wrong = [p.name for p in needed[1:] if p.name not in given]
        wrong += [p.name for p in needed[:1] if p.kind is p.KEYWORD_ONLY]
    else:
        wrong = [p.name for p in needed if p.kind is p.POSITIONAL_ONLY]
        if columns is not None:
            wrong += [p.name for p in needed if p.name not in {*GIVEN, *columns, *given}]
        if not any(p.kind is not p.VAR_POSITIONAL for p in parameters):
            raise UserError(f"{key}: {name!r} must take {takes}; it takes nothing by name")
    if wrong:
        raise UserError(f"{key}: {name!r} must take {takes}; it also wants {', '.join(dict.fromkeys(wrong))}")


def _require_arguments(
    name: str,
    function: RewardFunction,
    parameters: Sequence[inspect.Parameter],
    taken: Collection[str],
    arguments: Mapping[str, Any],
    key: str,
) -> None:
    """Each argument is one that the function has, of its default's kind; those of a built-in are numbers above 0."""
    own = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters)
    free = [n for n in own if n not in taken]
    for argument, value in arguments.items():
        if argument in taken:
            raise UserError(f"{key}: {name!r} gets {argument} from the batch, so it is no argument; got {value!r}")
        if argument not in own and not open_ended:
            raise UserError(
                f"{key}: {name!r} takes {', '.join(free) or 'no arguments'}; got {argument!r}"
                + did_you_mean(argument, free)
            )
        default = own[argument].default if argument in own else None
        kind, words = next((pair for pair in _KINDS if isinstance(default, pair[0][-1])), (None, ""))
        if kind is not None and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not _KINDS[0][0])):
            raise UserError(f"{key}: {argument} of {name!r} must be {words}; got {value!r}")
        if function in BUILTIN.values() and not value > 0:
            raise UserError(f"{key}: {argument} of {name!r} must be above 0; got {value!r}")


_KINDS: tuple[tuple[tuple[type, ...], str], ...] = (  # of an argument, by that of its default: the last of each
    ((bool,), "true or false"), ((int,), "an integer"), ((int, float), "a number"), ((str,), "a text"),
)  # fmt: skip


class Rewards:
    """Several rewards, called together, their components apart.

    specs: names, `file.py:function` or callables; weights: one per reward (all 1 by default); arguments: of each, by
    name; gates: of each the name of the component that must be above 0 for it to count (None: it always counts);
    combined: how components become totals (`nsrl.rewards.combine`), a name or `file.py:function`; key: what named them,
    in errors.
    `rewards(batch)` gives one row of components per completion, in the order of `names`, None where one does not apply.
    A reward decides that for itself: where `correct` is None, the others still count.
    `state_dict` / `load_state_dict`: what stateful rewards remember, JSON-able, for checkpoints: `batch.state` of those
    that take a batch, and the own `state_dict` of a callable object that has one (with `load_state_dict`).
    """

    def __init__(
        self,
        specs: Sequence[str | RewardFunction],
        weights: Sequence[float] | None = None,
        arguments: Sequence[Mapping[str, Any]] = (),
        gates: Sequence[str | None] = (),
        combined: str | combine.Combine = combine.SUM,
        key: str = "reward_funcs",
    ) -> None:
        if not specs:
            raise UserError(f"{key} must name at least one reward; got none")
        pairs = [resolve(s, key) for s in specs]
        self.names = [name for name, _ in pairs]
        if len(set(self.names)) != len(self.names):
            raise UserError(f"{key} must have different names; got {', '.join(self.names)}")
        self.functions = [function for _, function in pairs]
        self.weights = [float(w) for w in weights] if weights is not None else [1.0] * len(pairs)
        if len(self.weights) != len(pairs):
            raise UserError(f"reward_weights must have one weight per reward ({len(pairs)}); got {len(self.weights)}")
        self.arguments = [dict(given) for given in arguments] or [{} for _ in pairs]
        self.gates = dict(zip(self.names, gates or [None] * len(pairs)))
        self.combined = combine.resolve(combined)
        self._order = _ordered(self.gates, key)
        self._state: dict[str, dict[str, Any]] = {}

    def require_callable(self, columns: Collection[str] | None = None, key: str = "reward_funcs") -> None:
        """Raise `UserError` for a reward that cannot be called with its arguments; columns: the data set's own."""
        for name, function, arguments in zip(self.names, self.functions, self.arguments):
            require_callable(name, function, columns, arguments, key)

    @property
    def asks(self) -> bool:
        """Whether one of them asks the policy again."""
        return any(map(asks, self.functions))

    def __call__(self, batch: RewardBatch, ask: Ask | None = None) -> list[list[float | None]]:
        """Rows of components, (R, K). ask: for those that ask the policy. Raises `UserError` where there is none."""
        found = []
        for name, function, arguments in zip(self.names, self.functions, self.arguments):
            with exit_named(f"reward {name!r}"):
                if asks(function):
                    if ask is None:
                        raise UserError(f"reward {name!r} asks the policy, which is there in training alone; got none")
                    arguments = {**arguments, ASK: ask}
                found.append(self._call(name, function, batch, arguments))
        waiting = [i for i, c in enumerate(found) if inspect.isawaitable(c)]
        if waiting:
            for i, values in zip(waiting, asyncio.run(_gather([(self.names[i], found[i]) for i in waiting]))):
                found[i] = values
        columns = {n: _checked(f"reward {n!r}", values, len(batch)) for n, values in zip(self.names, found)}
        done: dict[str, list[float | None]] = {}
        for name in self._order:
            gate = self.gates[name]
            done[name] = columns[name] if gate is None else _gated(columns[name], done[gate])
        return [list(row) for row in zip(*(done[name] for name in self.names))] if len(batch) else []

    def totals(self, rows: Sequence[Sequence[float | None]], batch: RewardBatch) -> list[float | None] | None:
        """What `combined` makes of the rows, (R,); None where it is the weighted sum, which the advantages take
        themselves."""
        if self.combined is None:
            return None
        name, function = self.combined
        batch.names, batch.weights = tuple(self.names), tuple(self.weights)
        batch.state = self._state.setdefault(f"combine:{name}", {})
        values = [[math.nan if value is None else value for value in row] for row in rows]
        with exit_named(f"combine {name!r}"):
            return _checked(f"combine {name!r}", function(values, batch), len(batch))

    def state_dict(self) -> dict[str, Any]:
        """A copy of what stateful rewards remember. Raises `UserError` for what JSON would bring back as something
        else."""
        state = {name: dict(values) for name, values in self._state.items() if values}
        state |= {n: f.state_dict() for n, f in zip(self.names, self.functions) if hasattr(f, "load_state_dict")}
        return {name: through_json(f"reward {name!r}", values) for name, values in state.items()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse. A reward that is new, or had nothing to remember, begins afresh."""
        objects = {n: f for n, f in zip(self.names, self.functions) if hasattr(f, "load_state_dict")}
        for name in objects.keys() & state.keys():
            objects[name].load_state_dict(copy.deepcopy(state[name]))
        self._state = {name: copy.deepcopy(values) for name, values in state.items() if name not in objects}

    def _call(self, name: str, function: RewardFunction, batch: RewardBatch, arguments: Mapping[str, Any]) -> Any:
        parameters = inspect.signature(function).parameters
        if list(parameters)[:1] == ["batch"]:
            batch.state = self._state.setdefault(name, {})
            return function(batch, **arguments)
        given = {
            "prompts": list(batch.prompts),
            "completions": list(batch.completions),
            "completion_ids": [list(ids) for ids in batch.completion_ids],
            "results": list(batch.results),
            "extracted": list(batch.extracted),
            "correct": list(batch.correct),
            **{k: v for k, v in batch.columns().items()},
        }
        if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
            given = {k: v for k, v in given.items() if k in parameters}
        return function(**given, **arguments)


def through_json(what: str, values: Any) -> Any:
    """A copy of what `what` remembers. Raises `UserError` for what JSON would bring back as something else."""
    try:
        back = json.loads(json.dumps(values, allow_nan=False))
    except (TypeError, ValueError) as error:
        raise UserError(f"{what}: what it remembers must be JSON, to be saved with the run; {error}") from None
    if back != values:
        raise UserError(
            f"{what}: what it remembers must come back from JSON as it was (text as keys, lists for tuples)"
        )
    return back


def _ordered(gates: Mapping[str, str | None], key: str) -> list[str]:
    """The components with each gate before what it is the gate of. Raises `UserError` where there is no such order."""
    order: list[str] = []
    for name, gate in gates.items():
        if gate is not None and gate not in gates:
            near = did_you_mean(gate, gates)
            raise UserError(f"{key}: gate of {name!r} must be one of {', '.join(gates)}; got {gate!r}{near}")
    while left := [name for name in gates if name not in order]:
        free = [name for name in left if gates[name] is None or gates[name] in order]
        if not free:
            raise UserError(f"{key}: gates must not lead back to themselves; got {', '.join(left)}")
        order += free
    return order


def _gated(values: list[float | None], gate: list[float | None]) -> list[float | None]:
    """0 where the gate is not above 0, None where it does not apply."""
    return [None if g is None else v if g > 0 or v is None else 0.0 for v, g in zip(values, gate)]


@contextlib.contextmanager
def exit_named(what: str) -> Iterator[None]:
    """A function that ends the process would end the run without a word."""
    try:
        yield
    except SystemExit as error:
        raise UserError(f"{what} called sys.exit({'' if error.code is None else repr(error.code)})") from error


async def _gather(waiting: Sequence[tuple[str, Any]]) -> list[Any]:
    async def one(name: str, column: Any) -> Any:
        with exit_named(f"reward {name!r}"):
            return await column

    return list(await asyncio.gather(*(one(*named) for named in waiting)))


def _checked(what: str, values: Any, count: int) -> list[float | None]:
    """A function's answer as floats and None. Raises `UserError` on anything else: who wrote it can mend it."""
    wanted = f"{what} must return {count} finite numbers or None, one per completion"
    try:
        if isinstance(values, str | bytes | Mapping):
            raise TypeError
        found = iter(values)
    except TypeError:
        raise UserError(f"{wanted}; got {_shown(values)}") from None
    values = list(found)
    if len(values) != count:
        raise UserError(f"{wanted}; got {len(values)} values")
    out: list[float | None] = []
    for i, value in enumerate(values):
        try:
            if isinstance(value, str | bytes):
                raise TypeError
            number = None if value is None else float(value)
        except (TypeError, ValueError, OverflowError, RuntimeError):  # a tensor of several elements: RuntimeError
            number = math.nan
        if number is not None and not math.isfinite(number):
            raise UserError(f"{wanted}; got {_shown(value)} for completion {i}")
        out.append(number)
    return out


def _shown(value: Any) -> str:
    """What came, in one short line."""
    text = (
        "nothing"
        if value is None
        else object.__repr__(value)
        if isinstance(value, int) and abs(value) > 1e308
        else repr(value)
    )
    return " ".join(text.split())[:80]
