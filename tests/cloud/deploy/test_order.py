"""What is made before what: Google refuses some things until others have been there for a while.

An alert or an objective on a metric of log lines is refused with 404 (Cannot find metric(s) that match type) until the
metric has been known for some minutes, and no depends_on waits for that. So platform makes the metrics, the job migrate
runs, and services makes what asks for them.
"""

import re

from conftest import REPOSITORY
from test_rights import types_of

MODULES = REPOSITORY / "opentofu/modules"
OF_LINES = re.compile(r"logging\.googleapis\.com/user/(\w+)|local\.made_user\}/(\w+)|logging_googleapis_com:user_(\w+)")
# What Prometheus calls the parts of a distribution.
PARTS = re.compile(r"_(bucket|sum|count)$")


def metrics_asked_for(text: str) -> set:
    return {PARTS.sub("", one or other or third) for one, other, third in OF_LINES.findall(text)}


def test_metrics_are_made_by_platform_and_what_asks_for_them_by_services():
    assert "logging_metric" in types_of("platform")
    assert "logging_metric" not in types_of("services")
    assert {"monitoring_alert_policy", "monitoring_slo", "monitoring_dashboard"} <= types_of("services")


def test_every_metric_of_lines_that_is_asked_for_is_made():
    asked = {
        name
        for path in sorted((MODULES / "watch").glob("*.tf"))
        for name in metrics_asked_for(path.read_text("utf-8"))
    }
    table = (MODULES / "metrics/metrics.tf").read_text("utf-8").split("  log_metrics = {\n")[1].split("\n  }\n")[0]
    made = set(re.findall(r"^    (\w+) = \{$", table, re.M))
    assert len(made) == 6
    assert asked == made


def limits_between_bounds(objectives: str, metrics: str) -> list:
    latency = metrics.split("    latency = {\n")[1].split("\n    }\n")[0]
    bounds = set(re.findall(r"\d+", re.search(r"bounds = \[(.*?)\]", latency)[1]))
    limits = re.findall(r"within_ms = (\d+)", objectives)
    assert limits
    return sorted(set(limits) - bounds)


def test_limits_of_objectives_are_bounds_of_the_distribution():
    """A limit that is no bound would be estimated."""
    objectives = (MODULES / "watch/objectives.tf").read_text("utf-8")
    metrics = (MODULES / "metrics/metrics.tf").read_text("utf-8")
    assert limits_between_bounds(objectives, metrics) == []
    assert limits_between_bounds(objectives.replace("within_ms = 300", "within_ms = 250"), metrics) == ["250"]


def test_a_metric_that_nobody_makes_is_seen():
    assert metrics_asked_for('type=\\"logging.googleapis.com/user/lost\\"') == {"lost"}
    assert metrics_asked_for("rate(logging_googleapis_com:user_lost_bucket{x}[5m])") == {"lost"}
    assert metrics_asked_for('"${local.made_user}/lost"') == {"lost"}
