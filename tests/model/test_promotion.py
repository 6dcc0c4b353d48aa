import multiprocessing
import os
from pathlib import Path

import pytest

from model.errors import PromotionError
from model.promote import promote
from model.promotion import Note, Promotions


@pytest.fixture
def promotions(tmp_path: Path) -> Promotions:
    return Promotions(tmp_path / "riskline")


def test_before_any_promotion_the_newest_is_served_and_then_the_last_one_promoted(promotions: Promotions) -> None:
    assert (promotions.model(), promotions.stamp()) == ("riskline:latest", "")
    with promotions.alone():
        first = promotions.promote(["riskline:a", "riskline:b"])
        assert promotions.model() == "riskline:b"
        second = promotions.promote(["riskline:a"])
    assert (promotions.model(), promotions.stamp()) == ("riskline:a", second)
    assert first != second


def test_a_running_workers_note_is_seen_as_it_was_last_told(promotions: Promotions) -> None:
    worker = promotions.worker()
    assert promotions.workers() == [Note(os.getpid())], "it is known before it serves anything"
    worker.tell(Note(os.getpid(), "riskline:abc", refused="a long sentence"))
    worker.tell(Note(os.getpid(), "riskline:a"))
    assert promotions.workers() == [Note(os.getpid(), "riskline:a")]
    worker.close()
    assert promotions.workers() == []


def _die_with_a_note(folder: Path) -> None:
    Promotions(folder).worker().tell(Note(os.getpid(), "riskline:a"))
    os._exit(9)


def test_a_worker_that_was_killed_is_waited_for_no_more(promotions: Promotions, tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=_die_with_a_note, args=(tmp_path / "riskline",))
    process.start()
    process.join(60)
    assert process.exitcode == 9
    assert len(list((tmp_path / "riskline").glob("*.worker"))) == 1
    assert promotions.workers() == []
    assert list((tmp_path / "riskline").glob("*.worker")) == []


def test_where_nothing_can_be_written_a_worker_starts_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    promotions = Promotions(tmp_path / "file" / "riskline")
    worker = promotions.worker()
    worker.tell(Note(1))
    worker.close()
    with pytest.raises(PromotionError, match="cannot be written to"), promotions.alone():
        pass


def test_a_model_that_is_mounted_or_configured_cannot_be_promoted(promotions: Promotions) -> None:
    worker = promotions.worker()
    worker.tell(Note(os.getpid(), "riskline:a", fixed="/opt/ml/model"))
    with pytest.raises(PromotionError, match="serves /opt/ml/model and no other"):
        promote(promotions, "riskline:b")
    worker.close()


def test_there_is_no_way_back_from_the_first_model_and_one_promotion_at_a_time(promotions: Promotions) -> None:
    with pytest.raises(PromotionError, match="no model before"):
        promote(promotions, None)
    with promotions.alone(), pytest.raises(PromotionError, match="another promotion"):
        promote(promotions, "riskline:b")


def test_a_damaged_list_of_promotions_is_told_in_one_line(promotions: Promotions, tmp_path: Path) -> None:
    with promotions.alone():
        (tmp_path / "riskline" / "promoted.json").write_text("{")
    with pytest.raises(PromotionError, match=r"promoted\.json is damaged"):
        promotions.model()
