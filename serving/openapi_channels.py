"""The part of the OpenAPI document for the channels' routes."""

import csv
import io
from collections.abc import Mapping
from typing import Any

from preprocessing.channels import forms
from serving.channels import CHANNEL_OF
from serving.formats import JSON
from serving.openapi_operating import error

_TAKES = {
    "webform": "a web form as a browser sends it",
    "mobile": "the app's JSON, fields in camelCase",
    "chatbot": "an event of Amazon Lex V2 or a webhook request of Dialogflow CX, answered as these want it",
    "phone": "an event of Amazon Connect, or a contact's attributes alone; answered as flat attributes",
    "mail": "what Amazon Textract read off the pages of one application, or a row that a clerk has typed",
}
_PLAIN_JSON = ("mobile", "phone")  # take fields and values alone
_STATUSES = (400, 409, 410, 413, 415, 422, 500, 503, 504)
_LANGUAGE = {
    "name": "Accept-Language",
    "in": "header",
    "description": "In which language numbers are written, as `de-CH`.",
    "schema": {"type": "string"},
}
_OBJECT = {JSON: {"schema": {"type": "object"}}}


def channel_paths(parameters: list[dict[str, Any]], application: Mapping[str, Any]) -> dict[str, Any]:
    """Each channel's path; `parameters` are those of all scoring routes, `application` an example of one."""
    return {
        path: {"post": _taking(channel, [*parameters, _LANGUAGE], application)} for path, channel in CHANNEL_OF.items()
    }


def _taking(channel: str, parameters: list[dict[str, Any]], application: Mapping[str, Any]) -> dict[str, Any]:
    media_types = dict.fromkeys((*forms.media_types(channel), JSON))
    bodies = {media_type: _body(channel, media_type, application) for media_type in media_types}
    refused = {str(status): error(status) for status in _STATUSES}
    if channel == "phone":
        refused |= {status: {**answer, "content": _OBJECT} for status, answer in refused.items()}
    return {
        "summary": f"Score one application that comes as {_TAKES[channel]}",
        "description": "An event of API Gateway around it is taken too, and answered as one.",
        "parameters": parameters,
        "requestBody": {"required": True, "content": bodies},
        "responses": {"200": {"description": "Scored, or the next turn of a dialogue", "content": _OBJECT}, **refused},
    }


def _body(channel: str, media_type: str, application: Mapping[str, Any]) -> dict[str, Any]:
    if media_type == forms.CSV:
        sheet = io.StringIO()
        csv.writer(sheet, lineterminator="\n").writerows([application, application.values()])
        return {"schema": {"type": "string"}, "example": sheet.getvalue()}
    body: dict[str, Any] = {"schema": {"type": "object"}}
    # the events of other services are as their documents have them: docs/channels.md has one of each
    is_plain = media_type != JSON or channel in _PLAIN_JSON
    return {**body, "example": application} if is_plain else body
