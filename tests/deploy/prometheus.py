"""A real Prometheus with the shipped configuration, but a scrape each second."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from loadtest.server import HOST, running_server
from tests.deploy.conftest import DEPLOY

CONFIGURATION = DEPLOY / "prometheus/prometheus.yml"
_DURATION = re.compile(r"(\[|for: )(\d+)([mh])\b")  # not those in labels, as in window="24h"
_SIXTIETH = {"m": "s", "h": "m"}


@contextmanager
def running_prometheus(program: Path, watched: str, folder: Path, sixty_times_faster: bool = False) -> Iterator[str]:
    """The address of one that watches the server at `watched`; its files go to `folder`.

    `sixty_times_faster` makes a second of every minute in the rules, and changes nothing else of them.
    """
    configuration = yaml.safe_load(CONFIGURATION.read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for name in configuration["rule_files"]:
        rules = (CONFIGURATION.parent / name).read_text()
        if sixty_times_faster:
            rules = _DURATION.sub(lambda found: f"{found[1]}{found[2]}{_SIXTIETH[found[3]]}", rules)
        (folder / name).write_text(rules)
    [job] = configuration["scrape_configs"]
    job["static_configs"] = [{"targets": [watched.removeprefix("http://")]}]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    options = f"--config.file={folder}/prometheus.yml --storage.tsdb.path={folder}/data --web.listen-address={HOST}:$0"
    with running_server({}, command=("sh", "-c", f"exec {program} {options}"), ready_path="/-/ready") as running:
        yield running.url
