/* job_table.c - see job_table.h. */
#include "job_table.h"

#include "base/clock.h"
#include "base/own.h"
#include "storage/kpi.h"
#include "storage/reconcile.h"

#define QUALITY_EVERY_MS INT64_C(60000)

/* ---- what exists ---- */

static const char *every_text(Arena *arena, int64_t every_ms) {
    if (every_ms % 60000 == 0)
        return arena_printf(arena, "every %lld min", (long long)(every_ms / 60000));
    return arena_printf(arena, "every %g s", (double)every_ms / 1000);
}

static void add_job(JobTable *table, Job job) { table->jobs[table->n++] = job; }

static int rank_of(const Entity *entity) {
    if (entity->kind == ENTITY_HISTORY || entity->kind == ENTITY_MEMBER)
        return RANK_MEMBERS;
    return strcmp(entity->name, "encounters") == 0 ? RANK_ENCOUNTERS : RANK_LAST;
}

static void add_feeds(JobTable *table, const SourceConfig *source) {
    for (size_t i = 0; i < source->n_feeds; i++) {
        const FeedConfig *feed = &source->feeds[i];
        size_t party = 1 + (size_t)(source - table->config->sources);
        add_job(table, (Job){.name = feed->name, .party = party, .kind = JOB_EXTRACT, .feed = feed,
                             .group = feed->name, .rank = rank_of(feed->mapping.entity),
                             .every_us = feed->every_ms * 1000,
                             .schedule = every_text(table->arena, feed->every_ms)});
        add_job(table, (Job){.name = arena_printf(table->arena, "reconcile.%s", feed->name),
                             .kind = JOB_RECONCILE, .feed = feed, .party = party, .group = feed->name,
                             .rank = RANK_RECONCILE, .every_us = feed->reconcile_ms * 1000,
                             .schedule = feed->reconcile_ms ? every_text(table->arena, feed->reconcile_ms)
                                                            : "on demand"});
    }
}

static void add_claims(JobTable *table, const ClaimsConfig *claims) {
    add_job(table, (Job){.name = claims->name, .kind = JOB_RECEIVE, .claims = claims,
                         .rank = rank_of(claims->mapping.entity), .group = claims->name,
                         .every_us = claims->every_ms * 1000,
                         .schedule = every_text(table->arena, claims->every_ms)});
}

/* One job looks at all: as often as the one that is to be looked at most often. 0: none is configured. */
static int64_t reference_every_ms(const Config *config) {
    int64_t every_ms = 0;
    for (size_t i = 0; i < REFERENCES; i++) {
        const ReferenceService *service = &config->references[i];
        if (service->enabled && (every_ms == 0 || service->every_ms < every_ms))
            every_ms = service->every_ms;
    }
    return every_ms;
}

static void add_store_jobs(JobTable *table) {
    const BigQueryConfig *bigquery = &table->config->bigquery;
    /* woken at the start: a crash may have left batches unsettled */
    add_job(table, (Job){.name = job_kind_name(JOB_SETTLE), .kind = JOB_SETTLE, .group = "store", .is_woken = true,
                         .schedule = "after changes"});
    int64_t reference_ms = reference_every_ms(table->config);
    if (reference_ms > 0)
        add_job(table, (Job){.name = job_kind_name(JOB_REFERENCE), .kind = JOB_REFERENCE, .group = "reference",
                             .every_us = reference_ms * 1000, .schedule = every_text(table->arena, reference_ms)});
    if (bigquery->enabled)
        add_job(table, (Job){.name = job_kind_name(JOB_PUBLISH), .kind = JOB_PUBLISH, .group = "store",
                             .every_us = bigquery->every_ms * 1000,
                             .schedule = every_text(table->arena, bigquery->every_ms)});
    add_job(table, (Job){.name = job_kind_name(JOB_KPI), .kind = JOB_KPI, .group = "store", .schedule = "after settle"});
    /* from time to time, too: what makes a feed stale is that nothing happens */
    add_job(table, (Job){.name = job_kind_name(JOB_QUALITY), .kind = JOB_QUALITY, .group = "quality",
                         .every_us = QUALITY_EVERY_MS * 1000, .schedule = every_text(table->arena, QUALITY_EVERY_MS)});
    if (table->config->retention.enabled)
        add_job(table, (Job){.name = job_kind_name(JOB_RETENTION), .kind = JOB_RETENTION, .group = "retention",
                             .every_us = table->config->retention.every_ms * 1000,
                             .schedule = every_text(table->arena, table->config->retention.every_ms)});
}

