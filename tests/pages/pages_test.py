"""The pages for newcomers and operators, typed as printed: docs/START.md, README.md, and the restore of docs/OPERATING.md."""

import json
import re
import stat
import subprocess
import time
import unittest
import urllib.error
import urllib.request
from html.parser import HTMLParser
from urllib.parse import urljoin

from blocks import blocks, sections
from clone import BINARY, ROOT, Clone, Lines, end, free_port

START = (ROOT / "docs/START.md").read_text("utf-8")
README = (ROOT / "README.md").read_text("utf-8")
OPERATING = (ROOT / "docs/OPERATING.md").read_text("utf-8")
# What the newcomer's page promises, in seconds.
TWO_MINUTES = 120
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class PageCase(unittest.TestCase):
    """A clone of its own for each test."""

    def setUp(self) -> None:
        self.assertTrue(BINARY.is_file(), f"{BINARY} is not built: cargo build -p license-local, or set LICENSE_LOCAL")
        self.clone = Clone()
        self.addCleanup(self.clone.remove)

    def asked(self, path: str, accept: str = "application/json", body: dict | None = None) -> tuple[int, str]:
        """Status and text of an answer of all functions together."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Accept": accept, "Content-Type": "application/json"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.clone.port}{path}", data, headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def key(self) -> str:
        return (self.clone.path / ".local/license-key").read_text().strip()


class TheNewcomersPage(PageCase):
    def test_it_leads_to_a_held_seat_in_under_two_minutes(self) -> None:
        start, *others = blocks(START)
        self.assertEqual(start, "./dev run\n")
        began = time.monotonic()
        served = self.clone.serve(start)
        shell = self.clone.shell("\n".join(others))
        self.addCleanup(end, shell)
        lines = Lines(shell.stdout)
        seated = lines.until("Seat 0 is online")
        lines.until("this command holds a seat")
        self.assertEqual(shell.wait(30), 0, lines.all)
        shell.stdout.close()
        seconds = seated - began
        print(f"the first seat after {seconds:.1f} s, of which {served - began:.1f} s until the server ran", flush=True)
        self.assertLess(seconds, TWO_MINUTES)
        status, text = self.asked("/api/v1/licenses/validate", body={"license_key": self.key()})
        self.assertEqual((status, json.loads(text)["seats_used"]), (200, 0), "each seat was given back")

    def test_localhost_is_the_same_address(self) -> None:
        self.clone.serve()
        _, install, program, _ = blocks(START)
        printed = self.clone.run(install + program.replace('"http://127.0.0.1:', '"http://localhost:'))
        self.assertIn("Seat 0 is online", printed)


class TheServersReadme(PageCase):
    def test_what_is_printed_answers_in_the_form_that_the_page_shows(self) -> None:
        self.clone.serve()
        [shown] = [block for block in blocks(sections(README)["What you see"], "") if block.startswith("{")]
        lines = [line for line in self.clone.printed.all if "curl " in line and "/licenses/" in line]
        answers = self.clone.run("\n".join(lines)).splitlines()
        self.assertEqual(len(answers), 3)
        for sample, answer in zip(shown.splitlines(), answers, strict=True):
            self.assertEqual(members(sample), members(answer), "the same members in the same order")
        [banner] = [block for block in blocks(sections(README)["What you see"], "") if "license-local is running" in block]
        printed = {re.split(r"  +", line.strip())[0] for line in self.clone.printed.all if line.startswith("  ")}
        told = {re.split(r"  +", line.strip())[0] for line in banner.splitlines() if line.startswith("  ")}
        self.assertEqual(told, printed, "the same lines above the three")

    def test_one_more_service_runs_beside_it(self) -> None:
        self.clone.serve()
        [block] = blocks(sections(README)["What you see"])
        port = free_port(9001)
        shell = self.clone.shell(block.replace("PORT=9001", f"PORT={port}"))
        self.addCleanup(shell.stdout.close)
        self.addCleanup(end, shell)
        until = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                    self.assertEqual(answer.status, 200)
                    return
            except OSError:
                self.assertIsNone(shell.poll(), "it runs")
                self.assertLess(time.monotonic(), until)
                time.sleep(0.05)

    def test_the_management_api_is_tried_from_the_first_line_to_the_last(self) -> None:
        self.clone.serve()
        machine = {"hardware_id": "a-machine-0001", "attempt": "3f2b8c1e-6d3a-4b0e-9a55-0c7d1e2f3a4c"}
        wish = json.dumps({"license_key": "KEY", **machine}).replace('"', '\\"').replace("KEY", "$KEY")
        after = f'curl -s $LOCAL/api/v1/licenses/acquire --json "{wish}"\n'
        parts = blocks(sections(README)["Manage it"])
        printed = self.clone.run("\necho\n".join(parts) + "\necho\n" + after)
        answers = [json.loads(line) for line in re.sub(r"\}\{", "}\n{", printed).splitlines() if line.startswith("{")]
        self.assertGreaterEqual(len(answers), 8, printed)
        self.assertEqual([answer for answer in answers if "code" in answer and "status" in answer], [], "nothing is refused")
        self.assertEqual(answers[-1]["license"]["seats_used"], 1, "the shell's key is good after it was replaced")

    def test_who_is_refused_is_told_to_a_receiver_and_listed(self) -> None:
        # As often as a newcomer need not wait for.
        self.clone.serve("REAPER_PERIOD_SECONDS=1 ./dev run\n")
        told = sections(README)["Be told"].replace(":9400", f":{(port := free_port(9400))}").replace(", 9400)", f", {port})")
        receiver, webhook, fill, lists = blocks(told)
        listed = "until curl -s $ORG/denials -H \"Authorization: Bearer $ME\" | grep -q '\"state\"'; do sleep 0.2; done\n"
        # A minute is counted when it is over.
        listed += "until curl -s $ORG/alerts -H \"Authorization: Bearer $ME\" | grep -q '\"state\"'; do sleep 0.5; done\n"
        listed += "until curl -s http://127.0.0.1:8081/mail | grep -q '/mail/'; do sleep 0.5; done\n"
        # It ends with the shell: what a script runs in the background does not hear Ctrl-C.
        receiver += 'trap "kill $!" EXIT; trap "exit 1" INT TERM\n'
        parts = [*blocks(sections(README)["Manage it"]), receiver, webhook, fill, listed, lists]
        shell = self.clone.shell("\necho\n".join(parts) + "\necho; echo over; wait\n")
        self.addCleanup(shell.stdout.close)
        self.addCleanup(end, shell)
        lines = Lines(shell.stdout)
        for words in ('"secret":"whsec_', "no_seats_available", "over"):
            lines.until(words, patience=150)
        if not any(line.startswith("received ") for line in lines.all):
            lines.until("received ")
        [first, *_] = [line for line in lines.all if line.startswith("received ")]
        _, event, body = first.split(" ", 2)
        sent = json.loads(body)
        self.assertEqual((sent["type"], sent["id"]), ("seat.denied", event))
        printed = "\n".join(lines.all)
        self.assertIn('"code":"no_seats_available"', printed)
        self.assertIn("id,at,code,ended_at,", printed, "and as CSV")
        self.assertIn('"seat_hours"', printed)
        self.assertRegex(printed, r'"kind":"wants_refused","state":"open"')
        self.assertRegex(printed, r"<td>me@example\.com<td><a href=\"/mail/[^>]*>[^<]* was full when a seat was wanted", "the alert's mail")

    def test_a_shop_sells_and_renews_with_a_token_of_the_vendor(self) -> None:
        self.clone.serve()
        typing = blocks(sections(README)["Manage it"])[0]
        printed = self.clone.run("\necho\n".join([typing, *blocks(sections(README)["Sell by machine"])]))
        answers = [json.loads(line) for line in re.sub(r"\}\{", "}\n{", printed).splitlines() if line.startswith("{")]
        self.assertEqual(len(answers), 3, printed)
        made, sold, renewed = answers
        self.assertEqual((made["external_id"], made["invitation"]["email"]), ("cus_1", "ada@example.com"), printed)
        self.assertEqual((sold["external_id"], sold["seats_total"], sold["metadata"]), ("sub_1", 10, {"order": "1"}), printed)
        self.assertEqual((renewed["id"], renewed["expires_at"]), (sold["id"], "2031-01-01T00:00:00Z"), printed)


class Operating(PageCase):
    def test_a_dump_is_restored_and_no_seat_is_given_before_a_time_that_is_told(self) -> None:
        self.clone.serve()
        [backup] = blocks(sections(OPERATING)["1. One machine"])
        self.clone.run(backup)
        dump = self.clone.path / "license.dump"
        self.assertEqual(stat.S_IMODE(dump.stat().st_mode), 0o600)
        self.clone.stop()
        _, restore = blocks(sections(OPERATING)["4. Restoring PostgreSQL to an earlier point"])
        self.clone.run(restore)
        self.clone.serve()
        body = {"license_key": self.key(), "hardware_id": "a-machine-0001"}
        status, text = self.asked("/api/v1/licenses/acquire", body={**body, "attempt": "3f2b8c1e-6d3a-4b0e-9a55-0c7d1e2f3a4b"})
        refused = json.loads(text)
        self.assertEqual((status, refused["code"]), (409, "no_seats_available"))
        self.assertRegex(refused["detail"], r"no seat is given before .* UTC")
        outlook = json.loads(self.asked("/api/v1/licenses/validate", body=body)[1])
        self.assertEqual(outlook["code"], "no_seats_available")
        self.assertGreater(outlook["retry_in"], 300)


class Page(HTMLParser):
    """What a browser makes of a page: its links, what it loads, and whether its elements are closed in order."""

    VOID = ("meta", "link", "br", "img", "input", "hr", "!doctype")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.open: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        if self.open:
            raise AssertionError(f"never closed: {self.open}")

    def handle_starttag(self, tag, attrs) -> None:
        values = dict(attrs)
        if tag == "a":
            self.links.append(values["href"])
        self.loaded += [values[name] for name in ("src", "href") if tag != "a" and name in values]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag) -> None:
        if self.open.pop() != tag:
            raise AssertionError(f"{tag} is closed out of order")

    def handle_data(self, data) -> None:
        self.words += data


class TheBrowser(PageCase):
    def test_every_printed_address_is_a_page_whose_links_lead_to_pages_of_this_server(self) -> None:
        self.clone.serve()
        endpoints = json.loads((self.clone.path / ".local/endpoints.json").read_text())
        fetched: set[str] = set()
        waiting = {url + "/" for name, url in endpoints.items() if name != "license_key"}
        self.assertEqual(len(waiting), 9)
        while waiting:
            url = waiting.pop()
            fetched.add(url)
            with urllib.request.urlopen(urllib.request.Request(url, headers={"Accept": BROWSER}), timeout=10) as answer:
                kind, text = answer.headers["Content-Type"], answer.read().decode()
                self.assertEqual(answer.headers["X-Content-Type-Options"] if "health" not in url else "nosniff", "nosniff", url)
            if kind.startswith("text/html"):
                page = Page(text)
                if not url.endswith("/docs"):
                    self.assertEqual(page.loaded, ["/pages.css"], url)
                found = {urljoin(url, link) for link in page.links}
                waiting |= {link for link in found if link.startswith("http://127.0.0.1:")} - fetched
        for name in ("problems/no_seats_available", "start", "docs", "health/ready"):
            self.assertIn(f"{endpoints['front']}/{name}", fetched)

    def test_the_type_of_a_refusal_leads_to_what_happened_and_what_to_do(self) -> None:
        self.clone.serve()
        status, text = self.asked("/")
        self.assertEqual((status, json.loads(text)["code"]), (404, "not_found"), "a program is told what it was told before")
        refused = json.loads(self.asked("/api/v1/licenses/acquire", body={"license_key": "CODI"})[1])
        front = json.loads((self.clone.path / ".local/endpoints.json").read_text())["front"]
        self.assertEqual(refused["type"], f"{front}/problems/invalid_request")
        words = Page(self.asked("/problems/invalid_request", BROWSER)[1]).words
        for expected in ("What happened", "What to do", "invalid_request", "422"):
            self.assertIn(expected, words)


class Processes(PageCase):
    def test_whoever_lists_them_sees_one_short_line_of_each(self) -> None:
        self.clone.serve()
        listed = subprocess.run(["ps", "-A", "-ww", "-o", "args="], capture_output=True, text=True, check=True).stdout
        keepers = [line for line in listed.splitlines() if " keeper " in line and str(self.clone.base) in line]
        self.assertGreaterEqual(len(keepers), 2, "one for each store")
        for line in keepers:
            self.assertTrue(line.startswith("sh -c ") and len(line) < 500, line)


class Help(PageCase):
    def test_it_is_there_at_once_and_nothing_is_built(self) -> None:
        (self.clone.base / "bin/cargo").write_text("#!/bin/sh\necho cargo was called\nexit 1\n")
        for option in ("--help", "-h", "--port 9000 --help"):
            printed = self.clone.run(f"./dev run {option}")
            self.assertIn("--port PORT", printed)
            self.assertNotIn("cargo", printed)


def members(text: str) -> list:
    """The names of an object's members in their order, those of objects in it too."""

    def names(pairs: list) -> list:
        return [(name, value) if isinstance(value, list) else name for name, value in pairs]

    return json.loads(text, object_pairs_hook=names)


if __name__ == "__main__":
    unittest.main(verbosity=2)
