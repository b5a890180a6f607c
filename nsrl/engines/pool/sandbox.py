"""The sandbox is the walls around a worker: what a program that runs in one can no longer do. ctypes and stdlib only.

Each layer is one function that returns True when it is in force, so that a worker can say which ones it has; none of
them raises on a system that lacks it. The order matters: namespaces first (they need system calls the filter denies),
the system-call filter last.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import socket
import struct
import sys

LAYERS = ("user", "namespaces", "chroot", "no_new_privs", "capabilities", "rlimits", "landlock", "seccomp")

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_SECCOMP = 1, 4, 22
_PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 36, 38
_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_NOBODY = 65534

LINUX = sys.platform.startswith("linux")
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


def _prctl(option: int, value: int = 0, third: int = 0) -> bool:
    if _libc is None:
        return False
    long = ctypes.c_ulong
    return _libc.prctl(option, long(value), long(third), long(0), long(0)) == 0


def die_with_parent(how: int = 9) -> bool:
    """Send this process SIGKILL, or the signal of this number, when the process (thread) that is its parent dies."""
    return _prctl(_PR_SET_PDEATHSIG, how)


def adopt_orphans() -> bool:
    """Make this process the one that waits for its grandchildren."""
    return _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def roomy_stack(size: int = 96 << 20) -> None:
    """Let the main thread's stack grow to `size` bytes: deep recursion is then an exception, not a fault."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if hard != resource.RLIM_INFINITY:
        size = min(size, hard)
    try:
        resource.setrlimit(resource.RLIMIT_STACK, (size, hard))
    except (ValueError, OSError):
        return


def drop_user() -> bool:
    """Become `nobody` if this is root. True unless the process still is root afterwards."""
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except (OSError, AttributeError):
        return False  # a container that maps root alone, or a system without these calls
    _prctl(_PR_SET_DUMPABLE, 1)  # a changed uid hides /proc/self from its owner; it is hidden again below
    return True


def new_namespaces() -> bool:
    """Leave the user, network, IPC, host-name and mount namespaces. The next child is process 1 of a new one."""
    if _libc is None:
        return False
    flags = _CLONE_NEWUSER | _CLONE_NEWPID | _CLONE_NEWNET | _CLONE_NEWIPC | _CLONE_NEWUTS | _CLONE_NEWNS
    return _libc.unshare(ctypes.c_int(flags)) == 0


def empty_root() -> bool:
    """Make a directory without files of use the root directory (needs the user namespace's rights)."""
    try:
        os.chroot("/proc/self/fdinfo")
        os.chdir("/")
    except (OSError, AttributeError):
        return False
    return True


def no_new_privileges() -> bool:
    """No exec can gain privileges from here on. Returns whether the kernel agreed."""
    return _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def hide_from_debuggers() -> bool:
    """No other process of the same user may read this one's memory. Returns whether the kernel agreed."""
    return _prctl(_PR_SET_DUMPABLE, 0)


def drop_capabilities() -> bool:
    """Give up every capability, also those a user namespace gave."""
    number = {"x86_64": 126, "aarch64": 91}.get(platform.machine())
    if _libc is None or number is None:
        return False
    header = ctypes.create_string_buffer(struct.pack("<Ii", 0x20080522, 0))
    data = ctypes.create_string_buffer(24)
    return _libc.syscall(ctypes.c_long(number), header, data) == 0


def address_space() -> int:
    """Bytes of address space this process uses now; 0 where that is unknown. Asked before the filter is on."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def rlimits(files: int, processes: int | None) -> bool:
    """No core dumps, no file writes, at most `files` descriptors and, unless None, `processes` processes."""
    wanted = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, 0), (resource.RLIMIT_NOFILE, files)]
    if processes is not None and hasattr(resource, "RLIMIT_NPROC"):
        wanted.append((resource.RLIMIT_NPROC, processes))
    try:
        for name, value in wanted:
            resource.setrlimit(name, (value, value))
    except (ValueError, OSError):
        return False
    return True


def limit_memory(total: int) -> bool:
    """Soft limit on the address space, in bytes. A reused worker moves it from program to program."""
    if not LINUX:
        return False  # macOS ignores RLIMIT_AS and its libraries reserve more than any bound
    try:
        _soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (total, hard))
    except (ValueError, OSError):
        return False
    return True


def limit_cpu(seconds: int) -> bool:
    """Hard limit on this process's CPU seconds: the backstop behind the profiling timer."""
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    except (ValueError, OSError):
        return False
    return True


