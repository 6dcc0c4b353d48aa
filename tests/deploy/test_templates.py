"""Endpoints and jobs as the templates describe them, and the tables that document their parameters.

Alarms and autoscaling are judged here alone, since the stand-in for AWS of `test_stacks.py` skips them.
"""

import json
import re
from typing import Any

import pytest

from serving.container import BUILT_IN_MODEL
from serving.hosting import PREFIX as HOSTING_PREFIX
from serving.hosting import Hosting, read_hosting
from serving.settings import PREFIX, Settings, read_settings
from tests.deploy.templates import ENOUGH, FOLDER, IMAGE, MODEL, NAMES, NIGHTLY, ROOT, TOPIC, made, read

HOSTING = ("realtime", "serverless", "async", "batch")


def test_no_template_escapes_these_tests() -> None:
    assert set(NAMES) == set(ENOUGH)


@pytest.mark.parametrize("name", HOSTING)
@pytest.mark.parametrize("chosen", [{}, {"ModelData": MODEL, "Explain": "true", "InferenceOutput": "probability"}])
def test_the_container_gets_settings_that_it_knows(name: str, chosen: dict[str, str]) -> None:
    container = made(name, **chosen)["Model"]["PrimaryContainer"]
    environment: dict[str, str] = container["Environment"]
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    assert environment.keys() <= known | {HOSTING_PREFIX + field.upper() for field in Hosting.model_fields}
    assert read_settings(environment).explain is ("Explain" in chosen)
    assert read_hosting(environment).inference_output == (("probability",) if chosen else ())
    assert container["Image"] == IMAGE
    # a model that was to be mounted and did not arrive must end start-up
    assert container.get("ModelDataUrl") == chosen.get("ModelData")
    assert environment.get("RISKLINE_MODEL") == (None if chosen else str(BUILT_IN_MODEL))


def test_no_container_has_a_network_where_sagemaker_can_take_it_away() -> None:
    isolated = {name: made(name)["Model"].get("EnableNetworkIsolation", False) for name in HOSTING}
    assert isolated == {"realtime": True, "serverless": False, "async": True, "batch": True}


@pytest.mark.parametrize("name", HOSTING)
def test_what_cannot_be_changed_has_no_name_that_its_successor_would_need(name: str) -> None:
    resources = made(name)
    assert "ModelName" not in resources["Model"]
    assert "EndpointConfigName" not in resources.get("EndpointConfig", {})


def test_an_asynchronous_endpoint_takes_what_sagemaker_sends_it() -> None:
    settings = read_settings(made("async", TimeoutSeconds="1800")["Model"]["PrimaryContainer"]["Environment"])
    assert settings.max_invocation_mb == 1024
    assert settings.timeout_s == 1800


@pytest.mark.parametrize("name", ["realtime", "async"])
def test_autoscaling_scales_the_variant_that_there_is(name: str) -> None:
    resources = made(name, EndpointName="risk")
    [variant] = resources["EndpointConfig"]["ProductionVariants"]
    target = resources["ScalableTarget"]
    assert resources["Endpoint"]["EndpointName"] == "risk"
    assert target["ResourceId"] == f"endpoint/risk/variant/{variant['VariantName']}"
    assert int(target["MinCapacity"]) <= int(variant["InitialInstanceCount"]) <= int(target["MaxCapacity"])
    assert resources["Scaling"]["ScalingTargetId"] == "→ ScalableTarget"
    # it can be registered once the endpoint is there
    assert read(name)["Resources"]["ScalableTarget"]["DependsOn"] == "Endpoint"


