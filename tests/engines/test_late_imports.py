"""No file can be read behind the walls: what SymPy and others import inside functions is loaded before they close."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from nsrl.engines import EnginePool, Limits, Status, languages

ROOT = Path(__file__).resolve().parents[2]
# What stays away, and why nobody misses it.
AWAY = {
    "doctest": "tests", "mpmath.tests": "tests", "mpl_toolkits": "plots", "pylab": "plots", "matplotlib": "plots",
    "sympy.plotting": "plots", "readline": "a console", "rlcompleter": "a console", "sympy.interactive": "a console",
    "numpy": "not there for programs", "scipy": "not there for programs", "sympy.stats.sampling": "numpy's and scipy's",
    "sympy.printing.pytorch": "torch's", "torch": "not there for programs", "sympy.printing.tensorflow": "tensorflow's",
    "tensorflow": "not there for programs",
    "sympy.physics.control": "numpy's; printers ask it only for what it made", "secrets": "true randomness",
    "pydoc": "a console", "importlib.metadata": "the version of SymPy, which the pool asks for, not a worker",
    "tracemalloc": "asked for by warnings, which live without",
    "nsrl.engines.pool": "the pool's own, by kind of worker",
    "nsrl.engines.sympy": "the pool's own, by kind of worker", "sympy.combinatorics.testutil": "tests",
    "sympy.testing": "tests",
    "sympy.parsing": "parsers of other languages, refused", "antlr4": "parsers of other languages, refused",
}  # fmt: skip
SCAN = """
import ast, importlib.util, json, re, sys
from functools import cache
sys.path[:] = %r
from nsrl.engines import languages
from nsrl.engines.pool import worker
from nsrl.engines.sympy import namespace
away = tuple(a + "." for a in json.loads(sys.argv[1]))
roots = {"sympy", "mpmath", "nsrl", *namespace._PLAIN_MODULES, "warnings", "traceback"}

def wanted(package, node, inside, found):
    for child in ast.iter_child_nodes(node):
        if inside and isinstance(child, ast.Import):
            found.update(alias.name for alias in child.names)
        elif inside and isinstance(child, ast.ImportFrom):
            above = package.rsplit(".", child.level - 1)[0] if child.level > 1 else package
            base = ".".join(filter(None, (above if child.level else "", child.module)))
            found.update([base, *(f"{base}.{alias.name}" for alias in child.names)])
        wanted(package, child, inside or isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)), found)

@cache
def late(name, path):
    found, source = set(), open(path, encoding="utf-8").read()
    if re.search(r"^[ \\t]+(?:from|import)\\b", source, re.M):
        wanted(name if path.endswith("__init__.py") else name.rpartition(".")[0], ast.parse(source), False, found)
    return found

def is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # a name in a module
        return False

def missing():
    out = {}
    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None) or ""
        if path.endswith(".py") and name.split(".")[0] in roots and not (name + ".").startswith(away):
            for found in late(name, path) - set(sys.modules):
                if not (found + ".").startswith(away) and is_module(found):
                    out[found] = name
    return out

worker.warm_native(languages.evaluators(tuple(n for n in ("nsl", "wolfram") if languages.present(n))))
native = missing()
namespace.prepare(lambda what: None)
print(json.dumps([native, missing()]))
"""


@pytest.mark.long
def test_everything_imported_late_is_loaded():
    path = [str(ROOT), *(entry for entry in sys.path if entry)]
    told = subprocess.run([sys.executable, "-c", SCAN % path, json.dumps(list(AWAY))], capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    native, python = json.loads(told.stdout)
    assert native == python == {}, "add these to nsrl/engines/sympy/late.py"


START = "from sympy import *\nx, y, n = symbols('x y n')\n"
PROGRAMS = [
    ("wolfram", "Integrate[x Sqrt[x+1],x]"), ("wolfram", "Integrate[x/Sqrt[x+1],{x,0,3}]"),
    ("wolfram", "Sum[(-1)^n x^(2n+1)/(2n+1)!,{n,0,Infinity}]"), ("nsl", "int(x*sqrt(x+1),x,0,3)"),
    ("sympy", START + "integrate(2*x*sqrt(x+4),(x,0,2))"), ("sympy", START + "Matrix([[1,1],[1,0]])**n"),
    ("sympy", START + "imageset(Lambda(x, x**2), Interval(0, 2)) + Interval(1, 2)"),
    ("sympy", START + "dispersion(x**2 - 1, x)"), ("sympy", START + "CartanType('A3').dimension()"),
    ("sympy", START + "satisfiable(x > 1, use_lra_theory=True)"), ("sympy", START + "mathml(x**2)"),
    ("sympy", START + "ccode(x**2)"), ("sympy",
    "from datetime import datetime\nprint(datetime.strptime('2020-02-03', '%Y-%m-%d').month)"),
    ("sympy", START + "from sympy.stats import *\nE(Normal('z', Exponential('w', 1), 2))"),
    ("sympy", START + "galois_group(x**4 - 2, x)[0].order()"), ("sympy", "import random\nrandom.randint(1, 1)"),
]  # fmt: skip


@pytest.mark.long
def test_programs_that_need_them_run_in_the_worker():
    missing = {}
    with EnginePool(workers=1, limits=Limits(cpu_s=8, wall_s=30)) as pool:
        for language, program in PROGRAMS:
            if languages.present(language):
                result = pool.run(language, program)
                if result.status is Status.CRASH or any(
                    "ModuleNotFound" in f"{m.tag} {m.text}" for m in result.messages
                ):
                    missing[program] = result
    assert missing == {}
