"""That something wrote nothing: every row of every table of ours, before and after."""
import re

# What a running daemon writes by its own clock, whatever is asked of it: leases, ids kept for runs, the trail of the
# request, alerts, figures, and what the quality job finds, which looks after every settle.
BY_ITS_OWN_CLOCK = r"^(ops\.(audit|job|run|kpi|alert|owner|lease|token|daemon)|dq\.(score|rule_count|column_fill|orphan|feed_rule))"


def state(rows, with_sequences=True):
    """{table: a hash of its rows, sequence: how far it was drawn}; `rows` asks the store."""
    names = [name for (name,) in rows("SELECT schemaname || '.' || quote_ident(tablename) FROM pg_tables "
                                      "WHERE schemaname IN ('ops', 'silver', 'dq', 'bronze')")]
    found = {name: rows(f"SELECT md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {name} t")
             for name in names if not re.match(BY_ITS_OWN_CLOCK, name)}
    if with_sequences:
        drawn = rows("SELECT schemaname || '.' || sequencename, last_value FROM pg_sequences")
        found.update({name: value for name, value in drawn if not re.match(BY_ITS_OWN_CLOCK, name)})
    return found


def assert_equal(before, after):
    assert sorted(before) == sorted(after)
    assert [name for name in before if before[name] != after[name]] == []
