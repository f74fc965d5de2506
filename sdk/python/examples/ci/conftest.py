"""pytest in CI: one seat for the whole run, waited for, and given back whatever the tests do.

The CI job is the machine: parallel jobs need a seat each, pytest-xdist's workers of one job share one. Set
CODITECT_LICENSE_SERVER and CODITECT_LICENSE_KEY as secrets of the job. With `coditect-license run --wait 10m -- pytest`
no code is needed at all.

Against the server that `./dev run` starts, from the root of the repository:

    curl -so roots.json http://127.0.0.1:8080/.well-known/license-keys
    export CODITECT_LICENSE_SERVER=http://127.0.0.1:8080
    export CODITECT_LICENSE_KEY="$(cat .local/license-key)"
    python -m pytest sdk/python/examples/ci
"""

import os
from pathlib import Path

import pytest

from coditect_license import LicenseClient, LicenseError, NoSeats

# The demo license is for the product "demo". Your program is one product, and names it here.
PRODUCT = os.environ.get("CODITECT_LICENSE_PRODUCT") or "demo"


@pytest.fixture(scope="session", autouse=True)
def license_seat():
    # Without the variable: the keys beside where pytest was started, else those that the package was built with.
    roots = os.environ.get("CODITECT_LICENSE_ROOTS") or ("roots.json" if Path("roots.json").exists() else None)
    try:
        client = LicenseClient(  # the server and the key come from the environment
            product=PRODUCT,
            roots=roots,
            project=os.environ.get("GITHUB_REPOSITORY") or os.environ.get("CI_PROJECT_PATH"),
            offline=False,  # a job leaves no cache behind
        )
        with client, client.seat(wait=float(os.environ.get("CODITECT_LICENSE_WAIT", "600"))) as seat:
            yield seat
    except NoSeats as full:
        holders = ", ".join(holder.label for holder in full.holders)
        pytest.exit(f"no seat within the time to wait: {full} ({holders})", returncode=75)
    except LicenseError as error:  # a missing setting, a wrong key, no connection: the text says what to do
        pytest.exit(str(error), returncode=78)
