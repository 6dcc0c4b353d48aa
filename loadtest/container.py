"""A real container for whoever wants to send it real requests: tests, and the footprint of the image.

with running_container(Docker(), "riskline:latest", mounts={model: "/opt/ml/model"}) as container:
    ...  # container.url answers until the block ends

It runs as careful operators run it: no rights, nothing writable but /tmp, memory and CPU limited; on the host's
network, bound to the loopback interface.
"""

import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from loadtest.server import HOST, LINES_SHOWN, READY_PATH, READY_WITHIN_S, ServerNotReadyError, free_port, is_ready

HARDENED = (
    "--read-only", "--tmpfs=/tmp", "--cap-drop=all", "--security-opt=no-new-privileges", "--pids-limit=256",
    "--memory=512m", "--cpus=1",
)  # fmt: skip
COMMAND_WITHIN_S = 600.0
GONE_WITHIN_S = 30  # after SIGTERM, as SageMaker does it; then it kills
POLL_S = 0.05


class DockerError(RuntimeError):
    """A Docker command failed; the message has the command and its output."""


@dataclass(frozen=True)
class Docker:
    """The Docker client; `environment` is set on top of this process's, and names the engine if it is not the usual."""

    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, check: bool = True, within_s: float = COMMAND_WITHIN_S) -> str:
        """What the command wrote to stdout and, where `check` is off, to stderr; DockerError where it fails."""
        environment = {**os.environ, **self.environment}
        done = subprocess.run(  # noqa: S603 - the arguments are the caller's own
            ["env", "docker", *arguments],  # noqa: S607 - `env` looks for docker in the environment that it gets
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within_s,
        )
        if check and done.returncode != 0:
            raise DockerError(f"docker {' '.join(arguments)}\n{done.stdout}{done.stderr}")
        return (done.stdout if check else done.stdout + done.stderr).strip()


@dataclass(frozen=True)
class Container:
    docker: Docker
    name: str
    port: int

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def logs(self) -> str:
        return self.docker("logs", self.name, check=False)

    def inspect(self, template: str) -> str:
        return self.docker("inspect", "-f", template, self.name)

    def execute(self, *command: str, check: bool = True) -> str:
        return self.docker("exec", self.name, *command, check=check)

    def stop(self) -> int:
        """SIGTERM and, 30 s later, SIGKILL; gives the exit code, which is 137 if it took that."""
        self.docker("stop", "-t", str(GONE_WITHIN_S), self.name)
        return int(self.inspect("{{.State.ExitCode}}"))


@contextmanager
def running_container(
    docker: Docker,
    image: str,
    *,
    command: Sequence[str] = ("serve",),
    options: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    mounts: Mapping[Path, str] | None = None,
    network: str = "host",
    ready_path: str | None = READY_PATH,
    ready_within_s: float = READY_WITHIN_S,
) -> Iterator[Container]:
    """Runs `image` until the block ends; then it is killed and removed.

    `mounts` (folder here → folder there) are read-only. The block starts when GET `ready_path` answers 200, or at once
    where that is None; ServerNotReadyError if the container ends first or is not ready in time.
    """
    container = Container(docker, f"riskline-{uuid.uuid4().hex[:12]}", free_port())
    variables = {"BENTOML_HOST": HOST, "SAGEMAKER_BIND_TO_PORT": str(container.port), **(env or {})}
    arguments = [
        f"--name={container.name}",
        f"--network={network}",
        *HARDENED,
        *(f"--env={key}={value}" for key, value in variables.items()),
        *(f"--volume={here}:{there}:ro" for here, there in (mounts or {}).items()),
        *options,
    ]
    try:
        docker("run", "-d", *arguments, image, *command)
        if ready_path:
            _await_ready(container, ready_path, ready_within_s)
        yield container
    finally:
        docker("rm", "-f", "-v", container.name, check=False)


def _await_ready(container: Container, path: str, within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not is_ready(container.port, path):
        if container.inspect("{{.State.Running}}") != "true":
            code = container.inspect("{{.State.ExitCode}}")
            raise ServerNotReadyError(f"the container ended with code {code} before it was ready\n{_tail(container)}")
        if time.monotonic() > deadline:
            raise ServerNotReadyError(f"the container was not ready within {within_s:g} s\n{_tail(container)}")
        time.sleep(POLL_S)


def _tail(container: Container) -> str:
    """Read after its end is known: what it said last is there then."""
    return "\n".join(container.logs().splitlines()[-LINES_SHOWN:])
