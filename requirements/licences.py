"""The licence of each distribution that the service and its extras install, and which licences may be among them.

    python -m requirements.licences     # writes docs/licences.md anew

A distribution says its licence in one of three ways: as an SPDX expression, in words of its own, or by a classifier.
The most exact one that it has is taken. A licence that is not in ALLOWED, or a distribution that does not say, is an
error: whoever adds it decides here, and says why.
"""

import importlib.metadata
import re
from contextlib import suppress
from importlib.metadata import PackageMetadata

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from requirements.locked import HERE, pins

ENVIRONMENTS = ("serving", "training", "analytics", "dynamodb", "traces", "ray")
TABLE = HERE.parent / "docs/licences.md"

PERMISSIVE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-3-Clause-Clear", "CC0-1.0", "ISC", "MIT", "MIT-0",
    "PSF-2.0", "Zlib",
}  # fmt: skip
# Copyleft that ends at its own files: whoever changes one of them offers that file, and nothing else. We change none.
FILE_COPYLEFT = {"MPL-2.0"}
ALLOWED = PERMISSIVE | FILE_COPYLEFT

# What distributions write instead of an SPDX expression
IN_WORDS = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "MIT License": "MIT",
}
# "BSD License" is missing: it says nothing of the number of clauses
BY_CLASSIFIER = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: MIT License": "MIT",
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "License :: OSI Approved :: Python Software Foundation License": "PSF-2.0",
}
# What the metadata leave open, by who has read the text of the licence
READ = {
    "jinja2": ("BSD-3-Clause", "its LICENSE.txt; the metadata say BSD"),
    "ndonnx": ("BSD-3-Clause", "its LICENSE; the metadata say BSD"),
    "nvidia-ml-py": ("BSD-3-Clause", "the head of pynvml.py; the metadata say BSD"),
    "pyasn1-modules": ("BSD-2-Clause", "its LICENSE.txt; the metadata say BSD"),
    "python-dateutil": ("Apache-2.0 OR BSD-3-Clause", "its LICENSE: older parts are BSD, for the rest one may choose"),
    "scipy": ("BSD-3-Clause", "its LICENSE.txt; the metadata hold that text's first line"),
    "spox": ("BSD-3-Clause", "its LICENSE; the metadata say BSD"),
}

INTRODUCTION = """\
# Licences

What the service and its extras install, by what each distribution says of itself. `make sbom` writes this page, and
the tests compare it with what is locked and refuse any licence but these:
{allowed}.

MPL-2.0 asks whoever changes one of its files to offer that file; Riskline changes none. No distribution is under the
GPL, LGPL, AGPL, SSPL or BSL. Some wheels carry compiled libraries of others: numpy, scipy, scikit-learn and xgboost-cpu
parts of GCC's runtime (GPL with the exception that lets any program link them; libquadmath, in the first two, is LGPL),
pyzmq libzmq (MPL-2.0) and libsodium (ISC). The base image, Debian with Python, is not listed here: it keeps its
licences in `/usr/share/doc`.

| distribution | licence | needed for | as read in |
|---|---|---|---|
"""


class LicenceError(Exception):
    """Which distribution's licence is not known or not allowed, in one line that says what to do."""


def licence(metadata: PackageMetadata) -> str:
    """The SPDX expression of a distribution; LicenceError where it is not clear or not allowed."""
    name = re.sub(r"[-_.]+", "-", metadata["Name"]).lower()
    expression = _said(name, metadata)
    named = set(re.findall(r"[^\s()]+", expression)) - {"AND", "OR"}
    if not named <= ALLOWED:
        raise LicenceError(f"{name} is under {expression}, which requirements/licences.py does not allow")
    return expression


def _said(name: str, metadata: PackageMetadata) -> str:
    if name in READ:
        return READ[name][0]
    # in older metadata the whole text may stand where its name belongs
    for words in (*(metadata.get_all("License-Expression") or []), *(metadata.get_all("License") or [])):
        with suppress(InvalidLicenseExpression):
            return str(canonicalize_license_expression(IN_WORDS.get(words, words)))
    classifiers = [each for each in metadata.get_all("Classifier") or [] if each.startswith("License ::")]
    known = [BY_CLASSIFIER[each] for each in classifiers if each in BY_CLASSIFIER]
    if not known or len(known) < len(classifiers):
        raise LicenceError(f"{name} does not say its licence clearly; read it, and add it to requirements/licences.py")
    return " AND ".join(known)


def table() -> str:
    """The page of licences; every environment must be installed."""
    needed: dict[str, str] = {}
    for environment in ENVIRONMENTS:
        for pin in pins(HERE / f"{environment}.txt"):
            needed.setdefault(pin.name, environment)
    rows = []
    for name, environment in sorted(needed.items()):
        read = READ[name][1] if name in READ else "its metadata"
        rows.append(f"| {name} | {licence(importlib.metadata.metadata(name))} | {environment} | {read} |")
    allowed = ", ".join(sorted(ALLOWED))
    return INTRODUCTION.format(allowed=allowed) + "\n".join(rows) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table())
