"""nsl: the terse neuro-symbolic language. `evaluate` runs a program, `to_wolfram` and `from_wolfram` translate.

The grammar is docs/nsl.md. Knows nothing of models, pools or rewards.
"""

from __future__ import annotations

from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import Program, parse
from nsrl.engines.nsl.printer import from_wolfram, to_wolfram
from nsrl.engines.nsl.run import VERSION, evaluate

# The signs a program stands between in a completion; each is added to the tokenizer as one token.
DELIMITERS: dict[str, tuple[str, str]] = {
    "nsl": ("<nsl>", "</nsl>"),
    "wolfram": ("<wolfram>", "</wolfram>"),
    "sympy": ("<sympy>", "</sympy>"),
}

__all__ = ["DELIMITERS", "VERSION", "NslSyntaxError", "Program", "evaluate", "from_wolfram", "parse", "to_wolfram"]
