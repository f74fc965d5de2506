"""A program that exports drawings while it holds a seat. Its tests are beside it and need no license server."""

import os

from coditect_license import LicenseClient, LicenseError, NoSeats, ServerUnreachable


def make_client() -> LicenseClient:
    """A client whose server, key and root keys can be given from outside, as tests and administrators do."""
    return LicenseClient(
        os.environ.get("CODITECT_LICENSE_SERVER", "https://licenses.example.com"),
        key=os.environ["CODITECT_LICENSE_KEY"],
        product="studio",
        roots=os.environ.get("CODITECT_LICENSE_ROOTS", "roots.json"),
    )


def export() -> str:
    """What the program says when somebody presses "Export"."""
    with make_client() as client:
        try:
            with client.seat() as seat:
                return "Exported." if seat.has("export") else "Your license does not include the export."
        except NoSeats as full:
            names = ", ".join(holder.label for holder in full.holders)
            return f"All {full.seats_total} seats are in use, by {names}."
        except ServerUnreachable:
            return "The license server is out of reach."
        except LicenseError as error:  # suspended, expired, a wrong key: the text says what to do
            return str(error)
