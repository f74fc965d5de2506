"""``doctor`` foretells ``run``: for each planted fault, its red line, and the exit code that ``run`` then has."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from coditect_license.testing import OutageKind

from .cli_world import World, world_at
from .fake_server import OTHER_ROOT, jwk_of
from .test_trust import certificate as make_certificate

pytestmark = pytest.mark.one_python

OTHER_KEY = "CODI-752KJ-Y5EZQ-1CW0A-1B2C3-D4EHJ-KMNP8"
OWN_CA = "own CA"


class Fault(NamedTuple):
    plant: Callable[[World], object]
    exits: int
    check: str
    """The check of doctor that is red."""
    says: str
    """A word of what is wrong, or of what to do."""
    login: int | None = None
    """What login exits with, where it is not what run exits with."""


def other_roots(world: World) -> None:
    (world.home / "roots.json").write_text(json.dumps({"keys": [jwk_of(OTHER_ROOT)]}))


def written(name: str, text: str) -> Callable[[World], object]:
    return lambda world: (world.home / name).write_text(text)


def set_to(**variables: str | None) -> Callable[[World], None]:
    return lambda world: world.set(**variables)


def exported(**variables: str) -> Callable[[World], None]:
    return lambda world: world.env.update(variables)


def in_state(status: str) -> Callable[[World], None]:
    return lambda world: setattr(world.server, "license_status", status)


def out(kind: str) -> Callable[[World], None]:
    return lambda world: setattr(world.server, "outage_kind", OutageKind(kind))


def shifted(seconds: float) -> Callable[[World], None]:
    return lambda world: setattr(world.server, "now", lambda: time.time() + seconds)


def own_process_holds(world: World) -> None:
    world.server.pool.processes_per_seat = 1
    world.server.client(hardware_id="machine-0001", clock=None).acquire()


def refusing(verb: str, status: int, code: str) -> Callable[[World], None]:
    return lambda world: world.server.refuse.update({verb: (status, code, {})})


def a_page_instead(world: World) -> None:
    world.server.answer_instead = lambda _: httpx.Response(404, html="<html>nginx</html>")


def a_broken_profile(world: World) -> None:
    folder = world.home / ".config" / "coditect-license"
    folder.mkdir(parents=True)
    (folder / "profile.json").write_text("{")


def over_tls(world: World) -> None:
    """The server's port speaks TLS with a certificate of an authority of its own."""
    files = world.home / "ca"
    files.mkdir()
    certificate, key = make_certificate(files)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    listener = world.loopback._listener
    listener.socket = context.wrap_socket(listener.socket, server_side=True)
    world.server.issuer = f"https://localhost:{listener.server_address[1]}"
    world.server.forget_signer()
    world.set(server=world.server.issuer)


def over_tls_with(ca_file: str) -> Callable[[World], None]:
    def plant(world: World) -> None:
        over_tls(world)
        world.set(verify=str(world.home / ca_file))

    return plant


