"""The pool runs programs in killable, sandboxed processes. `pool` is what callers see; the others, from the top down,
are manager, scheduler, supervisor, queue, processes, worker, protocol, cache, sandbox."""

from nsrl.engines.pool.pool import EnginePool

__all__ = ["EnginePool"]