def test_a_real_time_endpoint_scales_with_its_invocations() -> None:
    policy = made("realtime", InvocationsPerInstance="12000")["Scaling"]["TargetTrackingScalingPolicyConfiguration"]
    assert policy["PredefinedMetricSpecification"] == {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    assert policy["TargetValue"] == "12000"


def test_a_body_that_waits_starts_the_first_instance() -> None:
    resources = made("async")
    assert resources["BodiesWithoutInstance"]["MetricName"] == "HasBacklogWithoutCapacity"
    assert resources["BodiesWithoutInstance"]["AlarmActions"] == ["→ FirstInstance"]
    steps = resources["FirstInstance"]["StepScalingPolicyConfiguration"]["StepAdjustments"]
    assert steps == [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]


def rollback_alarms(resources: dict[str, Any]) -> list[dict[str, Any]]:
    listed = resources["Endpoint"]["DeploymentConfig"]["AutoRollbackConfiguration"]["Alarms"]
    return [resources[alarm["AlarmName"].removeprefix("→ ")] for alarm in listed]


def test_a_rollback_watches_the_new_fleet_alone() -> None:
    resources = made("realtime", EndpointName="risk")
    alarms = rollback_alarms(resources)
    watched = [alarm["MetricName"] for alarm in alarms]
    assert watched == ["Invocation5XXErrors", "Invocation4XXErrors", "ModelLatency"]
    for alarm in alarms:
        assert {each["Name"]: each["Value"] for each in alarm["Dimensions"]} == {
            "EndpointName": "risk",
            "VariantName": resources["EndpointConfig"]["ProductionVariants"][0]["VariantName"],
            "EndpointConfigName": resources["Endpoint"]["EndpointConfigName"],
        }
        assert alarm["TreatMissingData"] == "notBreaching"  # a canary that nobody has asked yet has not failed


def test_an_alarm_can_go_off_while_the_canary_bakes() -> None:
    for alarm in rollback_alarms(made("realtime")):
        needed = int(alarm["Period"]) * int(alarm["EvaluationPeriods"])
        assert needed < read("realtime")["Parameters"]["BakingSeconds"]["MinValue"]


@pytest.mark.parametrize("name", ["realtime", "serverless"])
def test_every_alarm_reports_to_the_topic_if_there_is_one(name: str) -> None:
    alarms = [key for key, resource in read(name)["Resources"].items() if resource["Type"] == "AWS::CloudWatch::Alarm"]
    assert alarms
    for alarm in alarms:
        assert "AlarmActions" not in made(name)[alarm]
        assert made(name, AlarmTopic=TOPIC)[alarm]["AlarmActions"] == [TOPIC]


def test_a_deployment_begins_with_one_instance_where_that_is_not_all() -> None:
    def routing(instances: str) -> Any:
        deployment = made("realtime", MinInstances=instances)["Endpoint"]["DeploymentConfig"]
        return deployment["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]

    one = {"Type": "INSTANCE_COUNT", "Value": 1}
    assert routing("2") == {"Type": "CANARY", "CanarySize": one, "WaitIntervalInSeconds": "600"}
    assert routing("1") == {"Type": "ALL_AT_ONCE"}  # SageMaker allows a canary of half the fleet at most


def test_a_deployment_keeps_the_number_of_instances_and_nothing_else() -> None:
    endpoint = made("realtime")["Endpoint"]
    assert endpoint["RetainAllVariantProperties"] is True
    changing = {each["VariantPropertyType"] for each in endpoint["ExcludeRetainedVariantProperties"]}
    assert changing == {"DesiredWeight", "DataCaptureConfig"}


def test_a_shadow_gets_its_share_and_a_model_of_its_own() -> None:
    assert "ShadowProductionVariants" not in made("realtime")["EndpointConfig"]
    resources = made("realtime", ShadowImage="registry/riskline:next", ShadowPercent="25")
    [variant] = resources["EndpointConfig"]["ProductionVariants"]
    [shadow] = resources["EndpointConfig"]["ShadowProductionVariants"]
    assert int(shadow["InitialVariantWeight"]) / variant["InitialVariantWeight"] == 0.25
    assert shadow["ModelName"] == "→ ShadowModel.ModelName"
    assert resources["ShadowModel"]["PrimaryContainer"]["Image"] == "registry/riskline:next"
    environments = [resources[name]["PrimaryContainer"]["Environment"] for name in ("Model", "ShadowModel")]
    assert environments[0] == environments[1]


def test_the_scheduled_job_and_the_one_started_by_hand_say_the_same() -> None:
    scheduled = json.loads(made("batch", **NIGHTLY)["Start"]["Target"]["Input"])
    by_hand = json.loads((FOLDER / "transform-job.json").read_text())

    def shape(value: Any) -> Any:
        return {key: shape(each) for key, each in value.items()} if isinstance(value, dict) else type(value)

    assert shape(scheduled) == shape(by_hand)
    for job in (scheduled, by_hand):
        # a line in, a line out; how much to send at once is what /execution-parameters says
        assert job["TransformInput"]["SplitType"] == job["TransformOutput"]["AssembleWith"] == "Line"
        assert job["TransformInput"]["ContentType"] == job["TransformOutput"]["Accept"]
        assert {"MaxPayloadInMB", "MaxConcurrentTransforms", "BatchStrategy"}.isdisjoint(job)
    assert made("batch").keys() == {"Model"}


@pytest.mark.parametrize("name", NAMES)
def test_the_documented_parameters_are_the_templates(name: str) -> None:
    expected = [
        [parameter, str(described.get("Default", "required")), described["Description"]]
        for parameter, described in read(name).get("Parameters", {}).items()
    ]
    _, section = (ROOT / "docs" / "sagemaker.md").read_text().split(f"\n### `{name}.yaml`\n", 1)
    lines = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", section.split("\n#", 1)[0], re.MULTILINE)
    assert [[parameter, default.strip("`"), text] for parameter, default, text in lines] == expected


def test_the_commands_of_the_readme_deploy_what_there_is() -> None:
    text = (ROOT / "README.md").read_text().replace("\\\n", " ")
    deployed = re.findall(r"--template-file deploy/sagemaker/([\w-]+)\.yaml(.*)", text)
    assert [template for template, _ in deployed] == ["role", "realtime"]
    for template, rest in deployed:
        parameters = read(template)["Parameters"]
        required = {parameter for parameter, described in parameters.items() if "Default" not in described}
        assert required <= set(re.findall(r" (\w+)=", rest)) <= parameters.keys()
        assert ("CAPABILITY_NAMED_IAM" in rest) is any("RoleName" in each for each in made(template).values())
