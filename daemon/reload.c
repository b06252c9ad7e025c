/* reload.c - see reload.h.
 *
 *     asked ─► file read ─┬─ mistakes ────────────────────────────┬─► audit line ─► ended
 *                         └─► jobs drained and replaced ──────────┘   (on a worker)
 *                             (job.c; on failure the old ones stay) */
#include "reload.h"

#include "base/log.h"
#include "base/own.h"
#include "config_keys.h"
#include "notify.h"
#include "storage/audit.h"

#include <stdlib.h>

enum { OUTCOMES_KEPT = 8, ACTOR_BYTES = 64 };

typedef struct Kept {
    Arena *arena; /* of its texts */
    ReloadOutcome outcome;
} Kept;

struct Reloads {
    ReloadsOptions options;
    Config *config; /* in force; NULL: that of the start */
    Config *next;   /* being taken */
    Kept kept[OUTCOMES_KEPT];
    int64_t last;    /* number of the newest that began */
    bool is_on, is_asked_again, is_stopping;
    char actor[ACTOR_BYTES], next_actor[ACTOR_BYTES];
};

static void begin(Reloads *reloads);

static Kept *kept_of(Reloads *reloads) { return &reloads->kept[reloads->last % OUTCOMES_KEPT]; }

/* ---- the end of one ---- */

/* The line of the trail, on a worker. */
typedef struct Trail {
    Reloads *reloads;
    char *details;
    const char *outcome, *path;
    char actor[ACTOR_BYTES];
} Trail;

static void trail_work(void *context) {
    Trail *trail = context;
    Error err = {0};
    PgPool *pg_pool = trail->reloads->options.pg_pool;
    Pg *pg = pg_pool_take(pg_pool, &err);
    const AuditLine line = {.actor = trail->actor, .action = "config.reload", .object = trail->path,
                            .outcome = trail->outcome, .details = trail->details};
    if (!pg || !audit_write(pg, &line, &err))
        LOG_FAILURE(LOG_LEVEL_ERROR, "the audit trail lacks a reload", &err);
    pg_pool_give(pg_pool, pg);
}

static void trail_done(void *context) {
    Trail *trail = context;
    Reloads *reloads = trail->reloads;
    free(trail->details);
    free(trail);
    reloads->is_on = false;
    if (reloads->is_asked_again && !reloads->is_stopping)
        begin(reloads);
    reloads->options.ended(reloads->options.context);
}

/* Places and sentences, which never hold a secret (config_mistake.h). */
static json_t *mistakes_json(const ReloadOutcome *outcome) {
    json_t *list = json_array();
    for (size_t i = 0; i < outcome->n_mistakes; i++)
        json_array_append_new(list, json_pack("{s:s, s:s}", "place", outcome->mistakes[i].place, "mistake",
                                              outcome->mistakes[i].sentence));
    return list;
}

static char *details_of(const ReloadOutcome *outcome) {
    json_t *json = outcome->state == RELOAD_TAKEN     ? config_changes_json(&outcome->changes)
                   : outcome->state == RELOAD_REFUSED ? json_pack("{s:o}", "mistakes", mistakes_json(outcome))
                                                      : json_pack("{s:s}", "error", outcome->error.text);
    char *text = json_dumps(json, JSON_COMPACT);
    json_decref(json);
    return text;
}

static void end(Reloads *reloads) {
    static const char *const OUTCOMES[] = {
        [RELOAD_TAKEN] = "done", [RELOAD_REFUSED] = "refused", [RELOAD_FAILED] = "failed"};
    const ReloadOutcome *outcome = &kept_of(reloads)->outcome;
    Trail *trail = calloc(1, sizeof *trail);
    if (!trail)
        abort();
    *trail = (Trail){.reloads = reloads, .details = details_of(outcome), .outcome = OUTCOMES[outcome->state],
                     .path = reloads->options.config->path};
    memcpy(trail->actor, reloads->actor, sizeof trail->actor);
    pool_submit(reloads->options.pool, (PoolWork){trail_work, trail_done, trail});
}

static void fail(Reloads *reloads, const Error *err) {
    ReloadOutcome *outcome = &kept_of(reloads)->outcome;
    outcome->state = RELOAD_FAILED;
    outcome->error = *err;
    LOG_FAILURE(LOG_LEVEL_ERROR, "configuration not taken, the old one stays", err);
    config_free(reloads->next);
    reloads->next = NULL;
    end(reloads);
}

/* ---- what changed ---- */

/* Against the start: what stays as it was then is what a start would change. */
static bool needs_restart(Arena *arena, const Config *boot, const Config *config) {
    ConfigChanges changes;
    config_compare(arena, boot, config, &changes);
    for (size_t i = 0; i < changes.n; i++)
        for (size_t k = 0; k < N_CONFIG_KEYS; k++)
            if (CONFIG_KEYS[k].needs_restart && strcmp(changes.at[i].what, "settings") == 0 &&
                strcmp(CONFIG_KEYS[k].path, changes.at[i].name) == 0)
                return true;
    return false;
}

