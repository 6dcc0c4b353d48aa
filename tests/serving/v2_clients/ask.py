"""Asks a server as Triton's and KServe's own clients do, and prints what they understood.

python ask.py URL < inputs.json        # {"name": ["FP64", [1.5, …]], …}
"""

import asyncio
import json
import sys
from typing import Any

import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

URL, MODEL = sys.argv[1], "riskline"
INPUTS = json.load(sys.stdin)


def array(datatype: str, values: list[Any]) -> np.ndarray:
    return np.array(values, np.object_ if datatype == "BYTES" else np.float64)


def filled(kind: type, binary: bool, inputs: dict[str, Any] = INPUTS) -> list[Any]:
    made = []
    for name, (datatype, values) in inputs.items():
        made.append(kind(name, [len(values)], datatype))
        made[-1].set_data_from_numpy(array(datatype, values), binary_data=binary)
    return made


def plain(values: np.ndarray) -> list[Any]:
    return [
        value.decode() if isinstance(value, bytes) else None if value != value else value for value in values.tolist()
    ]


def asked_by_triton() -> dict[str, Any]:
    with triton.InferenceServerClient(URL.removeprefix("http://")) as client:
        metadata = client.get_model_metadata(MODEL)
        version = metadata["versions"][0]
        names = [output["name"] for output in metadata["outputs"]]
        wanted = [triton.InferRequestedOutput(name, binary_data=False) for name in names]
        told = {
            "binary": client.infer(MODEL, filled(triton.InferInput, True), request_id="a"),
            "json": client.infer(
                MODEL, filled(triton.InferInput, False), version, wanted, parameters={"explain": True}
            ),
        }
        try:
            client.infer(MODEL, filled(triton.InferInput, True, {"unheard of": ["FP64", [1.0]]}))
            error = ""
        except InferenceServerException as refused:
            error = f"{refused.status()} {refused.message()}"
        return {
            "live": client.is_server_live(),
            "ready": client.is_server_ready(),
            "model ready": client.is_model_ready(MODEL) and client.is_model_ready(MODEL, version),
            "other model ready": client.is_model_ready("another"),
            "server": client.get_server_metadata(),
            "metadata": metadata,
            "ids": [told["binary"].get_response()["id"]],
            "error": error,
            **{
                form: {
                    output["name"]: plain(result.as_numpy(output["name"]))
                    for output in result.get_response()["outputs"]
                }
                for form, result in told.items()
            },
        }


async def asked_by_kserve() -> dict[str, Any]:
    async with InferenceRESTClient(RESTConfig(protocol="v2")) as client:
        told = {}
        for form, binary in (("binary", True), ("json", False)):
            request = InferRequest(MODEL, filled(InferInput, binary), request_id=form)
            told[form] = await client.infer(URL, request, model_name=MODEL)
        return {
            "live": await client.is_server_live(URL),
            "ready": await client.is_server_ready(URL),
            "model ready": await client.is_model_ready(URL, MODEL),
            "ids": [answer.id for answer in told.values()],
            **{
                form: {output.name: plain(output.as_numpy()) for output in answer.outputs}
                for form, answer in told.items()
            },
        }


print(json.dumps({"triton": asked_by_triton(), "kserve": asyncio.run(asked_by_kserve())}))  # noqa: T201 - to whoever runs it
