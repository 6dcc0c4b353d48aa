"""The paths of the Open Inference Protocol, in front of both lanes; the worker's `Api` answers what is to be scored."""

from pydantic_core import to_json
from starlette.types import ASGIApp, Receive, Scope, Send

from preprocessing.errors import RisklineError
from serving import metrics
from serving.api import Api
from serving.errors import ErrorAnswer, NotFound
from serving.fastlane import FastLane, send_answer
from serving.messages import Answer, json_answer
from serving.v2 import (
    ASKED_MOST,
    INFER,
    LIVE,
    MODEL,
    READY,
    SERVER,
    Found,
    about_model,
    about_server,
    check_model,
    error_at,
    is_v2,
    route_of,
)
from serving.v2_outputs import NAME

_LIVE = json_answer(b'{"live":true}')
_READY, _NOT_READY = json_answer(b'{"ready":true}'), json_answer(b'{"ready":false}', 503)._replace(error="not_ready")


class InferenceRoutes:
    """Answers every path below /v2 and hands everything else to `then`. `named_only`: nobody chose a model, so that
    there is none here."""

    def __init__(self, lane: FastLane, then: ASGIApp, named_only: bool) -> None:
        self._lane, self._then, self._named_only = lane, then, named_only

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_v2(path := scope["path"]):
            return await self._then(scope, receive, send)
        api = self._lane.api()
        if path == ASKED_MOST and scope["method"] == "POST" and api is not None and not self._named_only:
            return await self._lane.serve(api, INFER, scope, receive, send)
        found = route_of(path)
        if found is None:
            answer = error_at(path, ErrorAnswer("not_found", f"there is no {path[:64]}"))
        elif scope["method"] != found.method:
            answer = _not_allowed(path, scope["method"], found)
        elif found.route == LIVE:
            answer = _LIVE
        elif api is None:
            answer = _NOT_READY if found.route == READY else error_at(path, _NO_MODEL_YET)
        else:
            try:
                if found.name:
                    self._check(found, api)
                if found.route == INFER:
                    return await self._lane.serve(api, INFER, scope, receive, send, found.version)
                answer = _shown(found, api)
            except RisklineError as error:
                answer = error_at(path, ErrorAnswer.of(error))
        metrics.count_request(found.route if found else "other", answer.status, 0.0, error=answer.error)
        return await send_answer(send, answer)

    def _check(self, found: Found, api: Api) -> None:
        """NotFound for a model or a version that is not here."""
        if self._named_only:
            raise NotFound("this endpoint has models by name only: POST /models/{name}/invoke, after POST /models")
        check_model(found.name, found.version, api.artifact)


_NO_MODEL_YET = ErrorAnswer("not_ready", "the model has not proved itself yet")


def _shown(found: Found, api: Api) -> Answer:
    if found.route == SERVER:
        return json_answer(to_json(about_server()))
    if found.route == READY:
        return _READY if api.is_ready else _NOT_READY
    if found.route == MODEL:
        return json_answer(to_json(about_model(api.artifact)))
    ready = api.is_ready
    return json_answer(to_json({"name": NAME, "ready": ready}), 200 if ready else 503)


def _not_allowed(path: str, method: str, found: Found) -> Answer:
    answer = error_at(path, ErrorAnswer("method_not_allowed", f"Method Not Allowed: {method} {found.route}"))
    return answer._replace(headers=[*answer.headers, (b"allow", found.method.encode())])
