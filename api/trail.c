/* trail.c - see trail.h. */
#include "api/trail.h"

#include "base/own.h"

#include <stdio.h>
#include <stdlib.h>

static const int64_t ANONYMOUS_EVERY_US = 60LL * 1000000;

typedef struct Line {
    struct Line *next;
    AuditLine line; /* all texts owned */
} Line;

struct TrailBatch {
    Line *first, **end;
    size_t n;
};

struct Trail {
    TrailBatch waiting;
    size_t n_under_way;
    bool is_writing;
    int64_t n_added, n_written;
    int64_t anonymous, anonymous_since_us;
};

static char *copy(const char *text) {
    char *owned = text ? strdup(text) : NULL;
    if (text && !owned)
        abort();
    return owned;
}

static void line_free(Line *line) {
    const char *const texts[] = {line->line.actor,      line->line.action,  line->line.object,
                                 line->line.request_id, line->line.outcome, line->line.details};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free((void *)(uintptr_t)texts[i]);
    free(line);
}

static void free_lines(TrailBatch *batch) {
    while (batch->first) {
        Line *line = batch->first;
        batch->first = line->next;
        line_free(line);
    }
    *batch = (TrailBatch){.end = &batch->first};
}

Trail *trail_open(void) {
    Trail *trail = calloc(1, sizeof *trail);
    if (!trail)
        abort();
    trail->waiting.end = &trail->waiting.first;
    return trail;
}

void trail_free(Trail *trail) {
    free_lines(&trail->waiting);
    free(trail);
}

int64_t trail_add(Trail *trail, const AuditLine *line) {
    if (trail_is_full(trail))
        return trail->n_added;
    Line *own = calloc(1, sizeof *own);
    if (!own)
        abort();
    own->line = (AuditLine){copy(line->actor),      copy(line->action),  copy(line->object),
                            copy(line->request_id), copy(line->outcome), copy(line->details)};
    *trail->waiting.end = own;
    trail->waiting.end = &own->next;
    trail->waiting.n++;
    return ++trail->n_added;
}

void trail_count_anonymous(Trail *trail) { trail->anonymous++; }

void trail_tick(Trail *trail, int64_t now_us) {
    if (now_us - trail->anonymous_since_us < ANONYMOUS_EVERY_US)
        return;
    trail->anonymous_since_us = now_us;
    if (trail->anonymous == 0)
        return;
    char details[64];
    snprintf(details, sizeof details, "{\"count\": %lld}", (long long)trail->anonymous);
    trail->anonymous = 0;
    trail_add(trail, &(AuditLine){.actor = "anonymous", .action = "http.refused", .object = "*",
                                  .outcome = "unauthenticated", .details = details});
}

bool trail_is_full(const Trail *trail) {
    return trail->waiting.n + trail->n_under_way >= TRAIL_MAX;
}

int64_t trail_written(const Trail *trail) { return trail->n_written; }

TrailBatch *trail_begin(Trail *trail) {
    if (trail->is_writing || trail->waiting.n == 0)
        return NULL;
    TrailBatch *batch = malloc(sizeof *batch);
    if (!batch)
        abort();
    *batch = trail->waiting;
    trail->waiting = (TrailBatch){.end = &trail->waiting.first};
    trail->is_writing = true;
    trail->n_under_way = batch->n;
    return batch;
}

bool trail_write(TrailBatch *batch, Pg *pg, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = pg_begin(pg, err);
    TRY(tx);
    for (const Line *line = batch->first; line; line = line->next)
        TRY(audit_write(tx, &line->line, err));
    return pg_commit(&tx, PG_FLUSHED, err);
}

void trail_end(Trail *trail, TrailBatch *batch, bool was_written) {
    trail->is_writing = false;
    trail->n_under_way = 0;
    if (was_written) {
        trail->n_written += (int64_t)batch->n;
        free_lines(batch);
    } else {
        *batch->end = trail->waiting.first;
        if (!trail->waiting.first)
            trail->waiting.end = batch->end;
        trail->waiting.first = batch->first;
        trail->waiting.n += batch->n;
    }
    free(batch);
}
