"""The same scoring as tutorials show it: FastAPI, a data frame, a pickled scikit-learn pipeline around XGBoost.

MODEL=folder PIPELINE=pipeline.joblib uvicorn app:app --loop uvloop --http httptools --no-access-log
"""

import json
import os
from pathlib import Path
from typing import Annotated, Literal

import joblib
import pandas as pd
from fastapi import Body, FastAPI, Response
from pydantic import BaseModel, ConfigDict, Field

PIPELINE = joblib.load(os.environ["PIPELINE"])
POLICY = json.loads((Path(os.environ["MODEL"]) / "policy.json").read_text())


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


app = FastAPI()


@app.get("/readyz")
async def readyz() -> Response:
    return Response()


@app.post("/predict")
async def predict(application: Application) -> Score:
    return score([application])[0]


@app.post("/predict_batch")
async def predict_batch(applications: Annotated[list[Application], Body(embed=True)]) -> list[Score]:
    return score(applications)


def score(applications: list[Application]) -> list[Score]:
    table = pd.DataFrame([application.model_dump() for application in applications])
    # a column that is None throughout would be of type object, and the ratios could not be computed
    table = table.astype(dict.fromkeys(("income", "assets", "debt"), float))
    probabilities = PIPELINE.predict_proba(table)[:, 1].tolist()
    return [decide(round(probability, 6)) for probability in probabilities]


def decide(probability: float) -> Score:
    if probability < POLICY["low_below"]:
        return Score(probability=probability, tier="low")
    return Score(probability=probability, tier="medium" if probability < POLICY["high_from"] else "high")
