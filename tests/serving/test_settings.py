import pytest
from pydantic import ValidationError

from serving.settings import Settings, SettingsError, read_settings


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert read_settings({"PATH": "/bin", "RISK": "none"}) == Settings()


def test_values_are_read_by_key() -> None:
    given = read_settings({"RISKLINE_MODEL": "/models/a", "RISKLINE_WORKERS": "3", "RISKLINE_MAX_BODY_MB": "0.5"})
    assert (given.model, given.workers, given.most_bytes(bulk=False)[0]) == ("/models/a", 3, 524288)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("RISKLINE_WORKERS", "many"),
        ("RISKLINE_WORKERS", "-1"),
        ("RISKLINE_WORKERS", ""),
        ("RISKLINE_MAX_ROWS", "0"),
        ("RISKLINE_MAX_ROWS", "1.5"),
        ("RISKLINE_MAX_BODY_MB", "nan"),
        ("RISKLINE_MAX_BODY_MB", "inf"),
        ("RISKLINE_TIMEOUT_S", "0"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(key: str, value: str) -> None:
    with pytest.raises(SettingsError, match=f"^{key}='{value}' does not fit: "):
        read_settings({key: value})


def test_a_key_that_is_no_setting_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(SettingsError, match=r"RISKLINE_MODLE is not a setting; did you mean RISKLINE_MODEL\?"):
        read_settings({"RISKLINE_MODLE": "x"})
    with pytest.raises(SettingsError, match="RISKLINE_COLOUR_OF_SKY is not a setting; the README lists"):
        read_settings({"RISKLINE_COLOUR_OF_SKY": "blue"})


def test_settings_are_frozen_and_each_says_why_one_would_change_it() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().workers = 2  # type: ignore[misc]
    assert all(info.description for info in Settings.model_fields.values())
