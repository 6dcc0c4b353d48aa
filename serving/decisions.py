"""Where the paths of decisions and channels lead, in front of both lanes: to the worker's `Api`, like all others.

    GET /decisions   GET /decisions/{id}   POST /decisions/{id}/review   POST /outcomes   POST /channels/{channel}

A caller may have chosen an id with slashes in it: whatever stands between the ends of the path is the id.
"""

from typing import NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from serving import metrics
from serving.channels import CHANNEL_OF
from serving.fastlane import FastLane, send_answer
from serving.messages import NOT_READY, not_allowed
from serving.reviewing import LIST, ONE_DECISION, OUTCOMES, REVIEW

_PREFIX, _REVIEW = f"{LIST}/", "/review"


class Route(NamedTuple):
    """A route, the method that it allows, and the id in the path."""

    route: str
    method: str
    decision_id: str


class DecisionRoutes:
    """Answers the paths of decisions and hands everything else to `then`."""

    def __init__(self, lane: FastLane, then: ASGIApp) -> None:
        self._lane, self._then = lane, then

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or (found := route_of(scope["method"], scope["path"])) is None:
            return await self._then(scope, receive, send)
        route, method, decision_id = found
        if scope["method"] == method and (api := self._lane.api()) is not None:
            return await self._lane.serve(api, route, scope, receive, send, decision_id)
        answer = NOT_READY if scope["method"] == method else not_allowed(scope["method"], route, method)
        metrics.count_request(route, answer.status, 0.0, error=answer.error)
        return await send_answer(send, answer)


def route_of(method: str, path: str) -> Route | None:
    """Which route a path is; None for those that are somebody else's."""
    if path == LIST:
        return Route(LIST, "GET", "")
    if path in CHANNEL_OF:
        return Route(path, "POST", "")
    if path == OUTCOMES:
        return Route(OUTCOMES, "POST", "")
    if not path.startswith(_PREFIX):
        return None
    rest = path.removeprefix(_PREFIX)
    if method != "GET" and rest.endswith(_REVIEW):
        return Route(REVIEW, "POST", rest.removesuffix(_REVIEW))
    return Route(ONE_DECISION, "GET", rest)
