"""The laws of the house: imports point down, one name per thing, nothing hidden in the environment."""

import ast
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
KERNELS = ROOT / "kernels" / "nsrl_kernels"
ADAPTERS = KERNELS / "adapters"
NSRL = ROOT / "nsrl"

# Rooms from the bottom up; a room may import itself and what stands before it.
ORDER = (
    "types",
    "errors",
    "userfiles",
    "engines",
    "answers",
    "data",
    "rewards",
    "config",
    "report",
    "models",
    "rollout",
    "checks",
    "trainer",
    "experiments",
    "recipes",
    "gallery",
    "commands",
)
COMMANDS = {"train", "eval", "solve", "check", "harvest", "experiment", "view", "attend"}
LONGEST_CLASS = 200  # lines


def sources(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*.py") if "__pycache__" not in p.parts)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def module_of(path: Path) -> str:
    parts = path.relative_to(KERNELS.parent if KERNELS in path.parents else ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def origin(node: ast.ImportFrom, path: Path) -> str:
    """The module that `from ... import` names, a relative one in full."""
    if not node.level:
        return node.module or ""
    package = module_of(path).split(".") if path.name == "__init__.py" else module_of(path).split(".")[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else ())])


@cache
def imports(path: Path) -> list[tuple[str, int]]:
    """Every imported module of a file, also those inside functions."""
    found = []
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found += [(alias.name, node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append((origin(node, path), node.lineno))
    return found


def room(module: str) -> str:
    parts = module.split(".")
    if len(parts) < 2:
        return "types"
    if parts[-1] == "__main__":  # of a room: nobody imports it
        return "commands"
    return "commands" if parts[1] in COMMANDS else parts[1]


def test_imports_point_down():
    wrong = []
    for path in sources(NSRL):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        own = room(module)
        if own in ("__init__", "__main__"):
            continue
        for name, line in imports(path):
            if name.split(".")[0] != "nsrl":
                continue
            if own not in ORDER or room(name) not in ORDER:
                wrong.append(f"{path.relative_to(ROOT)}:{line}: room of {module} or {name} is not in the order")
            elif ORDER.index(room(name)) > ORDER.index(own):
                wrong.append(f"{path.relative_to(ROOT)}:{line}: {own} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_kernels_know_nothing_of_nsrl():
    """And an adapter nothing but its peer; no op needs an adapter."""
    allowed = {"torch", "triton", "nsrl_kernels", *sys.stdlib_module_names}
    peers = {"trl.py": {"trl", "transformers"}, "verl.py": {"verl"}}
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(KERNELS)
        for name, line in imports(path)
        if name.split(".")[0] not in allowed | (peers.get(path.name, set()) if path.parent == ADAPTERS else set())
        or (path.parent != ADAPTERS and "adapters" in name.split("."))
    ]
    assert not wrong, "\n".join(wrong)


def test_every_public_function_and_class_of_the_kernels_has_a_docstring():
    """Google's form for the ops themselves: what a reader looks for stands under its heading."""
    import nsrl_kernels

    def missing(body, where):
        for node in body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
                if not ast.get_docstring(node):
                    yield f"{where}:{node.lineno}: {node.name}"
                yield from missing(node.body if isinstance(node, ast.ClassDef) else (), where)

    wrong = [line for path in sources(KERNELS) for line in missing(parsed(path).body, path.relative_to(ROOT))]
    for name in nsrl_kernels.__all__:
        op = getattr(nsrl_kernels, name)
        if inspect.isfunction(op):
            headings = ("Never materialised:", "Args:", "Returns:", "Raises:", "Numerics:")
            wrong += [f"{name}: {heading}" for heading in headings if heading not in op.__doc__]
    assert not wrong, "\n".join(wrong)


def test_every_custom_op_has_one_namespace():
    found = set()
    for path in [*sources(KERNELS), ROOT / "csrc" / "ops.cpp"]:
        found |= set(re.findall(r"(?:custom_op\(\s*\"|register_fake\(f?\"|LIBRARY\w*\()(\w+)", path.read_text()))
    assert found == {"nsrl"}


def test_bench_imports_no_tests():
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in sources(ROOT / "bench")
        for name, line in imports(path)
        if name.split(".")[0] == "tests" or (ROOT / "tests" / f"{name.split('.')[0]}.py").is_file()
    ]
    assert not wrong, "\n".join(wrong)


def test_only_models_and_the_trainer_use_the_kernels():
    """The configuration reads what an objective is: no op, and no torch."""
    wrong = [
        str(path.relative_to(ROOT))
        for path in sources(NSRL)
        if not {"models", "trainer", "config"} & set(path.parts)
        and any(name.split(".")[0] == "nsrl_kernels" for name, _ in imports(path))
    ]
    assert not wrong


ARCHITECTURE = re.compile(
    r"[Qq]wen|[Ii]ntern_?[Vv][Ll]|ForConditionalGeneration|get_base_model|vision_config|text_config|_proj\b|\.visual\b|(?<!freeze_)vision_tower"
    r"|merge_size|mm_token_type|image_grid_thw|get_rope_index|rotary_emb|max_position_embeddings"
)


def test_no_architecture_outside_models():
    """What a model is made of stands in `nsrl/models`; defaults of a configuration may name layers, which users do
    too."""
    allowed = {("config", "schema.py"), ("config", "acts.py")}
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in sources(NSRL)
        if not {"models", "engines"} & set(path.parts) and (path.parent.name, path.name) not in allowed
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if ARCHITECTURE.search(line.split("#")[0])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_circles():
    """Between modules, also by imports inside functions; what only type checkers see does not run."""
    paths = OURS
    arrows: dict[str, set[str]] = {}
    for module, path in paths.items():
        tree = parsed(path)
        unseen = {
            inner for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
            for inner in ast.walk(node)
        }  # fmt: skip
        arrows[module] = set()
        for node in ast.walk(tree):
            if node in unseen:
                continue
            if isinstance(node, ast.Import):
                arrows[module] |= {alias.name for alias in node.names} & paths.keys()
            elif isinstance(node, ast.ImportFrom):
                base = origin(node, path)
                inside = {f"{base}.{alias.name}" for alias in node.names} & paths.keys()
                whole = any(f"{base}.{alias.name}" not in paths for alias in node.names)
                arrows[module] |= inside | ({base} & paths.keys() if whole else set())
        arrows[module].discard(module)
    done: set[str] = set()

    def visit(module: str, way: list[str]) -> list[str] | None:
        if module in way:
            return way[way.index(module) :] + [module]
        if module in done:
            return None
        for after in sorted(arrows[module]):
            if (circle := visit(after, [*way, module])) is not None:
                return circle
        done.add(module)
        return None

    circles = [circle for module in sorted(paths) if (circle := visit(module, [])) is not None]
    assert not circles, " -> ".join(circles[0])


OURS = {module_of(path): path for path in sources(NSRL) + sources(KERNELS)}


def test_no_private_names_across_modules():
    """Neither imported nor taken from an imported module; files of the kernels that begin so are theirs to share."""
    wrong = []
    for path in sources(NSRL) + sources(KERNELS):
        modules = set()  # the names under which this file has modules of ours
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ImportFrom) and origin(node, path).split(".")[0] in ("nsrl", "nsrl_kernels"):
                for alias in node.names:
                    inside = OURS.get(f"{origin(node, path)}.{alias.name}")
                    if inside is not None:
                        modules.add(alias.asname or alias.name)
                    if alias.name.startswith("_") and not alias.name.startswith("__") and inside is None:
                        wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}: {alias.name}")
        wrong += [
            f"{path.relative_to(ROOT)}:{node.lineno}: {node.value.id}.{node.attr}"
            for node in ast.walk(parsed(path))
            if isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr)
            and isinstance(node.value, ast.Name) and node.value.id in modules
        ]  # fmt: skip
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", ["engines", "answers", "rewards", "types.py", "errors.py", "userfiles.py"])
def test_no_torch_below_the_models(package):
    target = NSRL / package
    files = sources(target) if target.is_dir() else [target]
    wrong = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files
        for name, line in imports(path)
        if name.split(".")[0] in ("torch", "transformers", "triton")
    ]
    assert not wrong, "\n".join(wrong)


