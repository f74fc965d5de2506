"""Who this machine is: stable, salted, one per container and job, and one for all links to one installation."""

from __future__ import annotations

import os
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from coditect_license import LicenseClient
from coditect_license._identity import MachineIdentity, find_machine, hardware_id, installation_parts

from .conftest import Make
from .fake_server import ISSUER, KEY, ROOTS


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
