"""`python -m nsrl.solve --model RUN --image FILE --question TEXT`: the program, the engine's value and the time."""

from __future__ import annotations

import time
from pathlib import Path

from nsrl.config import LoraConfig, ModelConfig, SolveConfig, command, parse, require_sound


def main(argv: list[str]) -> int:
    config = parse(SolveConfig, argv, "python -m nsrl.solve")
    require_sound(config)

    from nsrl.data.images import file_image

    images = tuple(file_image(Path(path).expanduser()) for path in config.image)

    from nsrl.engines import extract  # torch and transformers are only imported once the pictures can be read
    from nsrl.rollout.native import NativeSampler
    from nsrl.rollout.types import SamplingParams
    from nsrl.trainer import model
    from nsrl.trainer.batch import request
    from nsrl.trainer.run import open_pool
    from nsrl.types import Problem

    vlm = model.load(ModelConfig(name=config.model, device=config.device), LoraConfig(enabled=False), config.seed)
    encoded = vlm.encode(Problem("question", config.question, None, images))
    longest = config.max_completion_length or model.trained_length(Path(config.model)) or 1024
    model.require_positions(vlm, longest, len(encoded.prompt_ids))
    with open_pool(config.engine) as pool:
        start = time.perf_counter()
        params = SamplingParams(
            max_tokens=longest,
            temperature=config.temperature,
            stop_ids=tuple(vlm.stop_ids()),
            banned_ids=tuple(vlm.banned_ids()),
        )
        ((sample,),) = NativeSampler(vlm.model).sample([request(encoded, 1, config.seed, 0)], params)
        sampled = time.perf_counter()
        text = vlm.decode(list(sample.token_ids))
        cut = extract(text)
        result = pool.run(cut.language, cut.program) if cut.language is not None else None
        done = time.perf_counter()
    if result is None:
        print(f"answer   {cut.answer or '(none)'}   (written directly, no program)")
        print(f"text     {text}")
    else:
        print(f"program  ({cut.language})\n{cut.program}")
        print(f"value    {result.text or '(none)'}   ({result.status.value})")
        for message in result.messages:
            print(f"message  {message}")
    print(
        f"time     {done - start:.2f} s: {sampled - start:.2f} s for {len(sample.token_ids)} tokens, "
        f"{1000 * (done - sampled):.0f} ms in the engine"
    )
    return 0


if __name__ == "__main__":
    command(main)
