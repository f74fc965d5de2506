"""The check itself: it refuses what breaks clients, names it, and lets through what does not."""

import contextlib
import copy
import io
import json
import os
import tempfile
import unittest

import breaking

HERE = os.path.dirname(os.path.abspath(__file__))
ACQUIRE = "/api/v1/licenses/acquire"
REASON = "nobody has used it since the pilot ended"


class Breaking(unittest.TestCase):
    def setUp(self):
        with open(os.path.join(HERE, "../../openapi.json"), encoding="utf-8") as file:
            self.before = json.load(file)
        self.after = copy.deepcopy(self.before)

    def run_check(self, allowed=()):
        """The exit code, and what is said."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stderr(io.StringIO()) as said:
            paths = []
            for name, content in (("before", self.before), ("after", self.after), ("allowed", list(allowed))):
                paths.append(os.path.join(folder, f"{name}.json"))
                with open(paths[-1], "w", encoding="utf-8") as file:
                    json.dump(content, file)
            with contextlib.redirect_stdout(said):
                code = breaking.main(*paths)
        return code, said.getvalue()

    def refused(self, *words):
        code, said = self.run_check()
        self.assertEqual(code, 1, said)
        for word in words:
            self.assertIn(word, said)

    def schema(self, name):
        return self.after["components"]["schemas"][name]

    def test_nothing_changed_is_nothing_refused(self):
        self.assertEqual(self.run_check()[0], 0)

    def test_an_operation_that_is_gone_is_refused_and_named(self):
        del self.after["paths"][ACQUIRE]
        self.refused(f"POST {ACQUIRE}", "removed")

    def test_a_field_that_an_answer_lost_is_refused_and_named(self):
        seat = self.schema("Seat")
        del seat["properties"]["heartbeat_in"]
        seat["required"].remove("heartbeat_in")
        self.refused(f"POST {ACQUIRE}", "heartbeat_in")

    def test_a_field_that_a_request_newly_needs_is_refused_and_named(self):
        self.schema("AcquireRequest")["required"].append("pool")
        self.refused(f"POST {ACQUIRE}", "pool")

    def test_a_field_of_another_type_is_refused_and_named(self):
        self.schema("Seat")["properties"]["seat"]["type"] = "string"
        self.refused(f"POST {ACQUIRE}", "seat")

    def test_a_narrower_limit_is_refused_and_named(self):
        self.schema("AcquireRequest")["properties"]["hardware_id"]["maxLength"] = 64
        self.refused(f"POST {ACQUIRE}", "hardware_id", "64")

    def test_a_parameter_that_is_newly_needed_is_refused_and_named(self):
        parameter = {"name": "reason", "in": "query", "required": True, "schema": {"type": "string"}}
        self.after["paths"]["/api/v1/me"]["get"]["parameters"] = [parameter]
        self.refused("GET /api/v1/me", "reason")

    def test_what_is_added_breaks_nobody(self):
        self.after["paths"]["/api/v1/new"] = copy.deepcopy(self.after["paths"]["/api/v1/me"])
        self.after["paths"]["/api/v1/new"]["get"]["operationId"] = "new"
        self.schema("Seat")["properties"]["colour"] = {"type": "string"}
        self.schema("AcquireRequest")["properties"]["colour"] = {"type": "string"}
        code, said = self.run_check()
        self.assertEqual(code, 0, said)

    def test_one_that_is_allowed_with_a_reason_passes_and_no_other(self):
        del self.after["paths"]["/api/v1/licenses/validate"]
        entry = {"operation": "POST /api/v1/licenses/validate", "change": "api-path-removed-without-deprecation", "reason": REASON}
        code, said = self.run_check([entry])
        self.assertEqual(code, 0, said)
        self.assertIn("1 that", said)
        del self.after["paths"][ACQUIRE]
        code, said = self.run_check([entry])
        self.assertEqual(code, 1)
        self.assertIn(f"POST {ACQUIRE}", said)
        self.assertNotIn("validate", said)

    def test_an_allowance_without_a_reason_or_without_a_change_is_refused(self):
        del self.after["paths"]["/api/v1/licenses/validate"]
        entry = {"operation": "POST /api/v1/licenses/validate", "change": "api-path-removed-without-deprecation", "reason": ""}
        self.assertEqual(self.run_check([entry])[0], 1)
        self.after = self.before
        code, said = self.run_check([{**entry, "reason": REASON}])
        self.assertEqual(code, 1)
        self.assertIn("take the entry out", said)


if __name__ == "__main__":
    unittest.main(verbosity=1)
