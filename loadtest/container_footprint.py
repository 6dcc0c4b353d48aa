"""Size, start-up time and memory of the image: the figures of README's section on the container.

make container && python -m loadtest.container_footprint
"""

import argparse
import json
import sys
import time

import httpx

from loadtest.container import Container, Docker, DockerError, running_container
from loadtest.footprint import EXAMPLE, REQUESTS

MIB = 2**20


def footprint(docker: Docker, image: str) -> dict[str, float]:
    """Measured on one core with one worker, read-only, with the model in the image. Sizes are uncompressed."""
    total, own = _sizes(docker, image)
    started = time.perf_counter()
    with running_container(docker, image) as container, httpx.Client(base_url=container.url) as client:
        ready = time.perf_counter() - started
        client.post("/predict", json=EXAMPLE).raise_for_status()
        idle = _memory(container)
        for _ in range(REQUESTS):
            client.post("/predict", json=EXAMPLE).raise_for_status()
        return {
            "MiB of the image": round(total / MIB),
            "MiB without its base": round(own / MIB),
            "seconds from docker run to ready, one core": round(ready, 1),
            "MiB of memory when idle, one worker": round(idle / MIB),
            f"MiB after {REQUESTS:,} requests": round(_memory(container) / MIB),
        }


def _sizes(docker: Docker, image: str) -> tuple[int, int]:
    """Bytes of all layers, and of those that the Dockerfile's last stage adds: the ones since its first label."""
    layers = docker("history", "--no-trunc", "--human=false", "--format={{.Size}}\t{{.CreatedBy}}", image).splitlines()
    sizes = [int(layer.split("\t")[0]) for layer in layers]  # newest first
    first = max(number for number, layer in enumerate(layers) if "org.opencontainers.image.title" in layer)
    return sum(sizes), sum(sizes[: first + 1])


def _memory(container: Container) -> int:
    """Bytes that the container's processes have of their own, files in the page cache left out."""
    script = (
        "from pathlib import Path; v1 = Path('/sys/fs/cgroup/memory/memory.stat')\n"
        "stat = dict(line.split() for line in (v1 if v1.exists() else Path('/sys/fs/cgroup/memory.stat')).open())\n"
        "print(stat['total_rss'] if v1.exists() else stat['anon'])"
    )
    return int(container.execute("python", "-c", script))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m loadtest.container_footprint", description="Measure the image.")
    parser.add_argument("image", nargs="?", default="riskline")
    try:
        print(json.dumps(footprint(Docker(), parser.parse_args().image), indent=1))  # noqa: T201
    except DockerError as error:
        sys.exit(f"riskline: {str(error).splitlines()[-1]}; `make container` builds the image")


if __name__ == "__main__":
    main()
