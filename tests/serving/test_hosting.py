import pytest

from serving.hosting import Hosting, read_hosting
from serving.invocations import Invocations
from serving.settings import Settings, SettingsError


def test_nothing_and_empty_variables_give_the_defaults() -> None:
    assert read_hosting({}) == Hosting()
    assert read_hosting({"SAGEMAKER_BATCH": "", "SAGEMAKER_INFERENCE_OUTPUT": "", "SAGEMAKER_REGION": "x"}) == Hosting()


def test_values_are_read_as_sagemaker_writes_them() -> None:
    given = read_hosting(
        {
            "SAGEMAKER_BATCH": "true",
            "SAGEMAKER_BATCH_STRATEGY": "SingleRecord",
            "SAGEMAKER_INFERENCE_OUTPUT": "probability, labels,",
        }
    )
    assert (given.batch, given.batch_strategy) == (True, "SINGLE_RECORD")
    assert given.inference_output == ("probability", "labels")
    assert read_hosting({"SAGEMAKER_BATCH_STRATEGY": "MULTI_RECORD"}).batch_strategy == "MULTI_RECORD"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SAGEMAKER_BATCH", "perhaps"),
        ("SAGEMAKER_BATCH_STRATEGY", "ALL"),
        ("SAGEMAKER_INFERENCE_OUTPUT", "probability,tier"),
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "-1"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "many"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key: str, value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_hosting({key: value})
    assert caught.value.message.startswith(f"{key}={value!r} does not fit: ")


@pytest.mark.parametrize(
    ("hosting", "megabytes", "setting"),
    [
        (Hosting(), 6, "RISKLINE_MAX_INVOCATION_MB"),
        (Hosting(max_payload_in_mb=100), 100, "SAGEMAKER_MAX_PAYLOAD_IN_MB"),
        (Hosting(max_payload_in_mb=0), 1024, "RISKLINE_MAX_BULK_MB"),
    ],
)
def test_the_job_goes_before_the_image_with_its_limit(hosting: Hosting, megabytes: int, setting: str) -> None:
    assert Invocations(Settings(), hosting).most_bytes() == (megabytes * 2**20, setting)


@pytest.mark.parametrize(
    ("hosting", "workers", "expected"),
    [
        (Hosting(), 2, (2, 6)),
        (Hosting(), 96, (16, 6)),  # SageMaker allows 100 MB in flight
        (Hosting(max_payload_in_mb=100), 8, (1, 100)),
        (Hosting(max_payload_in_mb=0), 8, (8, 6)),
        (Hosting(max_concurrent_transforms=5), 2, (5, 6)),
        (Hosting(max_concurrent_transforms=0), 2, (2, 6)),
    ],
)
def test_execution_parameters_stay_within_what_sagemaker_allows(
    hosting: Hosting, workers: int, expected: tuple[int, int]
) -> None:
    said = hosting.execution_parameters(workers, 6)
    assert (said["MaxConcurrentTransforms"], said["MaxPayloadInMB"]) == expected
