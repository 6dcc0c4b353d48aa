"""The same scoring as a good engineer writes it by hand: FastAPI, pydantic, ONNX Runtime, no framework for models.

MODEL=folder uvicorn app:app --loop uvloop --http httptools --no-access-log
"""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime
from fastapi import Body, FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

HOMES = {None: float("nan"), "owner": 0, "parents": 1, "priv": 2, "rent": 3, "other": 4, "ignore": 5}
RECORDS = {"no": 0, "yes": 1}
JOBS = {None: float("nan"), "fixed": 0, "freelance": 1, "partime": 2, "others": 3}
NAN = float("nan")


class Application(BaseModel):
    model_config = ConfigDict(extra="forbid")

    seniority: float = Field(ge=0, le=60)
    home: Literal["owner", "parents", "priv", "rent", "other", "ignore"] | None = None
    time: float = Field(ge=1, le=480)
    age: float = Field(ge=18, le=110)
    marital: Literal["single", "married", "separated", "divorced", "widow"] | None = None
    records: Literal["no", "yes"]
    job: Literal["fixed", "freelance", "partime", "others"] | None = None
    expenses: float = Field(ge=0, le=10_000)
    income: float | None = Field(default=None, ge=0, le=100_000)
    assets: float | None = Field(default=None, ge=0, le=10_000_000)
    debt: float | None = Field(default=None, ge=0, le=10_000_000)
    amount: float = Field(ge=1, le=1_000_000)
    price: float = Field(ge=1, le=1_000_000)


FOLDER = Path(os.environ["MODEL"])
POLICY = json.loads((FOLDER / "policy.json").read_text())
OPTIONS = onnxruntime.SessionOptions()
OPTIONS.intra_op_num_threads = 1
OPTIONS.inter_op_num_threads = 1
SESSION = onnxruntime.InferenceSession(FOLDER / "model.onnx", OPTIONS, providers=["CPUExecutionProvider"])

app = FastAPI()


@app.get("/readyz")
async def readyz() -> Response:
    return Response()


# The answer is written by pydantic's Rust core at once: a return type would have FastAPI validate it first
@app.post("/predict")
async def predict(application: Application) -> Response:
    return answer(score([application])[0])


@app.post("/predict_batch")
async def predict_batch(applications: Annotated[list[Application], Body(embed=True)]) -> Response:
    return answer({"results": score(applications)})


def answer(content: object) -> Response:
    return Response(to_json(content), media_type="application/json")


def score(applications: list[Application]) -> list[dict[str, float | str]]:
    probabilities = SESSION.run(["probability"], {"application": encode(applications)})[0]
    return [decide(round(probability, 6)) for probability in probabilities.reshape(-1).tolist()]


def decide(probability: float) -> dict[str, float | str]:
    if probability < POLICY["low_below"]:
        return {"probability": probability, "tier": "low"}
    return {"probability": probability, "tier": "medium" if probability < POLICY["high_from"] else "high"}


def encode(applications: list[Application]) -> npt.NDArray[np.float32]:
    return np.array([row(application) for application in applications], dtype=np.float32)


def row(a: Application) -> list[float]:
    return [
        a.seniority,
        HOMES[a.home],
        a.time,
        a.age,
        RECORDS[a.records],
        JOBS[a.job],
        a.expenses,
        NAN if a.income is None else a.income,
        NAN if a.assets is None else a.assets,
        NAN if a.debt is None else a.debt,
        a.amount,
        a.price,
    ]
