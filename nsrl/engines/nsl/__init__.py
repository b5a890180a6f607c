"""nsl: the terse neuro-symbolic language. `evaluate` runs a program, `to_wolfram` and `from_wolfram` translate.

The grammar is docs/nsl.md.
"""

from __future__ import annotations

from nsrl.engines.nsl.lexer import NslSyntaxError
from nsrl.engines.nsl.parser import Program, parse
from nsrl.engines.nsl.printer import from_wolfram, to_wolfram
from nsrl.engines.nsl.run import VERSION, evaluate

__all__ = ["VERSION", "NslSyntaxError", "Program", "evaluate", "from_wolfram", "parse", "to_wolfram"]
