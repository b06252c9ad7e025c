"""What came of a run, told to a person: counts, flags, quarantine, first figures."""
import sys
import time

ENTITIES = ("patients", "providers", "departments", "encounters", "transactions", "claims")
CURRENT = {"patients": " AND is_current", "providers": " AND is_current", "claims": " AND is_final"}


def rows(link, statement, *parameters):
    with link, link.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall()


def placed(link):
    """Rows per entity, as the statistics of a running load show them: exact and cheap enough."""
    found = {}
    for entity in ENTITIES:
        exists = rows(link, "SELECT to_regclass(%s)", f"silver.{entity}")[0][0]
        found[entity] = rows(link, f"SELECT count(*) FROM silver.{entity}")[0][0] if exists else 0
    return found


class Progress:
    """One line that grows: rewritten on a terminal, repeated every few seconds elsewhere."""

    def __init__(self, link):
        self.link = link
        self.terminal = sys.stdout.isatty()
        self.told_at = 0.0
        self.told = None

    def step(self):
        if not self.terminal and time.monotonic() - self.told_at < 3:
            return
        line = "  " + ", ".join(f"{count:,} {entity}" for entity, count in placed(self.link).items())
        if line != self.told:
            print(f"\r{line}\x1b[K" if self.terminal else line, end="" if self.terminal else "\n", flush=True)
        self.told, self.told_at = line, time.monotonic()

    def end(self):
        if self.terminal and self.told:
            print()


def table(title, header, lines):
    """Left-aligned text, right-aligned numbers."""
    print(f"\n{title}")
    if not lines:
        print("  none")
        return
    texts = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in line] for line in [header, *lines]]
    widths = [max(len(line[i]) for line in texts) for i in range(len(header))]
    for line in texts:
        cells = (text.rjust(widths[i]) if isinstance(lines[0][i], int) else text.ljust(widths[i])
                 for i, text in enumerate(line))
        print("  " + "  ".join(cells).rstrip())


def show_loaded(link):
    lines = []
    for entity in ENTITIES:
        inferred = ("count(*) FILTER (WHERE is_inferred)" if entity in ("patients", "providers", "departments")
                    else "0")
        lines += [(entity, source, count, made) for source, count, made in rows(
            link, f"SELECT source_system, count(*) - {inferred}, {inferred} FROM silver.{entity} "
            f"WHERE NOT is_deleted AND source_system <> ''{CURRENT.get(entity, '')} GROUP BY 1 ORDER BY 1")]
    table("Loaded (current rows; inferred: named by a fact, not delivered by its hospital)",
          ("entity", "source", "rows", "inferred"), lines)


def show_flags(link):
    lines = []
    for entity in ENTITIES:
        lines += [(entity, flag, count) for flag, count in rows(
            link, f"SELECT flag, count(*) FROM silver.{entity}, unnest(dq_flags) flag "
            f"WHERE NOT is_deleted{CURRENT.get(entity, '')} GROUP BY 1 ORDER BY 2 DESC, 1")]
    table("Flagged (kept, and marked)", ("entity", "flag", "rows"), lines)


def show_quarantine(link):
    table("Quarantined (kept out, with the raw row)", ("feed", "rule", "rows", "reason"), rows(
        link, "SELECT feed, rule, count(*), min(reason) FROM dq.quarantine WHERE state = 'open' "
        "GROUP BY 1, 2 ORDER BY 1, 2"))


# Shown as: money, share, number. A figure with several methods shows the one named.
FIGURES = {"total_billed": "money", "total_paid": "money", "gross_collection_rate": "share",
           "coverage_rate": "share", "outstanding_ar": "money", "days_in_ar": "number",
           "approval_rate": "share", "denial_rate": "share", "net_collection_rate": "share", "write_off_amount": "money"}
METHODS = ("weighted", "count")
SHAPES = {"money": "{:,.2f}", "share": "{:.2%}", "number": "{:.1f}"}


def show_figures(link):
    """The newest snapshot of each figure, all months in one, by hospital."""
    found = rows(
        link, "SELECT kpi, source_system, as_of::text, sum(numerator), sum(denominator), min(missing) FROM ("
        "SELECT DISTINCT ON (kpi) kpi, as_of, result FROM ops.kpi_snapshot ORDER BY kpi, known_at DESC) newest, "
        "jsonb_to_recordset(result) AS r(source_system text, numerator numeric, denominator numeric, "
        "missing text, method text) WHERE method IS NULL OR method = ANY (%s) GROUP BY 1, 2, 3 ORDER BY 1, 2",
        list(METHODS))
    lines = []
    for kpi, source, as_of, numerator, denominator, missing in found:
        if kpi not in FIGURES:
            continue
        value = numerator / denominator if denominator else None if FIGURES[kpi] == "share" else numerator
        shown = f"not computable: no {missing}" if value is None else SHAPES[FIGURES[kpi]].format(value)
        lines.append((kpi, source, as_of or "", shown))
    table("First figures", ("figure", "source", "as of", "value"), lines)


def show_denials(link):
    """From remittances; nothing where none came."""
    found = rows(link, "SELECT group_code, reason_code, max(numerator) FILTER (WHERE method = 'count'), "
                 "max(numerator) FILTER (WHERE method = 'amount') FROM kpi.denial_reasons(NULL, '{group_code,reason_code}') "
                 "WHERE missing IS NULL GROUP BY 1, 2 ORDER BY 3 DESC NULLS LAST, 1, 2")
    if found:
        table("Denial reasons (X12 835)", ("group", "reason", "denials", "amount"),
              [(group, reason, f"{count:,.0f}", f"{amount:,.2f}") for group, reason, count, amount in found])


def show(link):
    show_loaded(link)
    show_flags(link)
    show_quarantine(link)
    show_figures(link)
    show_denials(link)
