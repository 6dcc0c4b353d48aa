"""`make push`, with stand-ins for the engine and Amazon's command line that write down what they are asked to do."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
REGISTRY = "123456789012.dkr.ecr.eu-central-1.example"
ECR = f"{REGISTRY}/lender/riskline"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PASSWORD = "not to be seen"
STAND_IN = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path

name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
stdin = sys.stdin.read() if "--password-stdin" in arguments else ""
with open(os.environ["ASKED"], "a") as asked:
    print(json.dumps([[name, *arguments], stdin]), file=asked)
if name == "aws":
    print({PASSWORD!r})
elif arguments[:2] == ["image", "inspect"]:
    if "BUILT_FROM_COMMIT" not in os.environ:
        sys.exit("Error: No such image: riskline")
    if "-f" in arguments:
        assert "org.opencontainers.image.revision" in arguments[3]
        print(os.environ["BUILT_FROM_COMMIT"])
elif arguments[0] == os.environ.get("FAILS"):
    sys.exit(f"{{arguments[0]}} failed")
"""


@dataclass(frozen=True)
class Pushed:
    code: int
    output: str
    asked: list[list[str]]
    passwords: list[str]


def push(folder: Path, *arguments: str, tools: tuple[str, ...] = ("docker", "aws"), **environment: str) -> Pushed:
    """Runs `make push` where there are the `tools` and nothing else."""
    for name in tools:
        (folder / name).write_text(STAND_IN)
        (folder / name).chmod(0o755)
    make = shutil.which("make")
    assert make
    asked = folder / "asked"
    asked.touch()
    done = subprocess.run(
        [make, "--no-print-directory", "push", *arguments],
        cwd=ROOT,
        env={"PATH": str(folder), "HOME": str(folder), "ASKED": str(asked), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=60,
    )
    lines = [json.loads(line) for line in asked.read_text().splitlines()]
    return Pushed(done.returncode, done.stdout, [line[0] for line in lines], [line[1] for line in lines if line[1]])


def changing(pushed: Pushed) -> list[list[str]]:
    return [asked for asked in pushed.asked if asked[1:3] != ["image", "inspect"]]


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_the_image_goes_to_ecr_under_its_commit_and_the_given_tag(tmp_path: Path, engine: str) -> None:
    pushed = push(tmp_path, f"ECR={ECR}", "TAG=1.0", tools=(engine, "aws"), BUILT_FROM_COMMIT=COMMIT)
    assert pushed.code == 0, pushed.output
    assert changing(pushed) == [
        ["aws", "ecr", "get-login-password", "--region", "eu-central-1"],
        [engine, "login", "--username", "AWS", "--password-stdin", REGISTRY],
        [engine, "tag", "riskline", f"{ECR}:{COMMIT}"],
        [engine, "push", f"{ECR}:{COMMIT}"],
        [engine, "tag", "riskline", f"{ECR}:1.0"],
        [engine, "push", f"{ECR}:1.0"],
    ]
    assert pushed.passwords == [f"{PASSWORD}\n"]
    assert PASSWORD not in pushed.output


def test_without_a_commit_there_is_a_tag_or_no_push(tmp_path: Path) -> None:
    tagged = push(tmp_path, f"ECR={ECR}", "TAG=1.0", BUILT_FROM_COMMIT="")
    assert tagged.code == 0
    assert [asked for asked in tagged.asked if asked[1] == "push"] == [["docker", "push", f"{ECR}:1.0"]]
    (tmp_path / "asked").unlink()
    nameless = push(tmp_path, f"ECR={ECR}", BUILT_FROM_COMMIT="")
    assert nameless.code != 0
    assert "the image names no commit; give TAG\n" in nameless.output
    assert not [asked for asked in nameless.asked if asked[1] == "push"]


@pytest.mark.parametrize("step", ["login", "tag", "push"])
def test_it_ends_where_a_step_fails(tmp_path: Path, step: str) -> None:
    pushed = push(tmp_path, f"ECR={ECR}", "TAG=1.0", BUILT_FROM_COMMIT=COMMIT, FAILS=step)
    assert pushed.code != 0
    assert pushed.asked[-1][1] == step


@pytest.mark.parametrize(
    ("arguments", "tools", "said"),
    [
        ([f"ECR={ECR}"], ("aws",), "make push needs docker or podman"),
        ([], ("docker", "aws"), "make push needs ECR=<registry>/<repository> in Amazon's ECR"),
        (["ECR=riskline"], ("docker", "aws"), "make push needs ECR=<registry>/<repository> in Amazon's ECR"),
        ([f"ECR={REGISTRY}/"], ("docker", "aws"), "make push needs ECR=<registry>/<repository> in Amazon's ECR"),
        ([f"ECR={ECR}"], ("docker",), "make push needs Amazon's command line, aws"),
        ([f"ECR={ECR}"], ("docker", "aws"), "there is no image riskline; run make container"),
    ],
)
def test_what_is_missing_is_said_in_one_line(
    tmp_path: Path, arguments: list[str], tools: tuple[str, ...], said: str
) -> None:
    pushed = push(tmp_path, *arguments, tools=tools)
    assert pushed.code != 0
    [line, made] = pushed.output.splitlines()
    assert line == said
    assert made.startswith("make: ***")
    assert changing(pushed) == []
