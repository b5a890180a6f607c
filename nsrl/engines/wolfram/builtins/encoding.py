"""Text encodings: digests, URLs, file names, JSON and tables; and text back to values. Nothing here touches a file."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import unicodedata
import zlib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from nsrl.engines.wolfram.assoc import from_pairs, is_assoc, is_rule
from nsrl.engines.wolfram.expr import FAILED, FALSE, NULL, TRUE, boolean, is_list, lst, rule
from nsrl.engines.wolfram.printer import text
from nsrl.engines.wolfram.table import Builtin, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)


@builtin("Hash", arity=(1, 3))
def hash_(ev: Evaluator, args: tuple) -> Any:
    """Hash[string, method, form] of the published digests; the kernel's own default hash is not published."""
    if len(args) < 2 or type(args[0]) is not str or type(args[1]) is not str:
        return None
    data, method = args[0].encode("utf-8", "replace"), args[1].lower()
    if method == "crc32":
        digest = zlib.crc32(data).to_bytes(4, "big")
    elif method in ("md5", "sha", "sha1", "sha224", "sha256", "sha384", "sha512"):
        digest = hashlib.new("sha1" if method == "sha" else method, data, usedforsecurity=False).digest()
    else:
        return None
    if len(args) == 3:
        return digest.hex() if args[2] == "HexString" else None
    return int.from_bytes(digest, "big")


@builtin("FileNameJoin", arity=1, takes="strings")
def file_name_join(ev: Evaluator, args: tuple) -> Any:
    return "/".join(args[0].args)


def _path(name: str, cut: Callable[[str], str]) -> None:
    builtin(name, arity=1, takes="string")(lambda ev, args: cut(args[0]))


_path("FileBaseName", lambda s: PurePosixPath(s).stem)
_path("FileExtension", lambda s: PurePosixPath(s).suffix[1:])
_path("FileNameTake", lambda s: PurePosixPath(s).name)
_path("DirectoryName", lambda s: s.rpartition("/")[0] + "/" if "/" in s else "")


@builtin("URLEncode", arity=1)
def url_encode(ev: Evaluator, args: tuple) -> Any:
    return quote(args[0], safe="") if type(args[0]) is str else None


@builtin("URLDecode", arity=1)
def url_decode(ev: Evaluator, args: tuple) -> Any:
    return unquote(args[0]) if type(args[0]) is str else None


@builtin("RemoveDiacritics", arity=1)
def remove_diacritics(ev: Evaluator, args: tuple) -> Any:
    if type(args[0]) is not str:
        return None
    return unicodedata.normalize(
        "NFC", "".join(c for c in unicodedata.normalize("NFD", args[0]) if not unicodedata.combining(c))
    )


def _from_json(x: Any, rules: bool) -> Any:
    if isinstance(x, bool):
        return boolean(x)
    if x is None:
        return NULL
    if isinstance(x, list):
        return lst(_from_json(v, rules) for v in x)
    if isinstance(x, dict):
        items = [(k, _from_json(v, rules)) for k, v in x.items()]
        return lst(rule(k, v) for k, v in items) if rules else from_pairs(items)
    return x


def _to_json(x: Any) -> Any:
    """Raises ValueError for what JSON has no form for."""
    if type(x) in (int, float, str):
        return x
    if x in (TRUE, FALSE, NULL):
        return {TRUE: True, FALSE: False, NULL: None}[x]
    if is_assoc(x) or (is_list(x) and x.args and all(map(is_rule, x.args))):
        return {r.args[0] if type(r.args[0]) is str else text(r.args[0]): _to_json(r.args[1]) for r in x.args}
    if is_list(x):
        return [_to_json(v) for v in x.args]
    raise ValueError(text(x))


@builtin("ExportString", arity=2)
def export_string(ev: Evaluator, args: tuple) -> Any:
    data, form = args
    if form in ("JSON", "RawJSON"):
        try:
            return json.dumps(_to_json(data), indent="\t", separators=(",", ":"), ensure_ascii=False)
        except ValueError:
            return FAILED
    if form in ("CSV", "TSV") and is_list(data):
        out = io.StringIO()
        writer = csv.writer(out, delimiter="," if form == "CSV" else "\t", lineterminator="\n")
        for row in data.args:
            writer.writerow([text(c) for c in (row.args if is_list(row) else (row,))])
        return out.getvalue()
    return None


@builtin("ImportString", arity=2)
def import_string(ev: Evaluator, args: tuple) -> Any:
    data, form = args
    if type(data) is not str:
        return None
    ev.need_length(len(data) // 2)
    if form in ("JSON", "RawJSON"):
        try:
            return _from_json(json.loads(data), form == "JSON")
        except (ValueError, RecursionError):
            return FAILED
    if form in ("CSV", "TSV"):
        return lst(
            lst(_cell(c) for c in row)
            for row in csv.reader(data.splitlines(), delimiter="," if form == "CSV" else "\t")
        )
    return None


def _cell(c: str) -> Any:
    for kind in (int, float):
        try:
            return kind(c) if c.isascii() and "_" not in c and any(map(str.isdigit, c)) else c
        except ValueError:
            continue
    return c
