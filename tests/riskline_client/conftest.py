"""A service that is asked by both clients: with keys, and with small limits, so that much has to be sent in pieces."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from loadtest.server import Server, running_server
from serving.keys import new_key, write_keys
from tests.riskline_client.asking import KINDS, Kind

MOST_ROWS, MOST_BULK_ROWS = 30, 250


class Guarded(NamedTuple):
    """`key` opens everything that the client asks, `slow` once a second, `blind` nothing but /drift and its like."""

    server: Server
    url: str
    key: str
    slow: str
    blind: str


@pytest.fixture(scope="session")
def guarded(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    made = [
        new_key("all", ["score", "review", "read"]),
        new_key("slow", ["score"], per_second=1),
        new_key("blind", ["operate"]),
    ]
    file = tmp_path_factory.mktemp("client") / "keys.json"
    write_keys(file, [kept for _, kept in made])
    settings = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "2",
        "RISKLINE_KEYS": str(file),
        "RISKLINE_MAX_ROWS": str(MOST_ROWS),
        "RISKLINE_MAX_BULK_ROWS": str(MOST_BULK_ROWS),
        "RISKLINE_MAX_BULK_MB": "0.03",  # somewhat more than so many rows
    }
    with running_server(settings) as server:
        yield Guarded(server, server.url, *[text for text, _ in made])


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which of the two clients asks."""
    return request.param  # type: ignore[no-any-return]
