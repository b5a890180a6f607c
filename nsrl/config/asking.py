"""The keys of the commands that ask a model: eval, harvest, solve. As in `schema.py`, each has its bound and text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from nsrl.config.prompts import PromptConfig
from nsrl.config.ranges import check
from nsrl.config.schema import (
    LEVEL,
    ONE_OR_MORE,
    PIXELS,
    SAMPLES,
    SEED,
    SHARE,
    SIGMA,
    TEMPERATURE,
    TEMPERATURE_OR_GREEDY,
    EngineConfig,
    Given,
)
from nsrl.config.turns import TurnsConfig
from nsrl_kernels.options import Bound


class _Asked:
    """What the keys mean that several of these commands have: their classes declare them without a text."""

    max_completion_length: int | None
    """tokens (null: as the run was trained, else 1024)."""

    engine: EngineConfig
    """the pool that runs programs."""

    batch: int
    """problems sampled at once."""

    device: str
    """auto takes a GPU when there is one."""

    dtype: str
    """of the weights."""

    max_pixels: int | None
    """larger images are shrunk to this many pixels (null: the checkpoint's own)."""

    verifiers: dict[str, str]
    """who says what is right, as in training (none: on the data of the model's own run as that says, else the answer
    check)."""

    answered: bool
    """of data that is no run's own: leave out rows without a gold answer that can be read."""


@dataclass
class EvalConfig(_Asked):
    """Evaluate a model: the table by category, accuracy of samples and greedy, pass@k."""

    model: str = "small"
    """a run folder, a checkpoint folder, a Hub id, or `small` (untrained)."""

    data: str | None = None
    """a data set in `source:path` form, or a source alone that makes its problems (shapes and others of data.md,
    FILE.py:Class), or a path whose format is recognised (null: the held-out problems of the run that the model is of,
    else shapes). What the run was trained on is left out."""

    size: Annotated[int | None, Bound(least=1, why="null takes all")] = None
    """at most so many problems (null: all; of a source that makes them: as many as the run holds out, else 600)."""

    seed: Annotated[int | None, SEED] = None
    """of the samples and of problems that are made (null: the run's own, else 0)."""

    level: Annotated[int | None, LEVEL] = None
    """difficulty of problems that are made (null: the run's own, else 1)."""

    noise: Annotated[float | None, SIGMA] = None
    """of pictures that are made: standard deviation of noise on each pixel, in levels of 255 (null: the run's own, else
    0)."""

    occlusion: Annotated[float | None, SHARE] = None
    """of such a picture: share of one cell that is covered (null: the run's own, else 0)."""

    contrast: Annotated[float | None, SHARE] = None
    """of such a picture: how far it stands out from its grey (null: the run's own, else 1)."""

    samples: Annotated[int, SAMPLES] = 4
    """samples per problem at the temperature."""

    temperature: Annotated[float, TEMPERATURE_OR_GREEDY] = 1.0
    """of the samples (0: greedy alone)."""

    max_completion_length: Annotated[int | None, ONE_OR_MORE] = None

    output: str | None = None
    """write the table as JSON here, and every completion as parquet beside it (null: the completions go into the run's
    eval/, of a model in no run into evaluations/ of the working directory)."""

    prompt: PromptConfig = field(default_factory=PromptConfig)
    """how problems are put to the model; what is not said is as it was trained."""

    turns: TurnsConfig = field(default_factory=TurnsConfig)
    """completions of several turns; what is not said is as in the run that the model is of."""

    spans: dict[str, str] = field(default_factory=dict)
    """named stretches of a completion, by what stands around them: columns of what is kept."""

    verifiers: dict[str, str] = field(default_factory=dict)

    answered: bool = True

    engine: EngineConfig = field(default_factory=EngineConfig)

    batch: Annotated[int, ONE_OR_MORE] = 64

    device: str = "auto"

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    max_pixels: Annotated[int | None, PIXELS] = None

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        check(self)


@dataclass
class HarvestConfig(_Asked):
    """Sample a model on training problems and keep its shortest right answers, as demonstrations for supervised
    steps."""

    model: str
    """a run folder, a checkpoint folder or a Hub id."""

    output: str
    """the parquet file to write; what is sampled before it is whole stands in the folder OUTPUT.parts, and is taken up
    again."""

    data: str | None = None
    """a data set in `source:path` form, or a source alone that makes its problems (shapes), or a path whose format is
    recognised (null: that of the run that the model is of, else shapes). Its held-out problems are left out."""

    held_out: Annotated[int | None, Bound(least=1, why="a run is graded on held-out problems")] = None
    """data.eval_size of the run that will learn from this: so many problems are held out of the data, and not harvested
    (null: as of the run that the model is of, else 600)."""

    run: str | None = None
    """a file of keys of `nsrl train`, of the run that will learn from this: its data and what that holds out, prompt,
    engine, sampler, temperature, lengths and how the model computes are as there, and problems come in the order in
    which it would draw them (null: as the keys here say)."""

    size: Annotated[int | None, Bound(least=1, why="null takes all")] = None
    """at most so many training problems (null: all; of a source that makes them: 600)."""

    seed: Annotated[int | None, SEED] = None
    """of the samples, and of problems that are made (null: the run's own, else 0)."""

    level: Annotated[int | None, LEVEL] = None
    """difficulty of problems that are made (null: the run's own, else 1)."""

    samples: Annotated[int, SAMPLES] = 8
    """samples per problem."""

    keep: Annotated[int, ONE_OR_MORE] = 1
    """right answers kept per problem and language, the shortest ones."""

    languages: list[str] = field(default_factory=list)
    """keep answers in these languages alone (direct, prose, sympy, wolfram, nsl; none: all), translations included."""

    translate: bool = False
    """say right programs of Wolfram Language and SymPy in nsl too, where the engine gives the same value."""

    allow_empty: bool = False
    """where no answer was right, write a table without rows instead of an error."""

    temperature: Annotated[float, TEMPERATURE] = 1.0
    """of the samples."""

    max_completion_length: Annotated[int | None, ONE_OR_MORE] = None

    prompt: PromptConfig = field(default_factory=PromptConfig)
    """how problems are put to the model; what is not said is as it was trained. What is kept holds no prompt: it can be
    learned under another."""

    verifiers: dict[str, str] = field(default_factory=dict)

    answered: bool = True

    engine: EngineConfig = field(default_factory=EngineConfig)

    batch: Annotated[int, ONE_OR_MORE] = 64

    device: str = "auto"

    dtype: Literal["auto", "float32", "bfloat16"] = "auto"

    max_pixels: Annotated[int | None, PIXELS] = None

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        check(self)


@dataclass
class SolveConfig(_Asked):
    """Ask a model one question: prints its program, the engine's value, and the time."""

    model: str
    """a run folder, a checkpoint folder or a Hub id."""

    question: str | None = None
    """the question."""

    image: list[str] = field(default_factory=list)
    """image files, none to several."""

    problem: str | None = None
    """in place of both, a held-out problem of the run: its number, or its id as in the report."""

    max_completion_length: Annotated[int | None, ONE_OR_MORE] = None
    """tokens."""

    temperature: Annotated[float, TEMPERATURE_OR_GREEDY] = 0.0
    """0 is greedy."""

    prompt: PromptConfig = field(default_factory=PromptConfig)
    """how problems are put to the model; what is not said is as it was trained."""

    turns: TurnsConfig = field(default_factory=TurnsConfig)
    """completions of several turns; what is not said is as in the run that the model is of."""

    seed: Annotated[int, SEED] = 0
    """of sampling (at temperature 0 nothing is drawn)."""

    engine: EngineConfig = field(default_factory=EngineConfig)

    device: str = "auto"

    given: ClassVar[Given] = {}

    def __post_init__(self) -> None:
        check(self)
