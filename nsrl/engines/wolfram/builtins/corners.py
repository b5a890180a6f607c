"""The language's corners: builtins that are one line of Wolfram Language, queries, text encodings, options.

`_DEFINED` gives a name, its argument counts, a test of the arguments, and what it stands for as a pure function; a
call whose arguments fail the test stays as it is. Knows nothing of how those lines are evaluated.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import unicodedata
import zlib
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from nsrl.engines.wolfram.assoc import (
    from_pairs,
    is_assoc,
    is_rule,
    lookup,
    missing,
    pairs,
    rules_of,
    values_of,
    with_values,
)
from nsrl.engines.wolfram.builtins.defined import private
from nsrl.engines.wolfram.evaluator import sub_handler
from nsrl.engines.wolfram.expr import (
    FAILED,
    FALSE,
    NULL,
    RULE,
    TRUE,
    Expr,
    S,
    Symbol,
    boolean,
    is_list,
    lst,
    mk,
    rule,
    sym,
    system,
)
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.printer import text
from nsrl.engines.wolfram.table import Builtin, symbols, table

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "Defer", "HoldAll Protected")

_NATURAL = "IntegerQ[#1] && #1 >= 0 &"
_INTEGERS = "AllTrue[{##}, IntegerQ] && #2 >= 0 &"
_ANY = "True &"
_LISTS = "ListQ[#1] &"
_DEFINED: dict[str, tuple[tuple[int, int | None], str, str]] = {
    "Construct": ((1, None), _ANY, "#1[##2] &"),
    "NumericalSort": ((1, 1), _LISTS, "#[[Ordering[N[#]]]] &"),
    "BitGet": ((2, 2), _INTEGERS, "BitAnd[BitShiftRight[#1, #2], 1] &"),
    "BitSet": ((2, 2), _INTEGERS, "BitOr[#1, 2^#2] &"),
    "BitClear": ((2, 2), _INTEGERS, "#1 - 2^#2 BitAnd[BitShiftRight[#1, #2], 1] &"),
    "BitFlip": ((2, 2), _INTEGERS, "BitXor[#1, 2^#2] &"),
    "CarmichaelLambda": ((1, 1), "IntegerQ[#] && # > 0 &",
                         "If[# == 1, 1, LCM @@ (If[#1 == 2 && #2 > 2, 2^(#2 - 2), EulerPhi[#1^#2]] & @@@ FactorInteger[#])] &"),
    "MixedFractionParts": ((1, 1), "NumericQ[#] &", "{IntegerPart[#], FractionalPart[#]} &"),
    "MantissaExponent": ((1, 1), "NumericQ[#] && # != 0 &", "With[{e = Floor[Log10[Abs[#]]] + 1}, {#/10^e, e}] &"),
    "Hyperfactorial": ((1, 1), _NATURAL, "Product[k^k, {k, #}] &"),
    "BarnesG": ((1, 1), _NATURAL, "If[# == 0, 0, Product[k!, {k, 0, # - 2}]] &"),
    "AlternatingFactorial": ((1, 1), _NATURAL, "Sum[(-1)^(# - i) i!, {i, #}] &"),
    "FareySequence": ((1, 1), "IntegerQ[#] && # > 0 &", "Union[Flatten[Table[i/j, {j, #}, {i, 0, j}]]] &"),
    "UniqueElements": ((1, 1), "MatchQ[#, {___List}] &",
                       "MapIndexed[Function[{s, i}, With[{o = Catenate[Delete[#, i]]}, DeleteCases[DeleteDuplicates[s], x_ /; MemberQ[o, x]]]], #] &"),
    "BinLists": ((2, 2), "ListQ[#1] && MatchQ[#2, {_, _, _}] &",
                 "Table[Select[#1, Function[x, i <= x < i + #2[[3]]]], {i, #2[[1]], #2[[2]] - #2[[3]], #2[[3]]}] &"),
    "ArrayRules": ((1, 1), "ArrayQ[#] &",
                   "Append[Function[p, p -> Extract[#, p]] /@ Position[#, x_ /; x =!= 0, {ArrayDepth[#]}, Heads -> False], Table[_, {ArrayDepth[#]}] -> 0] &"),
    "BrayCurtisDistance": ((2, 2), _LISTS, "Total[Abs[#1 - #2]]/Total[Abs[#1 + #2]] &"),
    "CanberraDistance": ((2, 2), _LISTS, "Total[Abs[#1 - #2]/(Abs[#1] + Abs[#2])] &"),
    "QuartileDeviation": ((1, 1), _LISTS, "With[{q = Quartiles[#]}, (q[[3]] - q[[1]])/2] &"),
    "StringTakeDrop": ((2, 2), "StringQ[#1] &", "{StringTake[##], StringDrop[##]} &"),
    "InversePermutation": ((1, 1), _LISTS, "Ordering[#] &"),
    "PermutationProduct": ((2, 2), _LISTS, "#2[[#1]] &"),
    "DifferenceDelta": ((2, 2), "AtomQ[#2] &", "Simplify[(#1 /. #2 -> #2 + 1) - #1] &"),
    "DiscreteShift": ((2, 2), "AtomQ[#2] &", "#1 /. #2 -> #2 + 1 &"),
    "DiscreteRatio": ((2, 2), "AtomQ[#2] &", "Simplify[(#1 /. #2 -> #2 + 1)/#1] &"),
    "AddSides": ((2, 2), "MatchQ[#1, _Equal] &", "Function[c, Function[x, x + c] /@ #1][#2] &"),
    "SubtractSides": ((1, 2), "MatchQ[#1, _Equal] &", "Function[x, x - If[Length[{##}] == 1, Last[#1], Last[{##}]]] /@ #1 &"),
    "LexicographicSort": ((1, 1), "MatchQ[#, {___List}] &",
                          "Sort[#, Function[{a, b}, With[{n = Min[Length[a], Length[b]]}, With[{o = SelectFirst[Table[Order[a[[i]], b[[i]]], {i, n}], # != 0 &, Order[Length[a], Length[b]]]}, o >= 0]]]] &"),
    "Compose": ((1, None), _ANY, "Fold[Function[{x, g}, g[x]], Last[{##}], Reverse[Most[{##}]]] &"),
    "FindRepeat": ((1, 1), "ListQ[#] && # =!= {} &",
                   "With[{d = SelectFirst[Divisors[Length[#]], Function[k, Length[DeleteDuplicates[Partition[#, k]]] == 1]]}, Take[#, d]] &"),
    "Assert": ((1, 2), "TrueQ[#] &", "Null &"),
    "Subsequences": ((1, 2), _LISTS,
                     "If[Length[{##}] == 1, Prepend[Catenate[Table[Partition[#1, k, 1], {k, Length[#1]}]], {}], Partition[#1, Last[{##}][[1]], 1]] &"),
    "PolygonalNumber": ((1, 2), _ANY, "If[Length[{##}] == 1, #1 (1 + #1)/2, With[{n = Last[{##}]}, n ((n - 1) (#1 - 2) + 2)/2]] &"),
    "PermutationLength": ((1, 1), _LISTS, "Count[MapIndexed[# == First[#2] &, #], False] &"),
}  # fmt: skip
_LISTABLE = {"PolygonalNumber", "MixedFractionParts", "Hyperfactorial", "BitGet", "BitSet", "BitClear", "BitFlip", "CarmichaelLambda"}
_read: dict[str, Expr] = {}


def _function(source: str) -> Expr:
    if source not in _read:
        _read[source] = private(parse(source)[0])
    return _read[source]


def _define(name: str, counts: tuple[int, int | None], test: str, body: str) -> None:
    @builtin(name, "Listable" if name in _LISTABLE else "Protected", arity=counts)
    def handler(ev: Any, args: tuple) -> Any:
        return ev.call(_function(body), *args) if ev.true(_function(test), *args) else None


for _name, (_counts, _test, _body) in _DEFINED.items():
    _define(_name, _counts, _test, _body)


@builtin("ParallelMap ParallelArray")
def parallel(ev: Any, args: tuple) -> Any:
    return Expr(S.Map, args)


@builtin("ParallelTable", "HoldAll")
def parallel_table(ev: Any, args: tuple) -> Any:
    return Expr(S.Table, args)


TABLE["ParallelArray"].handler = lambda ev, args: Expr(S.Array, args)


@builtin("$RecursionLimit", arity=-1)
def recursion_limit(ev: Any, args: tuple) -> Any:
    return 1024


@builtin("$IterationLimit", arity=-1)
def iteration_limit(ev: Any, args: tuple) -> Any:
    return 4096


@builtin("NameQ", arity=1)
def name_q(ev: Any, args: tuple) -> Any:
    return boolean(system(args[0]).builtin is not None or sym(args[0]) in ev.own or sym(args[0]) in ev.down) if type(args[0]) is str else None


@builtin("Inactivate", "HoldFirst", arity=1)
def inactivate(ev: Any, args: tuple) -> Any:
    def go(e: Any) -> Any:
        if type(e) is not Expr:
            return e
        kept = e.head if e.head in (S.List, RULE, S.Association, S.Inactive) or type(e.head) is not Symbol else mk(S.Inactive, e.head)
        return Expr(kept, tuple(map(go, e.args)))

    return go(args[0])


@builtin("SetOptions", arity=(2, None))
def set_options(ev: Any, args: tuple) -> Any:
    table_ = ev.options.setdefault(args[0], {})
    for r in args[1:]:
        for one in rules_of(r) or ():
            table_[one.args[0]] = one.args[1]
    ev.changed()
    return lst(rule(k, v) for k, v in table_.items())


@sub_handler("ReverseApplied")
def _reverse_applied(ev: Any, head: Expr, args: tuple) -> Any:
    return Expr(head.args[0], (*reversed(args[:2]), *args[2:])) if len(head.args) == 1 and len(args) >= 2 else None


@sub_handler("EchoFunction")
def _echo_function(ev: Any, head: Expr, args: tuple) -> Any:
    from nsrl.engines.wolfram.printer import output

    ev.print(f">> {output(ev.call(head.args[-1], args[0]))}")
    return args[0]


symbols(TABLE, "ReverseApplied EchoFunction Query")


# -- queries -----------------------------------------------------------------------------------------------------------
_DESCENDING = {S.Select, S.SelectFirst, S.SortBy, S.GroupBy, S.TakeLargestBy, S.TakeSmallestBy, S.DeleteDuplicatesBy, S.KeyTake, S.KeyDrop}


def _query(ev: Any, steps: tuple, data: Any) -> Any:
    if not steps:
        return data
    first, rest = steps[0], steps[1:]
    below = (lambda d: with_values(d, [_query(ev, rest, v) for v in values_of(d) or ()])) if rest else (lambda d: d)
    if first is S.All:
        return below(data)
    if type(first) is int:
        return _query(ev, rest, ev.call(S.Part, data, first))
    if type(first) is str or (type(first) is Expr and first.head is S.Key):
        k = first if type(first) is str else first.args[0]
        return _query(ev, rest, lookup(data, k, missing(k)) if is_assoc(data) else ev.call(S.Part, data, first))
    if type(first) is Expr and first.head in (S.List, S.Span) and not any(is_rule(a) for a in first.args):
        return below(ev.call(S.Part, data, first))
    if type(first) is Expr and first.head in _DESCENDING:
        return below(ev.call(first, data))
    return ev.call(first, below(data))


@sub_handler("Query")
def _run_query(ev: Any, head: Expr, args: tuple) -> Any:
    return _query(ev, head.args, args[0]) if len(args) == 1 else None


@builtin("JoinAcross", arity=3)
def join_across(ev: Any, args: tuple) -> Any:
    """Inner join of two lists of associations on one key or a list of keys."""
    left, right, on = args
    keys = on.args if is_list(on) else (on,)
    keys = tuple(k.args[0] if type(k) is Expr and k.head is S.Key else k for k in keys)
    ev.need_length(len(left.args) * max(1, len(right.args)))
    out = []
    for a in left.args:
        for b in right.args:
            ev.step()
            if all(lookup(a, k) is not None and lookup(a, k) == lookup(b, k) for k in keys):
                out.append(from_pairs([(k, lookup(a, k)) for k in keys]
                                      + [p for p in (*pairs(a), *pairs(b)) if p[0] not in keys]))  # fmt: skip
    return lst(out)


@builtin("CellularAutomaton", arity=3)
def cellular_automaton(ev: Any, args: tuple) -> Any:
    """Elementary rules (an integer code) on a cyclic list of cells, or on {cells, 0} with room grown for every step."""
    code, start, steps = args
    if type(code) is not int or not 0 <= code < 256 or type(steps) is not int or steps < 0 or not is_list(start):
        return None
    cells = list(start.args)
    if len(cells) == 2 and is_list(cells[0]) and cells[1] == 0:
        ev.need_length((2 * steps + len(cells[0].args)) * (steps + 1))
        cells = [0] * steps + list(cells[0].args) + [0] * steps
    if not cells or any(c not in (0, 1) for c in cells):
        return None
    ev.need_length(len(cells) * (steps + 1))
    rows = [cells]
    for _ in range(steps):
        ev.step(len(cells))
        old, n = rows[-1], len(cells)
        rows.append([code >> (4 * old[i - 1] + 2 * old[i] + old[(i + 1) % n]) & 1 for i in range(n)])
    return lst(map(lst, rows))


@builtin("Hash", arity=(1, 3))
def hash_(ev: Any, args: tuple) -> Any:
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


@builtin("FileNameJoin FileBaseName FileExtension FileNameTake DirectoryName", arity=1)
def file_name_join(ev: Any, args: tuple) -> Any:
    return "/".join(args[0].args) if is_list(args[0]) else None


def _path(cut: Any) -> Any:
    return lambda ev, args: cut(args[0]) if type(args[0]) is str else None


TABLE["FileBaseName"].handler = _path(lambda s: PurePosixPath(s).stem)
TABLE["FileExtension"].handler = _path(lambda s: PurePosixPath(s).suffix[1:])
TABLE["FileNameTake"].handler = _path(lambda s: PurePosixPath(s).name)
TABLE["DirectoryName"].handler = _path(lambda s: s.rpartition("/")[0] + "/" if "/" in s else "")


# -- text --------------------------------------------------------------------------------------------------------------
@builtin("URLEncode", arity=1)
def url_encode(ev: Any, args: tuple) -> Any:
    return quote(args[0], safe="") if type(args[0]) is str else None


@builtin("URLDecode", arity=1)
def url_decode(ev: Any, args: tuple) -> Any:
    return unquote(args[0]) if type(args[0]) is str else None


@builtin("RemoveDiacritics", arity=1)
def remove_diacritics(ev: Any, args: tuple) -> Any:
    if type(args[0]) is not str:
        return None
    return unicodedata.normalize("NFC", "".join(c for c in unicodedata.normalize("NFD", args[0]) if not unicodedata.combining(c)))


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
def export_string(ev: Any, args: tuple) -> Any:
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
def import_string(ev: Any, args: tuple) -> Any:
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
        return lst(lst(_cell(c) for c in row) for row in csv.reader(data.splitlines(), delimiter="," if form == "CSV" else "\t"))
    return None


def _cell(c: str) -> Any:
    for kind in (int, float):
        try:
            return kind(c) if c.isascii() and "_" not in c and any(map(str.isdigit, c)) else c
        except ValueError:
            continue
    return c
