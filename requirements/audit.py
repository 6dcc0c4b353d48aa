"""Asks PyPI's advisory database about every locked distribution, by pip-audit.

    make audit                    # or: python -m requirements.audit [--service osv]

Exit code 0: no advisory but those in ACCEPTED. 1: there are others, named with the version that mends each. 2: the
database did not tell about everything, so nothing is proved; pip-audit alone would call that clean.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from requirements.locked import HERE

PIP_AUDIT = HERE.parent / "build/audit/bin/pip-audit"
OPTIONS = ("--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off")
LOCKED = tuple(sorted(HERE.glob("*.txt")))
ASKED_WITHIN_S = 900

# advisory → why it cannot hurt here, and until when that is to be looked at again
ACCEPTED: Mapping[str, str] = {}


class NotAskedError(Exception):
    """The database could not be asked; one line."""


def findings(dependencies: Iterable[Mapping[str, Any]], accepted: Mapping[str, str] = ACCEPTED) -> list[str]:
    """A line for each advisory that pip-audit tells and nobody accepted; NotAskedError where it does not know."""
    dependencies = list(dependencies)
    if unknown := [dependency["name"] for dependency in dependencies if "skip_reason" in dependency]:
        raise NotAskedError(f"it knows nothing of {len(unknown)} of {len(dependencies)}, such as {unknown[0]}")
    return [
        f"{dependency['name']} {dependency['version']}: {advisory['id']}, mended in "
        f"{', '.join(advisory['fix_versions']) or 'no version yet'}"
        for dependency in dependencies
        for advisory in dependency["vulns"]
        if accepted.keys().isdisjoint({advisory["id"], *advisory["aliases"]})
    ]


def ask(file: Path, service: str) -> list[dict[str, Any]]:
    """What pip-audit says of a locked file: a dependency each, with its advisories or why there are none to tell."""
    command = [str(PIP_AUDIT), *OPTIONS, f"--vulnerability-service={service}", f"--requirement={file}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=ASKED_WITHIN_S)  # noqa: S603 - our own command
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):  # it says why on stderr alone
        raise NotAskedError((done.stderr.strip().splitlines() or ["pip-audit says nothing"])[-1]) from None
    return dependencies


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m requirements.audit", description=__doc__.splitlines()[0])
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="the database to ask")
    service = parser.parse_args().service
    found: set[str] = set()
    try:
        for file in LOCKED:
            found |= set(findings(ask(file, service)))
    except (NotAskedError, subprocess.TimeoutExpired) as error:
        print(f"riskline: not audited: the database of advisories did not answer ({error})", file=sys.stderr)  # noqa: T201
        sys.exit(2)
    if found:
        sys.exit("\n".join(sorted(found)))
    print(f"no advisory for what {len(LOCKED)} locked files name, but {len(ACCEPTED)} accepted")  # noqa: T201


if __name__ == "__main__":
    main()
