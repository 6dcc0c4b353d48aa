"""The channels' own routes: a payload as its source sends it → an application, scored as any other → an answer as its
source wants it. Payloads are taken apart, and answers put together, in `preprocessing/channels/`.
"""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import Executor

from pydantic_core import from_json, to_json

from decisions.record import CHANNELS, Channel, Origin
from preprocessing.channels import forms, gateway
from preprocessing.channels.collected import Collected, Payload
from preprocessing.errors import RisklineError
from serving import attributes
from serving.bodies import as_file
from serving.errors import STATUS, ErrorAnswer, UnsupportedMediaType
from serving.formats import JSON
from serving.invocations import CUSTOM_ATTRIBUTES, MOST_OF_ONE
from serving.messages import Request, Worked
from serving.turn import Asked, Turn

PREFIX = "/channels/"
CHANNEL_OF: dict[str, Channel] = {PREFIX + channel: channel for channel in CHANNELS if channel in forms.FORMS}
MAIL = PREFIX + "mail"
MOST_OF_A_MAIL = 4 * 2**20  # bytes of what was read off some pages, with the place of every word


def most_bytes(path: str) -> tuple[int, str]:
    """The limit of a body, and what it is the limit of."""
    return (MOST_OF_A_MAIL, "one mail") if path == MAIL else (MOST_OF_ONE, "one application")


def collected_before(headers: Mapping[bytes, bytes], origin: Origin) -> tuple[Origin, tuple[str, ...]]:
    """The origin of an application that was collected on its way here, by the Lambda in front, and what that was unsure
    of; without such a Lambda `origin` itself, and nothing.
    """
    said = attributes.read(headers.get(CUSTOM_ATTRIBUTES, b""))
    channel = CHANNEL_OF.get(PREFIX + said.channel) if said else None
    if said is None or channel is None:
        return origin, ()
    source = {"sha256": said.sha256} | ({"unsure": said.unsure} if said.unsure else {})
    return origin._replace(channel=channel, source=to_json(source)), said.unsure


async def collect(
    request: Request,
    origin: Origin,
    explain: bool,
    decision_id: str | None,
    least: float,
    turn: Turn,
    threads: Executor,
) -> Worked:
    """Scores what came by the channel that `origin` names. Values read with less confidence than `least` are unsure."""
    started = time.perf_counter()
    payload = _payload(request)
    if len(payload.body) <= MOST_OF_ONE:
        collected, is_wrapped = _read(origin.channel, payload, least)
    else:
        loop = asyncio.get_running_loop()
        collected, is_wrapped = await loop.run_in_executor(threads, _read, origin.channel, payload, least)
    decoded = time.perf_counter()
    seconds = {"decode": decoded - started}
    try:
        collected.check()
        asked = Asked(
            collected.row, explain, origin._replace(source=collected.source()), decoded, decision_id, collected.unsure
        )
        answered = await turn.score(asked)
    except RisklineError as error:
        code, json = error.code, to_json(ErrorAnswer.of(error))
    else:
        code, json = answered.refused.code if answered.refused else "", answered.json.encode()
        seconds |= answered.seconds
    status = STATUS[code] if code and not forms.is_dialogue(collected) else 200
    if code or not forms.is_as_told(collected):
        json = to_json(forms.answer(collected, from_json(json)))
    if is_wrapped:
        status, json = 200, to_json(gateway.wrapped(status, {"content-type": JSON}, json.decode()))
    return Worked(status, JSON, json, seconds, code)


def _payload(request: Request) -> Payload:
    headers = request.headers
    body = request.body if isinstance(request.body, bytes) else as_file(request.body).read()
    media_type = headers.get(b"content-type", JSON.encode()).decode("latin-1")
    return Payload(body, media_type, gateway.first_language(headers.get(b"accept-language", b"").decode("latin-1")))


def _read(channel: Channel, payload: Payload, least: float) -> tuple[Collected, bool]:
    """A payload as an application, and whether it came in an event of API Gateway."""
    inner = gateway.unwrapped(payload)
    collected = forms.read(channel, inner or payload, least)
    if collected is None:
        raise UnsupportedMediaType(f"the Content-Type must be one of {', '.join(forms.media_types(channel))}")
    return collected, inner is not None
