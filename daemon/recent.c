/* recent.c - see recent.h. */
#include "recent.h"

void recent_done(Recent *recent) {
    for (size_t i = 0; i < recent_count(recent); i++)
        run_free(recent_at(recent, i));
}

void recent_keep(Recent *recent, Run *run) {
    Run **slot = &recent->runs[recent->n_ever++ % RECENT_MAX];
    Run *old = *slot;
    *slot = run;
    run->is_kept = true;
    if (!old)
        return;
    old->is_kept = false;
    Job *job = old->owner;
    if (old->state == RUN_HELD) {
        recent_keep(recent, old);
    } else if (!job || job->current != old) {
        if (job && job->last == old)
            job->last = NULL;
        run_free(old);
    }
}

void recent_drop(Recent *recent, Run *run) {
    Recent rest = {.n_ever = 0};
    for (size_t i = recent_count(recent); i > 0; i--)
        if (recent_at(recent, i - 1) != run)
            rest.runs[rest.n_ever++] = recent_at(recent, i - 1);
    *recent = rest;
    Job *job = run->owner;
    if (job && job->last == run)
        job->last = NULL;
    run_free(run);
}

size_t recent_count(const Recent *recent) { return recent->n_ever < RECENT_MAX ? recent->n_ever : RECENT_MAX; }

Run *recent_at(const Recent *recent, size_t index) {
    return recent->runs[(recent->n_ever - 1 - index) % RECENT_MAX];
}

Run *recent_find(const Recent *recent, int64_t id) {
    for (size_t i = 0; i < recent_count(recent); i++)
        if (recent->runs[i]->id == id)
            return recent->runs[i];
    return NULL;
}

Run *recent_find_held(const Recent *recent, const Job *job) {
    for (size_t i = 0; i < recent_count(recent); i++)
        if (recent->runs[i]->owner == job && recent->runs[i]->state == RUN_HELD)
            return recent->runs[i];
    return NULL;
}
