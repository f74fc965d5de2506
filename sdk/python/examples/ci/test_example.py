"""A test of a licensed program."""


def test_something_licensed(license_seat):
    assert license_seat.state.value == "online"
