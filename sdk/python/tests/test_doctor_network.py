"""What ``doctor`` says of proxies."""

from __future__ import annotations

import pytest

from coditect_license._cli.network import check_proxy


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.mark.parametrize(
    ("variable", "server", "proxy"),
    [
        ("http_proxy", "https://licenses.test", None),
        ("https_proxy", "http://licenses.test", None),
        ("https_proxy", "https://licenses.test", "proxy.test:3128"),
        ("all_proxy", "https://licenses.test", "proxy.test:3128"),
    ],
)
def test_a_proxy_is_told_of_where_requests_go_through_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, server: str, proxy: str | None
) -> None:
    monkeypatch.setenv(variable, "http://user:secret@proxy.test:3128")
    name, result, detail = check_proxy({"server": server}, None)
    assert name == "proxy" and "secret" not in detail
    if proxy is None:
        assert (result, detail) == ("ok", "none")
    else:
        assert result == "warning" and f"through {proxy}." in detail


def test_of_two_proxies_the_one_that_is_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://other.test:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.test:3128")
    assert "through proxy.test:3128." in check_proxy({"server": "https://licenses.test"}, None)[2]
