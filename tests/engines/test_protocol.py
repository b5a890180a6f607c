"""What a worker sends is checked on receipt: a hostile one loses its own program, and raises nothing in the parent."""

import json
import math
import random

import pytest

from nsrl.engines import EnginePool, Limits, Status
from nsrl.engines.pool import processes, protocol

GOOD = ["ok", "5", ["List", 1, 2.5, ["String", "s"]], [["Power", "infy", "1/0"]], "out", 3, 0.5, ["r"]]
LIMITS = Limits(cpu_s=2, wall_s=5, output_bytes=2000)


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


WRONG = {  # a field of GOOD, and what it may not be
    0: ["fine", 1, None, ["ok"], "OK", ""],
    1: [1, None, ["a"], {"a": 1}, True, "x" * 4000, "é" * 3000],
    2: [{"a": 1}, [{"a": 1}], nested(300), [float("nan")], float("inf"), [-float("inf")], 10**4200],
    3: [
        None,
        1,
        {},
        [1],
        [["a", "b"]],
        [["a", "b", 1]],
        [["a", "b", "c", "d"]],
        [["a", "b", "c"]] * 101,
        [["a", "b", "c" * 4000]],
    ],
    4: [None, 1, [], {"a": 1}, "x" * 4000],
    5: [None, -1, 1.5, True, "3", 1 << 63, 10**4200, float("nan")],
    6: [None, "1", True, [], -1, -0.5, float("nan"), float("inf"), 1e300, 10**4200],
    7: [None, "r", [1], [["r"]], {"r": 1}, ["r"] * 101, ["r" * 4000]],
}


def dumped(value):
    """JSON, and what Python's reader takes for it: NaN, Infinity."""
    return json.dumps(value).encode()


def malformed(rng):
    """A payload that is no Result."""
    roll = rng.random()
    if roll < 0.5:
        fields, at = list(GOOD), rng.randrange(8)
        fields[at] = rng.choice(WRONG[at])
        return dumped(fields)
    if roll < 0.6:
        return dumped(GOOD[: rng.randrange(8)] if rng.random() < 0.5 else [*GOOD, rng.choice(["e", 1, None])])
    if roll < 0.7:
        return rng.choice([b"[", b'{"a":', b"[[[],", b"[1,"]) * rng.choice([1, 10, 1000, 20_000])
    if roll < 0.8:
        return dumped(rng.choice([None, 1, "ok", {}, {"status": "ok"}, [GOOD], dict(zip("abcdefgh", GOOD))]))
    if roll < 0.9:
        return rng.randbytes(rng.randrange(200))
    whole = dumped(GOOD)
    return (
        whole[: rng.randrange(1, len(whole))] if rng.random() < 0.5 else whole + rng.choice([b"]", b" 1", b"\0", b"[]"])
    )


def test_no_malformed_frame_is_a_result():
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    assert protocol.decode_result(dumped(GOOD), "e", "v", LIMITS).text == "5"
    for fields in ([*GOOD[:at], wrong, *GOOD[at + 1 :]] for at, values in WRONG.items() for wrong in values):
        with pytest.raises(protocol.BadFrame):
            protocol.decode_result(dumped(fields), "e", "v", LIMITS)
    for _ in range(500):
        payload = malformed(rng)
        with pytest.raises(protocol.BadFrame):
            pytest.fail(f"{seed}: {protocol.decode_result(payload, 'e', 'v', LIMITS)}")


def anything(rng, depth=4):
    """Some JSON, half characters and long numbers among it."""
    kinds = [
        None,
        True,
        rng.randint(-5, 5),
        rng.random(),
        10 ** rng.randrange(4000),
        "π\ud800",
        "a\udfff\x00",
        "ok",
        1e-320,
    ]
    if depth == 0 or rng.random() < 0.3:
        return rng.choice(kinds)
    return [anything(rng, depth - 1) for _ in range(rng.randrange(4))]


def test_what_is_accepted_can_be_written_anywhere():
    seed = random.randrange(10**6)
    rng, taken = random.Random(seed), 0
    for _ in range(3000):
        fields = [anything(rng) if rng.random() < 0.15 else field for field in GOOD]
        try:
            result = protocol.decode_result(dumped(fields), "e", "v", LIMITS)
        except protocol.BadFrame:
            continue
        taken += 1
        assert json.loads(json.dumps(result.to_json(timing=True), allow_nan=False, ensure_ascii=False).encode()), seed
        assert (result.engine, result.version) == ("e", "v") and math.isfinite(result.cpu_ms) and result.steps < 1 << 63
    assert 300 < taken < 3000, seed
    deep = protocol.decode_result(dumped([*GOOD[:2], nested(190), *GOOD[3:]]), "e", "v", LIMITS)
    assert json.dumps(deep.to_json()).count("[") > 190


# A worker that sends what the program says: a payload under the program's number, or bytes as they are.
BOOT = """import sys; sys.path[:] = {path!r}
import json, os
from nsrl.engines import languages
from nsrl.engines.pool import protocol, worker
from nsrl.engines.result import Result, Status
asked, honest = {{}}, protocol.encode_result
def run(program, limits):
    asked.clear()
    asked.update(json.loads(program))
    if "raw" in asked:
        os.write(3, asked["raw"].encode("latin-1"))
    return Result(Status.OK, text=asked.get("text", ""), engine="forged", version="forged")
def encode(result, cpu_ms=0.0):
    return asked["payload"].encode("latin-1") if "payload" in asked else honest(result, cpu_ms)
protocol.encode_result = encode
languages.evaluators = lambda languages: {{"nsl": run}}
worker.warm_native = lambda evaluators: None
worker.main()"""


@pytest.fixture
def forger(monkeypatch):
    monkeypatch.setattr(processes, "_BOOT", BOOT)
    with EnginePool(workers=2, limits=LIMITS, languages=["nsl"], cache=0) as pool:
        yield pool


def test_a_worker_that_forges_loses_its_own_program_only(forger):
    seed = random.randrange(10**6)
    rng = random.Random(seed)
    futures = []
    for number in range(60):
        futures.append(
            (forger.submit("nsl", json.dumps({"payload": malformed(rng).decode("latin-1"), "n": number})), None)
        )
        futures += [(forger.submit("nsl", json.dumps({"text": f"{number}.{k}"})), f"{number}.{k}") for k in range(2)]
    for future, text in futures:
        result = future.result(timeout=120)
        assert (result.engine, result.version) == ("nsl", forger._queue.versions["nsl"])
        assert json.dumps(result.to_json(timing=True))
        assert result.text == text if text else result.status is Status.CRASH, (seed, result)


def test_no_worker_answers_for_another_program_or_wins_time(forger):
    forged = dumped(["ok", "forged", None, [], "", 0, 0.0, []])
    behind = b"".join(protocol.pack(n, forged) for n in range(300, 0, -1))  # the last in its pipe first
    cases = [
        behind,
        protocol.pack(protocol.HELLO, b"{}"),
        protocol.pack(protocol.CANCEL, b"") * 50,
        protocol.HEADER.pack(1 << 31, 5),
        b"\xff" * 12,
    ]
    futures = []
    for n, raw in enumerate(cases):
        futures.append(
            (forger.submit("nsl", json.dumps({"raw": raw.decode("latin-1"), "text": "mine"})), ("mine", "forged", ""))
        )
        futures += [(forger.submit("nsl", json.dumps({"text": f"{n}.{k}"})), (f"{n}.{k}",)) for k in range(30)]
    for future, texts in futures:
        assert future.result(timeout=60).text in texts
