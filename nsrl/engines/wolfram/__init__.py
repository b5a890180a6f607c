"""Wolfram Language, embedded: text in, `Result` out. Never raises for what a model wrote.

evaluate("f := Module[{}, Total[{1, 2, 3}]];").text == "6"
"""

from __future__ import annotations

from nsrl.engines.wolfram.run import VERSION, evaluate, evaluate_tree

__all__ = ["VERSION", "evaluate", "evaluate_tree"]
