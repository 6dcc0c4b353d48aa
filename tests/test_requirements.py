"""The locked environments: each contains the one before, pinned by hash, without any index's address."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pins(name: str) -> set[str]:
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return {line.split()[0] for line in text.splitlines() if re.match(r"[a-z0-9].*==", line)}


def test_each_environment_is_within_the_next() -> None:
    assert pins("serving")
    assert pins("serving") < pins("training") < pins("notebook") < pins("development")
    assert pins("serving") < pins("analytics") < pins("development")
    assert pins("serving") < pins("dynamodb") < pins("development")
    assert pins("serving") < pins("traces") < pins("development")
    assert pins("serving") < pins("ray") < pins("development")


@pytest.mark.parametrize(
    "path",
    [
        *(f"requirements/{path.name}" for path in sorted((ROOT / "requirements").glob("*.txt"))),
        "tests/container/sagemaker_sdk/requirements.txt",
        "tests/serving/v2_clients/requirements.txt",
        "tests/riskline_client/alone/requirements.txt",
    ],
)
def test_every_pin_has_hashes_and_no_address_gets_in(path: str) -> None:
    text = (ROOT / path).read_text()
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=[a-z0-9])", text))
    assert "//" not in text


def test_serving_stays_lean() -> None:
    names = {pin.split("==")[0] for pin in pins("serving")}
    training = {
        "xgboost",
        "xgboost-cpu",
        "scikit-learn",
        "scipy",
        "pandas",
        "onnx",
        "ndonnx",
        "fairlearn",
        "duckdb",
        "ray",
    }
    aws = {"boto3", "botocore"}
    assert names.isdisjoint(training | aws)
