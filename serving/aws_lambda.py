"""The channels in front of an endpoint: an AWS Lambda that makes applications of what they send.

    Lex, Connect or API Gateway → event → handler → application → a SageMaker endpoint, or a Riskline elsewhere

What is no valid application is answered at once and costs the endpoint nothing. The handler is
`serving.aws_lambda.handler`; `make lambda` packs it. Beside the standard library it needs msgspec, numpy, pydantic and
text2num, and for an endpoint boto3, which Lambda's Python has.

    RISKLINE_ENDPOINT        the SageMaker endpoint; or
    RISKLINE_URL             another Riskline's address, with RISKLINE_KEY if it asks for one
    RISKLINE_CHANNEL         the channel; where it is not set, requests name it: …/channels/{channel}
    RISKLINE_LOW_CONFIDENCE  0.9, as the service's own setting
    RISKLINE_TIMEOUT_S       7: Connect waits for 8 seconds
"""

import json
import logging
import os
import re
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache

from pydantic_core import to_json

from preprocessing.channels import forms, gateway
from preprocessing.channels.collected import LOW_CONFIDENCE, Collected, Payload
from preprocessing.errors import InvalidApplication, RisklineError
from serving import attributes
from serving.errors import STATUS, ErrorAnswer, InvalidHeader, NotFound, UnsupportedMediaType
from serving.remote import JSON, Endpoint, Order, Remote, Service, Told

DEFAULTS = {
    "RISKLINE_ENDPOINT": "",
    "RISKLINE_URL": "",
    "RISKLINE_KEY": "",
    "RISKLINE_CHANNEL": "",
    "RISKLINE_LOW_CONFIDENCE": str(LOW_CONFIDENCE),
    "RISKLINE_TIMEOUT_S": "7",
}
_IDEMPOTENCY_KEY = "idempotency-key"
_ID = re.compile(r"[!#-\[\]-~]{1,64}")  # as the service takes it
_BROKEN = ErrorAnswer("internal_error", "something broke on our side; the log says what")
log = logging.getLogger("riskline.lambda")


def handler(event: object, context: object) -> object:  # noqa: ARG001 - as Lambda calls it
    """The channel's own answer to an event, wrapped where the event is API Gateway's."""
    return _front().answer(event)


class Front:
    """Answers events. `channel` is "" where requests name it; values read with less confidence than `least` are unsure.

    `answer` takes an event as Lambda hands it over, out of its JSON, and gives what Lambda will write as JSON.
    """

    def __init__(self, remote: Remote, channel: str = "", least: float = LOW_CONFIDENCE) -> None:
        self._remote, self._channel, self._least = remote, channel, least

    def answer(self, event: object) -> object:
        request, collected = gateway.request_in(event), None
        try:
            channel = self._channel or _channel_of(request)
            payload = request.payload if request else Payload(json.dumps(event).encode(), JSON)
            collected = self._collected(channel, payload)
            told = self._told(channel, collected, _id_in(request))
        except RisklineError as error:
            told = asdict(ErrorAnswer.of(error))
        except Exception:
            log.exception("unexpected error")
            told = asdict(_BROKEN)
        said = forms.answer(collected, told) if collected else told
        if request is None:
            return said
        is_refusal = "error" in told and not (collected and forms.is_dialogue(collected))
        status = STATUS[told["error"]] if is_refusal else 200
        return gateway.wrapped(status, {"content-type": JSON}, to_json(said).decode())

    def _collected(self, channel: str, payload: Payload) -> Collected:
        collected = forms.read(channel, payload, self._least)
        if collected is None:
            raise UnsupportedMediaType(f"the Content-Type must be one of {', '.join(forms.media_types(channel))}")
        return collected

    def _told(self, channel: str, collected: Collected, decision_id: str | None) -> Told:
        collected.check()
        row = collected.row
        if isinstance(row, InvalidApplication):
            raise row
        said = attributes.written(attributes.Attributes(channel, collected.sha256, collected.unsure))
        return self._remote.ask(Order(row.model_dump_json().encode(), said, decision_id))


def front(environment: Mapping[str, str]) -> Front:
    """As the environment says; ValueError, with key and value, where it says something that cannot be."""
    set_to = {key: environment.get(key, "") or default for key, default in DEFAULTS.items()}
    endpoint, address = set_to["RISKLINE_ENDPOINT"], set_to["RISKLINE_URL"]
    if bool(endpoint) == bool(address):
        raise ValueError(f"either RISKLINE_ENDPOINT ({endpoint!r}) or RISKLINE_URL ({address!r}) must be set")
    if address and not address.startswith(("https://", "http://")):
        raise ValueError(f"RISKLINE_URL must begin with https:// or http://, and is {address!r}")
    channel = set_to["RISKLINE_CHANNEL"]
    if channel and channel not in forms.FORMS:
        raise ValueError(f"RISKLINE_CHANNEL must be one of {', '.join(forms.FORMS)}, and is {channel!r}")
    timeout_s = _number(set_to, "RISKLINE_TIMEOUT_S", 0.1, 900)
    remote = Endpoint(endpoint, timeout_s) if endpoint else Service(address, timeout_s, set_to["RISKLINE_KEY"])
    return Front(remote, channel, _number(set_to, "RISKLINE_LOW_CONFIDENCE", 0, 1))


@cache
def _front() -> Front:
    return front(os.environ)


def _number(set_to: Mapping[str, str], key: str, low: float, high: float) -> float:
    try:
        number = float(set_to[key])
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise ValueError(f"{key} must be a number from {low} to {high}, and is {set_to[key]!r}")
    return number


def _channel_of(request: gateway.Request | None) -> str:
    """The last part of a request's path."""
    if request is None:
        raise LookupError("an event that is no request names no channel: RISKLINE_CHANNEL must be set")
    channel = request.path.rstrip("/").rpartition("/")[2]
    if channel not in forms.FORMS:
        raise NotFound(f"the path must end in one of {', '.join(forms.FORMS)}")
    return channel


def _id_in(request: gateway.Request | None) -> str | None:
    """The id that a request wants its decision to have."""
    sent = request.headers.get(_IDEMPOTENCY_KEY) if request else None
    if sent is None:
        return None
    if not _ID.fullmatch(sent.strip('"')):
        raise InvalidHeader(
            f"{_IDEMPOTENCY_KEY} must be 1 to 64 visible ASCII characters without spaces, quotes and backslashes"
        )
    return sent.strip('"')
