"""Tests of a licensed program with the fixture ``license_server``, which coditect-license-client brings along."""

import pytest
from program import export, make_client

from coditect_license import SeatState


@pytest.mark.license_server(features={"export": True})
def test_the_export_takes_a_seat_and_gives_it_back(license_server):
    assert export() == "Exported."
    assert license_server.verbs() == ["acquire", "release"]
    assert license_server.seats_used == 0


def test_a_license_without_the_export_says_so(license_server):
    assert export() == "Your license does not include the export."


@pytest.mark.license_server(seats=2)
def test_a_full_license_names_who_has_the_seats(license_server):
    license_server.occupy_seats()
    assert export() == "All 2 seats are in use, by host-1, host-2."
    license_server.vacate_seats(1)
    assert "seats are in use" not in export()


def test_a_suspended_license_says_what_to_do(license_server):
    license_server.license_status = "suspended"
    assert export() == "The license is suspended and gives no seat. The vendor can say why, and resume it."


@pytest.mark.parametrize("kind", ["unreachable", "silent", "unavailable", "portal"])
def test_a_server_that_is_not_there_is_told_in_a_sentence(license_server, kind):
    with license_server.outage(kind):
        assert export() == "The license server is out of reach."


def test_the_program_goes_on_without_a_network_and_recovers(license_server):
    with make_client() as client, client.seat() as seat:
        with license_server.outage():
            license_server.advance(hours(1))
            assert seat.state is SeatState.OFFLINE
            license_server.advance(hours(24))
            assert seat.state is SeatState.DEGRADED
        license_server.advance(hours(1))
        assert seat.state is SeatState.ONLINE


def hours(count):
    return count * 3600
