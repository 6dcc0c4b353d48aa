"""Which form a channel's payload has: `read` takes it apart, `answer` says in its own terms what became of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from preprocessing.channels import connect, dialogflow, lex, mobile, sheet, textract, webform
from preprocessing.channels.collected import Collected, Payload

JSON, CSV = "application/json", "text/csv"
Told = Mapping[str, Any]  # a score's JSON object, or an error's: error, message, detail


class Form(NamedTuple):
    """One way of saying an application, in a body of one of `media_types`.

    A body with one of `marks` in it has this form; without any it has the first form of its channel and media type.
    In a dialogue a refusal is the next question, and no failure.
    """

    name: str
    read: Callable[[Payload, float], Collected]
    answer: Callable[[Collected, Told], object]
    media_types: tuple[str, ...] = (JSON,)
    marks: tuple[bytes, ...] = ()
    is_dialogue: bool = False


def as_told(collected: Collected, told: Told) -> object:
    """What the service says anyway, with fields called as the sender knows them."""
    return {**told, "detail": collected.called(told["detail"])} if "error" in told else told


FORMS: dict[str, tuple[Form, ...]] = {
    "webform": (Form(webform.FORM, webform.read, as_told, (webform.URLENCODED, webform.MULTIPART)),),
    "mobile": (Form(mobile.FORM, mobile.read, as_told),),
    "chatbot": (
        Form(lex.FORM, lex.read, lex.answer, marks=(b'"sessionState"',), is_dialogue=True),
        Form(
            dialogflow.FORM,
            dialogflow.read,
            dialogflow.answer,
            marks=(b'"sessionInfo"', b'"fulfillmentInfo"'),
            is_dialogue=True,
        ),
    ),
    "phone": (Form(connect.FORM, connect.read, connect.answer),),
    "mail": (Form(textract.FORM, textract.read, as_told), Form(sheet.FORM, sheet.read, as_told, (CSV,))),
}
_BY_NAME = {form.name: form for forms in FORMS.values() for form in forms}


def media_types(channel: str) -> tuple[str, ...]:
    """What a channel's bodies may be."""
    return tuple(dict.fromkeys(media_type for form in FORMS[channel] for media_type in form.media_types))


def read(channel: str, payload: Payload, least: float) -> Collected | None:
    """A payload as an application, whatever is in it; None where the channel has no form of this media type.

    Values read with less confidence than `least` are unsure.
    """
    media_type = payload.media_type.partition(";")[0].strip().lower()
    fitting = [form for form in FORMS[channel] if media_type in form.media_types]
    marked = (form for form in fitting if any(mark in payload.body for mark in form.marks))
    form = next(marked, fitting[0] if fitting else None)
    return form.read(payload, least) if form else None


def answer(collected: Collected, told: Told) -> object:
    """What the sender is told, ready to be written as JSON."""
    return _BY_NAME[collected.form].answer(collected, told)


def is_as_told(collected: Collected) -> bool:
    """Whether a score is answered as it is."""
    return _BY_NAME[collected.form].answer is as_told


def is_dialogue(collected: Collected) -> bool:
    """Whether a refusal is an answer like any other."""
    return _BY_NAME[collected.form].is_dialogue
