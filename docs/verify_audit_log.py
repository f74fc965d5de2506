#!/usr/bin/env python3
"""Checks an export of the audit log without the server it came from. Python 3.10 or newer, nothing else.

usage: verify_audit_log.py ORGANIZATION EXPORT.ndjson [SEQ HASH]
  EXPORT.ndjson  every entry of the export, one a line (docs/API.md says how to get it); SEQ HASH: a head that you kept
  Who runs the server checks seals too: with LICENSE_PEPPER and LICENSE_PEPPER_PREVIOUS in the environment, as the services have them.
"""
import base64
import hashlib
import hmac
import json
import os
import sys
import uuid


def text(*parts):
    """Texts one after the other, each with its length in bytes in front: a netstring each."""
    return b"".join(b"%d:%s," % (len(part.encode()), part.encode()) for part in parts)


def peppers():
    """The keys of seals by their version, as far as the environment has them."""
    values = (os.environ.get(name, "").split(":", 1) for name in ("LICENSE_PEPPER", "LICENSE_PEPPER_PREVIOUS"))
    return {value[0]: base64.urlsafe_b64decode(value[1] + "=" * (-len(value[1]) % 4)) for value in values if len(value) == 2}


def sealed(keys, seal, *said):
    """Whether a seal is of this; None: it is of a key that is not known."""
    version, _, mac = (seal or ".").partition(".")
    if seal and version not in keys:
        return None
    made = base64.urlsafe_b64encode(hmac.digest(keys.get(version, b""), text(*said), "sha256")).decode().rstrip("=")
    return bool(seal) and hmac.compare_digest(made, mac)


def check(organization, entries, known=None, keys=None):
    """Yields a sentence for everything that is wrong."""
    previous, by_place, ids = "00" * 32, {}, {}
    for place, entry in enumerate(entries, 1):
        by_place[entry["seq"]], ids[entry["id"]] = entry["hash"], entry["action"]
        said = ("audit-entry-v1", previous, str(place), organization, str(uuid.UUID(entry["id"])), entry["actor_kind"], entry["actor"],
                entry["action"], entry["target"], entry["details_hash"])
        if entry["seq"] != place or hashlib.sha256(text(*said)).hexdigest() != entry["hash"]:
            yield f"{place}: the entry is not the one that was written at this place"
        details = hashlib.sha256(bytes.fromhex(entry["salt"] or "") + entry["details"].encode()).hexdigest()
        if details != (entry["erased_hash"] if entry["erased_by"] else entry["details_hash"]):
            yield f"{place}: the details are not those that were written"
        if keys and sealed(keys, entry["seal"], "audit-seal-v1", organization, str(place), entry["hash"]) is False:
            yield f"{place}: the seal is not the server's"
        of = ("audit-erased-v1", organization, str(place), entry["erased_by"] or "", entry["erased_hash"] or "")
        if keys and entry["erased_by"] and sealed(keys, entry["erased_seal"], *of) is False:
            yield f"{place}: the seal of what an erasure left is not the server's"
        previous = entry["hash"]
    for entry in entries:
        if entry["erased_by"] and ids.get(entry["erased_by"]) not in ("person.erased", "machine.erased"):
            yield f"{entry['seq']}: something was blanked by no erasure of this log"
    if keys and entries and sealed(keys, entries[-1]["seal"], "audit-seal-v1", organization, str(len(entries)), previous) is None:
        yield f"{len(entries)}: the newest entry is sealed with a pepper that was not given, so nothing vouches for the log"
    if known and by_place.get(known[0]) != known[1]:
        yield f"the log is not the one that the head at {known[0]} is of"


def main(organization, export, *known):
    with open(export, encoding="utf-8") as lines:
        entries = [json.loads(line) for line in lines if line.strip()]
    faults = list(check(str(uuid.UUID(organization)), entries, known and (int(known[0]), known[1]), peppers()))
    print(*faults, sep="\n", end="\n" if faults else "")
    erased = sum(1 for entry in entries if entry["erased_by"])
    print(f"{len(entries)} entries, {erased} with something erased, {len(faults)} faults; head {len(entries)} {entries[-1]['hash'] if entries else '-'}")
    return 1 if faults or not entries else 0


if __name__ == "__main__":
    if len(sys.argv) not in (3, 5):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
