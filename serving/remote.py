"""Where an application goes that was collected elsewhere: a SageMaker endpoint, or a Riskline at an address.

Both are asked as SageMaker asks: POST /invocations, JSON in and out, and custom attributes that say where it came from.
"""

import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any, NamedTuple, Protocol
from urllib.error import HTTPError

from pydantic_core import from_json

from serving.errors import STATUS

JSON = "application/json"
Told = Mapping[str, Any]  # a score, or an error: error, message, detail
CONNECT_WITHIN_S = 2.0
_PROBLEM = ("field", "rule", "message")
_NOT_OURS = {401, 403, 404, 405}  # what is wrong with the way in, not with the application
_BUSY = {"ThrottlingException", "TooManyRequestsException"}
_AWAY = {"ServiceUnavailable", "ServiceUnavailableException", "ModelNotReadyException", "InternalDependencyException"}
_TOLD = {
    "overloaded": "there is more to do than can be answered in time; ask again in a second",
    "not_ready": "the service is not there; ask again later",
    "timeout": "the answer took too long",
}


class Order(NamedTuple):
    """An application as JSON, its attributes, and the decision's id where its sender has chosen one."""

    application: bytes
    attributes: str
    decision_id: str | None = None


class Remote(Protocol):
    """Whoever scores."""

    def ask(self, order: Order) -> Told:
        """The score, or the error that its sender is to be told; raises what only an operator should see."""


class Unusable(RuntimeError):
    """What was asked is no Riskline, or does not let us in; the message quotes nothing of an application."""


class Endpoint:
    """A SageMaker endpoint. `client` is boto3's for `sagemaker-runtime`; None makes one at the first question."""

    def __init__(self, name: str, timeout_s: float, client: Any = None) -> None:
        self._name, self._timeout_s, self._client = name, timeout_s, client

    def ask(self, order: Order) -> Told:
        from botocore.exceptions import ClientError, HTTPClientError  # whoever asks no endpoint does without

        if self._client is None:
            self._client = _runtime(self._timeout_s)
        named = {"InferenceId": order.decision_id} if order.decision_id else {}
        try:
            answer = self._client.invoke_endpoint(
                EndpointName=self._name,
                Body=order.application,
                ContentType=JSON,
                Accept=JSON,
                CustomAttributes=order.attributes,
                **named,
            )
            return told_by(answer["Body"].read())
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "ModelError":  # the container has answered, with a status that is no success
                return told_by(error.response.get("OriginalMessage", "").encode())
            if code in _BUSY | _AWAY:
                return _told("overloaded" if code in _BUSY else "not_ready")
            raise
        except HTTPClientError:  # no connection, or no answer in time
            return _told("timeout")


class Service:
    """A Riskline at an address, with a key if it asks for one."""

    def __init__(self, address: str, timeout_s: float, key: str = "") -> None:
        self._address, self._timeout_s, self._key = f"{address.rstrip('/')}/invocations", timeout_s, key

    def ask(self, order: Order) -> Told:
        headers = {
            "Content-Type": JSON,
            "Accept": JSON,
            "X-Amzn-SageMaker-Custom-Attributes": order.attributes,
            **({"X-Amzn-SageMaker-Inference-Id": order.decision_id} if order.decision_id else {}),
            **({"Authorization": f"Bearer {self._key}"} if self._key else {}),
        }
        asked = urllib.request.Request(self._address, order.application, headers)  # noqa: S310 - an operator's address
        try:
            with urllib.request.urlopen(asked, timeout=self._timeout_s) as answer:  # noqa: S310 - an operator's address
                return told_by(answer.read())
        except HTTPError as error:
            with error:
                return told_by(error.read())
        except TimeoutError:
            return _told("timeout")
        except (OSError, HTTPException):  # nobody there, or gone in the middle of it
            return _told("not_ready")


def told_by(body: bytes) -> Told:
    """A Riskline's answer; Unusable for another's, and for an error that is not about the application."""
    try:
        told = from_json(body)
    except ValueError:
        told = None
    if isinstance(told, dict) and "probability" in told:
        return told
    if not isinstance(told, dict) or not _is_error(told):
        raise Unusable("the answer is none of Riskline's")
    if STATUS[told["error"]] in _NOT_OURS:
        raise Unusable(f"the answer is {told['error']}")
    return told


def _is_error(told: Mapping[str, Any]) -> bool:
    code, message, detail = told.get("error"), told.get("message"), told.get("detail")
    texts = [code, message]
    for problem in detail if isinstance(detail, list) else (None,):
        texts += [problem.get(key) for key in _PROBLEM] if isinstance(problem, dict) else [None]
    return all(isinstance(text, str) for text in texts) and code in STATUS


def _told(code: str) -> Told:
    return {"error": code, "message": _TOLD[code], "detail": []}


def _runtime(timeout_s: float) -> Any:
    import boto3
    from botocore.config import Config

    # one try: a second one after a timeout would be a second decision
    once = Config(connect_timeout=CONNECT_WITHIN_S, read_timeout=timeout_s, retries={"total_max_attempts": 1})
    return boto3.client("sagemaker-runtime", config=once)