def landlock() -> bool:
    """Deny every file-system access, TCP use, abstract socket and outward signal the kernel can deny."""
    if _libc is None:
        return False
    create, restrict = ctypes.c_long(444), ctypes.c_long(446)
    abi = _libc.syscall(create, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if abi < 1:
        return False
    fs = (1 << (13 + (abi >= 2) + (abi >= 3) + (abi >= 5))) - 1
    fields = [fs, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0]
    fields = fields[: 3 if abi >= 6 else 2 if abi >= 4 else 1]
    attributes = struct.pack(f"<{len(fields)}Q", *fields)
    handle = _libc.syscall(create, ctypes.c_char_p(attributes), ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    if handle < 0:
        return False
    done = _libc.syscall(restrict, ctypes.c_int(handle), ctypes.c_uint(0)) == 0
    os.close(handle)
    return done


# System calls by (x86_64, aarch64) number; None where the architecture has no such call.
_CALLS: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "brk": (12, 214),
    "mmap": (9, 222), "mprotect": (10, 226), "munmap": (11, 215), "mremap": (25, 216), "madvise": (28, 233),
    "rt_sigaction": (13, 134), "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "sigaltstack": (131, 132),
    "sched_yield": (24, 124), "setitimer": (38, 103), "getitimer": (36, 102), "getpid": (39, 172),
    "gettid": (186, 178), "getuid": (102, 174), "geteuid": (107, 175), "getgid": (104, 176), "getegid": (108, 177),
    "exit": (60, 93), "exit_group": (231, 94), "futex": (202, 98), "getrusage": (98, 165), "times": (100, 153),
    "gettimeofday": (96, 169), "clock_gettime": (228, 113), "clock_getres": (229, 114), "getrandom": (318, 278),
    "poll": (7, None), "ppoll": (271, 73), "membarrier": (324, 283), "restart_syscall": (219, 128),
    "set_robust_list": (273, 99), "rseq": (334, 293), "clock_nanosleep": (230, 115), "nanosleep": (35, 101),
}  # fmt: skip
# What the Python engine's server may do besides: fork a child, watch it, kill it, wall it in further.
_SERVER: dict[str, tuple[int | None, int | None]] = {
    "clone": (56, 220), "fork": (57, None), "wait4": (61, 260), "kill": (62, 129), "pipe2": (293, 59),
    "setsid": (112, 157), "prctl": (157, 167), "seccomp": (317, 277), "prlimit64": (302, 261),
    "setrlimit": (160, 164), "getrlimit": (97, 163), "dup3": (292, 24), "dup2": (33, None), "fcntl": (72, 25),
    "set_tid_address": (218, 96), "select": (23, None), "pselect6": (270, 72),
}  # fmt: skip
_PRLIMIT = {"prlimit64": (302, 261)}
_ARCH = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def _program(kind: str) -> bytes | None:
    """The filter as BPF: an allow-list; all else fails with EPERM. mmap and mprotect may not ask for PROT_EXEC."""
    column, audit = _ARCH.get(platform.machine(), (None, 0))
    if column is None:
        return None
    calls = dict(_CALLS)
    if kind == "server":
        calls.update(_SERVER)
    elif kind == "native":
        calls.update(_PRLIMIT)  # a reused worker moves its own memory limit between programs
    elif kind == "leaf":
        del calls["setitimer"]  # its time is set; nothing may lengthen it
    code = [(0x20, 0, 0, 4), (0x15, 1, 0, audit), (0x06, 0, 0, _KILL), (0x20, 0, 0, 0)]
    clone3 = 435
    code += [(0x15, 0, 1, clone3), (0x06, 0, 0, _ENOSYS)]  # the C library falls back on clone
    for name, numbers in calls.items():
        number = numbers[column]
        if number is None:
            continue
        if name in ("mmap", "mprotect"):  # argument 2 is the protection; bit 4 is PROT_EXEC
            code += [(0x15, 0, 4, number), (0x20, 0, 0, 32), (0x45, 0, 1, 4), (0x06, 0, 0, _EPERM)]
            code += [(0x06, 0, 0, _ALLOW)]
        elif name == "prlimit64" or (name == "setitimer" and kind != "server"):
            # prlimit64 of this process (argument 0 is 0); setitimer of the profiling timer (2), never SIGALRM's (0)
            code += [(0x15, 0, 4, number), (0x20, 0, 0, 16), (0x15, 0, 1, 0 if name == "prlimit64" else 2)]
            code += [(0x06, 0, 0, _ALLOW), (0x06, 0, 0, _EPERM)]
        else:
            code += [(0x15, 0, 1, number), (0x06, 0, 0, _ALLOW)]
    code.append((0x06, 0, 0, _EPERM))
    return b"".join(struct.pack("<HBBI", *line) for line in code)


def build_filter(kind: str) -> tuple[object, object] | None:
    """The filter for `kind` (native, server, leaf) in C memory, made once so that a child installs it in one call."""
    code = _program(kind) if LINUX else None
    if code is None:
        return None
    memory = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(code) // 8, ctypes.addressof(memory)))
    return header, memory


def seccomp(built: tuple[object, object] | None) -> bool:
    """Install a filter of `build_filter`. Nothing takes it off again."""
    if built is None or _libc is None:
        return False
    address = ctypes.addressof(built[0])  # type: ignore[arg-type]
    return _prctl(_PR_SET_SECCOMP, 2, address)


def probe() -> list[str]:
    """Try what a worker must not be able to do; the names of what succeeded. Run inside a finished sandbox."""
    broken = []
    try:
        os.close(os.open("/etc/passwd", os.O_RDONLY))
        broken.append("open")
    except OSError:
        pass
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
        broken.append("socket")
    except OSError:
        pass
    try:
        os.kill(os.getppid() or 1, 0)
        broken.append("kill")
    except OSError:
        pass
    try:
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        broken.append("fork")
    except OSError:
        pass
    return broken
