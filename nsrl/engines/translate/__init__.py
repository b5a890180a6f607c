"""Programs of the other languages as nsl: how a model that never saw nsl gets its first lessons.

`candidates` writes; whoever runs them keeps those with the source's value.
"""

from nsrl.engines.translate.candidates import candidates

__all__ = ["candidates"]
