"""docs/channels.md is executed: each of its requests is answered as it says. `…` stands for anything."""

import re
from pathlib import Path

import pytest

from loadtest.server import running_server
from tests.test_readme import ROOT, answered, blocks

PAGE = (ROOT / "docs/channels.md").read_text()
REQUESTS = [
    (command, answer)
    for (language, command), (other, answer) in zip(blocks(PAGE), blocks(PAGE)[1:], strict=False)
    if language == "sh" and other == "json" and command.startswith("curl")
]
# what differs from answer to answer, or from model to model
VOLATILE = re.compile(r'"(decision_?[iI]d|model_version|policy_version)":"[^"]+"')


def pattern(shown: str) -> re.Pattern[str]:
    """What an answer must look like; where a line is broken does not matter."""
    return re.compile(".*".join(map(re.escape, plain(shown).split("…"))), re.DOTALL)


def plain(text: str) -> str:
    return "".join(VOLATILE.sub("", text).split())


@pytest.mark.slow
def test_every_request_is_answered_as_the_page_shows(model_folder: Path) -> None:
    assert len(REQUESTS) == 9
    with running_server({"RISKLINE_MODEL": str(model_folder), "RISKLINE_WORKERS": "1"}) as server:
        for command, shown in REQUESTS:
            answer = answered(command, server)
            assert pattern(shown).fullmatch(plain(answer)), answer


def test_every_channel_and_form_has_a_section() -> None:
    titles = {"#" + re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-")
              for title in re.findall(r"^## (.*)$", PAGE, re.MULTILINE)}  # fmt: skip
    assert set(re.findall(r"\]\((#[^)]*)\)", PAGE)) <= titles
