"""Judges, reward models and renderers are services: JSON goes to a URL, JSON comes back."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Sequence
from typing import Any

from nsrl.errors import UserError

LONGEST = 120.0  # seconds that an answer may take


def post(url: str, body: Any) -> Any:
    """What the service behind a URL answers. Raises `UserError` where none does, or not in JSON."""
    sent = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(sent, timeout=LONGEST) as reply:
            return json.load(reply)
    except (OSError, ValueError) as error:
        raise UserError(f"{url} must be a service that answers in JSON; got {str(error)[:200]}") from None


async def posted(url: str, bodies: Sequence[Any]) -> list[Any]:
    """The same of several, which are asked together; answers in the order of `bodies`. Raises as `post`."""
    return list(await asyncio.gather(*(asyncio.to_thread(post, url, body) for body in bodies)))
