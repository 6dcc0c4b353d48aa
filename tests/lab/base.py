"""A stand-in for `python:3.x-slim` where no registry can be reached: Debian's smallest system and this Python.

The layout is the official image's: CPython in /usr/local, pip beside it, the C library from Debian. The stand-in trusts
the certificates that this machine trusts.
"""

import platform
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

SYSTEM = (
    "ca-certificates", "netbase", "tzdata", "libbz2-1.0", "libexpat1", "libffi8", "liblzma5", "libncursesw6",
    "libreadline8", "libsqlite3-0", "libssl3", "libuuid1", "zlib1g",
)  # fmt: skip
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
LEFT_OUT = ("site-packages", "__pycache__", "test", "config-*", "*.a")  # of CPython
NOT_NEEDED = ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/info")

Docker = Callable[..., str]
Run = Callable[..., str]


def import_stand_in(tag: str, lab: Path, docker: Docker, run: Run) -> None:
    """Makes the stand-in below `lab` and gives it to the engine as `tag`."""
    root, packed = lab / "base", lab / "base.tar"
    shutil.rmtree(root, ignore_errors=True)
    if not shutil.which("debootstrap"):
        run("apt-get", "-qq", "update")
        run("apt-get", "-qq", "-y", "--no-install-recommends", "install", "debootstrap")
    release = platform.freedesktop_os_release()["VERSION_CODENAME"]
    packages = f"--include={','.join(SYSTEM)}"
    run("debootstrap", "--variant=minbase", packages, release, str(root), *_mirror())
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    _copy_python(root / "usr/local", version)
    run("chroot", str(root), "ldconfig")
    run("chroot", str(root), "/usr/local/bin/python", "-m", "ensurepip", "--default-pip")
    if CERTIFICATES.is_file():
        shutil.copy(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
        (root / "etc/pip.conf").write_text(f"[global]\ncert = {CERTIFICATES}\n")
    for folder in NOT_NEEDED:
        shutil.rmtree(root / folder, ignore_errors=True)
    run("tar", "-C", str(root), "--numeric-owner", "-cf", str(packed), ".")
    settings = ["ENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin", "ENV LANG=C.UTF-8"]
    settings.append(f"ENV SSL_CERT_FILE={CERTIFICATES}")  # uv, with which BentoML installs, looks nowhere else
    changes = [f"--change={setting}" for setting in [*settings, 'CMD ["python3"]']]
    docker("import", *changes, str(packed), tag)
    packed.unlink()
    shutil.rmtree(root)


def _mirror() -> list[str]:
    """The address that this machine's own packages come from, if it says so in the newer form."""
    sources = Path("/etc/apt/sources.list.d/debian.sources")
    if sources.is_file() and (found := re.search(r"^URIs:\s*(\S+)$", sources.read_text(), re.MULTILINE)):
        return [found[1]]
    return []


def _copy_python(target: Path, version: str) -> None:
    source = Path(sys.base_prefix)
    ignored = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(source / f"lib/python{version}", target / f"lib/python{version}", ignore=ignored, symlinks=True)
    (target / f"lib/python{version}/site-packages").mkdir()
    for library in source.glob("lib/libpython*"):
        if library.suffix != ".a":
            shutil.copy2(library, target / "lib", follow_symlinks=False)
    (target / "bin").mkdir(exist_ok=True)
    shutil.copy2(source / f"bin/python{version}", target / "bin")
    for name in ("python", "python3"):
        (target / "bin" / name).unlink(missing_ok=True)
        (target / "bin" / name).symlink_to(f"python{version}")
