"""What log-based metrics become of the entries of a run, and what Cloud Monitoring is asked about them."""

from __future__ import annotations

import json
import pathlib
import re
from collections import Counter
from typing import Any

from .filter_language import Entry, extractor, parse

GOOGLE: dict[str, list[str]] = json.loads((pathlib.Path(__file__).with_name("google_metrics.json")).read_text())
USER = "logging.googleapis.com/user/"

Labels = tuple[tuple[str, str], ...]


def counted(rule: dict[str, Any], entries: list[Entry]) -> Counter[Labels]:
    """How many entries each combination of labels has."""
    matches = parse(rule["filter"])
    labels = {name: extractor(text) for name, text in sorted(rule["labels"].items())}
    # Google gives a label that cannot be extracted the empty text.
    return Counter(
        tuple((name, take(entry) or "") for name, take in labels.items()) for entry in entries if matches(entry)
    )


def values(rule: dict[str, Any], entries: list[Entry]) -> list[float]:
    """The values that a distribution takes up; Google leaves out those that are no number."""
    matches, take = parse(rule["filter"]), extractor(rule["value"])
    texts = [take(entry) for entry in entries if matches(entry)]
    return [float(text) for text in texts if text is not None and re.fullmatch(r"[\d.e+-]+", text)]


def as_series(name: str, counts: Counter[Labels]) -> list[tuple[dict[str, Any], int]]:
    """The time series of a metric as a filter sees them, each with its count."""
    return [
        ({"metric": {"type": USER + name, "labels": dict(labels)}, "resource": {"type": "cloud_run_revision"}}, count)
        for labels, count in counts.items()
    ]


def promql_names(name: str, distribution: bool) -> dict[str, str]:
    """What PromQL calls a metric: https://cloud.google.com/monitoring/promql/promql-mapping."""
    host, _, path = name.partition("/")
    mapped = re.sub(r"\W", "_", host) + ":" + re.sub(r"\W", "_", path)
    return {mapped + end: name for end in (["_bucket", "_sum", "_count"] if distribution else [""])}


def selectors(query: str) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """The metrics that a query asks for, each with its matchers; raises ValueError where it is no PromQL."""
    from promql_parser import parse as parse_promql

    found: list[tuple[str, list[tuple[str, str, str]]]] = []

    def walk(node: Any) -> None:
        if (matchers := getattr(node, "matchers", None)) is not None:
            said = [(it.name, str(it.op), it.value) for it in matchers.matchers]
            found.append((node.name, said))
        for part in ("expr", "lhs", "rhs", "vector_selector"):
            if (child := getattr(node, part, None)) is not None:
                walk(child)
        for child in getattr(node, "args", None) or []:
            walk(child)

    walk(parse_promql(query))
    return found


def grouped_by(query: str) -> set[str]:
    return {label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")}
