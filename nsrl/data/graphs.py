"""`graphs`: degrees, parts, and shortest paths of small graphs given as a list of edges. Text alone."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from nsrl.data.generator import Generator, Item
from nsrl.data.shapes.forms import listed, module, sympy, tagged

NAMES = "abcdhkmp"  # no name that a language has taken
Edge = tuple[str, str, int]  # its ends and its length


@dataclass(frozen=True)
class Asked:
    """A graph and what is asked of it: degree, parts, steps or length; of which nodes."""

    nodes: str
    edges: tuple[Edge, ...]
    kind: str
    of: tuple[str, ...] = ()

    @property
    def question(self) -> str:
        """The graph, and the question."""
        weighted = self.kind == "length"
        stated = ", ".join(f"{u}-{v}" + (f" {w}" if weighted else "") for u, v, w in self.edges)
        asked = {
            "degree": "How many edges does {} have?",
            "parts": "Into how many connected parts does it fall?",
            "steps": "How many edges has the shortest path from {} to {}?",
            "length": "How long is the shortest path from {} to {}?",
        }[self.kind]
        lengths = " with their lengths" if weighted else ""
        return f"A graph has the nodes {listed(self.nodes)} and the edges{lengths} {stated}. {asked.format(*self.of)}"

    def value(self) -> int:
        """The answer."""
        if self.kind == "degree":
            return sum(self.of[0] in edge[:2] for edge in self.edges)
        if self.kind == "parts":
            left, parts = set(self.nodes), 0
            while left:
                parts += 1
                left -= distances(self.edges, min(left)).keys()
            return parts
        return distances(self.edges, self.of[0])[self.of[1]]

    def form(self, language: str) -> str | None:
        """How a language answers it, delimiters included; nsl has no words for it."""
        answer = str(self.value())
        forms = {"direct": lambda: answer, "prose": self._prose, "sympy": self._sympy, "wolfram": self._wolfram}
        return tagged(language, forms[language]()) if language in forms else None

    def _prose(self) -> str:
        answer = self.value()
        if self.kind == "degree":
            ends = [v if u == self.of[0] else u for u, v, _ in self.edges if self.of[0] in (u, v)]
            told = f"The edges of {self.of[0]} go to {listed(ends)}. " if ends else ""
            return f"{told}The number is {answer}."
        if self.kind == "parts":
            left, parts = set(self.nodes), []
            while left:
                parts.append("".join(sorted(distances(self.edges, min(left)))))
                left -= set(parts[-1])
            return f"The parts are {listed(parts)}. The number is {answer}."
        found = distances(self.edges, self.of[0])
        told = listed(f"{node} {found[node]}" for node in sorted(found, key=lambda node: (found[node], node)))
        return f"From {self.of[0]} it is {told}. The answer is {answer}."

    def _sympy(self) -> str:
        weighted = self.kind in ("steps", "length")
        edges = listed(f"('{u}', '{v}', {w})" if weighted else f"('{u}', '{v}')" for u, v, w in self.edges)
        begun = f"edges = [{edges}]"
        if self.kind == "degree":
            return sympy(begun, f"print(sum('{self.of[0]}' in e for e in edges))")
        if self.kind == "parts":
            return sympy(
                begun, f"c = {{v: v for v in '{self.nodes}'}}", "for _ in edges:", "    for u, v in edges:",
                "        c[u] = c[v] = min(c[u], c[v])", "print(len(set(c.values())))",
            )  # fmt: skip
        return sympy(
            begun, "edges += [(v, u, w) for u, v, w in edges]", f"d = {{'{self.of[0]}': 0}}", "for _ in edges:",
            "    for u, v, w in edges:", "        if u in d:", "            d[v] = min(d.get(v, 99), d[u] + w)",
            f"print(d['{self.of[1]}'])",
        )  # fmt: skip

    def _wolfram(self) -> str:
        edges = listed(f"{u} <-> {v}" for u, v, _ in self.edges)
        weights = f", EdgeWeight -> {{{listed(w for *_, w in self.edges)}}}" if self.kind == "length" else ""
        asked = {
            "degree": "VertexDegree[g, {}]",
            "parts": "Length[ConnectedComponents[g]]",
            "steps": "GraphDistance[g, {}, {}]",
            "length": "GraphDistance[g, {}, {}]",
        }[self.kind]
        return module("g", f"g = Graph[{{{listed(self.nodes)}}}, {{{edges}}}{weights}]", asked.format(*self.of))


class Graphs(Generator):
    """Levels 1 (4 or 5 nodes, no lengths), 2 (5 or 6 nodes) and 3 (7 or 8 nodes, paths with lengths)."""

    levels = range(1, 4)

    def draw(self, rng: Random, level: int) -> Item:
        """See `Generator`."""
        nodes = NAMES[: rng.randint(*((4, 5), (5, 6), (7, 8))[level - 1])]
        kind = rng.choice(("degree", "parts", "length" if level == 3 or rng.random() < 0.5 * (level - 1) else "steps"))
        pairs = [(u, v) for i, u in enumerate(nodes) for v in nodes[i + 1 :]]
        least, most = (len(nodes) - 3, len(nodes)) if kind == "parts" else (len(nodes) - 1, len(nodes) + 2)
        while True:
            chosen = rng.sample(pairs, min(len(pairs), rng.randint(least, most)))
            edges = tuple((*pair, rng.randint(1, 9) if kind == "length" else 1) for pair in chosen)
            of = tuple(rng.sample(nodes, {"degree": 1, "parts": 0}.get(kind, 2)))
            if kind not in ("steps", "length") or of[1] in distances(edges, of[0]):
                break
        asked = Asked(nodes, edges, kind, of)
        return Item(asked.question, str(asked.value()), category=kind, values=asked)

    def demonstrate(self, item: Item, language: str, rng: Random, wrong: bool) -> str | None:
        """See `Generator`; wrong: one edge overlooked, where that matters."""
        asked: Asked = item.values
        if wrong:
            edges = [tuple(e for e in asked.edges if e != edge) for edge in rng.sample(asked.edges, len(asked.edges))]
            seen = [replace(asked, edges=fewer) for fewer in edges]
            joined = [a for a in seen if asked.kind in ("degree", "parts") or a.of[1] in distances(a.edges, a.of[0])]
            asked = next((a for a in joined if a.value() != asked.value()), asked)
        return asked.form(language)


def distances(edges: Sequence[Edge], start: str) -> dict[str, int]:
    """How far each node is that can be reached (Dijkstra)."""
    found: dict[str, int] = {}
    ahead = [(0, start)]
    while ahead:
        far, node = heapq.heappop(ahead)
        if node in found:
            continue
        found[node] = far
        for u, v, length in edges:
            if node in (u, v):
                heapq.heappush(ahead, (far + length, v if node == u else u))
    return found