def test_engines_rewards_and_configuration_start_without_torch():
    """The configuration without any package of the extra `train` too, or it could not say which one is missing."""
    for modules, absent in (
        ("nsrl.engines, nsrl.answers, nsrl.rewards", "torch"),
        ("nsrl.config", "torch PIL numpy yaml"),
    ):
        code = f"import sys, {modules}; sys.exit(any(name in sys.modules for name in {absent.split()}))"
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'kernels'}:{ROOT}"}
        assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment).returncode == 0, modules


def test_environment_variables_are_read_in_one_file_per_package():
    pattern = re.compile(r"os\.environ(?:\.get\(|\[)\s*f?[\"']([A-Z0-9_]+)|getenv\(\s*[\"']([A-Z0-9_]+)")
    names, readers = set(), set()
    for path in sources(NSRL) + sources(KERNELS):
        for node_line in path.read_text().splitlines():
            if "environ[" in node_line and "=" in node_line.split("]")[-1][:3]:
                continue  # writing for a child process or a library is not reading
            for match in pattern.finditer(node_line):
                names.add(match.group(1) or match.group(2))
                readers.add(path.relative_to(ROOT))
    ours = {name for name in names if name.startswith("NSRL")}
    assert len(names) <= 5, names
    per_package = {str(reader).split("/")[0] for reader in readers}
    assert len(readers) <= len(per_package) + 2, readers
    readme = (ROOT / "README.md").read_text()
    assert all(name in readme for name in ours), ours


