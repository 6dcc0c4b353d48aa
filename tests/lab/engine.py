"""A container engine for the tests: the machine's own where one answers, else a Docker engine of the lab's own.

with running_engine() as engine:
    engine.build(folder, "riskline:test")

python -m tests.lab.engine COMMAND …    # runs a command that finds the engine, such as `docker build .`

The lab's own engine needs root on a Debian-like machine. It is unpacked, not installed, keeps what it has downloaded
and built below LAB for the next time, and ends with the block. Where no registry can be reached it makes a stand-in for
the base image (`tests/lab/base.py`). Containers use the host's network, since the engine has no bridge.
"""

import fcntl
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from loadtest.container import Docker, DockerError
from tests.lab.base import import_stand_in
from tests.lab.debian import LAB, LabError, run, unpacked

BASE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
PACKAGES = ("docker.io", "containerd", "runc", "libdevmapper1.02.1")  # Debian's
ENGINE_WITHIN_S = 60.0
PULL_WITHIN_S = 180.0
OTHER_ENDS_WITHIN_S = 1200.0  # another run of the tests has the lab
POLL_S = 0.1
OPEN_FILES = 4096  # containers may not ask for more than the machine grants


class NoEngineError(LabError):
    """Why there can be no engine here, in one line."""


@dataclass(frozen=True)
class Engine:
    """`docker` speaks to it; `base` is the image that the tests build on."""

    docker: Docker
    base: str

    def build(self, context: Path, tag: str, **arguments: str) -> None:
        chosen = [f"--build-arg={key}={value}" for key, value in {"BASE": self.base, **arguments}.items()]
        self.docker("build", "--network=host", *chosen, "-t", tag, str(context))


@contextmanager
def running_engine() -> Iterator[Engine]:
    """The machine's own engine, else the lab's until the block ends; LabError where neither can be."""
    own = {"DOCKER_BUILDKIT": "1"}
    if shutil.which("docker") and _answers(own):
        yield Engine(Docker(own), BASE)
        return
    if missing := _missing():
        raise NoEngineError(f"no container engine answers, and none can be set up here: {missing}")
    LAB.mkdir(parents=True, exist_ok=True)
    with _lab_to_ourselves(), _daemon(unpacked("engine", *PACKAGES)) as engine:
        if not engine.docker("images", "-q", BASE):
            _get_base(engine)
        yield engine
        engine.docker("image", "prune", "-f", check=False)  # what a newer build has replaced


def _missing() -> str | None:
    if sys.platform != "linux":
        return "this is not Linux"
    if os.geteuid() != 0:
        return "it takes root; start a Docker engine yourself"
    if tools := [tool for tool in ("apt-get", "dpkg", "tar") if not shutil.which(tool)]:
        return f"{tools[0]} is missing; start a Docker engine yourself"
    return None


def _answers(environment: Mapping[str, str]) -> bool:
    with suppress(OSError, subprocess.TimeoutExpired):
        command = ["docker", "version", "--format", "{{.Server.Version}}"]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, timeout=10)
        return done.returncode == 0
    return False


@contextmanager
def _lab_to_ourselves() -> Iterator[None]:
    deadline = time.monotonic() + OTHER_ENDS_WITHIN_S
    with (LAB / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NoEngineError(f"another run has had {LAB} for {OTHER_ENDS_WITHIN_S:g} s") from None
                time.sleep(POLL_S)
        yield


@contextmanager
def _daemon(root: Path) -> Iterator[Engine]:
    """dockerd, on a socket of its own, until the block ends."""
    state, log = LAB / "run", LAB / "dockerd.log"
    if state.exists():  # whoever had the lab before was killed, or did not get to its end
        _clear(state)
        shutil.rmtree(state)
    state.mkdir()
    socket = f"unix://{state}/docker.sock"
    most_files = min(OPEN_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    limits = {"nofile": {"Name": "nofile", "Soft": most_files, "Hard": most_files}}
    configuration = {
        "data-root": str(LAB / "data"),
        "exec-root": str(state / "exec"),
        "pidfile": str(state / "dockerd.pid"),
        "hosts": [socket],
        "bridge": "none",
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "default-ulimits": limits,
    }
    (state / "daemon.json").write_text(json.dumps(configuration))
    environment = {
        "DOCKER_HOST": socket,
        "DOCKER_BUILDKIT": "1",
        "PATH": f"{root}/usr/bin:{root}/usr/sbin:{root}/sbin:{os.environ['PATH']}",
    }
    libraries = {"LD_LIBRARY_PATH": ":".join(str(folder) for folder in sorted(root.glob("*lib/*-linux-gnu")))}
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["dockerd", "--config-file", str(state / "daemon.json")],
            executable=f"{root}/usr/sbin/dockerd",
            env={**os.environ, **environment, **libraries},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl+C reaches us alone, and we end it in order
        )
    try:
        deadline = time.monotonic() + ENGINE_WITHIN_S
        while not _answers(environment):
            if process.poll() is not None or time.monotonic() > deadline:
                raise NoEngineError(f"dockerd does not start:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(POLL_S)
        engine = Engine(Docker(environment), BASE)
        yield engine
        if left := engine.docker("ps", "-aq", check=False).split():
            engine.docker("rm", "-f", *left, check=False)
    finally:
        _end(process, state)


def _end(process: subprocess.Popen[bytes], state: Path) -> None:
    """SIGTERM, then SIGKILL for what is left of it, and its mounts."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(ENGINE_WITHIN_S)
    _clear(state)
    process.wait()


def _clear(state: Path) -> None:
    """Kills what runs out of an engine's folder, and takes away its mounts: nothing below it could be removed else."""
    for arguments in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has just ended
            if f"{state}/".encode() in arguments.read_bytes():
                os.kill(int(arguments.parent.name), signal.SIGKILL)
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in reversed(mounts):
        if mount.startswith(f"{LAB}/"):
            subprocess.run(["umount", "-l", mount], capture_output=True, timeout=60)


def _get_base(engine: Engine) -> None:
    with suppress(DockerError, subprocess.TimeoutExpired):
        engine.docker("pull", BASE, within_s=PULL_WITHIN_S)
        return
    import_stand_in(BASE, LAB, engine.docker, run)


def main() -> None:
    try:
        with running_engine() as engine:
            command = sys.argv[1:] or ["docker", "version"]
            environment = {**os.environ, **engine.docker.environment}
            # looked up in the environment that the command gets
            found = shutil.which(command[0], path=environment["PATH"]) or command[0]
            code = subprocess.run([found, *command[1:]], env=environment).returncode
    except LabError as error:
        sys.exit(f"riskline: {error}")
    sys.exit(code)


if __name__ == "__main__":
    main()
