"""Graphs: constructors, degrees, paths, components, properties. A graph is the tree Graph[vertices, edges, options].

Where a value is one of several that are as good (a cycle of a graph with many), the call stays as it is. Every search
counts steps.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, pairwise, product
from typing import TYPE_CHECKING, Any

from nsrl.engines.wolfram.expr import Expr, S, boolean, has_head, is_list, lst, mk
from nsrl.engines.wolfram.table import Builtin, symbols, table

if TYPE_CHECKING:
    from nsrl.engines.wolfram.evaluator import Evaluator

TABLE: dict[str, Builtin] = {}
builtin = table(TABLE)
symbols(TABLE, "Graph EdgeWeight VertexLabels EdgeLabels")

_DIRECTED, _UNDIRECTED = (S.Rule, S.DirectedEdge), (S.UndirectedEdge, S.TwoWayRule)


@dataclass
class _Graph:
    """vertices in order; edges (from, to, weight, directed); near: vertex -> (neighbour, weight) along the edges."""

    vertices: list[Any]
    edges: list[tuple[Any, Any, Any, bool]]
    near: dict[Any, list[tuple[Any, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.near = {v: [] for v in self.vertices}
        for a, b, w, directed in self.edges:
            self.near[a].append((b, w))
            if not directed and a != b:
                self.near[b].append((a, w))

    @property
    def directed(self) -> bool:
        return any(d for *_, d in self.edges)

    def reached(self, ev: Evaluator, start: Any, near: dict[Any, list[tuple[Any, Any]]]) -> dict[Any, None]:
        """start and all that can be reached from it, in order of discovery."""
        seen, left = {start: None}, [start]
        while left:
            ev.step()
            for b, _ in near[left.pop()]:
                if b not in seen:
                    seen[b] = None
                    left.append(b)
        return seen

    def weak(self) -> dict[Any, list[tuple[Any, Any]]]:
        """Neighbours with directions forgotten."""
        return _Graph(self.vertices, [(a, b, w, False) for a, b, w, _ in self.edges]).near

    def components(self, ev: Evaluator) -> list[list[Any]]:
        """The weakly connected components, the largest first."""
        near, out, seen = self.weak(), [], set()
        for v in self.vertices:
            if v not in seen:
                part = self.reached(ev, v, near)
                seen |= part.keys()
                out.append([u for u in self.vertices if u in part])
        return sorted(out, key=len, reverse=True)

    def connected(self, ev: Evaluator) -> bool:
        """Whether everything reaches everything."""
        if not self.vertices:
            return False
        if not self.directed:
            return len(self.components(ev)) == 1
        return all(len(self.reached(ev, v, self.near)) == len(self.vertices) for v in self.vertices)

    def distances(self, ev: Evaluator, start: Any) -> tuple[dict[Any, Any], dict[Any, Any]]:
        """(distance of each reachable vertex, where the shortest path to it comes from). Raises ValueError below 0."""
        best, came, heap, n = {start: 0}, {}, [(0, 0, start)], 0
        while heap:
            ev.step()
            size, _, v = heapq.heappop(heap)
            if size > best[v]:
                continue
            for b, w in self.near[v]:
                if w < 0:
                    raise ValueError("negative weight")
                if b not in best or size + w < best[b]:
                    best[b], came[b] = size + w, v
                    n += 1
                    heapq.heappush(heap, (size + w, n, b))
        return best, came

    def degree(self, v: Any) -> int:
        return sum((a == v) + (b == v) for a, b, _, _ in self.edges)

    def paths(self, ev: Evaluator, start: Any, end: Any, longest: float) -> Iterator[list[Any]]:
        """Simple paths of at most `longest` edges, shorter ones not necessarily first."""

        def go(path: list[Any]) -> Iterator[list[Any]]:
            ev.step()
            if path[-1] == end and len(path) > 1:
                yield path
                return
            if len(path) <= longest:
                for b in dict.fromkeys(b for b, _ in self.near[path[-1]]):
                    if b not in path or (b == end and b == start and len(path) > (1 if self.directed else 2)):
                        yield from go([*path, b])

        return go([start])


def _read(e: Any) -> _Graph | None:
    """A graph from Graph[…] or a list of edges."""
    options = [a for a in e.args if has_head(a, S.Rule)] if has_head(e, S.Graph) else []
    parts = [a for a in e.args if is_list(a)] if has_head(e, S.Graph) else [e]
    if not 1 <= len(parts) <= 2 or not is_list(parts[-1]):
        return None
    weights = next((o.args[1].args for o in options if o.args[0] is S.EdgeWeight and is_list(o.args[1])), None)
    edges = []
    for i, x in enumerate(parts[-1].args):
        if type(x) is not Expr or len(x.args) != 2 or x.head not in (*_DIRECTED, *_UNDIRECTED):
            return None
        w = 1 if weights is None else weights[i] if i < len(weights) else None
        if not isinstance(w, (int, Fraction, float)):
            return None
        edges.append((*x.args, w, x.head in _DIRECTED))
    named = list(parts[0].args) if len(parts) == 2 else []
    return _Graph(list(dict.fromkeys([*named, *(v for a, b, _, _ in edges for v in (a, b))])), edges)


def _on_graph(names: str, arity: Any = 1) -> Callable[[Callable], Callable]:
    """A builtin whose first argument is a graph: of(ev, graph, *rest) -> value or None."""

    def keep(of: Callable) -> Callable:
        def handler(ev: Evaluator, args: tuple) -> Any:
            graph = _read(args[0])
            return None if graph is None else of(ev, graph, *args[1:])

        builtin(names, arity=arity)(handler)
        return of

    return keep


def _made(vertices: list[Any], pairs: Any) -> Expr:
    return mk(S.Graph, lst(vertices), lst(mk(S.UndirectedEdge, a, b) for a, b in pairs))


# -- constructors ----------------------------------------------------------------------------------------------------
def _maker(
    name: str, takes: str, least: int, pairs: Callable[[int], Any], size: Callable[[int], int] = lambda n: n
) -> None:
    @builtin(name, arity=1, takes=takes)
    def make(ev: Evaluator, args: tuple) -> Any:
        n = args[0]
        if n < least:
            return None
        ev.need_length(
            size(min(n, 10_000)) ** 2
            if name == "CompleteGraph"
            else size(min(n, 60))
            if name == "HypercubeGraph"
            else n
        )
        return _made(list(range(1, size(n) + 1)), pairs(n))


_maker("CycleGraph", "positive", 3, lambda n: [(i, i % n + 1) for i in range(1, n + 1)])
_maker("StarGraph", "positive", 1, lambda n: [(1, i) for i in range(2, n + 1)])
_maker(
    "WheelGraph",
    "positive",
    4,
    lambda n: [(1, i) for i in range(2, n + 1)] + [(i, i + 1 if i < n else 2) for i in range(2, n + 1)],
)
_maker(
    "HypercubeGraph",
    "positive",
    1,
    lambda n: [(i + 1, (i ^ 1 << k) + 1) for i in range(2**n) for k in range(n) if not i >> k & 1],
    lambda n: 2**n,
)


@builtin("PetersenGraph", arity=(0, 2), takes="positive positive")
def petersen_graph(ev: Evaluator, args: tuple) -> Any:
    """The inner star 1..n with steps of k, the outer ring n+1..2n."""
    if len(args) == 1:
        return None
    n, k = args or (5, 2)
    if n < 3 or 2 * k >= n:
        return None
    ev.need_length(3 * n)
    pairs = [e for i in range(n) for e in ((i, (i + k) % n), (i, i + n), (i + n, (i + 1) % n + n))]
    return _made(list(range(1, 2 * n + 1)), sorted((min(e) + 1, max(e) + 1) for e in pairs))


@builtin("CompleteGraph", arity=1, takes="size")
def complete_graph(ev: Evaluator, args: tuple) -> Any:
    n = args[0]
    if type(n) is int:
        ev.need_length(n * n)
        return _made(list(range(1, n + 1)), combinations(range(1, n + 1), 2)) if n >= 1 else None
    if not n.args or not all(type(k) is int and k > 0 for k in n.args):
        return None
    ev.need_length(sum(n.args) ** 2)
    part = [i for i, k in enumerate(n.args) for _ in range(k)]
    return _made(
        list(range(1, len(part) + 1)),
        [(a + 1, b + 1) for a, b in combinations(range(len(part)), 2) if part[a] != part[b]],
    )


@builtin("PathGraph", arity=1, takes="list")
def path_graph(ev: Evaluator, args: tuple) -> Any:
    v = args[0].args
    if any(type(x) is Expr and x.head in (*_DIRECTED, *_UNDIRECTED) for x in v):
        return mk(S.Graph, args[0])
    return _made(list(v), pairwise(v)) if len(set(v)) == len(v) else None


@builtin("GridGraph", arity=1, takes="list")
def grid_graph(ev: Evaluator, args: tuple) -> Any:
    sizes = args[0].args
    if not sizes or not all(type(k) is int and k > 0 for k in sizes):
        return None
    strides = [1]
    for k in sizes:
        strides.append(strides[-1] * k)
        ev.need_length(strides[-1] * len(sizes))
    cells = product(*[range(k) for k in reversed(sizes)])
    pairs = [
        (1 + i, 1 + i + s)
        for i, cell in enumerate(cells)
        for c, k, s in zip(reversed(cell), sizes, strides)
        if c + 1 < k
    ]
    return _made(list(range(1, strides[-1] + 1)), pairs)


@builtin("AdjacencyGraph", arity=(1, 2), takes="any matrix")
def adjacency_graph(ev: Evaluator, args: tuple) -> Any:
    m = [r.args if is_list(r) else () for r in args[-1].args] if is_list(args[-1]) else []
    names = list(args[0].args) if len(args) == 2 and is_list(args[0]) else list(range(1, len(m) + 1))
    if not m or any(len(r) != len(m) or any(x not in (0, 1) for x in r) for r in m) or len(names) != len(m):
        return None
    both = all(m[i][j] == m[j][i] for i in range(len(m)) for j in range(i))
    head = S.UndirectedEdge if both else S.DirectedEdge
    cells = [(i, j) for i in range(len(m)) for j in range(i if both else 0, len(m)) if m[i][j]]
    return mk(S.Graph, lst(names), lst(mk(head, names[i], names[j]) for i, j in cells))


# -- parts -----------------------------------------------------------------------------------------------------------
@_on_graph("VertexList")
def vertex_list(ev: Evaluator, g: _Graph) -> Any:
    return lst(g.vertices)


@_on_graph("EdgeList")
def edge_list(ev: Evaluator, g: _Graph) -> Any:
    return lst(mk(S.DirectedEdge if d else S.UndirectedEdge, a, b) for a, b, _, d in g.edges)


@_on_graph("VertexCount")
def vertex_count(ev: Evaluator, g: _Graph) -> Any:
    return len(g.vertices)


@_on_graph("EdgeCount")
def edge_count(ev: Evaluator, g: _Graph) -> Any:
    return len(g.edges)


def _degree(name: str, of: Callable[[_Graph, Any], int]) -> None:
    @_on_graph(name, (1, 2))
    def degree(ev: Evaluator, g: _Graph, *one: Any) -> Any:
        ev.step(len(g.edges) * (1 if one else len(g.vertices)))
        if one:
            return of(g, one[0]) if one[0] in g.near else None
        return lst(of(g, v) for v in g.vertices)


_degree("VertexDegree", _Graph.degree)
_degree("VertexInDegree", lambda g, v: sum(b == v or (a == v and not d) for a, b, _, d in g.edges))
_degree("VertexOutDegree", lambda g, v: sum(a == v or (b == v and not d) for a, b, _, d in g.edges))


@_on_graph("AdjacencyList", 2)
def adjacency_list(ev: Evaluator, g: _Graph, v: Any) -> Any:
    near = g.weak()
    return lst(u for u in g.vertices if any(u == b for b, _ in near[v])) if v in near else None


@_on_graph("AdjacencyMatrix")
def adjacency_matrix(ev: Evaluator, g: _Graph) -> Any:
    ev.need_length(len(g.vertices) ** 2)
    return lst(lst(sum(b == u for b, _ in g.near[v]) for u in g.vertices) for v in g.vertices)


@_on_graph("KirchhoffMatrix")
def kirchhoff_matrix(ev: Evaluator, g: _Graph) -> Any:
    if g.directed or any(a == b for a, b, _, _ in g.edges):
        return None
    ev.need_length(len(g.vertices) ** 2)
    return lst(
        lst(g.degree(v) if u == v else -sum(b == u for b, _ in g.near[v]) for u in g.vertices) for v in g.vertices
    )


# -- paths -----------------------------------------------------------------------------------------------------------
@_on_graph("FindShortestPath", 3)
def find_shortest_path(ev: Evaluator, g: _Graph, start: Any, end: Any) -> Any:
    if start not in g.near or end not in g.near:
        return None
    best, came = g.distances(ev, start)
    if end not in best:
        return lst(())
    path = [end]
    while path[-1] in came:
        path.append(came[path[-1]])
    return lst(path[::-1])


@_on_graph("GraphDistance", (2, 3))
def graph_distance(ev: Evaluator, g: _Graph, start: Any, *end: Any) -> Any:
    if start not in g.near or (end and end[0] not in g.near):
        return None
    best, _ = g.distances(ev, start)
    return best.get(end[0], S.Infinity) if end else lst(best.get(v, S.Infinity) for v in g.vertices)


def _eccentricities(ev: Evaluator, g: _Graph) -> list[Any]:
    rows = [g.distances(ev, v)[0] for v in g.vertices]
    return [max(r.values()) if len(r) == len(g.vertices) else S.Infinity for r in rows]


def _extent(name: str, choose: Callable) -> None:
    @_on_graph(name)
    def extent(ev: Evaluator, g: _Graph) -> Any:
        rows = _eccentricities(ev, g)
        return None if not rows else S.Infinity if S.Infinity in rows else choose(rows)


_extent("GraphDiameter", max)
_extent("GraphRadius", min)


@_on_graph("GraphDistanceMatrix")
def graph_distance_matrix(ev: Evaluator, g: _Graph) -> Any:
    ev.need_length(len(g.vertices) ** 2)
    return lst(lst(g.distances(ev, v)[0].get(u, S.Infinity) for u in g.vertices) for v in g.vertices)


def _length_bounds(spec: Any) -> tuple[int, float] | None:
    """(fewest, most edges) of a path: k, {k}, {least, most}, Infinity."""
    ends = [float("inf") if a is S.Infinity else a for a in (spec.args if is_list(spec) else (1, spec))]
    if not 1 <= len(ends) <= 2 or not all(isinstance(a, (int, float)) for a in ends):
        return None
    return ends[0], ends[-1]


def _first(found: Iterator[list[Any]], many: Any) -> list[list[Any]] | None:
    if many is S.All:
        return list(found)
    if type(many) is not int or many < 1:
        return None
    return [path for path, _ in zip(found, range(many))]


@_on_graph("FindPath", (3, 5))
def find_path(ev: Evaluator, g: _Graph, start: Any, end: Any, length: Any = S.Infinity, many: Any = 1) -> Any:
    bounds = _length_bounds(length)
    if bounds is None or start not in g.near or end not in g.near:
        return None
    found = (p for p in g.paths(ev, start, end, bounds[1]) if len(p) - 1 >= bounds[0])
    chosen = _first(found, many)
    return None if chosen is None else lst(map(lst, chosen))


def _cycles(ev: Evaluator, g: _Graph, least: int, most: float) -> list[list[Any]]:
    """Every simple cycle once, from its first vertex on."""
    at = {v: i for i, v in enumerate(g.vertices)}
    out = []
    for v in g.vertices:
        for path in g.paths(ev, v, v, most):
            inner = path[1:-1]
            if len(path) - 1 < least or any(at[u] < at[v] for u in inner):
                continue
            if not g.directed and (len(inner) < 2 or at[inner[0]] > at[inner[-1]]):
                continue
            out.append(path)
    return out


@_on_graph("FindCycle", (1, 3))
def find_cycle(ev: Evaluator, g: _Graph, length: Any = S.Infinity, many: Any = 1) -> Any:
    bounds = _length_bounds(length)
    if bounds is None or (many is not S.All and many != 1):
        return None
    found = _cycles(ev, g, *bounds)
    if many == 1 and len(found) > 1:
        return None  # which of them the kernel gives is not said
    head = S.DirectedEdge if g.directed else S.UndirectedEdge
    return lst(lst(mk(head, a, b) for a, b in pairwise(path)) for path in found)


# -- components and properties ---------------------------------------------------------------------------------------
@_on_graph("WeaklyConnectedComponents")
def weakly_connected_components(ev: Evaluator, g: _Graph) -> Any:
    return lst(map(lst, g.components(ev)))


@_on_graph("ConnectedComponents")
def connected_components(ev: Evaluator, g: _Graph) -> Any:
    return None if g.directed else lst(map(lst, g.components(ev)))


@_on_graph("TopologicalSort")
def topological_sort(ev: Evaluator, g: _Graph) -> Any:
    """The order in which every edge leads onwards, where there is only one: each vertex has an edge to the next."""
    if not all(directed for *_, directed in g.edges):
        return None
    before = {v: {a for a, b, *_ in g.edges if b == v} for v in g.vertices}
    out: list[Any] = []
    while len(out) < len(g.vertices):
        ev.step(len(g.vertices))
        free = [v for v in g.vertices if v not in out and before[v] <= set(out)]
        if len(free) != 1:
            return None
        out += free
    return lst(out)


def _coloured(ev: Evaluator, g: _Graph) -> bool:
    """Whether two colours are enough."""
    near, colour = g.weak(), {}
    for v in g.vertices:
        left = [v]
        colour.setdefault(v, 0)
        while left:
            ev.step()
            a = left.pop()
            for b, _ in near[a]:
                if b not in colour:
                    colour[b] = 1 - colour[a]
                    left.append(b)
                elif colour[b] == colour[a]:
                    return False
    return True


def _acyclic(ev: Evaluator, g: _Graph) -> bool:
    if not g.directed:
        return len(g.edges) == len(g.vertices) - len(g.components(ev))
    left, edges = set(g.vertices), [(a, b) for a, b, _, _ in g.edges]
    while ends := left - {a for a, b in edges if a in left and b in left}:
        ev.step(len(edges))
        left -= ends
    return not left


def _eulerian(ev: Evaluator, g: _Graph) -> bool:
    live = [v for v in g.vertices if g.degree(v)]
    if not live or len(g.reached(ev, live[0], g.weak())) < len(live):
        return False
    if g.directed:
        return all(sum((a == v) - (b == v) for a, b, _, _ in g.edges) == 0 for v in live)
    return all(g.degree(v) % 2 == 0 for v in live)


def _simple(g: _Graph) -> bool:
    pairs = [(a, b) if d else frozenset((a, b)) for a, b, _, d in g.edges]
    return all(a != b for a, b, _, _ in g.edges) and len(set(pairs)) == len(pairs)


def _hamiltonian(ev: Evaluator, g: _Graph) -> bool:
    n = len(g.vertices)
    return n > 2 and any(len(p) == n + 1 for p in g.paths(ev, g.vertices[0], g.vertices[0], n))


def _tree(ev: Evaluator, g: _Graph) -> bool:
    return len(g.components(ev)) == 1 and len(g.edges) == len(g.vertices) - 1


_PROPERTIES: dict[str, Callable[[Any, _Graph], bool]] = {
    "ConnectedGraphQ": lambda ev, g: g.connected(ev),
    "WeaklyConnectedGraphQ": lambda ev, g: len(g.components(ev)) == 1,
    "TreeGraphQ": _tree,
    "PathGraphQ": lambda ev, g: _tree(ev, g) and all(g.degree(v) <= 2 for v in g.vertices),
    "AcyclicGraphQ": _acyclic,
    "EulerianGraphQ": _eulerian,
    "HamiltonianGraphQ": _hamiltonian,
    "BipartiteGraphQ": _coloured,
    "SimpleGraphQ": lambda ev, g: _simple(g),
    "LoopFreeGraphQ": lambda ev, g: all(a != b for a, b, _, _ in g.edges),
    "EmptyGraphQ": lambda ev, g: not g.edges,
    "DirectedGraphQ": lambda ev, g: bool(g.edges) and all(d for *_, d in g.edges),
    "UndirectedGraphQ": lambda ev, g: not g.directed,
    "CompleteGraphQ": lambda ev, g: (
        _simple(g) and not g.directed and 2 * len(g.edges) == len(g.vertices) * (len(g.vertices) - 1)
    ),
}


def _property(name: str, holds: Callable[[Any, _Graph], bool]) -> None:
    @builtin(name, arity=1)
    def test(ev: Evaluator, args: tuple) -> Any:
        g = _read(args[0]) if has_head(args[0], S.Graph) else None
        return boolean(g is not None and holds(ev, g))


for _name, _holds in _PROPERTIES.items():
    _property(_name, _holds)


@builtin("GraphQ", arity=1)
def graph_q(ev: Evaluator, args: tuple) -> Any:
    return boolean(has_head(args[0], S.Graph) and _read(args[0]) is not None)
