"""What check.py must find: a dependency that is left out, one that is made up, another version. And what advisories.py must not take for good."""

import io
from unittest import mock

import advisories
import check


def sbom(*components):
    return {"bomFormat": "CycloneDX", "components": [{"name": name, "version": version} for name, version in components]}


def edge(package, *kinds):
    return {"pkg": package, "dep_kinds": [{"kind": kind} for kind in kinds]}


METADATA = {
    "packages": [{"id": it, "name": it, "version": "1"} for it in ("ours", "linked", "builds", "deep", "tests", "both", "elsewhere")],
    "resolve": {"nodes": [
        {"id": "ours", "deps": [edge("linked", None), edge("builds", "build"), edge("tests", "dev"), edge("both", "dev", None)]},
        {"id": "linked", "deps": [edge("deep", None), edge("tests", "dev")]},
        *({"id": it, "deps": []} for it in ("builds", "deep", "tests", "both", "elsewhere")),
    ]},
}


def test_linked():
    expected = {"linked@1", "builds@1", "deep@1", "both@1"}
    assert check.linked(METADATA, "ours") == expected
    assert check.compare(expected, expected) == []
    assert check.compare(expected - {"deep@1"}, expected) == ["locked, and not listed: deep@1"]
    assert check.compare(expected | {"tests@1"}, expected) == ["listed, and not locked: tests@1"]
    assert len(check.compare({"deep@2"}, {"deep@1"})) == 2


def test_listed():
    nested = sbom(("a", "1"))
    nested["components"][0]["components"] = [{"name": "b", "version": "2"}]
    assert check.listed(nested) == {"a@1", "b@2"}
    try:
        check.listed({"spdxVersion": "SPDX-2.3"})
    except SystemExit:
        return
    raise AssertionError("another format is refused")


def test_installed():
    assert check.installed("Typing_Extensions==4.1\nruamel.yaml==1\n-e git+x\n") == {"typing-extensions@4.1", "ruamel-yaml@1"}


def test_advisories():
    fine, known = {"name": "a", "version": "1", "vulns": []}, {"name": "b", "version": "2", "vulns": [{"id": "CVE-1"}, {"id": "PYSEC-2"}]}
    skipped = {"name": "c", "skip_reason": "Dependency not found on PyPI and could not be audited: c (3)"}
    assert advisories.pip({"dependencies": [fine]}) == (0, [])
    assert advisories.pip({"dependencies": [fine, skipped]}) == (2, []), "what was skipped was not looked up"
    assert advisories.pip({"dependencies": []}) == (2, [])
    assert advisories.pip({"dependencies": [skipped, known]}) == (1, ["b 2: CVE-1, PYSEC-2"])
    assert advisories.npm({"metadata": {"vulnerabilities": {"total": 0}}})[0] == 0
    assert advisories.npm({"metadata": {"vulnerabilities": {"total": 1}}, "vulnerabilities": {"x": {"severity": "high"}}}) == (1, ["x: high"])
    for kind, said in [("npm", '{"message": "405 Method Not Allowed"}'), ("npm", ""), ("pip", "not JSON"), ("pip", "[]")]:
        with mock.patch("sys.stdin", io.StringIO(said)):
            assert advisories.main(kind) == 2, said


if __name__ == "__main__":
    tests = [it for name, it in sorted(globals().items()) if name.startswith("test_")]
    for test in tests:
        test()
    print(f"{len(tests)} tests of the check passed")
