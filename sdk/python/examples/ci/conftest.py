"""pytest in CI: one seat for the whole run, waited for, and given back whatever the tests do.

The CI job is the machine: parallel jobs need a seat each, pytest-xdist's workers of one job share one. Set
CODITECT_LICENSE_SERVER and CODITECT_LICENSE_KEY as secrets of the job. With `coditect-license run --wait 10m -- pytest`
no code is needed at all.
"""

import os

import pytest

from coditect_license import LicenseClient, NoSeats


@pytest.fixture(scope="session", autouse=True)
def license_seat():
    with LicenseClient(
        os.environ["CODITECT_LICENSE_SERVER"],
        key=os.environ["CODITECT_LICENSE_KEY"],
        product=os.environ.get("CODITECT_LICENSE_PRODUCT", "studio"),
        roots=os.environ.get("CODITECT_LICENSE_ROOTS", "roots.json"),
        project=os.environ.get("GITHUB_REPOSITORY") or os.environ.get("CI_PROJECT_PATH"),
        offline=False,  # a job leaves no cache behind
    ) as client:
        try:
            seat = client.seat(wait=float(os.environ.get("CODITECT_LICENSE_WAIT", "600")))
        except NoSeats as full:
            pytest.exit(
                f"no seat within the time to wait: {full} ({', '.join(holder.label for holder in full.holders)})",
                returncode=75,
            )
        with seat:
            yield seat
