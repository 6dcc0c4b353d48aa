"""What is no HTTP, or HTTP of which two readers make two things: one of them would see a second request in the body."""

from random import Random

from loadtest.hostile_bad import PATH, Bad, mark_of

_POST = "POST /predict HTTP/1.1\r\nHost: x\r\nX-API-Key: <key>\r\nContent-Type: application/json\r\n"
_WEBSOCKET = (
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
_H2C = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
_SECOND = f"GET /{PATH}smuggled HTTP/1.1\r\nHost: x\r\n\r\n"


def raw(chance: Random) -> Bad:
    """One of them."""
    mark, inside = mark_of(chance), len(_SECOND)
    text = chance.choice(
        (
            f"{_POST}Content-Length: 0\r\nContent-Length: {inside}\r\n\r\n{_SECOND}",
            f"{_POST}Content-Length: 0, {inside}\r\n\r\n{_SECOND}",
            f"{_POST}Content-Length: +{inside}\r\n\r\n{_SECOND}", f"{_POST}Content-Length: -1\r\n\r\n{_SECOND}",
            f"{_POST}Content-Length: 0x10\r\n\r\n{_SECOND}", f"{_POST}Content-Length: {'9' * 40}\r\n\r\n{_SECOND}",
            f"{_POST}Content-Length: {inside}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{_SECOND}",
            f"{_POST}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{_SECOND}",
            f"{_POST}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{_SECOND}",
            f"{_POST}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{_SECOND}",
            f"{_POST}Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{_SECOND}",
            f"{_POST}Transfer-Encoding: chunked\r\n\r\nzz\r\n{mark}",
            f"{_POST}Transfer-Encoding: chunked\r\n\r\n-1\r\n{mark}",
            f"{_POST}Transfer-Encoding: chunked\r\n\r\n{'f' * 20}\r\n{mark}",
            f"{_POST}Transfer-Encoding: chunked\r\n\r\n5\n{mark}",
            f"{_POST}Transfer-Encoding: chunked\r\n\r\n2\r\n{mark}\r\n0\r\n\r\n",
            f"{_POST}Content-Length : 3\r\n\r\n{{}}", f"{_POST}X Mark: {mark}\r\n\r\n",
            f"{_POST}X-Mark: a\r\n {mark}\r\nContent-Length: 0\r\n\r\n", f"GET /livez HTTP/1.1\nHost: x\n\n{mark}",
            f"GET /livez HTTP/1.1\r\nHost: x\r\n: {mark}\r\n\r\n",
            f"GET /livez HTTP/1.1\r\nX-Mark: a\0{mark}\r\n\r\n", f"GET /livez HTTP/1.1\r\nX-Mark: a\r{mark}\r\n\r\n",
            f"GET /livez HTTP/9.9\r\nX-Mark: {mark}\r\n\r\n", f"GET /livez\r\nX-Mark: {mark}\r\n\r\n",
            f"{mark} /livez HTTP/1.1\r\n\r\n", f"GET  /livez  HTTP/1.1\r\nX-Mark: {mark}\r\n\r\n",
            f"GET /li\tvez{mark} HTTP/1.1\r\n\r\n", f"\x16\x03\x01\x02{mark}",
            f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{mark}", f"CONNECT {mark}:443 HTTP/1.1\r\nHost: x\r\n\r\n",
            f"\r\n\r\n{mark}\r\n\r\n", f"GET /livez HTTP/1.1\r\nHost: x\r\nX-Mark: {mark}{'x' * 200_000}\r\n\r\n",
            f"GET /{'x' * 200_000} HTTP/1.1\r\nHost: x\r\n\r\n",
            f"GET /livez HTTP/1.1\r\nHost: x\r\n{''.join(f'X-{n}: {mark}{chr(13)}{chr(10)}' for n in range(3000))}\r\n",
            f"GET /{mark_of(chance, PATH)}?{mark} HTTP/1.1\r\nHost: x\r\n{_WEBSOCKET}X-Mark: {mark}\r\n\r\n",
            f"{_POST}{_H2C}HTTP2-Settings: {mark}\r\nContent-Length: 2\r\n\r\n{{}}",
        )
    )  # fmt: skip
    return Bad("raw", "", "", [], text.encode("latin-1", "replace"), is_http=False)
