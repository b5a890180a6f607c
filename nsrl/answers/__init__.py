"""Is it right? A completion's final answer, or a program's value, read and compared with the gold answer; no blame, no
reward."""

from nsrl.answers.checker import Verdict, check

__all__ = ["Verdict", "check"]
