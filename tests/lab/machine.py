"""A machine that lacks something: memory, room on a disk, file handles, a network; or a test that `cannot_run`."""

import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.lab.debian import LabError
from tests.lab.lacking import cannot_run
from tests.lab.waiting import until

_GROUPS = Path("/sys/fs/cgroup")
_TCP_REPAIR = 19  # linux/tcp.h


@contextmanager
def small_disk(folder: Path, mib: int) -> Iterator[Path]:
    """A file system of its own at `folder`."""
    folder.mkdir()
    try:
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "riskline-tests", str(folder)],
            check=True, capture_output=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        cannot_run(LabError("only root, with the right to mount, can have a small disk"))
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(file: Path) -> None:
    """Until there is no room left."""
    with file.open("ab", buffering=0) as output, suppress(OSError):
        while True:
            output.write(bytes(4096))


@contextmanager
def little_memory(pid: int, spare_mib: int) -> Iterator[None]:
    """The process may use so much more than it has now; the kernel kills it when it wants more still."""
    unified = (_GROUPS / "cgroup.controllers").exists()
    own = {line.split(":")[1]: line.split(":")[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    above = _GROUPS / own[""].lstrip("/") if unified else _GROUPS / "memory" / own.get("memory", "").lstrip("/")
    limit, group = "memory.max" if unified else "memory.limit_in_bytes", above / "riskline-tests"
    try:
        group.mkdir()
        # what the process has already stays with the group that it comes from
        (group / limit).write_text(str(spare_mib * 2**20))
        (group / "cgroup.procs").write_text(str(pid))
    except OSError:
        with suppress(OSError):
            group.rmdir()
        cannot_run(LabError("no group of processes with a limit on memory can be made here"))
    try:
        yield
    finally:
        until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def with_few_files(most: int, command: Sequence[str]) -> list[str]:
    """The command with a limit on open files, which its workers inherit."""
    return ["bash", "-c", f'ulimit -n {most} && exec "$@"', "bash", *command]


def without_network(command: Sequence[str]) -> list[str]:
    """The command in a network of its own, of which only loopback is there; the test skips where there can be none."""
    try:
        subprocess.run(["unshare", "--net", "ip", "link", "set", "lo", "up"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        cannot_run(LabError("no network of its own can be made here"))
    return ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]


def vanish(connection: socket.socket) -> None:
    """Ends without a word to the other side, as a machine that loses its power; the test skips where it may not."""
    try:
        connection.setsockopt(socket.IPPROTO_TCP, _TCP_REPAIR, 1)
    except OSError:
        cannot_run(LabError("only root can end a connection silently"))
    connection.close()
