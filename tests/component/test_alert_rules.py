"""The alert rules: every metric and label they name is one that the daemon shows, and each fires when it should and only then.

Names and labels are found by a small reader of PromQL (https://prometheus.io/docs/prometheus/latest/querying/basics/), what
fires is asked of Prometheus's own promtool, with the series of ALERTS.
"""
import os
import re
import subprocess

import pytest
import yaml

from harness import settings

RULES = os.path.join(settings.ROOT, "systemd", "revcycled.rules.yaml")
METRICS = os.path.join(settings.ROOT, "daemon", "base", "metrics.c")
# Words of the language that stand where a name might; functions are known by their parenthesis.
KEYWORDS = {"and", "or", "unless", "offset", "bool", "start", "end", "inf", "nan"}
GROUPING = {"by", "without", "on", "ignoring", "group_left", "group_right"}
OF_PROMETHEUS = {"up": {"job", "instance"}}
TOKEN = re.compile(r"""\s+|(?P<name>[A-Za-z_:][\w:]*)|(?P<braces>\{[^}]*\})|(?P<range>\[[^\]]*\])|(?P<number>[0-9][\w.]*)
                       |(?P<text>"[^"]*")|(?P<other>[-+*/%^()<>=!,@])""", re.X)


def rules():
    with open(RULES, encoding="utf-8") as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def tokens(expression):
    at = 0
    while at < len(expression):
        match = TOKEN.match(expression, at)
        assert match, f"not PromQL as far as this test reads it: {expression[at:]}"
        at = match.end()
        if match.lastgroup:
            yield match.lastgroup, match.group()


def named(expression):
    """(metrics with the labels their braces name, labels of by (…) and its kin)."""
    found, grouped, words = [], set(), [*tokens(expression), ("", "")]
    is_grouping = False
    for (kind, word), (next_kind, following) in zip(words, words[1:]):
        if is_grouping:
            grouped |= {word} if kind == "name" else set()
            is_grouping = word != ")"
        elif kind == "name" and word in GROUPING:
            is_grouping = True
        elif kind == "name" and word not in KEYWORDS and following != "(" and following not in GROUPING:
            labels = re.findall(r'(\w+)\s*(?:=~|!~|!=|=)\s*"', following) if next_kind == "braces" else ()
            found.append((word, set(labels)))
    return found, grouped


def shown():
    """Metric by metric, its labels: the daemon's one table."""
    with open(METRICS, encoding="utf-8") as file:
        table = file.read().split("static const Metric METRICS", 1)[1].split("\n};", 1)[0]
    found = {}
    for entry in re.split(r"\n    \[METRIC_", table)[1:]:
        texts = re.findall(r'"((?:[^"\\]|\\.)*)"', entry)
        labels = re.findall(r'"(\w+)"', re.search(r'\{((?:"\w+"(?:, )?)+|NULL)\}', entry.replace("\n", " ")).group(1))
        found[texts[0]] = set(labels)
    return found


def test_the_reader_finds_metrics_labels_and_groups():
    assert named('sum by (feed) (increase(a_total{x="1", y=~"b"}[1h])) > 100 and on (job) c offset 1d - 0.01') == (
        [("a_total", {"x", "y"}), ("c", set())], {"feed", "job"})


def test_every_metric_and_label_of_an_alert_is_shown():
    known = {**shown(), **OF_PROMETHEUS}
    assert len(known) > 35 and known["revcycle_feed_rule_broken"] == {"feed", "rule"}
    for rule in rules():
        metrics, grouped = named(rule["expr"])
        assert metrics, rule
        of_any = set().union(*(known.get(name, set()) for name, _ in metrics))
        for name, labels in metrics:
            assert name in known, f"{rule['alert']}: there is no metric {name}"
            assert labels <= known[name], f"{rule['alert']}: {name} has no label {labels - known[name]}"
        said = set(re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values())))
        assert grouped <= of_any and said <= (grouped or of_any | {"instance", "job"}), rule["alert"]


# A series that makes it fire, and one that must not: a value, or by how much it grows in five minutes; or half of each.
ALERTS = {
    "RevcycledDown": ('up{job="revcycled"}', "0", "1"),
    "RevcycledFeedStale": ('revcycle_feed_last_success_timestamp_seconds{feed="h.f"}', "0", "+300"),
    "RevcycledCursorHeld": ('revcycle_feed_cursor_held_seconds{feed="h.f"}', "3601", "3600"),
    "RevcycledSchemaDrift": ('revcycle_feed_drift_total{feed="h.f",kind="column_added",state="evolved"}', "+1", "7"),
    "RevcycledRunHeld": ("revcycle_runs_held", "1", "0"),
    "RevcycledRunsFailing": ('revcycle_runs_total{job="h.f",outcome="failed"}', "+1", "7"),
    "RevcycledPublicationLate": ("revcycle_bigquery_publication_lag_seconds", "7201", "7200"),
    "RevcycledQuarantineGrows": ('revcycle_feed_rows_quarantined_total{feed="h.f",rule="r"}', "+10", "+8"),
    "RevcycledFeedRuleBroken": ('revcycle_feed_rule_broken{feed="h.f",rule="r"}', "1", "0"),
    "RevcycledScoreFell": ('revcycle_quality_score_ratio{feed="h.f",dimension="overall"}', ["1", "0.98"], ["1", "0.995"]),
    "RevcycledReferenceAway": ('revcycle_reference_available{service="npi"}', "0", "1"),
    "RevcycledAuditBroken": ("revcycle_audit_chain_ok", "0", "1"),
    "RevcycledAuditCut": ("revcycle_audit_last_seal", ["9", "8"], ["9", "9"]),
}
SAMPLES = 400  # of five minutes each; asked at the last one


def values(what):
    """As promtool writes a series."""
    if isinstance(what, list):
        return f"{what[0]}+0x{SAMPLES // 2} {what[1]}+0x{SAMPLES // 2}"
    return f"0{what}x{SAMPLES}" if what.startswith("+") else f"{what}+0x{SAMPLES}"


@pytest.fixture(scope="module")
def promtool():
    def run(*arguments, **options):
        return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, **options)
    return run


def test_each_alert_fires_when_it_should_and_only_then(promtool, tmp_path):
    assert sorted(ALERTS) == sorted(rule["alert"] for rule in rules())
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    expected = {rule["alert"]: rule for rule in rules()}
    for bad in (True, False):
        tests = [{"interval": "5m", "input_series": [{"series": series, "values": values(is_bad if bad else is_good)}],
                  "promql_expr_test": [{
                      "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing",severity="{expected[name]["labels"]["severity"]}"}})',
                      "eval_time": f"{5 * SAMPLES}m", "exp_samples": [{"labels": "{}", "value": 1}] if bad else []}]}
                 for name, (series, is_bad, is_good) in ALERTS.items()]
        path = tmp_path / f"{bad}.yaml"
        path.write_text(yaml.safe_dump({"rule_files": [RULES], "evaluation_interval": "5m", "tests": tests}), encoding="utf-8")
        done = promtool("test", "rules", str(path))
        assert done.returncode == 0, (bad, done.stdout[-3000:], done.stderr)
