"""Texts of somebody else, which nobody signs: a terminal that shows them obeys nothing in them."""

from __future__ import annotations

import pytest

from coditect_license import LicenseRevoked, NoSeats
from coditect_license.testing import InMemoryServer


def test_the_labels_of_holders_have_no_control_characters() -> None:
    server = InMemoryServer(product="studio", seats=1)
    server.occupy_seats(label="one\x1b[2J\ntwo")
    with server.client() as client:
        with pytest.raises(NoSeats) as refused:
            client.acquire()
        assert [holder.label for holder in refused.value.holders] == ["one [2J two-1"]
        assert [holder.label for holder in client.validate().holders] == ["one [2J two-1"]


def test_the_sentence_of_a_refusal_has_no_control_characters() -> None:
    server = InMemoryServer(product="studio")
    refusing = server.refusing("acquire", "license_revoked", detail="revoked\x1b]0;x\x07 for good")
    with server.client() as client, refusing, pytest.raises(LicenseRevoked) as refused:
        client.acquire()
    assert str(refused.value).startswith("revoked ]0;x  for good")
