"""Requests that nobody should send, drawn from a seed: what `loadtest/hostile.py` sends and tests send a few of.

Values, names and paths of the caller's own carry a mark each (`hostile_bad.py`).
"""

import json
from collections.abc import Callable
from random import Random

import pyarrow as pa

from loadtest.hostile_bad import NAME, PATH, VALUE, Bad, mark_of
from loadtest.hostile_files import ARROW, BOMBS, EXAMPLE, PARQUET, WORD, arrow, parquet, table
from loadtest.hostile_raw import raw

JSON, LINES, CSV = "application/json", "application/jsonlines", "text/csv"
TYPES = (JSON, LINES, CSV, ARROW, PARQUET)
SCORING = ("/predict", "/predict_batch", "/explain", "/invocations")
CHANNELS = (
    "/channels/webform",
    "/channels/mobile",
    "/channels/phone",
    "/channels/mail",
)  # a dialogue says its slots again
TENSORS = "/v2/models/riskline/infer"
POSTS = (*SCORING, *CHANNELS, TENSORS, "/outcomes", "/decisions/1/review", "/models", "/models/x/invoke", "/reload")
GETS = (
    "/", "/docs.json", "/schema.json", "/livez", "/readyz", "/ping", "/execution-parameters", "/model", "/model/report",
    "/model/thresholds", "/drift", "/metrics", "/decisions", "/decisions/1", "/models", "/models/x", "/console/",
    "/console", "/console/app.js", "/v2", "/v2/health/ready", "/v2/models/riskline", "/v2/models/riskline/ready",
)  # fmt: skip
METHODS = ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
LONGEST_HEAD = 40_000
_CONFUSABLE = str.maketrans("aeopcxi", "\u0430\u0435\u043e\u0440\u0441\u0445\u0456")  # Cyrillic that looks the same


def bad_request(chance: Random) -> Bad:
    """The next one of the many kinds, once they are prepared."""
    make: Callable[[Random], Bad] = chance.choices(_KINDS, _WEIGHTS)[0]
    return make(chance)


def _odd_value(chance: Random) -> str:
    """JSON text in the place of a value."""
    mark = mark_of(chance)
    deep = chance.choice((5, 100, 199, 201, 5000))
    return chance.choice(
        (
            f'"{mark}"', f'["{mark}"]', f'{{"{mark_of(chance, NAME)}":"{mark}"}}', f'"{mark * 100}"',
            f'"\\ud800{mark}"', f'"{mark}\\u0000"', f'"\u202e{mark}\ufeff"', mark, "NaN", "-Infinity", "1e999",
            "-1e999", "9" * 400, "9" * 5000, "1" * 20, "-0", "1e-400", "0." + "3" * 3000, "true", "null", "", "[]",
            "{}", "0x1F", "1_0", "+1", "[" * deep + "]" * deep, '{"a":' * deep + "1" + "}" * deep,
        )
    )  # fmt: skip


def _odd_name(chance: Random) -> str:
    known = chance.choice(list(EXAMPLE))
    return chance.choice(
        (
            "__proto__", "constructor", "prototype", "__class__", "__init__", "$where", "toString", "", known.upper(),
            known.translate(_CONFUSABLE), known + "\u200b", f" {known}", known, mark_of(chance, NAME), "\\ud800",
            "x" * 500 + mark_of(chance, NAME), f"{known}[]", f"{known}.$gt", "\\u0000", "applications", "root_input",
        )
    )  # fmt: skip


def _application(chance: Random) -> str:
    """A good one with something odd in it."""
    pairs = [(name, json.dumps(value)) for name, value in EXAMPLE.items()]
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(pairs))
        pairs[place] = chance.choice(((pairs[place][0], _odd_value(chance)), (_odd_name(chance), pairs[place][1])))
        if chance.random() < 0.3:
            pairs.insert(chance.randrange(len(pairs)), (_odd_name(chance), _odd_value(chance)))
    return "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"


