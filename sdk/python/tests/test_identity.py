"""Who this machine is: stable, salted, one per container and job, and one for all links to one installation."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from coditect_license import LicenseClient
from coditect_license._identity import MachineIdentity, MachineSources, find_machine, hardware_id, installation_parts

from .fake_server import ISSUER, KEY, ROOTS

Make = Callable[..., MachineSources]
CONTAINER = "3f" * 32


@pytest.fixture
def system(tmp_path: Path) -> Make:
    """A machine as a test describes it: files by their path, and its environment."""

    def make(files: dict[str, str] | None = None, **more: Any) -> MachineSources:
        root = tmp_path / "root"
        for name, text in (files or {}).items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        usual: dict[str, Any] = {
            "env": {},
            "root": root,
            "platform": "linux",
            "data_dir": lambda: tmp_path / "data",
            "hostname": lambda: "box",
            "node": lambda: 0x021122334455,
        }
        return MachineSources(**usual | more)

    return make


def test_a_machine_is_its_operating_systems_id(system: Make) -> None:
    machine = find_machine(system({"etc/machine-id": "ABCDEF0123456789abcdef0123456789\n"}))
    assert machine == MachineIdentity("os:abcdef0123456789abcdef0123456789", "machine-id", "desktop", None)


def test_windows_and_macos_have_ids_of_their_own(system: Make) -> None:
    assert find_machine(system(platform="win32", registry=lambda: "GUID-1")).id == "os:guid-1"
    assert find_machine(system(platform="darwin", ioreg=lambda: "UUID-1")).id == "os:uuid-1"


def test_without_one_it_is_an_id_of_our_own_that_stays(system: Make) -> None:
    first, second = find_machine(system()), find_machine(system({"etc/machine-id": "uninitialized\n"}))
    assert first.source == "own" and first == second
    uuid.UUID(first.id.removeprefix("own:"))


def test_two_first_starts_at_once_agree_on_one_id(system: Make) -> None:
    found: list[str] = []
    barrier = threading.Barrier(8)

    def start() -> None:
        barrier.wait()
        found.append(find_machine(system()).id)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and len(set(found)) == 1


def test_where_nothing_can_be_kept_it_is_the_network_card_and_at_last_the_host_name(
    system: Make, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    nowhere = {"data_dir": lambda: tmp_path / "file" / "x"}
    assert find_machine(system(**nowhere)).source == "network card"
    drawn = {"node": lambda: 0x01_22_33_44_55_66}  # a drawn node id is another one after every start
    assert find_machine(system(**nowhere, **drawn)).id == "host:box"


CONTAINERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "docker, cgroups v1": ({"proc/self/cgroup": f"12:cpu:/docker/{CONTAINER}\n"}, {}),
    "docker, cgroups v2": (
        {
            ".dockerenv": "",
            "proc/self/mountinfo": f"1 2 0:1 /var/lib/docker/containers/{CONTAINER}/hostname /etc/hostname rw\n",
        },
        {},
    ),
    "podman": ({"run/.containerenv": "", "proc/sys/kernel/random/boot_id": "b\n"}, {}),
    "kubernetes": ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": "studio-7d9f-x2x"}),
    "ecs": ({}, {"ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/abc-123"}),
    "cloud run": ({}, {"K_SERVICE": "studio", "K_REVISION": "studio-1"}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_known_by_its_own_id_not_by_its_images(system: Make, name: str) -> None:
    files, env = CONTAINERS[name]
    machine = find_machine(system({"etc/machine-id": "0" * 32, **files}, env=env))
    assert (machine.deployment, machine.source) == ("container", "container")
    assert machine.instance is not None and "0" * 32 not in machine.id


def test_two_pods_of_one_image_are_two_machines(system: Make) -> None:
    ids = {
        find_machine(
            system({"etc/machine-id": "0" * 32}, env={"KUBERNETES_SERVICE_HOST": "10.0.0.1", "HOSTNAME": name})
        ).id
        for name in ("pod-a", "pod-b")
    }
    assert len(ids) == 2


JOBS: list[dict[str, str]] = [
    {"GITHUB_RUN_ID": "1", "GITHUB_JOB": "test", "GITHUB_REPOSITORY": "a/b"},
    {"GITHUB_RUN_ID": "1", "GITHUB_JOB": "lint", "GITHUB_REPOSITORY": "a/b"},
    {"GITLAB_CI": "true", "CI_JOB_ID": "7"},
    {"CIRCLECI": "true", "CIRCLE_WORKFLOW_JOB_ID": "x"},
    {"BUILDKITE": "true", "BUILDKITE_JOB_ID": "x"},
    {"JENKINS_URL": "https://j", "BUILD_TAG": "jenkins-a-1"},
    {"TF_BUILD": "True", "SYSTEM_JOBID": "x"},
    {"CI": "true", "BUILD_ID": "9"},
]


def test_every_ci_job_is_a_machine_of_its_own_also_inside_a_container(system: Make) -> None:
    machines = [find_machine(system({".dockerenv": "", "etc/machine-id": "0" * 32}, env=env)) for env in JOBS]
    assert {machine.deployment for machine in machines} == {"ci"}
    assert len({machine.id for machine in machines}) == len(JOBS)
    assert all(machine.instance for machine in machines)


def test_what_is_sent_is_salted_with_the_product_and_is_not_the_machines_id() -> None:
    raw = "os:abcdef0123456789abcdef0123456789"
    one, two = hardware_id(raw, "studio"), hardware_id(raw, "other")
    assert one != two and len(one) == 64 and "abcdef0123456789" not in one
    assert hardware_id(raw, "studio") == one


def test_parts_cannot_be_shifted_into_each_other() -> None:
    assert hardware_id("m", "studio", "ab", "c") != hardware_id("m", "studio", "a", "bc")


def client(**settings: Any) -> LicenseClient:
    return LicenseClient(ISSUER, key=KEY, product="studio", roots=ROOTS, **settings)


@pytest.mark.skipif(os.name != "posix", reason="making links needs a privilege on Windows")
def test_several_links_to_one_installation_are_one_machine(tmp_path: Path) -> None:
    real, project = tmp_path / "real", tmp_path / "project"
    real.mkdir()
    project.mkdir()
    links = [tmp_path / name for name in ("link-a", "link-b")]
    for link in links:
        link.symlink_to(real)
    ids = {
        client(installation=path, project_root=project).hardware_id for path in (real, *links, tmp_path / "." / "real")
    }
    assert len(ids) == 1
    assert client(installation=real).hardware_id not in ids, "another project root is another installation"
    assert client(installation=project, project_root=project).hardware_id not in ids
    assert client().hardware_id not in ids
    assert installation_parts(links[0], None) == installation_parts(real, None)


def test_what_the_caller_gives_is_sent_as_it_is() -> None:
    assert client(hardware_id="rack-7-slot-3").hardware_id == "rack-7-slot-3"
    assert client(deployment="ci").deployment == "ci"


def test_this_machine_has_an_identity_that_stays() -> None:
    assert client().hardware_id == client().hardware_id
