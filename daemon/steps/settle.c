/* settle.c - a settle as a run: see storage/settle.h. */
#include "storage/settle.h"

#include "steps/steps.h"

bool step_settle(RunContext *run, Error *err) {
    SettleOptions options = {
        .run_id = run->run_id,
        .fence = {run->job, run->epoch},
        .fiscal_year_start_month = run->config->fiscal_year_start_month,
        .person_rules = run->config->person_rules,
        .n_person_rules = run->config->n_person_rules,
        .arena = run->arena,
    };
    SettleOutcome outcome;
    TRY(settle(run->pg, &options, &outcome, err));
    run->counts.rows_read += outcome.rows_read;
    run->counts.rows_changed += outcome.rows_changed;
    run->counts.pages += outcome.was_due;
    return true;
}
