"""The checks of the part `watch`: what the module says, against the lines of a run and against the code."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import yaml

from . import rules as said
from .filter_language import SERIES_FIELDS, Entry, WrongFilter, parse
from .log_entries import audit_entry, entry_of, request_entry
from .run_of_services import Run
from .series import GOOGLE, USER, as_series, counted, grouped_by, promql_names, selectors, values
from .sizes import sizes

MEASURED = said.ROOT / "tests" / "cloud" / "cost" / "measured.json"
# Alerts on lines that no run writes, because what they tell of cannot be brought about from outside; their lines are
# made of what the code says that it writes.
UNWRITTEN = {"the-certificate-is-not-renewed", "an-audit-log-was-changed"}
NOT_IN_A_RUN = {*UNWRITTEN, "a-program-reports-a-fault"}
ADMINISTRATIVE = {"the-root-key-was-changed", "the-cloud-was-changed-by-hand"}
PERSON, PIPELINE = "ada@example.com", said.VALUES["deployers"][0]


class Checks:
    def __init__(self, rules: dict[str, Any], run: Run, quiet: bool = False) -> None:
        self.rules, self.run, self.quiet = rules, run, quiet
        self.entries = [entry_of(line, number) for number, line in enumerate(run.lines)]
        self.ended = [entry for entry in self.entries if "httpRequest" in entry]
        self.done, self.failed = 0, 0

    def check(self, holds: bool, promise: str, found: object = "") -> None:
        self.done += 1
        if not holds:
            self.failed += 1
        if not holds and not self.quiet:
            print(f"watch: NOT SO: {promise}" + (f"\n       found: {found}" if found != "" else ""))

    def matching(self, text: str) -> list[Entry]:
        """The entries a filter matches, whichever way = treats case: Google's pages say both."""
        exact, loose = (list(filter(parse(text, ignore_case=loose), self.entries)) for loose in (False, True))
        self.check(exact == loose, f"what it matches does not depend on case: {text}")
        return exact

    def all(self) -> None:
        self.language()
        self.every_metric_has_lines()
        self.requests_are_counted_as_they_were_asked()
        self.objectives_see_what_failed()
        self.exclusions_leave_what_went_wrong()
        self.alerts_on_lines()
        self.alerts_on_series()
        self.dashboards_ask_for_what_there_is()
        self.sizes_are_those_that_are_priced()
        self.alerts_link_to_headings()

    def every_metric_has_lines(self) -> None:
        lines_of = {"pools_rebuilt": "pool rebuilt", "seats_swept": "swept", "stores_not_reached": "not reachable",
                    "pool_connections": "connections of this instance"}
        for name, rule in self.rules["metrics"].items():
            found = self.matching(rule["filter"])
            self.check(found != [], f"{name} matches lines of the run", rule["filter"])
            if name in lines_of:
                wanted = [it for it in self.entries if it["jsonPayload"]["message"].startswith(lines_of[name])]
            else:
                wanted = self.ended
            self.check(found == wanted, f"{name} matches its lines and no others", f"{len(found)} of {len(wanted)}")
            if rule["value"]:
                taken = values(rule, self.entries)
                self.check(len(taken) == len(found), f"every line of {name} has its value", len(taken))
        # Four fall silent at once. Where the rest of the run takes longer than a lease, so does one that is taken later.
        swept = sum(values(self.rules["metrics"]["seats_swept"], self.entries))
        lines = map(json.loads, self.run.lines)
        told = sum(line["seats"] for line in lines if line["message"] == "swept")
        self.check(swept == told >= 4, "the seats of programs that fell silent are counted", f"{swept} of {told}")

    def requests_are_counted_as_they_were_asked(self) -> None:
        rule = self.rules["metrics"]["requests"]
        counts = counted(rule, self.entries)
        self.check(set(rule["labels"]) == {"metric", "outcome", "class"}, "requests has its three labels")
        series = [(dict(labels), number) for labels, number in counts.items()]
        names, words = said.metric_names(), said.outcome_words()
        seen = {labels["metric"] for labels, _ in series}
        # A successful health check writes no line at the level of the cloud.
        self.check(seen | {"health/requests"} == names, "the run has a line of every metric of MetricName::ALL",
                   seen ^ names)
        for labels, _ in series:
            self.check(labels["outcome"] in words, f"{labels['outcome']} is an outcome of the code")
            self.check(labels["class"] in set("1245"), f"{labels['class']} is a class of {labels['metric']}")
        # What the clients were told, request by request, is what the metric counts; pushes nobody here sent.
        paths = {it["httpRequest"]["requestUrl"]: it["jsonPayload"]["metric"] for it in self.ended}
        told = Counter((paths.get(it.path, "other/requests"), str(it.status)[0], it.code) for it in self.run.asked)
        for (metric, first, code), number in told.items():
            found = sum(count for labels, count in series if labels["metric"] == metric and labels["class"] == first
                        and (code is None or labels["outcome"] == code))
            self.check(found == number, f"{metric} {first}xx {code or ''}: {number} were answered so", found)

    def objectives_see_what_failed(self) -> None:
        counts = as_series("requests", counted(self.rules["metrics"]["requests"], self.entries))
        for function, objective in self.rules["objectives"].items():
            path = {"acquire": "/licenses/acquire", "heartbeat": "/licenses/heartbeat", "register": "/auth/register"}
            asked = [it for it in self.run.asked if it.path.endswith(path[function])]
            for which, wanted in (("total", asked), ("bad", [it for it in asked if it.status >= 500])):
                test = parse(objective[which], SERIES_FIELDS)
                found = sum(count for series, count in counts if test(series))
                self.check(found == len(wanted), f"{function}: {which} is {len(wanted)} requests", found)
            test = parse(objective["latency"], SERIES_FIELDS)
            latency = as_series("latency", counted(self.rules["metrics"]["latency"], self.entries))
            found = sum(count for series, count in latency if test(series))
            self.check(found == len(asked), f"{function}: as many durations as requests", found)
        refused = [it for it in self.run.asked if it.status == 503]
        self.check(len(refused) == 3, "the run had requests that failed", len(refused))

    def exclusions_leave_what_went_wrong(self) -> None:
        excluded = {name: parse(text) for name, text in self.rules["exclusions"].items()}
        thousand = [{**it, "insertId": f"{at}-{it['insertId']}"} for at in range(1000) for it in self.ended]
        heartbeats = [it for it in thousand if it["jsonPayload"]["metric"] == "heartbeat/requests"]
        for good in (True, False):
            some = [it for it in heartbeats if (it["httpRequest"]["status"] < 400) is good]
            share = sum(map(excluded["renewed-heartbeats"], some)) / len(some)
            self.check(abs(share - 0.99) < 0.005 if good else share == 0,
                       "99 of 100 heartbeats that went well are not stored, and all others are", share)
        others = [it for it in thousand if it["jsonPayload"]["metric"] != "heartbeat/requests"]
        self.check(not any(test(it) for test in excluded.values() for it in others),
                   "no other line of a service is excluded")
        own = [request_entry(it) for it in thousand]
        good = [it for it in own if it["httpRequest"]["status"] < 400]
        share = sum(map(excluded["requests-as-cloud-run-sees-them"], good)) / len(good)
        self.check(abs(share - 0.99) < 0.005, "99 of 100 of Cloud Run's own lines are not stored", share)
        bad = [it for it in own if it["httpRequest"]["status"] >= 400]
        self.check(not any(map(excluded["requests-as-cloud-run-sees-them"], bad)), "its lines of failures are")
        for name, rule in self.rules["metrics"].items():
            self.check(not any(map(parse(rule["filter"]), own)), f"{name} does not count Cloud Run's own lines too")

    def alerts_on_lines(self) -> None:
        code = said.messages()
        for name, text in self.rules["logs"].items():
            found = self.matching(text)
            quoted = re.findall(r'jsonPayload\.message[=:]\(?((?:"[^"]+"(?: OR )?)+)', text)
            for literal in re.findall(r'"([^"]+)"', " ".join(quoted)):
                self.check(literal in code, f"{name}: the code writes this message", literal)
            expected = name not in NOT_IN_A_RUN | ADMINISTRATIVE
            self.check((found != []) is expected, f"{name} fires in the run: {expected}", text)
        self.alerts_on_lines_that_no_run_writes(code)
        fault = parse(self.rules["logs"]["a-program-reports-a-fault"])
        errors = [it for it in self.entries if it["severity"] == "ERROR"]
        panic = {**errors[0], "jsonPayload": {"message": "panicked: index out of bounds", "place": "src/x.rs:1"}}
        self.check(fault(panic), "a panic is a fault")
        failed = next(request_entry(it) for it in self.ended if it["httpRequest"]["status"] == 503)
        self.check(failed["severity"] == "ERROR" and not fault(failed), "a 503 in Cloud Run's own line is no fault")
        key, hand = (parse(self.rules["logs"][name]) for name in sorted(ADMINISTRATIVE, reverse=True))
        for method, fires in {"DestroyCryptoKeyVersion": True, "UpdateCryptoKeyVersion": True, "SetIamPolicy": True,
                              "RestoreCryptoKeyVersion": True, "AsymmetricSign": False, "GetPublicKey": False}.items():
            entry = audit_entry("cloudkms.googleapis.com", method, PERSON)
            self.check(key(entry) is fires, f"the-root-key-was-changed on {method}: {fires}")
        for method, who, fires in [
            ("google.cloud.run.v2.Services.UpdateService", PERSON, True),
            ("google.cloud.run.v2.Services.UpdateService", PIPELINE, False),
            ("google.cloud.run.v1.Jobs.RunJob", PERSON, False),
        ]:
            entry = audit_entry("run.googleapis.com", method, who)
            self.check(hand(entry) is fires, f"the-cloud-was-changed-by-hand on {method} by {who}: {fires}")

    def alerts_on_lines_that_no_run_writes(self, code: str) -> None:
        """Each of these lines fires its own alert and no other; and none whose filter asks for a field it lacks."""
        tests = {name: parse(text) for name, text in self.rules["logs"].items()}
        for name in sorted(UNWRITTEN):
            text = self.rules["logs"][name]
            message = re.search(r'jsonPayload\.\w+="([^"]+)"', text)
            entry = self.written(code, message[1]) if message else None
            self.check(entry is not None, f"{name} asks for a message that the code writes", text)
            if entry is None:
                continue
            fired = {other for other, test in tests.items() if test(entry)}
            self.check(fired == {name}, f"the line of {name} fires it and no other", fired)
            other = {**entry, "resource": {"type": "cloud_run_job"}}
            self.check(not tests[name](other), f"{name} does not fire on a line of something else than a service")
            elsewhere = {**entry, "jsonPayload": {"error": entry["jsonPayload"]["message"]}}
            self.check(not tests[name](elsewhere), f"{name} does not fire on its words in another field")

    def written(self, code: str, message: str) -> Entry | None:
        """The entry of a line that the code writes, made like one of the same severity in the run."""
        level = re.search(rf'tracing::(warn|error)!\([^;"]*"{re.escape(message)}"', code)
        if not level:
            return None
        severity = {"warn": "WARNING", "error": "ERROR"}[level[1]]
        like = next(it for it in self.entries if it["severity"] == severity and "httpRequest" not in it)
        return {**like, "jsonPayload": {**like["jsonPayload"], "message": message}}

    def alerts_on_series(self) -> None:
        tick = parse(self.rules["series"]["the-reaper-does-not-tick"][0], SERIES_FIELDS)
        series = as_series("requests", counted(self.rules["metrics"]["requests"], self.entries))
        found = [it[0]["metric"]["labels"] for it in series if tick(it[0])]
        self.check(found != [] and all(it["class"] == "2" for it in found), "a tick that was refused is none", found)
        filters = [(name, it) for name, list_of in self.rules["series"].items() for it in list_of]
        for name, text in filters + list(self.rules["burns"].items()):
            parse(text, SERIES_FIELDS)
            metric = re.search(r'metric\.type="([^"]+)"', text)
            known = bool(metric) and (
                metric[1] in GOOGLE or metric[1].removeprefix(USER) in self.rules["metrics"]
            )
            self.check(known, f"{name}: the metric exists", text)

    def dashboards_ask_for_what_there_is(self) -> None:
        own = {USER + name: rule for name, rule in self.rules["metrics"].items()}
        known: dict[str, str] = {}
        for name in [*own, *GOOGLE]:
            distribution = bool(own[name]["value"]) if name in own else "le" in GOOGLE[name]
            known |= promql_names(name, distribution)
        values_of = {"metric": said.metric_names(), "outcome": said.outcome_words(), "class": set("12345")}
        for board, queries in self.rules["dashboards"].items():
            self.check(len(queries) >= 9, f"{board} has its charts", len(queries))
            for query in queries:
                try:
                    asked = selectors(query)
                except ValueError as error:
                    self.check(False, f"{board}: the query is PromQL", f"{query}: {error}")
                    continue
                self.check(asked != [], f"{board}: the query asks for something", query)
                for name, matchers in asked:
                    metric = known.get(name)
                    self.check(metric is not None, f"{board}: the metric exists", name)
                    labels = (set(own[metric]["labels"]) | {"le", "service_name"} if metric in own
                              else set(GOOGLE.get(metric or "", [])))
                    self.check(grouped_by(query) <= labels, f"{board}: what it groups by are labels", query)
                    for label, _, value in matchers:
                        self.check(label in labels | {"monitored_resource"}, f"{board}: {name} has the label", label)
                        words = values_of.get(label, {value})
                        self.check(set(value.split("|")) <= words, f"{board}: {label} can be", value)

    def sizes_are_those_that_are_priced(self) -> None:
        """docs/COST.md stands on the bytes of another run: within a tenth they must be those of this one."""
        now, kept = sizes(self.run), json.loads(MEASURED.read_text())["bytes"]
        for name, priced in kept["requests"].items():
            for way, number in priced.items():
                found = now["requests"].get(name, {}).get(way, 0)
                self.check(abs(found - number) <= number / 10, f"a {name}'s {way} has about {number} bytes", found)
        for name, number in kept["lines"].items():
            found = now["lines"].get(name, 0)
            self.check(abs(found - number) <= number / 10, f"a line of {name} has about {number} bytes", found)

    def alerts_link_to_headings(self) -> None:
        listed = yaml.safe_load((said.MODULES / "watch" / "alerts.yaml").read_text())
        self.check(set(listed) == set(self.rules["anchors"]), "each alert of the list has a link")
        there = said.anchors(said.DOCS.read_text()) if said.DOCS.exists() else set()
        for name, alert in listed.items():
            self.check(said.anchors(f"# {alert['title']}") == {name}, f"{name} is the anchor of its title")
            self.check(name in there, f"docs/DEPLOYING.md has the heading \"{alert['title']}\"")
            self.check(set(alert) == {"title", "urgency", "when", "look", "do"}, f"{name} says everything", set(alert))

    def language(self) -> None:
        """What the language means, in the places where a reader errs."""
        entry = {"severity": "ERROR", "jsonPayload": {"a": "1", "text": "Pool rebuilt"}, "httpRequest": {"status": 503}}
        for text, means in {
            # OR binds closer than AND.
            "severity=ERROR OR severity=INFO AND jsonPayload.a=2": False,
            "jsonPayload.a=2 OR severity=ERROR AND httpRequest.status=503": True,
            "NOT severity=INFO severity=ERROR": True,
            "NOT (severity=ERROR OR severity=INFO)": False,
            "severity>=WARNING": True,
            "severity<ERROR": False,
            "httpRequest.status>=500 AND httpRequest.status<504": True,
            'jsonPayload.text:"rebuilt"': True,
            'jsonPayload.text=~"^pool"': False,
            "jsonPayload.missing:*": False,
            # What is not there is neither equal nor less, but unequal.
            "jsonPayload.missing!=1": True,
            "jsonPayload.missing<1": False,
            "jsonPayload.a=(3 OR 1)": True,
        }.items():
            self.check(parse(text)(entry) is means, f"{text} is {means}")

    def planted(self) -> None:
        """Mistakes that must be refused: if one passes, what was checked above means nothing."""
        broken = [
            'jsonPayload.metric == "acquire/requests"', 'jsonPayload.metric="a" and severity=ERROR', "severity>=LOUD",
            'jsonpayload.metric="acquire/requests"', "httpRequest.code<400", 'jsonPayload.metric="a', "(severity=ERROR",
            "sample(insertId, 99)", "found(insertId)", "pool rebuilt", 'severity=ERROR )', 'resource.label.x="y"',
        ]
        for text in broken:
            try:
                parse(text)
                self.check(False, "a wrong filter is refused", text)
            except WrongFilter:
                self.check(True, text)
        requests = self.rules["metrics"]["requests"]
        for change in (
            {"filter": requests["filter"].replace("jsonPayload.metric:*", "jsonPayload.metrics:*")},
            {"filter": requests["filter"].replace("jsonPayload.metric:*", "jsonPayload.message:*")},
            {"labels": {**requests["labels"], "class": 'REGEXP_EXTRACT(httpRequest.status, "([0-9])$")'}},
            {"labels": {**requests["labels"], "outcome": "EXTRACT(jsonPayload.message)"}},
        ):
            metrics = {**self.rules["metrics"], "requests": requests | change}
            planted = Checks({**self.rules, "metrics": metrics}, self.run, quiet=True)
            planted.every_metric_has_lines()
            planted.requests_are_counted_as_they_were_asked()
            self.check(planted.failed > 0, "a planted mistake is found", change)
        for name in sorted(UNWRITTEN):
            text = self.rules["logs"][name]
            for right, wrong in (
                ("jsonPayload.message", "jsonPayload.text"), ("cloud_run_revision", "cloud_run_job"),
                ('message="', 'message="a '), ("jsonPayload", "severity>=CRITICAL AND jsonPayload"),
            ):
                lie = {**self.rules, "logs": {**self.rules["logs"], name: text.replace(right, wrong)}}
                planted = Checks(lie, self.run, quiet=True)
                planted.alerts_on_lines_that_no_run_writes(said.messages())
                self.check(right in text and planted.failed > 0, f"a wrong filter of {name} is found", wrong)
