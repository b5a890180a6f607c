"""How programs and Results cross the border of a worker: length-prefixed frames of JSON. Stdlib only.

A worker is not trusted: the parent takes nothing from it but JSON of bounded size, and checks every field.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import Any

from nsrl.engines.result import Limits, Message, Result, Status

MAX_FRAME = 2 << 20  # bytes; a worker that sends a larger frame is killed
HEADER = struct.Struct("<IQ")  # payload bytes, program number
HELLO, CANCEL = (1 << 64) - 1, (1 << 64) - 2  # frame numbers that are no program's
_MAX_DIGITS = 4000  # an integer longer than this stays in the text alone: Python refuses to read it back
_MANY = 100  # messages of a Result, and repairs
_LONG_MS = 1e12
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


def _told(result: Result) -> int:
    """Bytes of all that a Result says in words."""
    messages = [part for m in result.messages[:_MANY] for part in (m.symbol, m.tag, m.text)]
    return sum(map(_size, (result.text, result.stdout, *result.repairs[:_MANY], *messages)))


def bounded(result: Result, limits: Limits) -> Result:
    """The Result as it leaves a worker: within `output_bytes`, and free of what differs from run to run."""
    if result.status is Status.TIMEOUT:
        # Steps, CPU or wall clock: which one strikes first depends on the machine, so nothing else is told.
        return Result(Status.TIMEOUT, cpu_ms=result.cpu_ms)
    try:
        value = _plain(result.value)
    except ValueError:
        value = None
    messages, repairs = result.messages[:_MANY], result.repairs[:_MANY]
    if _told(result) > limits.output_bytes:
        note = Message("Engine", "output", f"The output is larger than {limits.output_bytes} bytes.")
        half = limits.output_bytes // 2
        return Result(
            Status.MEMORY, text=_cut(result.text, half), messages=(note,), stdout=_cut(result.stdout, half),
            steps=result.steps, cpu_ms=result.cpu_ms,
        )  # fmt: skip
    if value is result.value and messages is result.messages and repairs is result.repairs:
        return result
    return replace(result, value=value, messages=tuple(messages), repairs=tuple(repairs))


def encode_result(result: Result, cpu_ms: float = 0.0) -> bytes:
    """A Result on its way out. Engine and version are not told: the parent knows them."""
    fields = (
        result.status.value, result.text, result.value, [(m.symbol, m.tag, m.text) for m in result.messages],
        result.stdout, result.steps, cpu_ms or result.cpu_ms, result.repairs,
    )  # fmt: skip
    payload = json.dumps(fields, allow_nan=False).encode()
    if len(payload) > MAX_FRAME:  # a value much larger than its text
        payload = json.dumps((*fields[:2], None, *fields[3:])).encode()
    return payload


def _need(good: bool, what: str) -> None:
    if not good:
        raise BadFrame(what)


def _texts(items: Any, many: int) -> list[str]:
    _need(type(items) is list and len(items) <= many, "a field that is no short list")
    _need(all(type(item) is str for item in items), "a field that is no text")
    return items


def decode_result(payload: bytes, engine: str, version: str, limits: Limits) -> Result:
    """Read a worker's Result, which is within `limits` and can be written anywhere. Raises `BadFrame` on anything else."""
    try:
        fields = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadFrame("no JSON") from error
    _need(type(fields) is list and len(fields) == 8, "not the fields of a Result")
    status, text, value, told, stdout, steps, cpu_ms, repairs = fields
    _need(type(status) is str and status in _STATUS, "no status")
    _need(type(steps) is int and 0 <= steps < 1 << 63, "no number of steps")
    _need(type(cpu_ms) in (int, float) and 0 <= cpu_ms < _LONG_MS, "no time")  # nor is NaN one
    _need(type(told) is list and len(told) <= _MANY and all(type(m) is list and len(m) == 3 for m in told), "no messages")
    messages = tuple(Message(*_texts(message, 3)) for message in told)
    result = Result(
        _STATUS[status], *_texts([text], 1), value, messages, *_texts([stdout], 1), steps, float(cpu_ms),
        tuple(_texts(repairs, _MANY)), engine, version,
    )  # fmt: skip
    _need(_told(result) <= limits.output_bytes + 1000, "more output than the limit")
    try:
        _plain(value)
    except ValueError as error:
        raise BadFrame("a value that is not plain") from error
    return result.writable()
