"""How programs and Results cross the border of a worker: length-prefixed frames of JSON. Stdlib only.

A worker is not trusted: the parent takes nothing from it but JSON of bounded size, and checks every field.
"""

from __future__ import annotations

import json
import struct
from typing import Any

from nsrl.engines.result import Limits, Message, Result, Status

MAX_FRAME = 2 << 20  # bytes; a worker that sends a larger frame is killed
HEADER = struct.Struct("<IQ")  # payload bytes, program number
HELLO, CANCEL = (1 << 64) - 1, (1 << 64) - 2  # frame numbers that are no program's
_MAX_DIGITS = 4000  # an integer longer than this stays in the text alone: Python refuses to read it back
_STATUS = {status.value: status for status in Status}


class BadFrame(Exception):
    """What a worker sent is no Result."""


def pack(number: int, payload: bytes) -> bytes:
    return HEADER.pack(len(payload), number) + payload


def unpack(buffer: bytearray) -> list[tuple[int, bytes]]:
    """Cut the complete frames off the front of `buffer`. Raises `BadFrame` on one that is too large."""
    frames, at = [], 0
    while len(buffer) - at >= HEADER.size:
        size, number = HEADER.unpack_from(buffer, at)
        if size > MAX_FRAME:
            raise BadFrame(f"a frame of {size} bytes")
        if len(buffer) - at - HEADER.size < size:
            break
        at += HEADER.size
        frames.append((number, bytes(buffer[at : at + size])))
        at += size
    del buffer[:at]
    return frames


def encode_task(language: str, program: str, limits: Limits) -> bytes:
    values = (limits.steps, limits.depth, limits.integer_digits, limits.list_length)
    values += (limits.cpu_s, limits.wall_s, limits.memory_mb, limits.output_bytes)
    return json.dumps((language, program, values)).encode()


def decode_task(payload: bytes) -> tuple[str, str, Limits]:
    language, program, values = json.loads(payload)
    return language, program, Limits(*values)


def _plain(value: Any, depth: int = 0) -> Any:
    """`value` if it can cross: nested lists of numbers, strings, booleans and None. Raises ValueError otherwise."""
    if value is None or type(value) in (str, bool):
        return value
    if type(value) is int:
        if value.bit_length() > _MAX_DIGITS * 3.32:
            raise ValueError("a long integer")
        return value
    if type(value) is float:
        if value != value or value in (float("inf"), float("-inf")):
            raise ValueError("no JSON number")
        return value
    if isinstance(value, list | tuple) and depth < 200:
        return [_plain(item, depth + 1) for item in value]
    raise ValueError(f"a value of type {type(value).__name__}")


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _cut(text: str, size: int) -> str:
    """The longest beginning of `text` that takes at most `size` bytes."""
    if len(text) * 4 <= size or _size(text) <= size:
        return text
    return text.encode("utf-8", "surrogatepass")[:size].decode("utf-8", "ignore")


def bounded(result: Result, limits: Limits) -> Result:
    """The Result as it leaves a worker: within `output_bytes`, and free of what differs from run to run."""
    if result.status is Status.TIMEOUT:
        # Steps, CPU or wall clock: which one strikes first depends on the machine, so nothing else is told.
        return Result(Status.TIMEOUT, cpu_ms=result.cpu_ms)
    try:
        value = _plain(result.value)
    except ValueError:
        value = None
    messages = result.messages[:100]
    size = sum(map(_size, (result.text, result.stdout, *result.repairs, *(m.text for m in messages))))
    if size > limits.output_bytes:
        note = Message("Engine", "output", f"The output is larger than {limits.output_bytes} bytes.")
        half = limits.output_bytes // 2
        return Result(
            Status.MEMORY, text=_cut(result.text, half), messages=(note,), stdout=_cut(result.stdout, half),
            steps=result.steps, cpu_ms=result.cpu_ms,
        )  # fmt: skip
    if value is result.value and messages is result.messages:
        return result
    return Result(
        result.status, result.text, value, tuple(messages), result.stdout, result.steps, result.cpu_ms,
        result.repairs,
    )  # fmt: skip


def encode_result(result: Result, engine: str, version: str, cpu_ms: float = 0.0) -> bytes:
    """`engine` and `version` are said by the worker, the same for every outcome."""
    fields = (
        result.status.value, result.text, result.value, [(m.symbol, m.tag, m.text) for m in result.messages],
        result.stdout, result.steps, cpu_ms or result.cpu_ms, result.repairs, engine, version,
    )  # fmt: skip
    payload = json.dumps(fields, allow_nan=False).encode()
    if len(payload) > MAX_FRAME:  # a value much larger than its text
        payload = json.dumps((*fields[:2], None, *fields[3:])).encode()
    return payload


def _text(item: Any) -> str:
    if type(item) is not str:
        raise BadFrame("a field that is no text")
    return item


def decode_result(payload: bytes) -> Result:
    """Read a worker's Result. Raises `BadFrame` on anything else."""
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadFrame("no JSON") from error
    if type(fields) is not list or len(fields) != 10 or type(fields[0]) is not str or fields[0] not in _STATUS:
        raise BadFrame("not the fields of a Result")
    status, text, value, messages, stdout, steps, cpu_ms, repairs, engine, version = fields
    if type(steps) is not int or type(cpu_ms) not in (int, float) or type(messages) is not list:
        raise BadFrame("a field of the wrong type")
    if type(repairs) is not list or any(type(m) is not list or len(m) != 3 for m in messages):
        raise BadFrame("a field of the wrong type")
    try:
        value = _plain(value)
    except ValueError as error:
        raise BadFrame("a value that is not plain") from error
    return Result(
        _STATUS[status], _text(text), value, tuple(Message(*map(_text, m)) for m in messages), _text(stdout), steps,
        float(cpu_ms), tuple(map(_text, repairs)), _text(engine), _text(version),
    ).writable()  # fmt: skip