def _outcome(chance: Random) -> str:
    date = chance.choice(('"2026-11-25"', '"0000-00-00"', f'"{mark_of(chance)}"', _odd_value(chance)))
    return f'{{"decision_id":"{mark_of(chance, PATH)}","outcome":{_odd_value(chance)},"date":{date}}}'


def _json(chance: Random) -> Bad:
    path = chance.choice(POSTS)
    text = _outcome(chance) if path == "/outcomes" else _application(chance)
    some = ",".join([text] * chance.choice((1, 1, 3)))
    envelope = chance.choice(('{"applications":[%s]}', '{"applications":%s}', '{"outcomes":[%s]}', "[%s]", "%s", "%s"))
    body = (envelope % some).encode("utf-8", "surrogatepass")
    cut = chance.random()
    if cut < 0.2:
        body = body[: chance.randrange(len(body))]
    elif cut < 0.3:
        body = _flipped(chance, body)
    query = chance.choice(("", "", "?explain=true", "?timing=true", f"?explain={mark_of(chance)}"))
    return Bad("json", "POST", path + query, [("Content-Type", JSON)], body)


def _tensors(chance: Random) -> Bad:
    """One row in the Open Inference Protocol with something odd in it, and now and then in the wrong place."""
    inputs = []
    for name, value in EXAMPLE.items():
        datatype = "BYTES" if isinstance(value, str) else chance.choice(("FP64", "FP64", "INT64", "BOOL"))
        told = _odd_name(chance) if chance.random() < 0.03 else name
        data = _odd_value(chance) if chance.random() < 0.1 else json.dumps(value)
        size = chance.randrange(-1, 99)
        more = f',"parameters":{{"binary_data_size":{size}}}' if chance.random() < 0.1 else ""
        inputs.append(f'{{"name":"{told}","shape":[1],"datatype":"{datatype}","data":[{data}]{more}}}')
    text = f'{{"inputs":[{",".join(inputs)}]}}'.encode("utf-8", "surrogatepass")
    body = _perhaps_flipped(chance, text + (b"" if chance.random() < 0.7 else mark_of(chance).encode()))
    json_bytes = chance.choice((str(len(text)), str(chance.randrange(len(body) + 9)), mark_of(chance)))
    own = [("Inference-Header-Content-Length", json_bytes)] if chance.random() < 0.4 else []
    return Bad("tensors", "POST", TENSORS, [("Content-Type", JSON), *own], body)


def _lines(chance: Random) -> Bad:
    rows = [_application(chance) if chance.random() < 0.8 else _odd_value(chance) for _ in range(chance.randrange(6))]
    body = chance.choice(("\n", "\r\n", "\n\n", "\r")).join(rows).encode("utf-8", "surrogatepass")
    path = chance.choice((*SCORING, "/outcomes"))
    return Bad("json lines", "POST", path, [("Content-Type", LINES)], _perhaps_flipped(chance, body))


def _csv(chance: Random) -> Bad:
    header = ",".join(_odd_name(chance) if chance.random() < 0.05 else name for name in EXAMPLE) + "\n"
    rows: list[list[str]] = []
    for _ in range(chance.randrange(8)):
        cells = [str(value) for value in EXAMPLE.values()]
        cells[chance.randrange(len(cells))] = chance.choice(
            (
                mark_of(chance),
                f'"{mark_of(chance)}',
                f"={mark_of(chance)}",
                '"',
                "\0",
                "1e999",
                "nan",
                "\r",
                f"{mark_of(chance)},",
                "",
            )
        )
        rows.append(cells)
    body = _perhaps_flipped(chance, "\n".join(",".join(cells) for cells in rows).encode())
    if chance.random() < 0.8:  # whole: what stands in the first line counts as names, which may be repeated
        body = header.encode() + body
    return Bad("csv", "POST", chance.choice((*SCORING, "/outcomes")), [("Content-Type", CSV)], body)


_FILES: dict[str, tuple[bytes, ...]] = {}
_BOMBS: dict[str, bytes] = {}


