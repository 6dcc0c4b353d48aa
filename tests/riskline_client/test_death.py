"""An answer that gets lost after the decision was recorded, by a death too: the client gets the decision there is."""

import psutil
import pytest

from riskline_client import Client, RefusedRow, Retry
from tests.generated import EXAMPLE
from tests.lab.workers import established
from tests.riskline_client.asking import Kind, ask
from tests.riskline_client.conftest import Guarded
from tests.riskline_client.relay import losing_the_first_answer

pytestmark = pytest.mark.slow


def recorded(guarded: Guarded) -> dict[str, float]:
    """Each decision's probability."""
    with Client(guarded.url, guarded.key) as riskline:
        return {decision.id: decision.probability for decision in riskline.decisions(limit=1000)}


@pytest.mark.parametrize("closes", [True, False])
def test_a_batch_whose_answer_was_lost_is_decided_once(guarded: Guarded, kind: Kind, closes: bool) -> None:
    before, lost = recorded(guarded), []
    client = {"key": guarded.key, "bulk_retry": Retry(attempt_s=1)}
    with losing_the_first_answer(guarded.url, lambda: lost.append(True), closes) as url:
        given = ask(kind, url, "predict_batch", [EXAMPLE, {}, EXAMPLE], client=client)
    assert lost
    told = {row.decision_id: row.probability for row in given if not isinstance(row, RefusedRow)}
    assert len(told) == 2
    assert recorded(guarded) == before | told


def test_where_the_worker_died_before_it_could_tell_its_decision_is_given(guarded: Guarded) -> None:
    before, killed = recorded(guarded), []

    def die() -> None:
        for worker in psutil.Process(guarded.server.pid).children():
            if established(guarded.server, worker):
                worker.kill()
                killed.append(worker.pid)

    with losing_the_first_answer(guarded.url, die) as url, Client(url, guarded.key) as riskline:
        given = riskline.predict(EXAMPLE)
    assert killed
    assert recorded(guarded) == {**before, given.decision_id: given.probability}
