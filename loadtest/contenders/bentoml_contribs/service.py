"""A score with reasons by the usual means: BentoML and XGBoost's own exact contributions, features in plain Python.

BOOSTER=model.ubj bentoml serve service:Contribs
"""

import math
import os
from typing import Literal

import bentoml
import numpy as np
import xgboost
from pydantic import BaseModel, ConfigDict, Field

HOMES = ("owner", "parents", "priv", "rent", "other", "ignore")
RECORDS = ("no", "yes")
JOBS = ("fixed", "freelance", "partime", "others")
NAN = float("nan")
RAW = ("seniority", "home", "time", "age", "records", "job", "expenses", "income", "assets", "debt", "amount", "price")
RATIOS = (("amount", "time", 0), ("amount", "price", 0), ("price", "income", 1), ("amount", "income", 1),
          ("expenses", "income", 1), ("debt", "assets", 1))  # fmt: skip
NAMES = (*RAW, "instalment", "loan to price", "price to income", "amount to income", "burden", "debt to assets")


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


class Reason(BaseModel):
    field: str
    contribution: float


class Explained(BaseModel):
    probability: float
    reasons: list[Reason]


# Without access logs: they cost a tenth of its throughput, and nobody else here writes them
@bentoml.service(workers=1, traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Contribs:
    def __init__(self) -> None:
        self.booster = xgboost.Booster(model_file=os.environ["BOOSTER"])
        self.booster.set_param({"nthread": 1})

    @bentoml.api
    async def predict(self, application: Application, /) -> Explained:
        contributions = self.booster.predict(xgboost.DMatrix(features(application), nthread=1), pred_contribs=True)[0]
        order = np.argsort(-np.abs(contributions[:-1]))[:4]
        return Explained(
            probability=1 / (1 + math.exp(-float(contributions.sum()))),
            reasons=[Reason(field=NAMES[index], contribution=float(contributions[index])) for index in order],
        )


def features(application: Application) -> np.ndarray:
    values = application.model_dump()
    words = {"home": HOMES, "records": RECORDS, "job": JOBS}
    raw = {
        name: NAN if values[name] is None else words[name].index(values[name]) if name in words else values[name]
        for name in RAW
    }
    ratios = [raw[over] / (raw[under] + floor) for over, under, floor in RATIOS]
    return np.array([[*raw.values(), *ratios]], dtype=np.float32)
