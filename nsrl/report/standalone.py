"""A page that is one file: its script allowed by hash, its data compressed, written whole or not at all."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def packed(data: bytes) -> str:
    """Bytes as a page carries them: gzip, base64."""
    return base64.b64encode(gzip.compress(data, 6, mtime=0)).decode()


def page(template: str, scripts: Sequence[str], **values: Any) -> str:
    """A template of this room with its scripts in one async function (`script`, `script_hash`), and `source`, which
    gives a template another file of the room."""
    import jinja2

    loader = jinja2.PackageLoader("nsrl.report", ".")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    source = lambda name: loader.get_source(environment, name)[0]
    script = "(async () => {\n'use strict';\n" + "\n".join(map(source, scripts)) + "\n})();"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template(template).render(
        **values, source=source, script=script, script_hash=f"sha256-{digest}"
    )


def put(target: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    working = target.with_name(target.name + ".tmp")
    working.write_bytes(content)
    os.replace(working, target)
