"""The runner itself: what it begins when, what changed files concern, and what it tells of jobs that fail or are stopped."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path
from unittest import mock

import changed
import noisy_neighbors
import run
from changed import Sources
from jobs import ROOT, Job
from schedule import Schedule
from weights import Weight


def job(name: str, weight: Weight = Weight(), package: str = "", command: list[str] | None = None) -> Job:
    return Job(name, command or ["true"], ROOT, weight, {}, package)


class Order(unittest.TestCase):
    def begun(self, weights: dict[str, Weight], cores: int = 2) -> list[list[str]]:
        """What runs at the same time, if the job that began first always ends first."""
        schedule, seen = Schedule([job(name, weight) for name, weight in weights.items()], cores), []
        while schedule.waiting or schedule.running:
            schedule.take()
            seen.append([running.name for running in schedule.running])
            schedule.end(schedule.running[0])
        return seen

    def test_long_jobs_begin_first_and_short_ones_fill_what_they_leave(self) -> None:
        weights = {"short": Weight(1, 0.5), "long": Weight(100, 1), "middle": Weight(50, 1)}
        self.assertEqual(self.begun(weights), [["long", "short"], ["short", "middle"], ["middle"]])

    def test_what_wants_more_than_there_is_runs_all_the_same(self) -> None:
        self.assertEqual(self.begun({"a": Weight(9, 8), "b": Weight(8, 8)}), [["a"], ["b"]])

    def test_what_only_computes_runs_behind_the_others_and_beside_them(self) -> None:
        weights = {"a": Weight(9, 2), "b": Weight(8, 2), "computes": Weight(99, 2, patient=True), "also": Weight(1, 1, patient=True)}
        self.assertEqual(self.begun(weights), [["computes", "a"], ["a", "also"], ["also", "b"], ["b"]])

    def test_nothing_runs_beside_a_job_that_is_to_be_alone(self) -> None:
        weights = {"alone": Weight(100, 0.1, alone=True), "other": Weight(90, 0.1, alone=True), "a": Weight(1, 0.1), "b": Weight(1, 0.1)}
        self.assertEqual(self.begun(weights), [["a", "b"], ["b"], ["alone"], ["other"]])


class Changed(unittest.TestCase):
    JOBS = (job("tests/a", package="license-tests"), job("model/b", package="license-model"), job("sdk/python"), job("contract"), job("runner"))
    OWN = {"tests/a": Sources(frozenset({"tests/tests/a.rs"})), "model/b": Sources(frozenset({"tests/model/tests/b.rs"}))}
    MADE_FROM = {"license-core": {"core/src/lib.rs", "migrations/0001.sql"}, "license-model": {"tests/model/src/lib.rs"}, "license-local": set()}
    LINKED = {
        "license-tests": {"license-tests", "license-core"},
        "license-model": {"license-model"},
        "license-local": {"license-local", "license-core"},
    }

    def concerned(self, *files: str, own: dict[str, Sources] | None = None) -> list[str]:
        found = changed.choose(list(self.JOBS), set(files), own or self.OWN, self.MADE_FROM, self.LINKED)
        return [each.name for each in found]

    def test_nothing_changed_concerns_nothing(self) -> None:
        self.assertEqual(self.concerned(), [])

    def test_a_test_concerns_its_own_binary(self) -> None:
        self.assertEqual(self.concerned("tests/tests/a.rs"), ["tests/a"])

    def test_a_library_concerns_what_links_it_and_what_runs_the_machine(self) -> None:
        self.assertEqual(self.concerned("migrations/0001.sql"), ["tests/a", "sdk/python", "contract"])
        self.assertEqual(self.concerned("tests/model/src/lib.rs"), ["model/b"])

    def test_what_may_read_the_repository_is_concerned_by_any_file(self) -> None:
        own = {**self.OWN, "tests/a": Sources(frozenset(), knows_the_repository=True)}
        self.assertEqual(self.concerned("docs/API.md", own=own), ["tests/a"])
        self.assertEqual(self.concerned("docs/API.md"), [])

    def test_the_client_concerns_its_own_tests_alone(self) -> None:
        self.assertEqual(self.concerned("sdk/python/src/coditect_license/_wire.py"), ["sdk/python"])
        self.assertEqual(self.concerned("sdk/vectors/keys.json"), ["sdk/python"])

    def test_how_things_are_built_concerns_everything(self) -> None:
        self.assertEqual(len(self.concerned("Cargo.lock")), len(self.JOBS))

    def test_cargos_list_is_read(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            listed = Path(folder) / "a.d"
            listed.write_text(f"/x/a: core/src/lib.rs core/src/two\\ words.rs {ROOT}/dev /else/where.rs\n\ncore/src/lib.rs:\n\n# env-dep:A=b: c\n")
            self.assertEqual(changed.sources(listed), Sources(frozenset({"core/src/lib.rs", "core/src/two words.rs", "dev"})))
            listed.write_text("/x/a: dev\n\n# env-dep:CARGO_MANIFEST_DIR=/x\n")
            self.assertTrue(changed.sources(listed).knows_the_repository)


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for patched in (mock.patch.object(run, "LOGS", self.folder), mock.patch("builtins.print")):
            said = patched.start()
            self.addCleanup(patched.stop)
        self.said = said

    def shell(self, name: str, text: str, package: str = "") -> Job:
        return job(name, package=package, command=["sh", "-c", text])

    def words(self) -> str:
        return "\n".join(str(call.args[0]) for call in self.said.call_args_list if call.args)

    def test_one_failure_fails_the_run_and_its_output_is_printed_whole(self) -> None:
        results = run.run_all([self.shell("good", "echo fine"), self.shell("bad", "echo first; echo second >&2; exit 3")])
        self.assertEqual({result.job.name: result.status for result in results}, {"good": 0, "bad": 3})
        self.assertIn("first\nsecond\n", self.words())
        self.assertNotIn("fine", self.words())
        self.assertEqual((self.folder / "good.log").read_text(), "fine\n")
        with mock.patch.object(run, "ROOT", self.folder.parent):
            self.assertEqual(run.tell(results, 1), 1)
            self.assertEqual(run.tell([result for result in results if result.status == 0], 1), 0)

    def test_a_job_that_a_signal_ended_has_failed(self) -> None:
        (result,) = run.run_all([self.shell("killed", "kill -KILL $$")])
        self.assertEqual(result.status, 128 + signal.SIGKILL)

    def test_the_slowest_tests_are_found_in_what_cargo_and_pytest_print(self) -> None:
        printed = "test a::b ... ok <0.250s>\\ntest c - should panic ... ok <3.100s>\\ntest result: ok. 2 passed; 0 failed\\n"
        client = "1.50s call     tests/test_x.py::y[1]\\n5 passed in 2s\\n"
        results = run.run_all([self.shell("rust", f"printf '{printed}'", "p"), self.shell("client", f"printf '{client}'")])
        self.assertEqual(run.slowest_tests(results), [(3.1, "rust c"), (1.5, "client tests/test_x.py::y[1]"), (0.25, "rust a::b")])
        self.assertIn("2 passed", next(result for result in results if result.job.name == "rust").line())

    @unittest.skipUnless(sys.platform == "linux", "orphans are adopted on Linux only")
    def test_an_orphan_that_ended_is_not_taken_for_alive(self) -> None:
        gone = "pid=$(sh -c 'sleep 0.1 >/dev/null 2>&1 & echo $!'); while kill -0 $pid 2>/dev/null; do sleep 0.01; done"
        (result,) = run.run_all([self.shell("kills", gone)])
        self.assertEqual(result.status, 0)

    @unittest.skipUnless(sys.platform == "linux", "orphans are adopted on Linux only")
    def test_a_job_ends_with_the_last_of_its_processes(self) -> None:
        left = self.folder / "left"
        run.run_all([self.shell("parent", f"(sleep 0.3; touch {left}) >/dev/null 2>&1 & exit 0")])
        self.assertTrue(left.exists())


class Stopped(unittest.TestCase):
    def test_stopping_the_runner_ends_everything_below_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            pid = Path(folder) / "pid"
            code = (
                "import run, runner_test, pathlib\n"
                f"run.LOGS = pathlib.Path({folder!r})\n"
                f"run.run_all([runner_test.job('j', command=['sh', '-c', 'sleep 1000 & echo $! >{pid}; wait'])])\n"
            )
            runner = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parent, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            while not (pid.exists() and pid.read_text().strip()):
                time.sleep(0.01)
            runner.send_signal(signal.SIGINT)
            self.assertNotEqual(runner.wait(30), 0)
            with self.assertRaises(ProcessLookupError):
                os.kill(int(pid.read_text()), 0)

    def test_a_job_is_stopped_by_a_signal_that_interrupts_no_wait(self) -> None:
        """Another thread receives it. One that comes just before a wait begins interrupts it as little, by bad luck alone."""
        with tempfile.TemporaryDirectory() as folder:
            begun, report = Path(folder) / "begun", Path(folder) / "used"
            code = (
                "import os, signal, supervise, sys, threading, time\n"
                "def send():\n"
                f"    while not os.path.exists({str(begun)!r}):\n"
                "        time.sleep(0.01)\n"
                "    signal.pthread_kill(threading.get_ident(), signal.SIGTERM)\n"
                "threading.Thread(target=send, daemon=True).start()\n"
                f"sys.exit(supervise.main({str(report)!r}, ['sh', '-c', 'touch {begun}; exec sleep 60']))\n"
            )
            command = [sys.executable, "-c", code]
            supervisor = subprocess.Popen(command, cwd=Path(__file__).parent, start_new_session=True)
            try:
                self.assertEqual(supervisor.wait(20), 128 + signal.SIGTERM)
            finally:
                if supervisor.poll() is None:
                    os.killpg(supervisor.pid, signal.SIGKILL)
                    supervisor.wait()


class NoisyNeighbors(unittest.TestCase):
    def test_a_group_of_either_kind_has_its_part_of_each_second(self) -> None:
        with tempfile.TemporaryDirectory() as directory:
            first, second = Path(directory, "first"), Path(directory, "second")
            (first / "cpu").mkdir(parents=True)
            second.mkdir()
            (second / "cgroup.controllers").write_text("cpu memory")
            made = noisy_neighbors.group(0.5, first)
            self.assertEqual((made / "cpu.cfs_quota_us").read_text(), "500000")
            self.assertEqual((made / "cpu.cfs_period_us").read_text(), "1000000")
            self.assertEqual((noisy_neighbors.group(1.5, second) / "cpu.max").read_text(), "1500000 1000000")

    def test_where_no_group_can_be_made_it_says_so_and_runs_nothing(self) -> None:
        with mock.patch.object(noisy_neighbors, "group", side_effect=PermissionError("not you")), self.assertRaises(SystemExit) as refused:
            with noisy_neighbors.jerky(0.5):
                self.fail("it runs")
        self.assertIn("not you", str(refused.exception))

    def test_others_write_until_the_jobs_are_done_and_leave_nothing(self) -> None:
        with tempfile.TemporaryDirectory(dir=ROOT / "target") as directory:
            with noisy_neighbors.busy_disk(True, Path(directory)):
                over = time.monotonic() + 30
                while sum(file.stat().st_size for file in Path(directory).rglob("*") if file.is_file()) < 1 << 20:
                    self.assertLess(time.monotonic(), over, "nothing was written")
                    time.sleep(0.01)
            self.assertEqual(os.listdir(directory), [])


class Command(unittest.TestCase):
    def test_dev_hands_every_option_of_the_runner_to_it_and_not_to_cargo(self) -> None:
        handed = next(line for line in (ROOT / "dev").read_text().splitlines() if line.endswith('run_tests "$@" ;;'))
        known = {word for action in run.arguments()._actions for word in action.option_strings if word.startswith("--")}
        self.assertEqual(set(re.findall(r"--[a-z-]+", handed)), known)


if __name__ == "__main__":
    unittest.main()
