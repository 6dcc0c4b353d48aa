"""Events of API Gateway around a request, after the examples in its documentation."""

import base64
from typing import Any


def _body(body: bytes, is_base64: bool) -> dict[str, Any]:
    text = base64.b64encode(body).decode() if is_base64 else body.decode()
    return {"body": text if body else None, "isBase64Encoded": is_base64}


def http_event(path: str, body: bytes, headers: dict[str, str], is_base64: bool = False) -> dict[str, Any]:
    """An HTTP API's, payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "POST /channels/{channel}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"host": "api.lender.example", **{name.lower(): value for name, value in headers.items()}},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "r3pmxmplak",
            "domainName": "api.lender.example",
            "http": {
                "method": "POST",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "okhttp/4.12",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "POST /channels/{channel}",
            "stage": "$default",
            "time": "27/Nov/2026:09:12:44 +0000",
            "timeEpoch": 1795770764000,
        },
        "pathParameters": {"channel": path.rpartition("/")[2]},
        **_body(body, is_base64),
    }


def rest_event(path: str, body: bytes, headers: dict[str, str], is_base64: bool = False) -> dict[str, Any]:
    """A REST API's, payload format 1.0."""
    return {
        "resource": "/channels/{channel}",
        "path": path,
        "httpMethod": "POST",
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "pathParameters": {"channel": path.rpartition("/")[2]},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "70ixmpl4fl",
            "httpMethod": "POST",
            "identity": {"sourceIp": "192.0.2.1", "userAgent": "okhttp/4.12"},
            "path": f"/v1{path}",
            "protocol": "HTTP/1.1",
            "requestId": "e1506fd5-9e7b-434f-bd42-4f8fa224b599",
            "resourcePath": "/channels/{channel}",
            "stage": "v1",
        },
        **_body(body, is_base64),
    }


def balancer_event(path: str, body: bytes, headers: dict[str, str], is_base64: bool = False) -> dict[str, Any]:
    """A load balancer's, with multi-value headers switched on."""
    arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/riskline/6d0ecf831eec9f09"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": "POST",
        "path": path,
        "multiValueQueryStringParameters": {},
        "multiValueHeaders": {name.lower(): ["text/plain", value] for name, value in headers.items()},
        **_body(body, is_base64),
    }
