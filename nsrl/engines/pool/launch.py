"""This process becomes the command in its arguments, with the memory layout of every other run. Linux only; nothing of
the project is imported.

Run by its path in an interpreter without site packages: what is asked for takes effect at an exec, so that whatever is
loaded before it is loaded twice.
"""

import ctypes
import os
import sys

_ADDR_NO_RANDOMIZE = 0x0040000


def fix_addresses() -> None:
    """Ask for the same memory layout at the next exec, so that sets ordered by address keep their order."""
    libc = ctypes.CDLL(None)
    now = libc.personality(ctypes.c_ulong(0xFFFFFFFF))
    if now != -1:
        libc.personality(ctypes.c_ulong(now | _ADDR_NO_RANDOMIZE))


if __name__ == "__main__":
    fix_addresses()
    # Python itself sets LC_CTYPE where the locale is C.
    os.execve(sys.argv[1], sys.argv[1:], {name: value for name, value in os.environ.items() if name != "LC_CTYPE"})
