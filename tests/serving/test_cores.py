"""A container's limits as the kernel shows them, in a folder made for the test."""

import os
from pathlib import Path

import pytest

from serving.cores import cores

MACHINE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def seen(folder: Path, own_groups: str, files: dict[str, str]) -> int:
    (folder / "own").write_text(own_groups)
    for name, text in files.items():
        (folder / "cgroup" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "cgroup" / name).write_text(text)
    return cores(folder / "cgroup", folder / "own")


def version_1(quota: object) -> dict[str, str]:
    return {"cpu/cpu.cfs_quota_us": f"{quota}\n", "cpu/cpu.cfs_period_us": "100000\n"}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, MACHINE),
        ({"cpu.max": "max 100000\n"}, MACHINE),
        ({"cpu.max": "100000 100000\n"}, 1),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "199999 100000\n"}, 1),
        ({"cpu.max": "100000000 100000\n"}, MACHINE),
        ({"cpu.max": "0 0\n"}, MACHINE),
        ({"cpu.max": ""}, MACHINE),
        (version_1(-1), MACHINE),
        (version_1(100000), 1),
        (version_1(50000), 1),
        (version_1(100000000), MACHINE),
    ],
)
def test_the_quota_of_a_container_counts_where_it_is_less_than_the_machine(
    files: dict[str, str], expected: int, tmp_path: Path
) -> None:
    assert seen(tmp_path, "4:cpu,cpuacct:/\n0::/\n", files) == expected


def test_two_whole_cores_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert seen(tmp_path, "0::/\n", {"cpu.max": "250000 100000\n"}) == 2
    assert seen(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"}) == 64


def test_the_cores_that_the_process_is_bound_to_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert seen(tmp_path, "0::/\n", {"cpu.max": "800000 100000\n"}) == 3


@pytest.mark.parametrize("limited", ["cpu.max", "system.slice/cpu.max", "system.slice/riskline.service/cpu.max"])
def test_the_groups_above_count_too(limited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    groups = ["cpu.max", "system.slice/cpu.max", "system.slice/riskline.service/cpu.max"]
    files = {group: "300000 100000" if group == limited else "max 100000" for group in groups}
    assert seen(tmp_path, "0::/system.slice/riskline.service\n", files) == 3


def test_a_path_that_only_the_host_knows_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert seen(tmp_path, "7:memory:/docker/1f\n3:cpu:/docker/1f\n0::/docker/1f\n", version_1(400000)) == 4


def test_without_cgroups_it_is_the_machine(tmp_path: Path) -> None:
    assert cores(tmp_path / "none", tmp_path / "none either") == MACHINE