JobTable *job_table_make(const Config *config) {
    JobTable *table = calloc(1, sizeof *table);
    if (!table)
        abort();
    table->config = config;
    table->arena = arena_open();
    size_t n_max = 6 + config->n_claims;
    for (size_t i = 0; i < config->n_sources; i++)
        n_max += 2 * config->sources[i].n_feeds;
    table->jobs = ARENA_ARRAY(table->arena, Job, n_max);
    table->n_running = ARENA_ARRAY(table->arena, size_t, job_table_parties(table));
    table->is_wanted = ARENA_ARRAY(table->arena, bool, job_table_parties(table));
    for (size_t i = 0; i < config->n_sources; i++)
        add_feeds(table, &config->sources[i]);
    for (size_t i = 0; i < config->n_claims; i++)
        add_claims(table, &config->claims[i]);
    add_store_jobs(table);
    return table;
}

void job_table_free(JobTable *table) {
    for (size_t i = 0; i < table->n; i++) {
        if (table->jobs[i].session)
            feed_session_free(table->jobs[i].session);
        loop_timer_close(table->jobs[i].timer);
    }
    arena_free(table->arena);
    free(table);
}

/* ---- looking one up ---- */

Job *job_table_find(const JobTable *table, const char *name) {
    for (size_t i = 0; i < table->n; i++)
        if (strcmp(table->jobs[i].name, name) == 0)
            return &table->jobs[i];
    return NULL;
}

Job *job_table_find_kind(const JobTable *table, JobKind kind) {
    for (size_t i = 0; i < table->n; i++)
        if (table->jobs[i].kind == kind)
            return &table->jobs[i];
    return NULL;
}

Job *job_table_find_of_feed(const JobTable *table, JobKind kind, const FeedConfig *feed) {
    for (size_t i = 0; i < table->n; i++)
        if (table->jobs[i].kind == kind && table->jobs[i].feed == feed)
            return &table->jobs[i];
    return NULL;
}

bool job_is_place(const Job *job) { return job->kind == JOB_EXTRACT || job->kind == JOB_RECEIVE; }

/* ---- what the store knows of them ---- */

bool job_table_take_hospitals(JobTable *table, Pg *pg, const char *owner, Error *err) {
    const Config *config = table->config;
    Hospital *hospitals = ARENA_ARRAY(table->arena, Hospital, config->n_sources + 1);
    const char **names = ARENA_ARRAY(table->arena, const char *, table->n);
    for (size_t i = 0; i < config->n_sources; i++)
        hospitals[i] = (Hospital){config->sources[i].name, config->sources[i].timezone, config->sources[i].renamed_from};
    for (size_t i = 0; i < table->n; i++)
        names[i] = table->jobs[i].name;
    return hospitals_take(pg, owner, hospitals, config->n_sources, names, table->n, err) &&
           hospitals_retired(pg, table->arena, &table->retired, &table->n_retired, err);
}

bool job_table_take_ages(JobTable *table, Pg *pg, Error *err) {
    int64_t now_us = clock_monotonic_us();
    for (size_t i = 0; i < table->n; i++) {
        Job *job = &table->jobs[i];
        int64_t age_us = 0;
        if (job->kind == JOB_RECONCILE)
            TRY(reconcile_find_age(pg, job->feed->name, &age_us, err));
        if (age_us > 0)
            job->finished_us = now_us > age_us ? now_us - age_us : 1;
    }
    return true;
}

/* Called for now, they come behind the settle of a start: what it settles they are not asked for twice. */
bool job_table_take_news(JobTable *table, Pg *pg, Error *err) {
    Job *figures = job_table_find_kind(table, JOB_KPI);
    TRY(kpi_is_due(pg, &figures->is_woken, err));
    figures->woken_us = clock_monotonic_us();
    return true;
}

/* ---- another configuration ---- */

void job_table_name_now(const JobTable *table, const char *name, char ret_name[RUN_JOB_BYTES]) {
    const char *prefix = strncmp(name, "reconcile.", strlen("reconcile.")) == 0 ? "reconcile." : "";
    const char *feed = name + strlen(prefix);
    snprintf(ret_name, RUN_JOB_BYTES, "%s", name);
    for (size_t i = 0; i < table->config->n_sources; i++) {
        const char *old = table->config->sources[i].renamed_from;
        if (old && strncmp(feed, old, strlen(old)) == 0 && feed[strlen(old)] == '.')
            snprintf(ret_name, RUN_JOB_BYTES, "%s%s%s", prefix, table->config->sources[i].name, feed + strlen(old));
    }
}

void job_table_inherit(JobTable *table, const JobTable *old) {
    for (size_t i = 0; i < old->n; i++) {
        const Job *from = &old->jobs[i];
        char name[RUN_JOB_BYTES];
        job_table_name_now(table, from->name, name);
        Job *to = job_table_find(table, name);
        if (!to)
            continue;
        to->last = from->last;
        to->last_success_us = from->last_success_us;
        to->finished_us = from->finished_us;
        to->is_woken |= from->is_woken;
        to->interrupted = from->interrupted;
    }
}
