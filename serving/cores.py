"""How many cores this process may use: a container's limit counts, not the host's cores.

BentoML's own `cpu_count` reads the quota of the innermost cgroup, but knows neither the set of cores that a process is
bound to nor the groups above its own.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def cores(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Whole cores, at least 1: those that this process is bound to, or fewer where a cgroup's quota grants fewer."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, int(min([bound, *_quotas(cgroups, own_groups)])))


def _quotas(cgroups: Path, own_groups: Path) -> Iterator[float]:
    """Cores granted by each group that this process is in and that has a limit, in either version of cgroups."""
    for folder in _groups(cgroups, own_groups):
        # version 2: one file, "max 100000" where there is no limit; version 1: two files, -1 where there is none
        texts = [
            _text(folder / "cpu.max"),
            f"{_text(folder / 'cpu.cfs_quota_us')} {_text(folder / 'cpu.cfs_period_us')}",
        ]
        for quota, period in (text.split() for text in texts if len(text.split()) == 2):
            if quota.isdecimal() and period.isdecimal() and int(period):
                yield int(quota) / int(period)


def _groups(cgroups: Path, own_groups: Path) -> Iterator[Path]:
    """The folders of this process's groups and of all groups above them.

    A container sees its own group as the root of the mount, also where the path that the kernel names is the host's;
    folders that do not exist are passed over.
    """
    for line in _text(own_groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if not controllers or "cpu" in controllers.split(","):
            own = Path(path.lstrip("/"))
            for group in (own, *own.parents):
                yield cgroups / controllers / group
                if controllers:
                    yield cgroups / "cpu" / group  # mounted under one of the two names, or both


def _text(file: Path) -> str:
    with suppress(OSError):
        return file.read_text()
    return ""


def give_way() -> None:
    """Lets a bulk thread wait wherever single requests want the core; on Linux a thread has a niceness of its own."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