def prepare() -> None:
    """Makes the files that are sent again and again, good but for a mark in place of a word; safe to call again."""
    if _FILES:
        return
    marked = table(40, **{WORD: pa.array([f"{VALUE}{row:012x}" for row in range(40)])})
    _BOMBS.update({name: make() for name, (_, make) in BOMBS.items()})
    _FILES[ARROW] = (arrow(marked), arrow(marked, "zstd"), arrow(marked, "lz4"))
    _FILES[PARQUET] = (
        parquet(marked),
        parquet(marked, compression="zstd", row_group_size=9),
        parquet(marked, use_dictionary=False, data_page_version="2.0"),
    )


def _columns(chance: Random) -> Bad:
    media_type = chance.choice((ARROW, PARQUET))
    body = chance.choice(_FILES[media_type])
    body = body[: chance.randrange(len(body))] if chance.random() < 0.3 else _flipped(chance, body)
    accept = chance.choice(("*/*", JSON, CSV, media_type))
    path = chance.choice(("/predict_batch", "/invocations"))
    return Bad(media_type, "POST", path, [("Content-Type", media_type), ("Accept", accept)], body)


def _bomb(chance: Random) -> Bad:
    name = chance.choice(list(BOMBS))
    path = chance.choice(("/predict_batch", "/invocations"))
    return Bad("bomb", "POST", path, [("Content-Type", BOMBS[name][0]), ("Accept", JSON)], _BOMBS[name])


def _noise(chance: Random) -> Bad:
    body = chance.randbytes(chance.choice((0, 1, 10, 300, 5000))) + mark_of(chance).encode()
    return Bad("random bytes", "POST", chance.choice(POSTS), [("Content-Type", chance.choice(TYPES))], body)


def _method(chance: Random) -> Bad:
    path = chance.choice((*POSTS, *GETS))
    return Bad("method", chance.choice(METHODS), f"{path}?x={mark_of(chance)}", [("X-Mark", mark_of(chance))], b"")


def _path(chance: Random) -> Bad:
    mark, known = mark_of(chance, PATH), chance.choice((*POSTS, *GETS))
    path = chance.choice(
        (
            f"/{mark}", f"{known}/../{mark}", f"/../../etc/{mark}", f"/%2e%2e/{mark}", f"//{mark}", f"//{known}",
            f"{known}/", f"{known}%00{mark}", f"/%00{mark}", f"/{mark}{'x' * 3000}", f"/{mark}{'%2f' * 500}",
            f"{known}%2f..%2f{mark}", f"/{mark}\u00e4", f"/{mark}%ff%fe", f"/{mark}%ud800", f"/{mark};a=b",
            f"/{mark}#frag", f"/./{mark}", f"/{mark}\\..\\", f"/static_content/../{mark}",
            f"/static_content/%2e%2e/{mark}", f"/static_content/{mark}", known.upper(), f"/decisions/{mark}",
            f"/decisions/{mark}/review", f"/models/{mark}", f"/models/{mark}/invoke", f"/models/..%2f..%2f{mark}",
            f"http://{mark}/{known}", f"/{mark}%0d%0aX-Injected:%201", f"/{mark}%", "*",
        )
    )  # fmt: skip
    return Bad("path", chance.choice(("GET", "POST", "POST", "DELETE")), path, [], b"{}")


def _query(chance: Random) -> Bad:
    mark, name = mark_of(chance), mark_of(chance, NAME)
    query = chance.choice(
        (
            name, f"explain={mark}", f"limit={mark}", f"limit={'9' * 400}", "limit=-1", "cursor=99999999999999999999",
            f"{name}=1", f"state={mark}", f"since={mark}", "since=0000-01-01T00:00:00Z",
            "since=9999-12-31T23:59:59-23:59", f"tier[]={mark}", f"model_version={mark * 10}", "limit=1&limit=2",
            "%00=%00", "=", "&&&", f"x={'y' * 8000}{mark}", "limit=%ff", f"until=2026-11-25T00:00:00%2b99:99{mark}",
            f"channel={mark}", "order=%F0%9F%92%A9", "limit=١٢", f"a={mark}%0d%0aX:1", f"proof={mark}",
            "replay=true&replay=true",
        )
    )  # fmt: skip
    path = chance.choice(
        ("/decisions", "/decisions", "/decisions/1", "/models", "/predict", "/drift", "/metrics", "/invocations")
    )
    return Bad("query", chance.choice(("GET", "POST")), f"{path}?{query}", [("Content-Type", JSON)], b"{}")


