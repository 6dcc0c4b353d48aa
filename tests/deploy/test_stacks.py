"""The templates as cfn-lint judges them, and deployed to a stand-in for AWS whose services say what is there then.

Both live in an environment of their own (`stand_in/`), because the libraries of AWS want an older python-dateutil than
fairlearn's. What the stand-in skips or forgets is judged in `test_templates.py`.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from loadtest.bench_environments import python_of
from tests.deploy.templates import (
    ACCOUNT,
    CALLERS,
    ENOUGH,
    FOLDER,
    IMAGE,
    KEY,
    MODEL,
    NAMES,
    NIGHTLY,
    TOPIC,
    made,
    read,
)

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "stand_in"
WITHIN_S = 300
CAPTURE = "s3://lender/riskline/out/captured"
# name → the template and what is given to it beyond ENOUGH
STACKS: dict[str, tuple[str, dict[str, str]]] = {
    **{name: (name, {}) for name in NAMES},
    "role, everything": ("role", {"Topics": f"{TOPIC},{TOPIC}-errors", "KmsKey": KEY, "RoleName": "scoring"}),
    "realtime, mounted model": ("realtime", {"ModelData": MODEL, "CaptureTo": CAPTURE, "CapturePercent": "20"}),
    "realtime, shadow": ("realtime", {"ShadowImage": f"{IMAGE}d", "MinInstances": "1", "InstanceType": "ml.c5.xlarge"}),
    "serverless, larger": ("serverless", {"Memory": "4096", "MaxConcurrency": "50", "Explain": "true"}),
    "async, told": ("async", {"SuccessTopic": TOPIC, "ErrorTopic": f"{TOPIC}-errors", "BodiesPerInstance": "3"}),
    "batch, nightly": ("batch", NIGHTLY),
    "channels, bot and phone": ("channels", CALLERS),
}


def of(*templates: str) -> list[str]:
    return [stack for stack, (template, _) in STACKS.items() if template in templates]


@pytest.fixture(scope="session")
def python() -> Path:
    return python_of(HERE)


PLANTED = {
    "E1010": ("!GetAtt Model.ModelName", "!GetAtt Modell.ModelName"),
    "E1020": ("- AlarmName: !Ref Latency", "- AlarmName: !Ref Slowness"),
    "E3002": ("CanarySize:", "CanarySizes:"),
}


@pytest.fixture(scope="session")
def judged(python: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    """File and rule of whatever cfn-lint finds in the templates, and in one with mistakes."""
    wrong = tmp_path_factory.mktemp("wrong") / "realtime.yaml"
    text = (FOLDER / "realtime.yaml").read_text()
    for right, mistaken in PLANTED.values():
        assert right in text
        text = text.replace(right, mistaken)
    wrong.write_text(text)
    command = [str(python.with_name("cfn-lint")), "--format", "json", "--include-checks", "I", "--"]
    templates = map(str, [*sorted(FOLDER.glob("*.yaml")), wrong])
    found = subprocess.run([*command, *templates], capture_output=True, text=True, timeout=WITHIN_S)
    assert not found.stderr
    return [(Path(each["Filename"]), each["Rule"]["Id"]) for each in json.loads(found.stdout)]


def test_cfn_lint_finds_mistakes_and_none_in_the_templates(judged: list[tuple[Path, str]]) -> None:
    assert {rule for path, rule in judged if path.parent != FOLDER} >= PLANTED.keys()
    assert [found for found in judged if found[0].parent == FOLDER] == []


def _archive(template: str) -> list[str]:
    """Bucket and key of the code that a template's functions are made of."""
    if "CodeBucket" not in ENOUGH[template]:
        return []
    return [ENOUGH[template]["CodeBucket"], read(template)["Parameters"]["CodeKey"]["Default"]]


