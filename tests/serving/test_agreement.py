from pathlib import Path

import pytest

from model.promotion import Note
from serving.agreement import Agreement, Verdict


@pytest.fixture
def agreement(tmp_path: Path) -> Agreement:
    made = Agreement(tmp_path / "reload-1")
    made.begin()
    return made


def test_the_first_verdict_stands(agreement: Agreement) -> None:
    assert agreement.verdict("a") is None
    assert agreement.decide("a", Verdict(at=5.0)) == Verdict(at=5.0)
    assert agreement.decide("a", Verdict(refused="too late")) == Verdict(at=5.0)
    assert agreement.verdict("a") == Verdict(at=5.0)
    assert agreement.verdict("b") is None


def test_each_running_worker_is_waited_for(agreement: Agreement) -> None:
    first, second = agreement.worker(), agreement.worker()
    first.tell(Note(1, stamp="a"))
    second.tell(Note(2, stamp="b"))
    assert [note.pid for note in agreement.waiting_for("a")] == [2]
    second.close()  # it has ended
    assert agreement.waiting_for("a") == []
    first.close()


def test_asking_changes_what_is_asked(agreement: Agreement) -> None:
    before = agreement.asked()
    agreement.ask()
    assert agreement.asked() not in ("", before)


def test_the_state_before_the_current_one_stays_for_who_is_about_to_start(agreement: Agreement) -> None:
    for stamp in ("a", "b", "c"):
        agreement.snapshot(stamp).mkdir()
        agreement.take(stamp)
    assert agreement.current() == "c"
    assert [agreement.snapshot(stamp).exists() for stamp in ("a", "b", "c")] == [False, True, True]


def test_a_server_begins_with_nothing_of_an_earlier_one(agreement: Agreement) -> None:
    agreement.decide("a", Verdict(refused="then"))
    agreement.begin()
    assert agreement.verdict("a") is None
