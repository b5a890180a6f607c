"""Modules that SymPy and others import inside functions: loaded before a worker's walls close, for no file is read
after.

`tests/engines/test_late_imports.py` reads the source of everything that is loaded and fails on a name that is missing
here. All of it takes about 0.25 s of CPU time after `import sympy` (of the 1.4 s in which a worker's parent is ready).
"""

from __future__ import annotations

import importlib

# What programs may import beside `sympy` itself, and what those modules import late.
LATE = """
_colorize _sha2 _strptime _suggestions argparse ast cmath encodings.ascii encodings.idna encodings.latin_1
encodings.raw_unicode_escape encodings.unicode_escape fractions importlib.resources linecache mpmath statistics string
sympy.abc sympy.assumptions.facts sympy.assumptions.handlers sympy.assumptions.handlers.matrices
sympy.assumptions.lra_satask sympy.assumptions.satask sympy.assumptions.sathandlers sympy.assumptions.wrapper
sympy.calculus.singularities sympy.calculus.util sympy.categories sympy.codegen.abstract_nodes sympy.codegen.ast
sympy.codegen.cfunctions sympy.codegen.cnodes sympy.codegen.fnodes sympy.codegen.matrix_nodes sympy.codegen.pynodes
sympy.combinatorics sympy.combinatorics.galois sympy.combinatorics.homomorphisms sympy.concrete.delta sympy.crypto
sympy.diffgeom sympy.discrete.recurrences sympy.functions.special.polynomials sympy.geometry sympy.holonomic
sympy.holonomic.numerical sympy.integrals.deltafunctions sympy.integrals.heurisch sympy.integrals.manualintegrate
sympy.integrals.meijerint sympy.integrals.prde sympy.integrals.rde sympy.integrals.risch
sympy.integrals.singularityfunctions sympy.liealgebras sympy.liealgebras.type_a sympy.liealgebras.type_b
sympy.liealgebras.type_c sympy.liealgebras.type_d sympy.liealgebras.type_e sympy.liealgebras.type_f
sympy.liealgebras.type_g sympy.logic.algorithms.dpll sympy.logic.algorithms.dpll2 sympy.logic.algorithms.lra_theory
sympy.logic.algorithms.minisat22_wrapper sympy.logic.algorithms.pycosat_wrapper sympy.logic.algorithms.z3_wrapper
sympy.matrices.expressions.applyfunc sympy.matrices.expressions.factorizations sympy.matrices.expressions.fourier
sympy.ntheory.ecm sympy.ntheory.elliptic_curve sympy.ntheory.qs sympy.physics.units sympy.polys.dispersion
sympy.polys.distributedmodules sympy.polys.domains.old_fractionfield sympy.polys.domains.old_polynomialring
sympy.polys.domains.quotientring sympy.polys.numberfields.galois_resolvents sympy.polys.numberfields.resolvent_lookup
sympy.polys.polymatrix sympy.printing.c sympy.printing.cxx sympy.printing.fortran sympy.printing.glsl
sympy.printing.jscode sympy.printing.julia sympy.printing.lambdarepr sympy.printing.latex sympy.printing.maple
sympy.printing.mathematica sympy.printing.numpy sympy.printing.octave sympy.printing.pretty sympy.printing.pycode
sympy.printing.rcode sympy.printing.rust sympy.series.formal sympy.series.gruntz sympy.sets.handlers.add
sympy.sets.handlers.functions sympy.sets.handlers.intersection sympy.sets.handlers.issubset sympy.sets.handlers.mul
sympy.sets.handlers.power sympy.sets.handlers.union sympy.sets.setexpr sympy.simplify.fu sympy.simplify.gammasimp
sympy.simplify.hyperexpand sympy.solvers.diophantine.diophantine sympy.solvers.inequalities
sympy.solvers.ode.hypergeometric sympy.solvers.ode.lie_group sympy.solvers.ode.nonhomogeneous sympy.solvers.ode.riccati
sympy.solvers.ode.systems sympy.solvers.simplex sympy.stats sympy.stats.compound_rv sympy.tensor.array.array_derivatives
sympy.tensor.array.expressions.from_indexed_to_array sympy.tensor.tensor sympy.utilities.memoization sympy.vector
unicodedata xml.dom.minidom
""".split()  # noqa: SIM905


def load() -> None:
    """Import them all, once."""
    for name in LATE:
        try:
            importlib.import_module(name)
        except ImportError:  # another SymPy version keeps it elsewhere
            continue
