"""Random programs from the grammar of docs/nsl.md: the page is the source, so that it cannot drift from the parser."""

import random
import re
from fractions import Fraction
from pathlib import Path

from nsrl.engines.nsl import Program, from_wolfram

PAGE = Path(__file__).parents[3] / "docs" / "nsl.md"
_TOKEN = re.compile(r'"(?P<sign>[^"]*)"|(?P<name>[a-z]+)|(?P<mark>[|{}\[\]();=])')


def rules(page: str) -> dict[str, list]:
    """The productions of the page's grammar: name -> alternatives, each a list of items (see `_items`)."""
    text = page.split("## Grammar\n")[1].split("Signs that mean")[0]
    lines = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    # A remark stands behind several blanks; what is left is EBNF.
    text = " ".join(re.split(r"\s{3,}(?!=)(?=[^|\s=])", re.sub(r"^(\w+)\s+=", r"\1 =", line))[0] for line in lines)
    toks = [(m.lastgroup, m[m.lastgroup]) for m in _TOKEN.finditer(text)]
    out: dict[str, list] = {}
    at = 0
    while at < len(toks):
        name, at = toks[at][1], at + 2
        out[name], at = _alternatives(toks, at)
        at += 1  # the semicolon
    return out


def _alternatives(toks: list, at: int) -> tuple[list, int]:
    """Alternatives up to a closing mark: lists of ("sign", text), ("name", rule), ("{" | "[" | "(", alternatives)."""
    out: list[list] = [[]]
    while True:
        kind, value = toks[at]
        at += 1
        if kind == "mark" and value == "|":
            out.append([])
        elif kind == "mark" and value in "{[(":
            inside, at = _alternatives(toks, at)
            out[-1].append((value, inside))
            at += 1
        elif kind == "mark":
            return out, at - 1
        else:
            out[-1].append((kind, value))


def printed(p: Program) -> str:
    """A program as text again, statement by statement."""
    parts = [
        f"{from_wolfram(s.tree.args[0])}:={from_wolfram(s.tree.args[1])}"
        if s.kind == "assign"
        else from_wolfram(s.tree)
        for s in p.statements
    ]
    unit = f"→{'%' if p.unit == Fraction(1, 100) else from_wolfram(p.unit)}" if p.unit is not None else ""
    return ";".join(parts) + unit + ("?" + ",".join(map(from_wolfram, p.options)) if p.options else "")


class Writer:
    """Writes a random program. `depth` bounds how deep rules are taken before the shortest alternative is."""

    def __init__(self, seed: int, depth: int = 9):
        self.random = random.Random(seed)
        self.rules = rules(PAGE.read_text())
        self.depth = depth
        self.names = self.random.sample(["x", "y", "n", "k", "AB", "x1", "tall", "θ", "Q", "C", "red"], 5)
        self.words = ["max", "sum", "prod", "sort", "mean", "mode", "len", "range"]

    def program(self) -> str:
        """A product without a sign gets one where two numbers would stand side by side."""
        return re.sub(r"\0(?=[\d½.\"-])", "*", self.rule("program", 0)).replace("\0", " ")

    def rule(self, name: str, depth: int) -> str:
        if name not in self.rules:
            return self.leaf(name)
        choices = self.rules[name]
        if depth > self.depth or self.random.random() < 0.3:
            choices = choices[:2]  # the plain ones stand first
        return self.items(self.random.choice(choices), depth + 1)

    def items(self, items: list, depth: int) -> str:
        return "".join(self.item(kind, what, depth) for kind, what in items)

    def item(self, kind: str, what, depth: int) -> str:
        if kind == "sign":
            return "\0" if what == " " else what
        if kind == "name":
            return self.rule(what, depth)
        if kind == "(":
            return self.items(self.random.choice(what), depth)
        most = 0 if depth > self.depth else 1 if kind == "[" else 2
        often = sum(self.random.random() < 0.2 for _ in range(most))
        return "".join(self.items(self.random.choice(what), depth) for _ in range(often))

    def leaf(self, name: str) -> str:
        r = self.random
        if name == "number":
            return r.choice([str(r.randrange(100)), str(r.randrange(10)), "0.25", "½", "1.5", "2e3"])
        if name == "text":
            return '"' + "".join(r.choice("abc ") for _ in range(r.randrange(1, 5))) + '"'
        if name == "unit":
            return r.choice(["m", "km/h", "min", "J", "%", "cm^2"])
        return r.choice(self.words if name == "word" else self.names)
