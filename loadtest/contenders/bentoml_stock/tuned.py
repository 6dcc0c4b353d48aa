"""The stock service with two settings that its documentation does not recommend but a profiler does.

MODEL=folder bentoml serve tuned:Tuned
"""

import bentoml

from service import Stock

Tuned = bentoml.service(
    Stock.inner,
    name="Tuned",
    workers=1,
    # a request's timer lives until the timeout even when the answer is sent, and keeps the request's objects with it
    traffic={"timeout": 5},
    logging={"access": {"enabled": False}},
    tracing={"excluded_urls": ".*"},  # spans are made, and thrown away, where no exporter is configured
)
