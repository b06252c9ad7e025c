/* settle_plan.c - see settle.h. */
#include "steps/settle.h"

SettleOptions settle_options(const RunContext *run) {
    return (SettleOptions){
        .run_id = run->run_id,
        .fence = {run->job, run->epoch},
        .fiscal_year_start_month = run->config->fiscal_year_start_month,
        .person_rules = run->config->person_rules,
        .n_person_rules = run->config->n_person_rules,
        .rules = run->config->rules,
        .n_rules = run->config->n_rules,
        .arena = run->arena,
    };
}

void settle_count(RunContext *run, const SettleOutcome *outcome) {
    run->counts.rows_read += outcome->rows_read;
    run->counts.rows_changed += outcome->rows_changed;
    run->counts.pages += outcome->was_due;
    run->has_settled |= outcome->was_due;
}

bool settle_plan(RunContext *run, SettleLook look, Error *err) {
    SettleOptions options = settle_options(run);
    SettleOutcome outcome;
    TRY(settle_undone(run->pg, &options, look, run, &outcome, err));
    settle_count(run, &outcome);
    return true;
}