FAULTS: dict[str, Fault] = {
    "another product": Fault(set_to(product="other"), 77, "license key", "--product studio"),
    "the product in capitals": Fault(set_to(product="Studio"), 65, "answers", "found studio"),
    "a mistyped key": Fault(set_to(key=OTHER_KEY[:-1] + "9"), 77, "settings", "mistyped"),
    "no key at all": Fault(set_to(key="none"), 77, "settings", "CODI-"),
    "an unknown key": Fault(set_to(key=OTHER_KEY), 77, "license key", "No license has this key"),
    "suspended": Fault(in_state("suspended"), 77, "license key", "suspended"),
    "expired": Fault(in_state("expired"), 77, "license key", "Ask the vendor to extend it"),
    "revoked": Fault(in_state("revoked"), 77, "license key", "revoked"),
    "not started": Fault(in_state("not_started"), 77, "license key", "not begun"),
    "full": Fault(lambda world: world.server.occupy_seats(), 75, "seats", "--wait", login=0),
    "all processes": Fault(own_process_holds, 75, "seats", "processes", login=0),
    "no such pool": Fault(set_to(pool="gpu"), 77, "license key", "no pool named gpu"),
    "a pool that none can be": Fault(set_to(pool="GPU pool!"), 78, "license key", "pool"),
    "nobody listens": Fault(lambda world: world.loopback.close(), 69, "connection", "Check the address"),
    "no such host": Fault(set_to(server="https://licenses.invalid"), 69, "connection", "licenses.invalid"),
    "a hotel's network": Fault(out("portal"), 69, "license key", "Check the address"),
    "an outage": Fault(out("unavailable"), 69, "license key", "cannot answer now"),
    "cut connections": Fault(out("silent"), 69, "connection", "was not reached"),
    "another server": Fault(a_page_instead, 69, "license key", "HTTP status 404"),
    "too many requests": Fault(refusing("acquire", 429, "rate_limited"), 69, "answers", "rate_limited"),
    "another issuer": Fault(set_to(issuer="https://a.example"), 65, "answers", "--issuer"),
    "other root keys": Fault(other_roots, 65, "keys", "not pinned"),
    "no root keys": Fault(set_to(roots=None), 78, "settings", "--trust-server"),
    "root keys that are missing": Fault(set_to(roots="/no/such/file"), 78, "settings", "Check --roots"),
    "root keys that are none": Fault(written("roots.json", "hello"), 78, "settings", "Check --roots"),
    "a clock two days behind": Fault(shifted(2 * 86400), 65, "answers", "it is behind"),
    "a clock two days ahead": Fault(shifted(-2 * 86400), 65, "answers", "it is ahead"),
    "a dead proxy": Fault(exported(HTTP_PROXY="http://user:secret@127.0.0.1:9"), 69, "proxy", "127.0.0.1:9 does not"),
    "a dead proxy as a setting": Fault(set_to(proxy="http://127.0.0.1:9"), 69, "proxy", "does not answer"),
    "ALL_PROXY of a kind that is none": Fault(exported(ALL_PROXY="socks://127.0.0.1:9"), 69, "proxy", "socks5"),
    "a proxy that is none": Fault(set_to(proxy="ftp://a"), 78, "settings", "--proxy"),
    "an own CA": Fault(over_tls, 69, "certificate", "--ca-file"),
    "a CA file that is missing": Fault(over_tls_with("none.pem"), 78, "settings", "--ca-file"),
    "a CA file that is none": Fault(over_tls_with("roots.json"), 78, "settings", "PEM"),
    "no address": Fault(set_to(server="licenses.example.com"), 78, "settings", "https://licenses.example.com"),
    "no encryption": Fault(set_to(server="http://licenses.example.com"), 78, "settings", "--allow-http"),
    "no product": Fault(set_to(product=None), 78, "settings", "--product"),
    "no server": Fault(set_to(server=None), 78, "settings", "--server"),
    "a hardware id that is none": Fault(set_to(hardware_id="x"), 78, "settings", "--hardware-id"),
    "a timeout that is none": Fault(set_to(timeout="soon"), 78, "settings", "--timeout"),
    "a broken profile": Fault(a_broken_profile, 78, "settings", "Log in again", login=0),
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with world_at(tmp_path / "home") as world:
        yield world


def checks_of(told: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {check["check"]: check for check in told["checks"]}


@pytest.mark.parametrize("name", FAULTS)
def test_doctor_and_login_foretell_what_run_meets(world: World, name: str) -> None:
    fault = FAULTS[name]
    fault.plant(world)
    done = world.run("run", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (fault.exits, ""), done.stderr
    assert done.stderr.count("\n") == len(done.stderr.splitlines()) and "Traceback" not in done.stderr

    told = world.answer("doctor")
    red = [check for check in told["checks"] if check["result"] == "failed"]
    assert (told["exit"], told["ok"], told["run_exits"]) == (1, False, fault.exits), told
    assert fault.check in {check["check"] for check in red}, red
    assert fault.says in checks_of(told)[fault.check]["detail"], red
    assert "secret" not in json.dumps(told)

    status = world.run("status")
    assert status.returncode == fault.exits, status.stderr
    login = world.run("login", "--no-keyring")
    assert login.returncode == (fault.exits if fault.login is None else fault.login), login.stderr
    told_at_login = login.stdout + login.stderr
    if name != "a broken profile":  # which a login replaces
        assert login.stderr.startswith("coditect-license: ") or json.loads(login.stdout)["problem"]
    for text in (done.stderr, json.dumps(told), status.stderr, told_at_login):
        assert "=…" not in text and "=True" not in text and "LicenseClient" not in text, "words of the library"
    assert world.server.own_sessions() == [] or name == "all processes"


def test_what_is_about_the_license_is_kept_by_login_and_what_is_about_the_settings_is_not(world: World) -> None:
    world.set(product="other")
    assert world.run("login").returncode == 77 and world.profile is None
    world.set(product="studio")
    world.server.license_status = "suspended"
    done = world.run("login", "--text")
    assert done.returncode == 77 and "failed: The license is suspended" in done.stdout
    assert world.profile is not None
    world.server.license_status = "active"
    for name in ("server", "product", "key", "roots"):
        world.set(**{name: None})
    assert world.run("run", "--", "echo", "started").stdout == "started\n"


@pytest.mark.parametrize("plant", [lambda _: None, over_tls_with("ca/ca.pem")], ids=["http", "an own CA that is given"])
def test_without_a_fault_everything_is_green(world: World, plant: Callable[[World], None]) -> None:
    plant(world)
    told = world.answer("doctor", "--seat")
    assert (told["exit"], told["run_exits"]) == (0, 0), told
    assert {check["result"] for check in told["checks"]} == {"ok"}, told
    assert world.answer("status")["ok"] and world.answer("login")["problem"] is None
    assert world.run("run", "--", "true").returncode == 0
    assert world.server.own_sessions() == []


def test_one_front_of_several_is_enough(world: World) -> None:
    server = world.env["CODITECT_LICENSE_SERVER"]
    world.set(server=f"http://127.0.0.1:9, {server}", issuer=server)
    told = world.answer("doctor", "--seat")
    assert (told["exit"], told["run_exits"]) == (0, 0), told
    assert world.run("run", "--", "true").returncode == 0 and world.run("login").returncode == 0


def test_a_seat_that_is_held_is_no_full_license(world: World) -> None:
    done = world.run("run", "--", "sh", "-c", "exit 0")
    world.server.occupy_seats(2)
    held = world.server.client(hardware_id="machine-0001", clock=None).acquire()
    told, status = world.answer("doctor"), world.answer("status")
    assert done.returncode == told["exit"] == status["exit"] == 0 and status["has_seat"], held
    assert checks_of(told)["seats"]["detail"] == "this machine holds a seat"


def test_a_start_without_contact_is_foretold(world: World) -> None:
    """The kept token of a seat that was not given back, since the server went away."""
    client = world.server.client(
        hardware_id="machine-0001", clock=None, offline=True, cache_dir=world.home / "kept", max_retries=0, timeout=2
    )
    with client.seat():
        kept = next((world.home / "kept").iterdir()).read_text()
    world.set(cache_dir=str(world.home / "kept"))
    world.loopback.close()
    told = world.answer("doctor")
    assert (told["exit"], told["run_exits"]) == (1, 69)
    next_to = world.home / "kept"
    done = world.run("fingerprint")
    assert done.returncode == 0
    name = client._context.store.path.name
    (next_to / name).write_text(kept)
    told = world.answer("doctor")
    assert (told["exit"], told["run_exits"]) == (1, 0), told
    assert "without the server" in checks_of(told)["offline start"]["detail"]
    assert world.run("run", "--", "echo", "started").stdout == "started\n"
