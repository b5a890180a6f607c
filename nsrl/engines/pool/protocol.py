"""Programs and Results cross the border of a worker as length-prefixed frames of JSON. Stdlib only.

A worker is not trusted: the parent takes nothing from it but JSON of bounded size, and checks every field.
"""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from functools import lru_cache
from math import isfinite
from typing import Any

from nsrl.engines.result import Limits, Message, Result, Status

MAX_FRAME = 2 << 20  # bytes; a worker that sends a larger frame is killed
HEADER = struct.Struct("<IQ")  # payload bytes, program number
HELLO, CANCEL = (1 << 64) - 1, (1 << 64) - 2  # frame numbers that are no program's
_MAX_BITS = 13_280  # an integer longer than this (4,000 digits) stays in the text alone: Python refuses to read it back
_MANY = 100  # messages of a Result, and repairs
_LONG_MS = 1e12
_JSON = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
_STATUS = {status.value: status for status in Status}


class BadFrame(Exception):
    """What a worker sent is no Result."""


def pack(number: int, payload: bytes) -> bytes:
    """A frame: length, number, payload."""
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


@lru_cache(8)
def _encoded(limits: Limits) -> str:
    return _JSON(list(vars(limits).values()))


@lru_cache(8)
def _decoded(values: tuple) -> Limits:
    return Limits(*values)


def encode_task(language: str, program: str, limits: Limits) -> bytes:
    """A program on its way to a worker."""
    return f"[{_JSON(language)},{_JSON(program)},{_encoded(limits)}]".encode()


def decode_task(payload: bytes) -> tuple[str, str, Limits]:
    """A program as it comes out in the worker: language, text, limits."""
    language, program, values = json.loads(payload)
    return language, program, _decoded(tuple(values))


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether `value` can cross: nested lists of numbers, strings, booleans and None."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return value.bit_length() <= _MAX_BITS
    if kind is float:
        return isfinite(value)
    return (kind is list or kind is tuple) and depth < 200 and all([_is_plain(item, depth + 1) for item in value])


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def _cut(text: str, size: int) -> str:
    """The longest beginning of `text` that takes at most `size` bytes."""
    if len(text) * 4 <= size or _size(text) <= size:
        return text
    return text.encode("utf-8", "surrogatepass")[:size].decode("utf-8", "ignore")


def _told(result: Result) -> int:
    """Bytes of all that a Result says in words."""
    if not result.messages and not result.repairs:
        return _size(result.text) + _size(result.stdout)
    messages = [part for m in result.messages[:_MANY] for part in (m.symbol, m.tag, m.text)]
    return sum(map(_size, (result.text, result.stdout, *result.repairs[:_MANY], *messages)))


def bounded(result: Result, limits: Limits) -> Result:
    """The Result as it leaves a worker: within `output_bytes`, and free of what differs from run to run."""
    if result.status is Status.TIMEOUT:
        # Steps, CPU or wall clock: which one strikes first depends on the machine, so nothing else is told.
        return Result(Status.TIMEOUT, cpu_ms=result.cpu_ms)
    value = result.value if _is_plain(result.value) else None
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
    payload = _JSON(fields).encode()
    if len(payload) > MAX_FRAME:  # a value much larger than its text
        payload = _JSON((*fields[:2], None, *fields[3:])).encode()
    return payload


def _need(good: bool, what: str) -> None:
    if not good:
        raise BadFrame(what)


def _texts(items: Any, many: int) -> list[str]:
    _need(type(items) is list and len(items) <= many, "a field that is no short list")
    _need(all(type(item) is str for item in items), "a field that is no text")
    return items


def decode_result(payload: bytes, engine: str, version: str, limits: Limits) -> Result:
    """Read a worker's Result, which is within `limits` and can be written anywhere. Raises `BadFrame` on anything
    else."""
    try:
        fields: Any = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise BadFrame("no JSON") from error
    _need(type(fields) is list and len(fields) == 8, "not the fields of a Result")
    parts: tuple[Any, ...] = tuple(fields)
    status, text, value, told, stdout, steps, cpu_ms, repairs = parts
    _need(type(status) is str and status in _STATUS, "no status")
    _need(type(steps) is int and 0 <= steps < 1 << 63, "no number of steps")
    _need(type(cpu_ms) in (int, float) and 0 <= cpu_ms < _LONG_MS, "no time")  # nor is NaN one
    _need(
        type(told) is list and len(told) <= _MANY and all(type(m) is list and len(m) == 3 for m in told), "no messages"
    )
    _need(type(text) is type(stdout) is str, "a field that is no text")
    messages = tuple([Message(*_texts(message, 3)) for message in told])
    repairs = tuple(_texts(repairs, _MANY))
    result = Result(_STATUS[status], text, value, messages, stdout, steps, float(cpu_ms), repairs, engine, version)
    _need(_told(result) <= limits.output_bytes + 1000, "more output than the limit")
    _need(_is_plain(value), "a value that is not plain")
    # A half character comes escaped, or as bytes that are no ASCII; nearly no Result holds either.
    return result if b"\\u" not in payload and payload.isascii() else result.writable()
