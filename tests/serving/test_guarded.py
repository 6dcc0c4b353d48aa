"""A real server that asks for keys, on the paths of both lanes."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtest.server import HOST, SERVE, Server, ServerNotReadyError, running_server
from serving.keys import Key, new_key, write_keys
from tests.generated import EXAMPLE

pytestmark = pytest.mark.slow

GUARDED = [
    ("POST", "/predict"), ("POST", "/predict_batch"), ("POST", "/explain"), ("POST", "/invocations"), ("GET", "/model"),
    ("GET", "/model/report"), ("GET", "/model/thresholds"), ("GET", "/drift"), ("GET", "/metrics"),
    ("GET", "/decisions"), ("GET", "/decisions/1"), ("POST", "/decisions/1/review"), ("POST", "/outcomes"),
    ("GET", "/nothing"),
]  # fmt: skip


@pytest.fixture(scope="module", params=["fast", "bentoml"])
def lane(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A file of keys, and what their owners have."""
    made: dict[str, tuple[str, Key]] = {
        "shop": new_key("shop", ["score"]),
        "once": new_key("once", ["score"], per_day=1),
        "eyes": new_key("eyes", ["read", "review"]),
    }
    file = tmp_path_factory.mktemp("keys") / "keys.json"
    write_keys(file, [key for _, key in made.values()])
    return file, {name: text for name, (text, _) in made.items()}


@pytest.fixture(scope="module")
def guarded(model_folder: Path, texts: tuple[Path, dict[str, str]], lane: str) -> Iterator[Server]:
    settings = {
        "RISKLINE_MODEL": str(model_folder),
        "RISKLINE_WORKERS": "1",
        "RISKLINE_KEYS": str(texts[0]),
        "RISKLINE_FAST_LANE": str(lane == "fast").lower(),
    }
    with running_server(settings) as server:
        yield server


def ask(server: Server, method: str, path: str, key: str = "") -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    return httpx.request(method, server.url + path, json=EXAMPLE if method == "POST" else None, headers=headers)


def test_without_a_key_only_what_tells_nothing_is_open(guarded: Server) -> None:
    for method, path in GUARDED:
        answer = ask(guarded, method, path)
        assert (answer.status_code, answer.json()["error"]) == (401, "unauthorized"), path
    for path in ("/", "/docs.json", "/livez", "/readyz", "/ping", "/execution-parameters"):
        assert ask(guarded, "GET", path).status_code == 200, path


def test_each_key_opens_what_its_scopes_say(guarded: Server, texts: tuple[Path, dict[str, str]]) -> None:
    shop, eyes = texts[1]["shop"], texts[1]["eyes"]
    assert ask(guarded, "POST", "/predict", shop).status_code == 200
    assert ask(guarded, "GET", "/decisions", shop).status_code == 403
    assert ask(guarded, "POST", "/predict", eyes).status_code == 403
    shown = ask(guarded, "GET", "/decisions", eyes)
    assert (shown.status_code, shown.headers["cache-control"]) == (200, "no-store")
    assert 'riskline_key_requests_total{key="shop"' in ask(guarded, "GET", "/metrics", eyes).text


def test_a_quota_is_told_and_kept(guarded: Server, texts: tuple[Path, dict[str, str]]) -> None:
    answers = [ask(guarded, "POST", "/predict", texts[1]["once"]) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 429]
    assert answers[0].headers["ratelimit"].startswith('"day";r=0;t=')
    assert answers[1].json()["error"] == "quota_exceeded"
    assert int(answers[1].headers["retry-after"]) > 0


def test_bentomls_client_brings_its_token(guarded: Server, texts: tuple[Path, dict[str, str]]) -> None:
    # in a process of its own, since the client leaves warnings and a folder behind
    script = (
        "import bentoml, json, sys\n"
        "url, token, example = sys.argv[1:]\n"
        "print(bentoml.SyncHTTPClient(url, token=token).predict(json.loads(example))['tier'])"
    )
    command = [sys.executable, "-c", script, guarded.url, texts[1]["shop"], json.dumps(EXAMPLE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("low", "medium", "high"), done.stderr


def test_no_other_origin_may_call_from_a_browser(guarded: Server) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        asked = {"origin": "https://example.com", "access-control-request-method": "POST"}
        for path in ("/predict", "/docs.json", "/livez"):
            answer = httpx.request(method, guarded.url + path, headers=asked)
            assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_the_page_loads_nothing_from_elsewhere_and_is_shown_by_nobody_else(guarded: Server) -> None:
    policy = ask(guarded, "GET", "/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src 'self';" in policy


def test_on_another_interface_the_service_does_not_start_without_keys(model_folder: Path) -> None:
    command = [word if word != HOST else "0.0.0.0" for word in SERVE]
    settings = {"RISKLINE_MODEL": str(model_folder)}
    with pytest.raises(ServerNotReadyError) as refused, running_server(settings, command=command):
        pass
    assert "RISKLINE_KEYS=none" in str(refused.value)
    assert "Traceback" not in str(refused.value)
