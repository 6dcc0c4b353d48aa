"""The container's entrypoint: what `docker run IMAGE serve`, `score` and the health check do.

    python -m serving.container serve [OPTION …]      # the service, on SAGEMAKER_BIND_TO_PORT, else PORT, else 8080
    python -m serving.container score IN OUT [OPTION …]   # an offline job, see model/score.py
    python -m serving.container health                # 0 where the running service is ready

It decides where the model is and which port to take, says in one line what is wrong with either, and becomes the
program that does the work, so that signals reach it.
"""

import http.client
import os
import socket
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

MOUNTED_MODEL = Path("/opt/ml/model")  # where SageMaker unpacks a model.tar.gz, and where others mount one
BUILT_IN_MODEL = Path("/opt/riskline/model")
# SageMaker and Docker kill 30 s and 10 s after SIGTERM; workers cut off what then still runs end within a few seconds
DRAIN_S = 20
HEALTHY_WITHIN_S = 2
ANYWHERE = "0.0.0.0"  # noqa: S104 - a container's address is its own; what of it others reach is the engine's matter
USAGE = "the image knows `serve` (what it does by itself), `score IN OUT` and `health`"


class StartError(Exception):
    """Why the container cannot start, in one line that says what to do."""


def port(environment: Mapping[str, str]) -> int:
    """SAGEMAKER_BIND_TO_PORT, else PORT, else 8080; StartError naming the key where it is no port."""
    for key in ("SAGEMAKER_BIND_TO_PORT", "PORT"):
        if value := environment.get(key):
            if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= 65535):
                raise StartError(f"{key}={value!r} is no port; give a number from 1 to 65535")
            return int(value)
    return 8080


def model(
    environment: Mapping[str, str], mounted: Path = MOUNTED_MODEL, built_in: Path = BUILT_IN_MODEL
) -> dict[str, str]:
    """The settings that name the model: the mounted one if there is one, else RISKLINE_MODEL, else the image's.

    The image's must not answer in the place of one that failed to arrive: StartError where something empty is mounted.
    A multi-model endpoint starts with nothing and is given models later; until then it proves itself with the image's.
    """
    if mounted.is_dir() and any(mounted.iterdir()):
        return {"RISKLINE_MODEL": str(mounted)}
    if given := environment.get("RISKLINE_MODEL"):
        return {"RISKLINE_MODEL": given}
    if environment.get("SAGEMAKER_MULTI_MODEL", "").lower() == "true":
        return {"RISKLINE_MODEL": str(built_in), "RISKLINE_NAMED_ONLY": "true"}
    if mounted.is_dir():
        raise StartError(
            f"{mounted} is empty; mount a model there, or set RISKLINE_MODEL={built_in} for the one in the image"
        )
    return {"RISKLINE_MODEL": str(built_in)}


def record(environment: Mapping[str, str]) -> str:
    """Decisions are recorded where there is a place for them: what stays in a container is gone when it ends."""
    return environment.get("RISKLINE_RECORD") or ("durable" if environment.get("RISKLINE_DECISIONS") else "none")


def command(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The program that `serve` or `score` stands for; StartError for anything else."""
    name, *options = arguments or ["serve"]
    if name == "serve":
        where = ["--host", environment.get("BENTOML_HOST", ANYWHERE), "--port", str(port(environment))]
        drain = ["--timeout-graceful-shutdown", str(DRAIN_S)]
        return [sys.executable, "-m", "bentoml", "serve", "service:Riskline", *where, *drain, *options]
    if name == "score":
        return [sys.executable, "-m", "model.score", *options]
    raise StartError(f"{name!r} is no command; {USAGE}")


def check_free(host: str, number: int) -> None:
    """StartError where the port is taken or not allowed; the server would say so in the middle of a traceback."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself: an ended one does not count
        try:
            probe.bind((host, number))
        except OSError as error:
            raise StartError(f"port {number} cannot be taken ({error.strerror}); set PORT to another") from None


def is_healthy(host: str, number: int) -> bool:
    """Whether the service answers that it is ready, by HTTP or, where it was started with a certificate, by HTTPS."""
    here = {ANYWHERE: "127.0.0.1", "::": "::1"}.get(host, host)
    # the certificate is made out to another name than this, and nothing secret is said
    anybody = ssl._create_unverified_context()  # noqa: S323 - see above
    return _is_ready(http.client.HTTPConnection(here, number, timeout=HEALTHY_WITHIN_S)) or _is_ready(
        http.client.HTTPSConnection(here, number, timeout=HEALTHY_WITHIN_S, context=anybody)
    )


def _is_ready(connection: http.client.HTTPConnection) -> bool:
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main() -> None:
    host = os.environ.get("BENTOML_HOST", ANYWHERE)
    try:
        if sys.argv[1:] == ["health"]:
            sys.exit(0 if is_healthy(host, port(os.environ)) else 1)
        program = command(sys.argv[1:], os.environ)
        os.environ.update(model(os.environ))
        if "serve" in program:
            check_free(host, port(os.environ))
            os.environ["RISKLINE_RECORD"] = record(os.environ)
    except StartError as error:
        sys.exit(f"riskline: {error}")
    os.execv(program[0], program)  # noqa: S606 - no shell: signals and the exit code are the program's own


if __name__ == "__main__":
    main()
