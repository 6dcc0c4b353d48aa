"""The same scoring with BentoML's own means: pydantic in and out, async APIs, the same graph and thresholds.

MODEL=folder bentoml serve service:Stock
"""

import json
import os
from pathlib import Path
from typing import Literal

import bentoml
import numpy as np
import numpy.typing as npt
import onnxruntime
from pydantic import BaseModel, ConfigDict, Field

HOMES = ("owner", "parents", "priv", "rent", "other", "ignore")
RECORDS = ("no", "yes")
JOBS = ("fixed", "freelance", "partime", "others")
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


class Score(BaseModel):
    probability: float
    tier: Literal["low", "medium", "high"]


# Without access logs: they cost a tenth of its throughput, and nobody else here writes them
@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Stock:
    def __init__(self) -> None:
        folder = Path(os.environ["MODEL"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        policy = json.loads((folder / "policy.json").read_text())
        self.low_below, self.high_from = policy["low_below"], policy["high_from"]

    @bentoml.api
    async def predict(self, application: Application, /) -> Score:
        return self.score([application])[0]

    @bentoml.api
    async def predict_batch(self, applications: list[Application]) -> list[Score]:
        return self.score(applications)

    def score(self, applications: list[Application]) -> list[Score]:
        probabilities = self.session.run(["probability"], {"application": encode(applications)})[0]
        return [self.decide(round(probability, 6)) for probability in probabilities.reshape(-1).tolist()]

    def decide(self, probability: float) -> Score:
        if probability < self.low_below:
            return Score(probability=probability, tier="low")
        return Score(probability=probability, tier="medium" if probability < self.high_from else "high")


def encode(applications: list[Application]) -> npt.NDArray[np.float32]:
    return np.array([row(application) for application in applications], dtype=np.float32)


def row(a: Application) -> list[float]:
    return [
        a.seniority,
        NAN if a.home is None else HOMES.index(a.home),
        a.time,
        a.age,
        RECORDS.index(a.records),
        NAN if a.job is None else JOBS.index(a.job),
        a.expenses,
        NAN if a.income is None else a.income,
        NAN if a.assets is None else a.assets,
        NAN if a.debt is None else a.debt,
        a.amount,
        a.price,
    ]