def test_no_host_synchronisation_in_the_ops_or_the_loss():
    banned = re.compile(r"\.(item|cpu|tolist|numpy)\(|\.to\(\s*[\"']cpu|synchronize\(")
    # other trainers want their metrics as numbers, which an adapter reads back at once
    files = [p for p in sources(KERNELS) if p.parent != ADAPTERS] + [
        NSRL / "trainer" / name for name in ("advantage.py", "loss.py")
    ]
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in files
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if banned.search(line.split("#")[0])
    ]
    assert not wrong, "\n".join(wrong)


def test_no_blanket_except():
    wrong = []
    for path in sources(NSRL) + sources(KERNELS):
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.ExceptHandler):
                caught = (
                    [] if node.type is None else node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
                )
                blanket = not caught or {ast.unparse(name) for name in caught} & {"Exception", "BaseException"}
                reraises = any(isinstance(inner, ast.Raise) for inner in ast.walk(node))
                if blanket and not reraises:
                    wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)


def test_kernels_is_a_source_root_not_a_package():
    assert not (ROOT / "kernels" / "__init__.py").exists()
    for folder in ("tests", "bench"):
        assert not (ROOT / folder / "kernels").exists()


def test_nothing_runs_at_import():
    """Module level holds definitions, constants, docstrings and the registration of ops: no other calls, no loops."""
    wrong = []
    for path in sources(NSRL) + sources(KERNELS):
        for node in parsed(path).body:
            bare_call = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
            table = path.parent.name in ("builtins", "nsl")  # tables of functions fill themselves
            if bare_call and ("register_" in ast.unparse(node.value.func) or table):
                continue  # torch.library has no other way
            if bare_call or isinstance(node, ast.While):
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not wrong, "\n".join(wrong)


def public(node: ast.AST, path: Path, before: str = "") -> list[tuple[str, ast.AST]]:
    """Functions, classes and their methods without an underscore. Not those that a decorator of `builtins/` registers
    under the name of a builtin: docs/coverage-wolfram.md has each of these with a tested example."""
    found: list[tuple[str, ast.AST]] = []
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) or inner.name.startswith("_"):
            continue
        named = [
            d
            for d in inner.decorator_list
            if isinstance(d, ast.Call) and d.args and isinstance(d.args[0], ast.Constant)
        ]
        overloads = [d for d in inner.decorator_list if ast.unparse(d).endswith(("overload", ".setter"))]
        if overloads or (named and "builtins" in path.parts):
            continue
        found.append((before + inner.name, inner))
        if isinstance(inner, ast.ClassDef):
            found += public(inner, path, f"{before}{inner.name}.")
    return found


def test_public_things_have_docstrings():
    missing = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
        for path in sources(NSRL) + sources(KERNELS)
        for name, node in public(parsed(path), path)
        if ast.get_docstring(node) is None
    ]
    assert not missing, "\n".join(missing)


def test_a_class_can_be_read_in_one_sitting():
    lengths = {
        f"{module_of(path)}.{node.name}": (node.end_lineno or 0) - node.lineno + 1
        for path in sources(NSRL)
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
    }
    assert not {name: lines for name, lines in lengths.items() if lines > LONGEST_CLASS}


def test_the_picture_of_the_house_has_the_rooms_of_the_tree():
    spec = importlib.util.spec_from_file_location("house", ROOT / ".ci" / "house.py")
    house = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(house)
    drawn, now = (ROOT / "docs" / "house.svg").read_text(), house.drawing()
    for mark in (r'data-room="([^"]+)"', r'data-from="([^"]+)" data-to="([^"]+)"'):
        assert set(re.findall(mark, drawn)) == set(re.findall(mark, now)), "make house draws it anew"
    folders = {p.parent.relative_to(NSRL).parts[0] for p in sources(NSRL) if p.parent != NSRL}
    rooms = house.rooms()
    assert set(rooms) == folders | {"types", "commands", "kernels", "csrc"}
    rooms["engines"] -= sum(len(p.read_text().splitlines()) for p in sources(NSRL / "engines" / "wolfram"))
    assert max(rooms.values()) <= sum(rooms.values()) / 3, "a room that holds more than a third is several"


def test_the_loop_can_be_read_in_one_sitting():
    assert len((NSRL / "trainer" / "loop.py").read_text().splitlines()) < 250
