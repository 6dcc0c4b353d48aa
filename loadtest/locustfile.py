"""The load test as locust runs it: the users, the shape of the load, and the verdict at the end.

    locust -f loadtest/locustfile.py --host http://localhost:3000    # from the project's root; page on port 8089

`python -m loadtest.run` does it without a page, against a server of its own. What is sent is in `traffic.py`; stages
and thresholds are in `plan.py`.
"""

import os
import sys
from collections.abc import Callable
from itertools import cycle
from typing import Any

from locust import FastHttpUser, LoadTestShape, constant_pacing, events, task
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtest import plan, traffic
from loadtest.plan import BATCH, BATCH_SIZE, ONE, ONE_IN_REFUSED, REFUSED

HEADERS = {"Content-Type": "application/json"}

_applications = traffic.read_applications()
_batches = [_applications[first : first + BATCH_SIZE] for first in range(0, len(_applications), BATCH_SIZE)]
# Bodies are made once and taken in turn by all users, so that the load generator spends its time on sending
_valid = cycle([traffic.application_body(application) for application in _applications])
_refused = cycle([traffic.application_body(values) for values in traffic.without_a_required_field(_applications)])
_batched = cycle([(traffic.batch_body(batch), len(batch)) for batch in _batches])


class _User(FastHttpUser):
    abstract = True

    def send(self, path: str, name: str, body: str, wrong_with: Callable[[int, str | None], str]) -> None:
        """Posts `body` and counts the answer as a success or a failure by `wrong_with` alone, not by its status."""
        with self.client.post(path, data=body, headers=HEADERS, name=name, catch_response=True) as response:
            if wrong := wrong_with(response.status_code, response.text):
                response.failure(wrong)
            else:
                response.success()


class Channel(_User):
    """A sales channel: sends applications one by one, as they are made."""

    weight = 4
    wait_time = constant_pacing(0.1)

    @task(ONE_IN_REFUSED - 1)
    def one(self) -> None:
        self.send(ONE, ONE, next(_valid), traffic.wrong_with_score)

    @task
    def refused(self) -> None:
        self.send(ONE, REFUSED, next(_refused), traffic.wrong_with_refusal)


class Portfolio(_User):
    """A nightly job: sends many applications in a request."""

    weight = 1
    wait_time = constant_pacing(0.5)

    @task
    def batch(self) -> None:
        body, sent = next(_batched)
        self.send(BATCH, BATCH, body, lambda status, answer: traffic.wrong_with_results(status, answer, sent))


class Shape(LoadTestShape):
    """Goes through the stages of the plan, then ends the test."""

    stages = plan.scaled(plan.STAGES, plan.seconds(os.environ))

    def tick(self) -> tuple[int, float] | None:
        stage = plan.stage_at(self.stages, self.get_run_time())  # type: ignore[no-untyped-call] # locust's, not annotated
        return (stage.users, stage.spawn_rate) if stage else None


@events.quitting.add_listener  # type: ignore[untyped-decorator] # locust's, not annotated
def judge(environment: Environment, **_: Any) -> None:
    """Prints a line for each broken threshold; the process then exits with 1."""
    if isinstance(environment.runner, WorkerRunner):
        return  # its numbers are with the master, who judges
    broken = []
    for threshold in plan.allowed(os.environ):
        measured = environment.stats.get(threshold.name, "POST")
        p99 = measured.get_response_time_percentile(0.99)
        broken += threshold.broken_by(measured.num_requests, measured.num_failures, p99)
    for line in broken:
        print(f"threshold broken: {line}", file=sys.stderr)  # noqa: T201
    if broken:
        environment.process_exit_code = 1
