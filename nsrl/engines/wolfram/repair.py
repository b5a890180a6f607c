"""Reading what models write by mistake: each repair is recorded, none happens unasked (see run.evaluate).

Text repairs: operators of other languages (² ³ • “ ”), underscored names, `//` and `%` comments. Tree repairs: a body
written inside Module's variable list, prose after the program.
"""

from __future__ import annotations

import re
from typing import Any

from nsrl.engines.wolfram.errors import WolframSyntaxError
from nsrl.engines.wolfram.expr import LIST, NULL, Expr, S, Symbol, lst, mk
from nsrl.engines.wolfram.lexer import END, JOINT, tokens
from nsrl.engines.wolfram.parser import Parser

# One that is not closed goes to the end, or a text of many openings would be searched to its end from each of them.
_STRING_OR_COMMENT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\Z)|\(\*.*?(?:\*\)|\Z)', re.DOTALL)
_UNICODE = {
    "²": "^2", "³": "^3", "⁴": "^4", "⁵": "^5", "•": "*", "∙": "*", "·": "*", "＝": "=", "‘": '"', "’": '"', "“": '"',
    "”": '"',
    "–": "-", "—": "-", "⟶": "->", "⇒": "->", "⁻": "^-", "½": "(1/2)", "¼": "(1/4)", "¾": "(3/4)", "，": ",", "；": ";",
    "（": "(", "）": ")", "\u200b": "", "′": "",
}  # fmt: skip
_UNICODE |= {c: f"^{i}" for i, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")} | {c: str(i) for i, c in enumerate("₀₁₂₃₄₅₆₇₈₉")}
_UNICODE_RE = re.compile("|".join(map(re.escape, _UNICODE)))
_SLASHES = re.compile(r"(?<=[;,{(\]])([ \t]*)//[^\n]*|^[ \t]*//[^\n]*", re.MULTILINE)
_PERCENT = re.compile(r"(?<=[;,{])[ \t]*%[^\n]*|^[ \t]*%[^\n]*", re.MULTILINE)
_HASH = re.compile(r"(?<=[;,{])[ \t]*#[ \t]+[A-Za-z][^\n]*|^[ \t]*#[ \t]+[A-Za-z][^\n]*", re.MULTILINE)
_NAME = re.compile(r"(?<![A-Za-z0-9_$`\"#])([A-Za-z][A-Za-z0-9]*)((?:_[A-Za-z0-9]+)+)(?![A-Za-z0-9_\[])")
_HEADS = {
    "Integer",
    "Real",
    "Rational",
    "Complex",
    "String",
    "Symbol",
    "List",
    "Rule",
    "RuleDelayed",
    "Association",
    "Point",
    "Function",
}
# A sentence on a line of its own: three words and more, a full stop or colon, nothing that a program is made of.
_SENTENCE = re.compile(
    r"^[ \t]*[A-Z][a-z']*,? [A-Za-z']+,? [A-Za-z']+(?![\w$\[])[^\n\[\]{};]*[.:!?][ \t]*$", re.MULTILINE
)
_FENCE = re.compile(r"^\s*```[a-zA-Z]*[ \t]*\n|\n```\s*$")


def _outside(source: str, change: Any) -> str:
    """`change` applied to the text outside strings and comments."""
    out, last = [], 0
    for m in _STRING_OR_COMMENT.finditer(source):
        out += [change(source[last : m.start()]), m.group()]
        last = m.end()
    out.append(change(source[last:]))
    return "".join(out)


def without_prose(source: str) -> str:
    """The program without the sentences around it, which a kernel would read as products of names or not at all."""
    if _SENTENCE.search(source) is None:
        return source
    kept = _outside(source, lambda t: _SENTENCE.sub(lambda m: m.group() if ":=" in m.group() else "", t))
    return kept if kept.strip() else source


def repair_text(source: str) -> tuple[str, list[str]]:
    """The text as a kernel would want it, and what was done."""
    done: list[str] = []

    def step(name: str, fn: Any) -> None:
        nonlocal source
        new = fn(source)
        if new != source:
            done.append(name)
            source = new

    step("code fence removed", lambda s: _FENCE.sub("", s))
    step("// line comment removed", lambda s: _outside(s, lambda t: _SLASHES.sub("", t)))
    step("% line comment removed", lambda s: _outside(s, lambda t: _PERCENT.sub("", t)))
    step("# line comment removed", lambda s: _outside(s, lambda t: _HASH.sub("", t)))
    step("Unicode operator read", lambda s: _outside(s, lambda t: _UNICODE_RE.sub(lambda m: _UNICODE[m.group()], t)))
    names = {m.group() for m in _NAME.finditer(source) if m.group(2)[1:] not in _HEADS}
    if names:
        step("underscored name read", lambda s: _outside(s, lambda t: _NAME.sub(_join_name, t)))
    return source, done


def _join_name(m: re.Match) -> str:
    if m.group(2)[1:] in _HEADS:
        return m.group()
    return m.group().replace("_", JOINT)


def parse_lenient(source: str) -> tuple[list[Any], tuple[str, ...]]:
    """(statements, repairs). Raises WolframSyntaxError where nothing helps."""
    text, done = repair_text(source)
    p = Parser(text, tokens(text), lenient=True)
    out: list[Any] = []
    while p.toks[p.at].kind is not END:
        start = p.at
        try:
            tree = p.statement()
            if not p.ends():
                raise p.fail(f"{p.toks[p.at].text!r} was not expected")
        except WolframSyntaxError:
            if not out:
                raise
            done.append("prose after the program dropped")
            break
        if out and _is_prose(tree, p) and _has_definition(out):
            done.append("prose after the program dropped")
            break
        out.append(tree)
        if p.at == start:
            raise p.fail("the text is no program")
    done += [r for r in p.repairs if r not in done]
    fixed: list[Any] = []
    for tree in out:
        new = repair_tree(tree)
        if new is not tree and "body moved out of the variable list" not in done:
            done.append("body moved out of the variable list")
        fixed.append(new)
    return fixed, tuple(done)


def _is_prose(tree: Any, p: Parser) -> bool:
    """Three or more bare words side by side."""
    return id(tree) in p.products and sum(type(a) is Symbol for a in tree.args) >= 3


def _has_definition(trees: list[Any]) -> bool:
    return any(type(t) is Expr and t.head in (S.CompoundExpression, S.Set, S.SetDelayed) for t in trees)


def repair_tree(e: Any) -> Any:
    """Module[{a = 1; b = 2; c}] and Module[{a = 1; b}, c] with the body where it belongs."""
    if type(e) is not Expr:
        return e
    args = tuple([repair_tree(a) for a in e.args])
    head = e.head
    if head in (S.Module, S.Block, S.With) and args and type(args[0]) is Expr and args[0].head is LIST:
        locals_, moved = [], []
        for a in args[0].args:
            if type(a) is Symbol or (type(a) is Expr and a.head is S.Set and type(a.args[0]) is Symbol):
                (moved if moved and type(a) is Expr else locals_).append(a)
            else:
                moved.append(a)
        if moved or len(args) == 1:
            body = [x for m in moved for x in (m.args if type(m) is Expr and m.head is S.CompoundExpression else (m,))]
            body = [x for x in body if x is not NULL] + list(args[1:])
            if body:
                return mk(head, lst(locals_), body[0] if len(body) == 1 else Expr(S.CompoundExpression, tuple(body)))
    if all(a is b for a, b in zip(args, e.args)):
        return e
    return Expr(head, args)
