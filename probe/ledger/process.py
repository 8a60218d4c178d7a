"""Which process: so that what another one has in flight is told from what a dead one left."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def mark(pid: int | None = None) -> str | None:
    """A process by its number and start, the same as long as it lives; None when it is gone.

    pid: this process by default. Where the system has no /proc, another process is always taken
    for gone.
    """
    number = os.getpid() if pid is None else pid
    with suppress(OSError, IndexError):
        text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
        state, *fields = text.rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return None if state in "ZX" else f"{number} {fields[18]} {boot}"
    return str(number) if number == os.getpid() else None


def elsewhere(who: str | None) -> bool:
    """Whether this mark is of a process that lives and is not this one."""
    number = (who or "").partition(" ")[0]
    if not number.isascii() or not number.isdigit() or int(number) == os.getpid():
        return False
    return mark(int(number)) == who


def foreign(who: str | None) -> bool:
    """Whether this mark may be of a process of another machine, which nobody here can look for."""
    number, _, rest = (who or "").partition(" ")
    own = mark() or ""
    boot = rest.rpartition(" ")[2]
    if boot:
        return boot != own.rpartition(" ")[2]
    return number != own.partition(" ")[0]
