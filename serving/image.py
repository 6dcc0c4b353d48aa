"""The image that `bentoml containerize` makes: the last stage of our Dockerfile, on what BentoML installs.

BentoML writes the Dockerfile itself, and lets a service add RUN instructions to it. It has no word for a label, a
health check or a stage; but a command of ours may go on with lines of its own, and the entrypoint is a file of the
Bento.
"""

import sys
from pathlib import Path
from typing import Any

from bentoml.images import Image

DOCKERFILE = Path(__file__).parent.parent / "Dockerfile"  # read by `bentoml build` alone: a Bento has none
LAST_STAGE = "\nFROM ${BASE}\n"
# The first line ends BentoML's own stage, which it calls base-container. It builds in the folder of the Bento, where
# src/ is the application, and models/ holds the one model
STAGES = """\
mkdir /opt/riskline && mv /app/.venv /opt/riskline/environment && ln -s /opt/riskline/environment /app/.venv \\
    && cd /opt/riskline/environment && chown -R 0:0 . && chmod -R u=rwX,go=rX . && cd lib/python3*/site-packages \\
    && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*.pxd pyarrow/includes \\
    && find . -type d -name tests -prune -exec rm -rf {} +

FROM base-container AS environment

FROM environment AS application
WORKDIR /opt/riskline/application
COPY src/ ./
RUN rm -r requirements && python -m compileall -q .

FROM application AS verified-model
COPY models/riskline/*/ /opt/riskline/model/
RUN chmod -R u=rwX,go=rX /opt/riskline/model && python -m model.artifact /opt/riskline/model

FROM verified-model AS sbom
COPY src/requirements/ requirements/
RUN python -m requirements.sbom --lock requirements/serving.txt \\
        --model /opt/riskline/model --out /opt/riskline/sbom.json
"""
# After the last stage BentoML copies the whole Bento for the user `bentoml`, and starts the Bento's entrypoint as him
END = """
USER 0
RUN useradd --uid 1000 --user-group bentoml && mkdir /app && ln -s /opt/riskline/environment /app/.venv
ENV PYTHONPATH=/opt/riskline/application
WORKDIR /home/bentoml/bento
"""
ENTRYPOINT = """\
#!/bin/sh
exec python -m serving.container "$@"
"""


class ServingImage(Image):
    """What `@bentoml.service` is given; `bentoml build` freezes it into the Bento."""

    def freeze(self, bento_fs: Path, *arguments: Any, **options: Any) -> Any:
        last_stage = DOCKERFILE.read_text().rpartition(LAST_STAGE)[2]
        self.post_commands = [f"{STAGES}\nFROM {self.base_image}\n{last_stage}{END}"]
        frozen = super().freeze(bento_fs, *arguments, **options)
        (bento_fs / "env/docker/entrypoint.sh").write_text(ENTRYPOINT)
        return frozen


# Where no distribution is named BentoML installs no compiler
IMAGE = ServingImage(base_image=f"python:{sys.version_info.major}.{sys.version_info.minor}-slim", distro="")
