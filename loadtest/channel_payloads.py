"""Applications as the channels write them, for tests and figures.

Numbers have at most three decimals, and are never written so that they could be read as two.
"""

import csv
import io
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from loadtest.channel_paper import Paper
from preprocessing.channels import forms, webform
from preprocessing.channels.collected import Payload
from preprocessing.channels.mobile import VERSION
from preprocessing.channels.names import camel, pascal, yes_and_no
from preprocessing.encode import FIELDS
from preprocessing.fields import Category

Values = Mapping[str, Any]
_BOUNDARY = "riskline-boundary"


def written(value: str | float) -> str:
    """A value as a person writes it; three decimals get a zero behind them, for they could be thousands."""
    if isinstance(value, str):
        return value
    text = f"{value:.3f}".rstrip("0").rstrip(".")
    return text + "0" if len(text.partition(".")[2]) == 3 else text


def texts(values: Values) -> dict[str, str]:
    """What was said, in texts; what is missing is left out."""
    return {name: written(value) for name, value in values.items() if value is not None}


def write_mobile(values: Values) -> bytes:
    return json.dumps({VERSION: "2.4.1", **{camel(name): value for name, value in values.items()}}).encode()


def write_webform(values: Values) -> bytes:
    return urlencode(texts(values)).encode()


def write_multipart(values: Values) -> tuple[bytes, str]:
    """The body, and its media type with the boundary."""
    parts = "".join(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
        for name, text in texts(values).items()
    )
    return f"{parts}--{_BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={_BOUNDARY}"


def slot(original: str, interpreted: str | None = None) -> dict[str, Any]:
    interpreted = original if interpreted is None else interpreted
    value = {"originalValue": original, "interpretedValue": interpreted, "resolvedValues": [interpreted]}
    return {"shape": "Scalar", "value": value}


def lex_event(slots: Mapping[str, Any], source: str = "FulfillmentCodeHook", **rest: Any) -> dict[str, Any]:
    intent = {"name": "Apply", "state": "ReadyForFulfillment", "confirmationState": "None", "slots": slots}
    event = {"messageVersion": "1.0", "invocationSource": source, "inputMode": "Text", "bot": {"localeId": "en_US"}}
    return {**event, "sessionState": {"sessionAttributes": {"campaign": "spring"}, "intent": intent}, **rest}


def write_lex(values: Values) -> bytes:
    """An application as slots that Lex has filled."""
    slots = {
        pascal(field.name): None if values.get(field.name) is None else slot(written(values[field.name]))
        for field in FIELDS
    }
    return json.dumps(lex_event(slots)).encode()


def dialogflow_request(session: Mapping[str, Any], form: Mapping[str, Any], **rest: Any) -> dict[str, Any]:
    parameters = [
        {"displayName": name, "required": True, "state": "EMPTY" if value is None else "FILLED", "value": value}
        for name, value in form.items()
    ]
    return {
        "languageCode": "en",
        "fulfillmentInfo": {"tag": "score"},
        "pageInfo": {"displayName": "The loan", "formInfo": {"parameterInfo": parameters}},
        "sessionInfo": {"session": "projects/p/agents/a/sessions/s", "parameters": dict(session)},
        **rest,
    }


def write_dialogflow(values: Values) -> bytes:
    """An application as parameters of a session, the last of them in a form as well."""
    session = {name.replace("_", "-"): value for name, value in values.items() if value is not None}
    return json.dumps(dialogflow_request(session, dict([*session.items()][-3:]))).encode()


def connect_event(attributes: Mapping[str, Any], parameters: Mapping[str, Any], language: str = "en-US") -> Any:
    contact = {"Attributes": dict(attributes), "ContactId": "4a573372", "LanguageCode": language, "Channel": "VOICE"}
    return {"Details": {"ContactData": contact, "Parameters": dict(parameters)}, "Name": "ContactFlowEvent"}


def write_connect(values: Values) -> bytes:
    """An application as a contact's attributes, the last of them parameters."""
    texts = {camel(name): "" if value is None else written(value) for name, value in values.items()}
    return json.dumps(connect_event(dict([*texts.items()][:-3]), dict([*texts.items()][-3:]))).encode()


def write_textract(values: Values) -> bytes:
    """Captions with the unit, boxes for yes and no, a box for each word of another category."""
    paper = Paper()
    for field in FIELDS:
        value, kind = values.get(field.name), field.kind
        if not isinstance(kind, Category):
            answer = "" if value is None else written(value)
            paper.write(f"{kind.label} ({kind.unit}):", answer)
        elif words := yes_and_no(kind):
            paper.write(f"{kind.label}:", "Yes", value == words[True], "No", value == words[False])
        else:
            for word, label in kind.values.items():
                paper.write(label, value == word)
    return paper.body()


def write_sheet(values: Values, separator: str = ",") -> bytes:
    """A header of labels and a row."""
    sheet = io.StringIO()
    rows = csv.writer(sheet, delimiter=separator)
    rows.writerow(field.kind.label for field in FIELDS)
    row = (values.get(field.name) for field in FIELDS)
    cells = ["" if value is None else written(value) for value in row]
    rows.writerow(cell.replace(".", ",") if separator == ";" else cell for cell in cells)
    return sheet.getvalue().encode()


def payloads(values: Values) -> dict[str, tuple[str, Payload]]:
    """An application as it comes by every form: the form's name → the channel and the payload."""
    body, boundary = write_multipart(values)
    return {
        "webform": ("webform", Payload(write_webform(values), webform.URLENCODED)),
        "multipart": ("webform", Payload(body, boundary)),
        "mobile": ("mobile", Payload(write_mobile(values), forms.JSON)),
        "lex": ("chatbot", Payload(write_lex(values), forms.JSON)),
        "dialogflow": ("chatbot", Payload(write_dialogflow(values), forms.JSON)),
        "connect": ("phone", Payload(write_connect(values), forms.JSON)),
        "textract": ("mail", Payload(write_textract(values), forms.JSON)),
        "sheet": ("mail", Payload(write_sheet(values), forms.CSV)),
    }