def _header(chance: Random) -> Bad:
    mark = mark_of(chance)
    name, value = chance.choice(
        (
            ("Content-Type", f"text/{mark}"), ("Content-Type", f"application/json; charset={mark}"),
            ("Content-Type", f"{mark}\udcff"), ("Content-Type", "application/json;" * 500), ("Accept", mark),
            ("Accept", f"*/*;q={mark}"), ("Accept", "text/csv;q=nan"), ("Accept", ",".join(["a/b;q=0.1"] * 900)),
            ("Accept-Encoding", mark), ("User-Agent", mark), ("Cookie", f"a={mark}"),
            ("Authorization", f"Bearer {mark}"), ("Authorization", f"Basic {mark}"), ("X-API-Key", mark),
            ("X-API-Key", f"riskline_{mark}"), ("X-API-Key", f"riskline_hostile_{mark}\udcff"), ("traceparent", mark),
            ("traceparent", f"00-{'0' * 32}-{'0' * 16}-01"), ("tracestate", f"a={mark}"),
            ("baggage", f"{mark}={mark}"), ("Origin", f"http://{mark}"), ("Referer", mark), ("Range", mark),
            ("If-None-Match", mark), ("X-Request-Id", f"two words {mark}"), ("X-Request-Id", f"{mark}{'x' * 200}"),
            ("Idempotency-Key", f"two words {mark}"), ("Idempotency-Key", f"{mark}{'x' * 300}"),
            ("X-Forwarded-For", mark), ("X-Forwarded-Proto", mark),
            ("X-Amzn-SageMaker-Custom-Attributes", f"{mark}\udcff"),
            ("X-Amzn-SageMaker-Custom-Attributes", f"{mark}{'x' * 1100}"),
            ("X-Amzn-SageMaker-Inference-Id", f'"{mark}"'), ("X-Amzn-SageMaker-Inference-Id", f"{mark}{'x' * 100}"),
            ("X-Amzn-SageMaker-Enable-Explanations", mark), ("X-Amzn-SageMaker-Target-Model", f"../{mark}"),
            ("Content-Encoding", mark), ("X-HTTP-Method-Override", mark), ("Expect", mark), ("Upgrade", mark),
            ("Host", mark), ("Connection", mark), ("X-" + "y" * 5000, mark),
            ("X-Long", mark + "z" * (LONGEST_HEAD - 5000)), ("X-Riskline-Channel", mark), ("Payload-Container", mark),
        )
    )  # fmt: skip
    path, method = chance.choice([*[(path, "POST") for path in POSTS], *[(path, "GET") for path in GETS]])
    own = [] if name == "Content-Type" or method == "GET" else [("Content-Type", JSON)]
    return Bad(
        "header",
        method,
        path,
        [(name, value), *own],
        b"" if method == "GET" else _application(chance).encode("utf-8", "replace"),
    )


def _flipped(chance: Random, body: bytes) -> bytes:
    damaged = bytearray(body)
    for _ in range(chance.choice((1, 3, 20)) if damaged else 0):
        damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def _perhaps_flipped(chance: Random, body: bytes) -> bytes:
    return _flipped(chance, body) if chance.random() < 0.2 else body


_WEIGHED: tuple[tuple[Callable[[Random], Bad], int], ...] = (
    (_json, 30), (_lines, 10), (_csv, 10), (_columns, 12), (_noise, 8), (_method, 5), (_path, 8), (_query, 5),
    (_header, 10), (raw, 5), (_bomb, 1), (_tensors, 8),
)  # fmt: skip
_KINDS, _WEIGHTS = zip(*_WEIGHED, strict=True)