@pytest.fixture(scope="session")
def done(python: Path) -> dict[str, Any]:
    """What is there once every stack is deployed and the jobs are started."""
    stacks = [
        {
            "template": str(FOLDER / f"{template}.yaml"),
            "parameters": {**ENOUGH[template], **more},
            "archive": _archive(template),
        }
        for template, more in STACKS.values()
    ]
    scheduled = made("batch", **NIGHTLY)["Start"]["Target"]["Input"]
    # as the scheduler, and CloudFormation for the model's name, fill it in
    scheduled = scheduled.replace("<aws.scheduler.execution-id>", "d32c5kddcf5bb8c3").replace("→ Model.ModelName", "m")
    by_hand = json.loads((FOLDER / "transform-job.json").read_text())
    work = {"stacks": stacks, "jobs": [json.loads(scheduled), by_hand | {"ModelName": "m"}]}
    command = [str(python), str(HERE / "deploy.py")]
    answered = subprocess.run(command, input=json.dumps(work), capture_output=True, text=True, timeout=WITHIN_S)
    assert answered.returncode == 0, answered.stderr
    found: dict[str, Any] = json.loads(answered.stdout)
    return found


@pytest.fixture(scope="session")
def there(done: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(zip(STACKS, done["stacks"], strict=True))


@pytest.mark.parametrize("stack", of("realtime", "serverless", "async", "batch"))
def test_the_models_are_those_of_the_template(there: dict[str, dict[str, Any]], stack: str) -> None:
    template, more = STACKS[stack]
    expected = made(template, **more)
    models = {logical: each for logical, each in there[stack].items() if "PrimaryContainer" in each}
    assert models.keys() == {logical for logical in expected if logical in ("Model", "ShadowModel")}
    for logical, model in models.items():
        assert model["PrimaryContainer"] == expected[logical]["PrimaryContainer"]
        assert model["ExecutionRoleArn"] == f"arn:aws:iam::{ACCOUNT['AWS::AccountId']}:role/riskline-sagemaker"


@pytest.mark.parametrize("stack", of("realtime", "serverless", "async"))
def test_an_endpoint_serves_its_configuration_and_that_its_model(there: dict[str, dict[str, Any]], stack: str) -> None:
    found = there[stack]
    assert found["Endpoint"]["EndpointStatus"] == "InService"
    assert found["Endpoint"]["EndpointConfigName"] == found["EndpointConfig"]["EndpointConfigName"]
    [variant] = found["EndpointConfig"]["ProductionVariants"]
    assert variant["ModelName"] == found["Model"]["ModelName"]
    name = made(STACKS[stack][0])["Endpoint"]["EndpointName"]
    assert found["Log"]["logGroupName"] == f"/aws/sagemaker/Endpoints/{name}"
    assert found["Log"]["retentionInDays"] == 90


def test_real_time_variants(there: dict[str, dict[str, Any]]) -> None:
    def variant(stack: str) -> tuple[str, int]:
        [only] = there[stack]["Endpoint"]["ProductionVariants"]
        [configured] = there[stack]["EndpointConfig"]["ProductionVariants"]
        return configured["InstanceType"], only["DesiredInstanceCount"]

    assert variant("realtime") == ("ml.m5.large", 2)
    assert variant("realtime, shadow") == ("ml.c5.xlarge", 1)
    assert there["realtime, shadow"]["ShadowModel"]["PrimaryContainer"]["Image"] == f"{IMAGE}d"


def test_requests_are_captured_where_that_is_asked_for(there: dict[str, dict[str, Any]]) -> None:
    assert there["realtime"]["EndpointConfig"]["DataCaptureConfig"] == {}
    capture = there["realtime, mounted model"]["EndpointConfig"]["DataCaptureConfig"]
    assert (capture["EnableCapture"], capture["InitialSamplingPercentage"]) == (True, 20)
    assert capture["DestinationS3Uri"] == CAPTURE
    assert [option["CaptureMode"] for option in capture["CaptureOptions"]] == ["Input", "Output"]


def test_serverless_variants(there: dict[str, dict[str, Any]]) -> None:
    for stack, size in {"serverless": (2048, 20), "serverless, larger": (4096, 50)}.items():
        [variant] = there[stack]["Endpoint"]["ProductionVariants"]
        assert tuple(variant["DesiredServerlessConfig"].values()) == size
        assert "DesiredInstanceCount" not in variant


def test_asynchronous_answers_go_to_s3_and_are_told_where_that_is_asked_for(there: dict[str, dict[str, Any]]) -> None:
    plain, told = (there[stack]["EndpointConfig"]["AsyncInferenceConfig"] for stack in ("async", "async, told"))
    assert plain["OutputConfig"] == {
        "S3OutputPath": ENOUGH["async"]["OutputTo"],
        "S3FailurePath": ENOUGH["async"]["FailuresTo"],
    }
    topics = {"SuccessTopic": TOPIC, "ErrorTopic": f"{TOPIC}-errors"}
    assert told["OutputConfig"] == {**plain["OutputConfig"], "NotificationConfig": topics}
    assert told["ClientConfig"] == {"MaxConcurrentInvocationsPerInstance": 3}


@pytest.mark.parametrize("stack", of("role", "batch", "gateway"))
def test_the_roles_hold_the_policies_of_the_template(there: dict[str, dict[str, Any]], stack: str) -> None:
    template, more = STACKS[stack]
    expected = {logical: each["Policies"] for logical, each in made(template, **more).items() if "Policies" in each}
    for logical, [policy] in expected.items():
        statements = policy["PolicyDocument"]["Statement"]
        if "Topics" in more:
            topics = next(each for each in statements if each["Sid"] == "ReportToTopics")
            topics["Resource"] = topics["Resource"].split(",")  # CloudFormation makes a list of it
        assert there[stack][logical]["Statements"] == statements
    assert ("StartRole" in there[stack]) is ("Schedule" in more)


def test_the_role_has_the_name_that_the_others_ask_for(there: dict[str, dict[str, Any]]) -> None:
    assert there["role"]["Role"]["Arn"] == there["realtime"]["Model"]["ExecutionRoleArn"]
    assert there["role, everything"]["Role"]["RoleName"] == "scoring"


def test_the_gateway_has_one_route_and_it_invokes_the_endpoint(there: dict[str, dict[str, Any]]) -> None:
    [(route, method)] = there["gateway"]["Api"].items()
    assert route == "POST /invocations"
    assert method["authorizationType"] == "AWS_IAM"
    forwarded = method["methodIntegration"]
    assert (forwarded["type"], forwarded["httpMethod"]) == ("AWS", "POST")
    assert forwarded["uri"].endswith(":runtime.sagemaker:path/endpoints/riskline/invocations")


def test_the_table_of_decisions_is_what_the_service_expects(there: dict[str, dict[str, Any]]) -> None:
    table = there["decisions"]["Table"]
    assert table["KeySchema"] == [{"AttributeName": "id", "KeyType": "HASH"}]
    assert table["AttributeDefinitions"] == [{"AttributeName": "id", "AttributeType": "S"}]
    assert table["StreamSpecification"] == {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}
    assert table["DeletionProtectionEnabled"] is True
    assert there["decisions"]["Policy"]["Document"] == made("decisions")["Policy"]["PolicyDocument"]


def test_sagemaker_takes_the_jobs(done: dict[str, Any]) -> None:
    scheduled, by_hand = done["jobs"]
    assert scheduled["TransformJobName"] == "riskline-d32c5kddcf5bb8c3"
    assert scheduled["TransformOutput"]["S3OutputPath"] == f"{NIGHTLY['OutputTo']}/d32c5kddcf5bb8c3"
    for job in (scheduled, by_hand):
        assert job["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}


@pytest.mark.parametrize("stack", of("channels"))
def test_the_functions_of_the_channels_may_ask_the_endpoint_and_be_asked_by_their_callers(
    there: dict[str, dict[str, Any]], stack: str
) -> None:
    found = there[stack]
    functions = {logical: each for logical, each in found.items() if "Runtime" in each}
    callers = {"Http": "apigateway.amazonaws.com"}
    if stack != "channels":
        callers |= {"Chatbot": "lexv2.amazonaws.com", "Phone": "connect.amazonaws.com"}
    assert {name: each["Callers"][0]["Principal"]["Service"] for name, each in functions.items()} == callers
    for function in functions.values():
        assert function["Role"] == found["Role"]["Arn"]
        assert function["State"] == "Active"
    [invoke, _] = found["Role"]["Statements"]
    assert invoke["Action"] == "sagemaker:InvokeEndpoint"
    assert invoke["Resource"].endswith(":endpoint/riskline")
