"""The templates of deploy/sagemaker, and what CloudFormation makes of one with given parameters."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
FOLDER = ROOT / "deploy" / "sagemaker"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
NO_VALUE = "AWS::NoValue"
# parameters that are enough for a stack
IMAGE = "registry/riskline:abc"
ENOUGH: dict[str, dict[str, str]] = {
    "role": {"Bucket": "lender"},
    "realtime": {"Image": IMAGE},
    "serverless": {"Image": IMAGE},
    "async": {
        "Image": IMAGE,
        "OutputTo": "s3://lender/riskline/out",
        "FailuresTo": "s3://lender/riskline/out/failures",
    },
    "batch": {"Image": IMAGE},
    "gateway": {},
    "gateway-logs": {},
    "decisions": {},
    "channels": {"CodeBucket": "lender"},
}
# and such as switch on what is optional
MODEL = "s3://lender/riskline/models/model.tar.gz"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:riskline"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/riskline"
CALLERS = {
    "LexBotAlias": "arn:aws:lex:eu-central-1:123456789012:bot-alias/ABCDEFGHIJ/TSTALIASID",
    "ConnectInstance": "arn:aws:connect:eu-central-1:123456789012:instance/9d0c2b1a-3f4e-4d5c-8b6a-7c8d9e0f1a2b",
}
NIGHTLY = {"Schedule": "rate(1 day)", "InputFrom": "s3://lender/riskline/in", "OutputTo": "s3://lender/riskline/out"}
ACCOUNT = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-central-1",
    "AWS::URLSuffix": "example",
}


class Loader(yaml.SafeLoader):
    """Reads `!Ref x` as {"Ref": "x"} and `!Sub x` as {"Fn::Sub": "x"}, which are the same to CloudFormation."""


def _long_form(loader: Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt":
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


Loader.add_multi_constructor("!", _long_form)


def read(name: str) -> dict[str, Any]:
    template: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(), Loader)  # noqa: S506 - a SafeLoader that knows !Ref
    return template


def made(name: str, **more: str) -> dict[str, Any]:
    """The properties of each resource that there would be; "→ X.Y" stands for what only a deployment knows.

    `more` are parameters on top of ENOUGH.
    """
    template = read(name)
    known: dict[str, Any] = template.get("Parameters", {})
    defaults = {
        parameter: str(described["Default"]) for parameter, described in known.items() if "Default" in described
    }
    values = {**ACCOUNT, **defaults, **ENOUGH[name], **more}
    assert values.keys() == {*known, *ACCOUNT}, "a parameter is unknown, or has no value"
    conditions: dict[str, Any] = template.get("Conditions", {})

    def true(condition: Any) -> bool:
        [(kind, value)] = condition.items()
        if kind == "Condition":
            return true(conditions[value])
        if kind == "Fn::Not":
            return not true(value[0])
        if kind == "Fn::Or":
            return any(true(each) for each in value)
        assert kind == "Fn::Equals", f"{kind} is not known here"
        return str(resolved(value[0])) == str(resolved(value[1]))

    def named(name: str) -> str:
        return values.get(name, f"→ {name}")

    def resolved(value: Any) -> Any:
        if isinstance(value, list):
            return [item for each in value if (item := resolved(each)) != NO_VALUE]
        if not isinstance(value, dict):
            return value
        kind: str = next(iter(value), "")
        inner: Any = value.get(kind)
        if kind == "Ref":
            return NO_VALUE if inner == NO_VALUE else named(inner)
        if kind == "Fn::GetAtt":
            return f"→ {'.'.join(inner)}"
        if kind == "Fn::Sub":
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: named(found[1]), inner)
        if kind == "Fn::Join":
            return inner[0].join(resolved(inner[1]))
        if kind == "Fn::If":
            return resolved(inner[1] if true(conditions[inner[0]]) else inner[2])
        assert not kind.startswith("Fn::"), f"{kind} is not known here"
        return {key: item for key, each in value.items() if (item := resolved(each)) != NO_VALUE}

    return {
        logical: resolved(resource.get("Properties", {}))
        for logical, resource in template["Resources"].items()
        if "Condition" not in resource or true(conditions[resource["Condition"]])
    }
