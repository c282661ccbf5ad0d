"""What a tree of processes uses, and the sentences about using too much.

Processes come and go while they are counted; one that vanishes counts nothing.
"""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

_GIB = 1024.0**3
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")


# Linux tells the children of each thread, if it is built to (CONFIG_PROC_CHILDREN).
_TELLS_CHILDREN = (_PROC / "thread-self" / "children").exists()


def descendants(root: int, *, ask_children: bool = _TELLS_CHILDREN) -> list[int]:
    """All processes below `root`, parents before their children.

    One that is born or ends meanwhile may be missed: who needs all asks again.
    """
    children_of = _children if ask_children else _family_tree().__getitem__
    found = [root]
    for pid in found:
        found.extend(children_of(pid))
    return found[1:]


def _children(pid: int) -> list[int]:
    try:
        threads = os.listdir(_PROC / str(pid) / "task")  # noqa: PTH208 (speed)
    except OSError:  # gone
        return []
    return [int(child) for each in threads for child in _read(pid, f"task/{each}/children").split()]


def _family_tree() -> defaultdict[int, list[int]]:
    """The children of every process, by asking each one for its parent: slow on a busy node."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid in _all_processes():
        parent = _parent_of(pid)
        if parent is not None:
            children[parent].append(pid)
    return children


def memory_of(pids: Iterable[int], limit: int) -> int:
    """Bytes of memory used by the processes together.

    The quick sum counts shared pages once for each process, so it is too high, never too low;
    only when it is above `limit` are the pages counted proportionally.
    """
    pids = list(pids)
    quick = sum(_resident(pid) for pid in pids)
    return quick if quick <= limit else sum(_proportional(pid) for pid in pids)


def memory_sentence(used: int, limit: int) -> str:
    return (
        f"Total memory usage exceeded limit ({used / _GIB:f} GiB > {limit / _GIB:f} GiB)."
        " Terminating job."
    )


def time_sentence(seconds: float, limit: float) -> str:
    return f"Time limit exceeded ({seconds:f} s > {limit:f} s). Terminating job."


def total_memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PHYS_PAGES") * _PAGE


def marked_with(variable: str, value: str) -> list[int]:
    """The processes whose environment has `variable=value`, as far as we may read it."""
    wanted = f"{variable}={value}".encode()
    return [pid for pid in _all_processes() if wanted in _read(pid, "environ").split(b"\0")]


def _all_processes() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdecimal()]  # noqa: PTH208 (speed)


def _parent_of(pid: int) -> int | None:
    # The command name stands in parentheses and may hold anything, parentheses included.
    _, _, rest = _read(pid, "stat").rpartition(b")")
    fields = rest.split()
    return int(fields[1]) if len(fields) > 1 else None


def _resident(pid: int) -> int:
    fields = _read(pid, "statm").split()
    return int(fields[1]) * _PAGE if len(fields) > 1 else 0


def _proportional(pid: int) -> int:
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith(b"Pss:"):
            return int(line.split()[1]) * 1024
    return _unshared(pid)


def _unshared(pid: int) -> int:
    """For kernels without `smaps_rollup`: resident minus shared."""
    fields = _read(pid, "statm").split()
    return (int(fields[1]) - int(fields[2])) * _PAGE if len(fields) > 2 else 0


def _read(pid: int, name: str) -> bytes:
    """A file of `/proc/<pid>`; empty if the process is gone or belongs to someone else."""
    try:
        return (_PROC / str(pid) / name).read_bytes()
    except OSError:
        return b""
