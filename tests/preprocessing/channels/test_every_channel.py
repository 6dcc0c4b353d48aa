"""What holds for all channels: one applicant has one score, and nothing that comes is an exception."""

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings

from loadtest.channel_payloads import payloads
from loadtest.channels import told_of, wrong
from model.artifact import Artifact
from preprocessing.channels import forms
from preprocessing.channels.collected import LOW_CONFIDENCE
from preprocessing.encode import encode
from preprocessing.schema import Application
from serving.channels import CHANNEL_OF
from serving.scorer import Scorer
from tests.generated import EXAMPLE, writable_applications

SOUND = payloads(EXAMPLE)


def test_every_form_is_written() -> None:
    assert {channel for channel, _ in SOUND.values()} == set(CHANNEL_OF.values())
    assert {form.name for each in forms.FORMS.values() for form in each} <= SOUND.keys()


@settings(max_examples=50)
@given(writable_applications)
def test_the_same_applicant_gets_the_same_score_by_every_channel(artifact: Artifact, values: dict[str, Any]) -> None:
    rows = []
    for channel, payload in payloads(values).values():
        collected = forms.read(channel, payload, LOW_CONFIDENCE)
        assert collected is not None
        assert collected.unsure == ()
        rows.append(collected.row)
    assert set(rows) == {Application(**values)}
    scores = Scorer(artifact).score(encode([Application(**values), *rows]))
    assert len(set(scores.probability)) == 1


@pytest.mark.parametrize("name", SOUND)
def test_nothing_that_comes_raises_and_every_answer_is_json(name: str) -> None:
    channel, _ = SOUND[name]
    chance = Random(name)
    for _ in range(300):
        collected = forms.read(channel, wrong(chance, name), LOW_CONFIDENCE)
        assert collected is not None
        json.loads(collected.source())
        json.dumps(forms.answer(collected, told_of(collected)), allow_nan=False)


def test_a_media_type_that_a_channel_does_not_take_is_told_apart() -> None:
    for channel, payload in SOUND.values():
        assert forms.read(channel, payload._replace(media_type="image/png"), LOW_CONFIDENCE) is None
        assert payload.media_type.partition(";")[0] in forms.media_types(channel)
