"""What a request to /invocations asks for: its headers and its formats. The scoring itself is `api.py`'s, as ever.

A JSON body that is one application and wants JSON goes the way of /predict; all else goes the way of
/predict_batch, with a line of the answer for every line of the body.
"""

import re
from collections.abc import Iterator, Mapping
from typing import BinaryIO, NamedTuple

from preprocessing.decode import decode_application
from preprocessing.encode import Batch, encode
from preprocessing.errors import MalformedBody
from serving.bodies import Body, as_file, size_of
from serving.errors import AnswerTooLarge, BodyTooLarge, InvalidHeader
from serving.formats import CSV, FORMATS, JSON, LINES, Format, format_accepted, format_of, has_header, line_by_line
from serving.hosting import Hosting
from serving.messages import text
from serving.outputs import selected
from serving.recording import callers_id
from serving.settings import Settings

CUSTOM_ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"
INFERENCE_ID = b"x-amzn-sagemaker-inference-id"
ENABLE_EXPLANATIONS = b"x-amzn-sagemaker-enable-explanations"
MOST_OF_ONE = 64 * 1024  # bytes of one application

_ATTRIBUTES = re.compile(rb"[ -~]{0,1024}")
_ENVELOPE = re.compile(rb'\s*\{\s*"applications"\s*:')
_YES_OR_NO = {b"true": True, b"`true`": True, b"false": False, b"`false`": False}
_ANY = (None, b"*/*", b"application/json")


def _read_one(source: BinaryIO, most_rows: int) -> Iterator[Batch]:  # noqa: ARG001
    yield encode(decode_application(source.read()))


def _read_one_or_lines(source: BinaryIO, most_rows: int) -> Iterator[Batch]:
    """SplitType=Line cuts a file of JSON Lines into bodies of one line or many, and calls them what the job does."""
    try:
        batch = encode(decode_application(source.read()))
    except MalformedBody:
        source.seek(0)
        lines, _ = line_by_line(FORMATS[LINES], FORMATS[LINES])
        yield from lines.read(source, most_rows)
    else:
        yield batch


ONE = Format(JSON, _read_one, FORMATS[JSON].write)
_ONE_OR_LINES = Format(LINES, _read_one_or_lines, FORMATS[LINES].write)


class Asked(NamedTuple):
    """`formats` in and out, None where /predict's own are meant; `explain` None where the request does not say."""

    formats: tuple[Format, Format] | None
    explain: bool | None
    decision_id: str | None


_AS_PREDICT = Asked(None, None, None)


class Invocations:
    """Reads requests to /invocations under the settings of the image and of SageMaker."""

    def __init__(self, settings: Settings, hosting: Hosting) -> None:
        self._outputs, self._is_batch = hosting.inference_output, hosting.batch
        self._as_predict = not self._outputs and not self._is_batch
        if hosting.max_payload_in_mb is None:
            megabytes, self._setting = settings.max_invocation_mb, "RISKLINE_MAX_INVOCATION_MB"
        elif hosting.max_payload_in_mb:
            megabytes, self._setting = hosting.max_payload_in_mb, "SAGEMAKER_MAX_PAYLOAD_IN_MB"
        else:
            megabytes, self._setting = settings.max_bulk_mb, "RISKLINE_MAX_BULK_MB"
        self._most_bytes = int(megabytes * 2**20)
        # a job takes an answer of any size from the container; an endpoint's caller would not get it
        self._holds_back = not hosting.batch and hosting.max_payload_in_mb is None

    def most_bytes(self) -> tuple[int, str]:
        """The limit of a body, and the setting that it comes from."""
        return self._most_bytes, self._setting

    def check_answer(self, body: Body) -> None:
        """AnswerTooLarge, and the body closed, for one that would be lost between here and the caller."""
        size = size_of(body)
        if self._holds_back and size > self._most_bytes:
            if not isinstance(body, bytes):
                body.close()
            mib, limit = round(size / 2**20, 1), round(self._most_bytes / 2**20, 3)
            raise AnswerTooLarge(
                f"the answer would have {mib:g} MiB, which is above the limit of {limit:g} MiB ({self._setting}); "
                "send fewer rows at once, or ask for text/csv or no reasons"
            )

    def asked(self, headers: Mapping[bytes, bytes], body: Body, size: int) -> Asked:
        """What is asked for; an error for a header, a type or a size that cannot be, before anything is scored."""
        if self._is_as_predict(headers, body, size):
            return _AS_PREDICT
        explain = _YES_OR_NO.get(headers.get(ENABLE_EXPLANATIONS, b"").strip().lower())
        sent_id = headers.get(INFERENCE_ID)
        decision_id = None if sent_id is None else callers_id(INFERENCE_ID, sent_id)
        if CUSTOM_ATTRIBUTES in headers and attributes(headers) is None:
            raise InvalidHeader(f"{CUSTOM_ATTRIBUTES.decode()} must be at most 1,024 visible ASCII characters")
        content_type, accept = headers.get(b"content-type"), headers.get(b"accept")
        sent = FORMATS[JSON] if content_type == b"application/json" else format_of(text(content_type))
        one = sent.media_type == JSON and not _ENVELOPE.match(_beginning(body))
        if one and size > MOST_OF_ONE and not self._is_batch:
            raise BodyTooLarge(f"one application is larger than the limit of {MOST_OF_ONE >> 10} KiB")
        if one and self._as_predict and accept in _ANY:
            return Asked(None, explain, decision_id)
        return Asked(self._formats(sent, text(accept), one, body), explain, decision_id)

    def _is_as_predict(self, headers: Mapping[bytes, bytes], body: Body, size: int) -> bool:
        """Whether it is plainly one application and nothing else: most requests are, and need no closer look."""
        return (
            self._as_predict
            and size <= MOST_OF_ONE
            and headers.get(b"content-type") == b"application/json"
            and headers.get(b"accept") in _ANY
            and isinstance(body, bytes)
            and b'"applications"' not in body
            and CUSTOM_ATTRIBUTES not in headers
            and INFERENCE_ID not in headers
            and ENABLE_EXPLANATIONS not in headers
        )

    def _formats(self, sent: Format, accept: str | None, one: bool, body: Body) -> tuple[Format, Format] | None:
        wanted = format_accepted(accept, sent)
        if one and self._as_predict and wanted.media_type == JSON:
            return None
        file = as_file(body)
        header = wanted.media_type == CSV == sent.media_type and has_header(file)
        media_type = wanted.media_type
        if one and self._is_batch and media_type == JSON:
            wanted = FORMATS[LINES]
        sent, wanted = line_by_line(sent, wanted, header)
        if one:
            sent = _ONE_OR_LINES if self._is_batch else ONE
        if self._outputs:
            wanted = selected(wanted, self._outputs, header)
        return sent, wanted._replace(media_type=media_type)


def attributes(headers: Mapping[bytes, bytes]) -> bytes | None:
    """The custom attributes that go back with the answer, unless they are none that may."""
    sent = headers.get(CUSTOM_ATTRIBUTES)
    return sent if sent is not None and _ATTRIBUTES.fullmatch(sent) else None


def _beginning(body: Body) -> bytes:
    return body if isinstance(body, bytes) else as_file(body).read(1024)
