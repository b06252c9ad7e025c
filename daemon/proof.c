/* proof.c - see proof.h. */
#include "proof.h"

#include "base/own.h"
#include "storage/reconcile.h"

static void print_keys(FILE *out, const char *what, const char *keys) {
    if (keys[0])
        fprintf(out, "  %s: %s\n", what, keys);
}

static void print_line(const ReconcileLine *line, FILE *out) {
    fprintf(out, "%s: %s", line->subject, line->sentence);
    if (line->rows_here[0])
        fprintf(out, " (%s rows here, %s at the source)", line->rows_here, line->rows_there);
    fputc('\n', out);
    print_keys(out, "differing", line->differing);
    print_keys(out, "gone", line->gone);
}

bool proof_print(Pg *pg, const Jobs *jobs, int64_t since_us, FILE *out, bool *ret_equal, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    size_t n_runs = jobs_run_count(jobs), n = 0, n_lines;
    int64_t *ids = ARENA_ARRAY(arena, int64_t, n_runs + 1);
    for (size_t i = 0; i < n_runs; i++)
        if (jobs_run_at(jobs, i)->kind == JOB_RECONCILE)
            ids[n++] = jobs_run_at(jobs, i)->id;
    ReconcileLine *lines;
    TRY(reconcile_read_lines(pg, arena, ids, n, since_us, &lines, &n_lines, err));
    *ret_equal = true;
    for (size_t i = 0; i < n_lines; i++) {
        print_line(&lines[i], out);
        *ret_equal = *ret_equal && !lines[i].is_open;
    }
    return true;
}
