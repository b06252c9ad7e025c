/* reload.h - another configuration for a daemon that runs.
 *
 * HUP and POST /v1/config/reload go one way: the file is read; with mistakes it is refused and all of them are
 * said, else runs end at their next page and the jobs of the new configuration go on. One at a time; who asks
 * meanwhile is served by one more reload that begins when the first has ended, for the file may have changed
 * after it was read. Each ends with a line in the audit trail: what changed, or why not.
 * Owns the configurations it loads. Loop thread only. */
#pragma once
#include "config_show.h"
#include "job.h"

typedef struct Reloads Reloads;

typedef enum ReloadState {
    RELOAD_UNDER_WAY,
    RELOAD_TAKEN,
    RELOAD_REFUSED, /* the file has mistakes; the old configuration stays */
    RELOAD_FAILED,  /* no mistakes, but not taken: `error` says why; the old configuration stays */
    RELOAD_FORGOTTEN /* too long ago */
} ReloadState;

typedef struct ReloadMistake {
    const char *place, *sentence;
} ReloadMistake;

typedef struct ReloadOutcome {
    ReloadState state;
    const ReloadMistake *mistakes;
    size_t n_mistakes;
    ConfigChanges changes; /* RELOAD_TAKEN */
    bool needs_restart;    /* something changed that takes effect at the next start only */
    Error error;
} ReloadOutcome;

typedef struct ReloadsOptions {
    Jobs *jobs;
    Pool *pool;
    PgPool *pg_pool;
    const Config *config; /* of the start; outlives this */
    void (*taken)(void *context); /* reloads_config() is another one now */
    void (*ended)(void *context);
    void *context;
} ReloadsOptions;

Reloads *reloads_open(const ReloadsOptions *options);
/* None begins any more. */
void reloads_stop(Reloads *reloads);
void reloads_close(Reloads *reloads);

/* The configuration in force. */
const Config *reloads_config(const Reloads *reloads);
/* The number of the reload that answers. `actor`: a token's name, "signal". */
int64_t reloads_ask(Reloads *reloads, const char *actor);
/* Borrowed until the loop goes on. */
ReloadOutcome reloads_find(const Reloads *reloads, int64_t number);
