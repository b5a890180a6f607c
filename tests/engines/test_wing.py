"""The engines' wing in order: no circles of imports, lines that fit, rules of the language as files of their own."""

import ast
import importlib
import re
from pathlib import Path

from nsrl.engines.wolfram import builtins
from nsrl.engines.wolfram.builtins import defined
from nsrl.engines.wolfram.expr import S
from nsrl.engines.wolfram.parser import parse
from nsrl.engines.wolfram.printer import full

ROOT = Path(__file__).resolve().parents[2]
ENGINES = ROOT / "nsrl" / "engines"
MODULES = {
    ".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in ENGINES.rglob("*.py")
}


def imported(path: Path) -> set[str]:
    """The engines' modules that a file imports, inside functions too; not what type checkers alone see."""
    found = set()
    nodes = list(ast.walk(ast.parse(path.read_text())))
    checked = [n for n in nodes if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    unseen = {inner for n in checked for inner in ast.walk(n)}
    for node in nodes:
        if node in unseen:
            continue
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{a.name}" for a in node.names}
            found |= inner & MODULES.keys() or {node.module}
    return found & MODULES.keys()


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Some circle of a graph, or nothing."""
    left = dict(graph)
    while leaves := [name for name, to in left.items() if not to & left.keys()]:
        for name in leaves:
            del left[name]
    path = [min(left)] if left else []
    while path and path[-1] not in path[:-1]:
        path.append(min(left[path[-1]] & left.keys()))
    return path


def test_a_circle_is_found():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_imports_run_in_no_circle():
    assert not circle({name: imported(path) - {name} for name, path in MODULES.items()})


def test_lines_fit():
    long = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in (*MODULES.values(), *defined.RULES.glob("*.wl"))
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if len(re.sub(r"  # (?:fmt|noqa|pyright):.*", "", line)) > 120
    ]
    assert not long


def test_every_rule_is_read():
    """What stands in the files is comments, attributes and rules; every rule defines the name it starts with."""
    rules, attributes = defined.sources()
    whole = [tree for path in sorted(defined.RULES.glob("*.wl")) for tree in parse(path.read_text())]
    whole = [tree for tree in whole if tree.head is S.SetDelayed]
    assert sorted(map(full, whole)) == sorted(full(parse(line)[0]) for lines in rules.values() for line in lines)
    assert attributes.keys() <= rules.keys()
    for name, lines in rules.items():
        assert builtins.load()[name].handler is not None
        for line in lines:
            (tree,) = parse(line)
            assert (tree.head.name, tree.args[0].head.name) == ("SetDelayed", name), line


def test_a_table_names_only_builtins_of_its_own():
    """The first sentences of a file of builtins; `Real` or `Text` may be words there."""
    words, known = {"Integer", "Real", "Text", "Nothing", "Values", "Permutations", "Primes"}, builtins.load()
    for path in sorted((ENGINES / "wolfram" / "builtins").glob("*.py")):
        module = importlib.import_module(f"nsrl.engines.wolfram.builtins.{path.stem}".removesuffix(".__init__"))
        named = set(re.findall(r"\b[A-Z][A-Za-z]+", (module.__doc__ or "").split("\n\n")[0])) - words
        assert not {n for n in named & known.keys() if n not in getattr(module, "TABLE", known)}, path.name