/* The outcome outlives the configurations its names stand in. */
static void copy_names(Arena *arena, ConfigChanges *changes) {
    for (size_t i = 0; i < changes->n; i++) {
        ConfigChange *change = &changes->at[i];
        change->name = arena_string(arena, str_of(change->name));
        change->from = change->from ? arena_string(arena, str_of(change->from)) : NULL;
    }
}

static void take(Reloads *reloads) {
    Kept *kept = kept_of(reloads);
    const Config *before = reloads_config(reloads);
    kept->outcome.state = RELOAD_TAKEN;
    config_compare(kept->arena, before, reloads->next, &kept->outcome.changes);
    copy_names(kept->arena, &kept->outcome.changes);
    kept->outcome.needs_restart = needs_restart(kept->arena, reloads->options.config, reloads->next);
    Config *old = reloads->config;
    reloads->config = reloads->next;
    reloads->next = NULL;
    reloads->options.taken(reloads->options.context);
    if (old)
        config_free(old);
    LOG_INFO("configuration reloaded", LOG_INT("jobs", jobs_count(reloads->options.jobs)),
             LOG_INT("changes", kept->outcome.changes.n));
    if (kept->outcome.needs_restart)
        LOG_WARN("some of what changed takes effect at the next start only");
    end(reloads);
}

static void on_jobs_reloaded(void *context, const Error *err) {
    Reloads *reloads = context;
    notify_ready();
    if (err)
        fail(reloads, err);
    else
        take(reloads);
}

/* ---- the beginning ---- */

static void note_mistake(void *context, const char *place, const char *sentence) {
    Kept *kept = context;
    ReloadOutcome *outcome = &kept->outcome;
    ReloadMistake *mistakes = ARENA_ARRAY(kept->arena, ReloadMistake, outcome->n_mistakes + 1);
    if (outcome->n_mistakes > 0)
        memcpy(mistakes, outcome->mistakes, sizeof *mistakes * outcome->n_mistakes);
    mistakes[outcome->n_mistakes] =
        (ReloadMistake){arena_string(kept->arena, str_of(place)), arena_string(kept->arena, str_of(sentence))};
    outcome->mistakes = mistakes;
    outcome->n_mistakes++;
    LOG_ERROR("configuration refused, the old one stays", LOG_TEXT("mistake", sentence), LOG_TEXT("place", place));
}

static Kept *forget_oldest(Reloads *reloads) {
    Kept *kept = kept_of(reloads);
    if (kept->arena)
        arena_free(kept->arena);
    *kept = (Kept){.arena = arena_open(), .outcome = {.state = RELOAD_UNDER_WAY}};
    return kept;
}

static void begin(Reloads *reloads) {
    reloads->last++;
    reloads->is_on = true;
    reloads->is_asked_again = false;
    memcpy(reloads->actor, reloads->next_actor, sizeof reloads->actor);
    Kept *kept = forget_oldest(reloads);
    reloads->next = config_load(reloads->options.config->path, note_mistake, kept);
    if (!reloads->next) {
        kept->outcome.state = RELOAD_REFUSED;
        end(reloads);
        return;
    }
    notify_reloading();
    if (jobs_reload(reloads->options.jobs, reloads->next, on_jobs_reloaded, reloads))
        return;
    Error err = {0};
    error_set(&err, STATE_BUSY, "not reloaded: the daemon is stopping, or busy with --once");
    notify_ready();
    fail(reloads, &err);
}

/* ---- public ---- */

Reloads *reloads_open(const ReloadsOptions *options) {
    Reloads *reloads = calloc(1, sizeof *reloads);
    if (!reloads)
        abort();
    reloads->options = *options;
    return reloads;
}

void reloads_stop(Reloads *reloads) { reloads->is_stopping = true; }

void reloads_close(Reloads *reloads) {
    for (size_t i = 0; i < OUTCOMES_KEPT; i++)
        if (reloads->kept[i].arena)
            arena_free(reloads->kept[i].arena);
    if (reloads->config)
        config_free(reloads->config);
    if (reloads->next)
        config_free(reloads->next);
    free(reloads);
}

const Config *reloads_config(const Reloads *reloads) {
    return reloads->config ? reloads->config : reloads->options.config;
}

int64_t reloads_ask(Reloads *reloads, const char *actor) {
    if (!reloads->is_asked_again)
        snprintf(reloads->next_actor, sizeof reloads->next_actor, "%s", actor);
    if (reloads->is_on) {
        reloads->is_asked_again = true;
        return reloads->last + 1;
    }
    begin(reloads);
    return reloads->last;
}

ReloadOutcome reloads_find(const Reloads *reloads, int64_t number) {
    bool is_current = number == reloads->last && reloads->is_on;
    if (number > reloads->last || is_current)
        return (ReloadOutcome){.state = RELOAD_UNDER_WAY};
    if (number <= reloads->last - OUTCOMES_KEPT)
        return (ReloadOutcome){.state = RELOAD_FORGOTTEN};
    return reloads->kept[number % OUTCOMES_KEPT].outcome;
}
