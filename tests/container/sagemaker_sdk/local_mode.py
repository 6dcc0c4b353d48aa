"""A user's program for the SageMaker Python SDK in local mode: an endpoint is asked, two batch transform jobs run.

python local_mode.py FOLDER IMAGE PORT

It runs in an environment of its own (requirements.txt) and knows nothing of Riskline but the image. FOLDER holds
model/model.tar.gz, one.json, rows.csv, csv/rows.csv and lines/rows.jsonl; what came back is left in FOLDER as
answers.json, csv-out/rows.csv.out and lines-out/rows.jsonl.out.
"""

import json
import sys
from pathlib import Path

import boto3
from sagemaker.base_deserializers import BytesDeserializer, JSONDeserializer
from sagemaker.base_serializers import CSVSerializer, JSONSerializer
from sagemaker.local import LocalSession
from sagemaker.model import Model
from sagemaker.predictor import Predictor


class OnLoopback(int):
    """The port, which the SDK gives to Docker as text: there it must not be open to the whole network."""

    def __str__(self) -> str:
        return f"127.0.0.1:{int(self)}"


def session(folder: Path, port: int) -> LocalSession:
    """Without an account: nothing is called but the container, and no use is reported."""
    account = boto3.Session(aws_access_key_id="none", aws_secret_access_key="none", region_name="eu-central-1")
    silent = {"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": {"TelemetryOptOut": True}}}}
    session = LocalSession(account, default_bucket="none", sagemaker_config=silent)
    work = folder / "work"
    work.mkdir()
    limits = {"cpus": 1, "mem_limit": "1g"}
    session.config = {
        "local": {
            "local_code": True,
            "container_root": str(work),
            "serving_port": OnLoopback(port),
            "container_config": limits,
        },
    }
    return session


def ask(model: Model, folder: Path) -> dict[str, object]:
    """What the endpoint answers to one application as JSON and to rows as CSV."""
    model.deploy(1, "local", endpoint_name="riskline", wait=False)
    one = Predictor("riskline", model.sagemaker_session, JSONSerializer(), JSONDeserializer())
    rows = Predictor("riskline", model.sagemaker_session, CSVSerializer(), BytesDeserializer(accept="text/csv"))
    try:
        return {
            "one": one.predict(json.loads((folder / "one.json").read_text())),
            "rows": rows.predict((folder / "rows.csv").read_text()).decode(),
        }
    finally:
        one.delete_endpoint()


def transform(model: Model, folder: Path, name: str, content_type: str, assemble_with: str | None) -> None:
    """Scores every file of FOLDER/`name`, cut at line breaks into requests of at most 1 MiB."""
    transformer = model.transformer(
        1,
        "local",
        strategy="MultiRecord",
        max_payload=1,
        accept=content_type,
        assemble_with=assemble_with,
        output_path=f"file://{folder}/{name}-out",
    )
    source = f"file://{folder}/{name}"
    transformer.transform(source, content_type=content_type, split_type="Line", wait=False, logs=False)


def main() -> None:
    folder, image, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    model = Model(
        image_uri=image,
        model_data=f"file://{folder}/model/model.tar.gz",
        role="arn:aws:iam::000000000000:role/none",
        env={"RISKLINE_KEYS": "none"},
        sagemaker_session=session(folder, port),
    )
    (folder / "answers.json").write_text(json.dumps(ask(model, folder)))
    transform(model, folder, "csv", "text/csv", assemble_with=None)
    transform(model, folder, "lines", "application/jsonlines", assemble_with="Line")


if __name__ == "__main__":
    main()
