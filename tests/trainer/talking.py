"""Conversations whose policy is a script, and a small learner whose completions have turns."""

import copy

from nsrl.data.shapes import Shapes
from nsrl.models.policy import Policy
from nsrl.rewards import Rewards
from nsrl.rollout.native import NativeSampler
from nsrl.rollout.types import Finish, Sample
from nsrl.trainer.completions import complete, sampling_params
from nsrl.trainer.distributed import ALONE
from nsrl.trainer.grader import Grader
from nsrl.trainer.learner import Learner
from nsrl.trainer.metrics import Timer
from nsrl.trainer.optim import Optimizer
from nsrl.trainer.problems import ProblemStream
from nsrl.trainer.talk import Talk, talk_of

ANSWER = """from nsrl.data.turns import Observation
from nsrl.data.made import opened
from nsrl.data.observers import observer

PICTURES = [p.images[0] for p in opened("zoom", 1, 3, held_out=5).test()]


def observe(problem, extracted, result, history):
    if len(history[-1].text) % 5 == 0:
        return None
    return Observation("see", (PICTURES[len(history[-1].text) % 5],) if len(history[-1].text) % 2 else ())
"""


class Scripted:
    """A sampler that writes what is in the script, by problem and turn; remembers what it was asked."""

    def __init__(self, vlm, script):
        self.vlm, self.script, self.asked, self.calls = vlm, script, [], 0

    def sample(self, requests, params, on_group=None):
        groups = []
        for index, request in enumerate(requests):
            text = self.script[request.problem][self.calls]
            self.asked.append((request.problem, request))
            ids = self.vlm.token_ids(text)
            if ids[-1] not in params.stop_ids:
                ids = [*ids, self.vlm.end_of_turn]
            groups.append([Sample.single(ids, [-0.5] * len(ids), Finish.STOP) for _ in range(request.n)])
            if on_group is not None:
                on_group(index, groups[-1])
        self.calls += 1
        return groups


def talked(vlm, pool, problems, script, config, n=1, observe=None):
    """Completions as the script has them, and who wrote them. observe: in place of the configuration's."""
    sampler, talk = Scripted(vlm, script), Talk(vlm, config)
    talk.observe = observe or talk.observe
    prompts = [vlm.encode(problem) for problem in problems]
    params, seeds = sampling_params(vlm, 200, 1.0), [0] * len(problems)
    done = complete(vlm, sampler, Grader(pool), problems, prompts, params, n, seeds, Timer(), talk)
    return done, sampler


def texts(vlm, sample):
    """Of each of its turns, control tokens included."""
    return [vlm.tokenizer.decode(turn.token_ids) for turn in sample.turns]


def learner(pool, vlm, config, value, source=None, world=ALONE, budget=4096):
    """Of a copy of the model, whose completions go on as `config.turns` says."""
    one = copy.copy(vlm)
    one.model = copy.deepcopy(vlm.model)
    optimizer = Optimizer(
        one.model, learning_rate=1e-3, schedule="linear", warmup=0, total=10, max_grad_norm=1e9, world=world
    )
    return Learner(
        config, one, Policy(one.model), NativeSampler(one.model), Grader(pool), Rewards([value]), optimizer,
        ProblemStream(source or Shapes(1, 0, 10), 0, one, world), budget, world=world,
        talk=talk_of(one, config.turns),
    )  # fmt: skip
