/* settle.c - a settle as a run: see storage/settle.h. */
#include "steps/settle.h"

bool step_settle(RunContext *run, Error *err) {
    if (run->plan)
        return settle_plan(run, NULL, err);
    SettleOptions options = settle_options(run);
    SettleOutcome outcome;
    TRY(settle(run->pg, &options, &outcome, err));
    settle_count(run, &outcome);
    return true;
}
