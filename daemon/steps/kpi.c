/* kpi.c - step_kpi: every figure asked once after a settle, and kept where it changed. */
#include "steps/steps.h"
#include "base/failpoint.h"
#include "storage/kpi.h"

bool step_kpi(RunContext *run, Error *err) {
    LeaseFence fence = {run->job, run->epoch};
    const char *seen;
    TRY(kpi_seen(run->pg, run->arena, &seen, err));
    for (int i = 0; i < N_KPIS; i++) {
        if (atomic_load(run->canceled))
            return error_set(err, STATE_CANCELED, "canceled before figure %s", kpi_name(i));
        bool kept;
        TRY(kpi_snapshot(run->pg, &fence, run->arena, i, &kept, err));
        run->counts.rows_changed += kept;
        FAILPOINT("kpi.after_figure");
    }
    return kpi_asked(run->pg, &fence, seen, err);
}
