/* publish.c - PostgreSQL -> BigQuery: everything that changed, or nothing (rules, section 8).
 *
 *     claimed    these batches are this publication's; a crash here gives them back
 *     staged     every changed row lies in a staging table; the months and sums are known
 *     applied    the one transaction committed: `_publications` holds the id
 *     succeeded  both sides count and sum the same over the touched partitions
 *
 * Each state is durable before the next begins, and each begins by asking what is there already. So a
 * run first brings an unfinished publication to its end, then makes the next one, if rows changed. Once a
 * day both sides are compared whole, in a publication's snapshot or, when nothing changed, in one of its own.
 * A quiet run is three look-ups in PostgreSQL and sends no byte. */
#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "steps/known.h"
#include "steps/settle.h"
#include "storage/publication.h"
#include "storage/star.h"
#include "storage/stop_rule.h"

#include <inttypes.h>

enum { APPLY_TRIES = 3, HEADER_BYTES_MAX = 64 * 1024 };

typedef struct Publisher {
    RunContext *run;
    BigQuery *bq;
    StarTarget target;
    Publication publication;
    bool is_rebuild;         /* asked for now, or asked for and not ended */
    Comparison *comparison;  /* of all partitions, when it is due; else NULL */
    PublicationCost counted; /* what the ledger already holds of the usage */
} Publisher;

static void publisher_done(Publisher *p) {
    if (!p->bq)
        return;
    BigQueryUsage usage = bigquery_usage(p->bq);
    p->run->counts.bytes_sent += usage.bytes_sent;
    METRIC_ADD(METRIC_BIGQUERY_BYTES, usage.bytes_sent, "uploaded");
    METRIC_ADD(METRIC_BIGQUERY_BYTES, usage.bytes_billed, "billed");
    bigquery_drop(&p->bq);
}

/* ---- beginning ----------------------------------------------------------------------------------------- */

static bool open_bigquery(Publisher *p, int64_t bytes_left, Error *err) {
    const BigQueryConfig *config = &p->run->config->bigquery;
    BigQueryOptions options = {
        .project = config->project, .dataset = config->dataset, .location = config->location,
        .endpoint = config->endpoint, .credentials_file = config->credentials_file,
        .timeout_ms = config->timeout_ms, .max_bytes_billed = bytes_left,
        .labels = {{"app", "revcycled"}, {"profile", star_profile_name(config->profile)}}};
    p->bq = bigquery_open(&options, p->run->canceled, err);
    TRY(p->bq);
    p->target = (StarTarget){.bq = p->bq, .profile = config->profile, .arena = p->run->arena,
                             .may_replace = p->is_rebuild};
    p->target.dataset = star_dataset(p->run->arena, config->project, config->dataset, err);
    TRY(p->target.dataset);
    return publication_epoch(p->run->pg, p->run->arena, &p->target.epoch, err);
}

/* The governor: under the caps of the last 24 hours, or not yet. Batches wait and go out together. */
static bool ask_governor(const RunContext *run, bool *ret_may, int64_t *ret_bytes_left, Error *err) {
    const BigQueryConfig *config = &run->config->bigquery;
    PublicationCost used;
    TRY(publication_usage(run->pg, &used, err));
    *ret_bytes_left = config->max_bytes_billed_per_day ? config->max_bytes_billed_per_day - used.bytes_billed : 0;
    bool jobs_left = !config->max_load_jobs_per_day ||
                     used.load_jobs + N_ENTITIES <= config->max_load_jobs_per_day;
    *ret_may = jobs_left && (!config->max_bytes_billed_per_day || *ret_bytes_left > 0);
    if (!*ret_may)
        LOG_WARN("publication waits: a cap of bigquery is reached", LOG_INT("load_jobs", used.load_jobs),
                 LOG_INT("bytes_billed", used.bytes_billed));
    return true;
}

/* Text that cannot clash: two databases may publish to one project, and a restored one gives the ids that
 * the lost one gave, but not at the same instant. */
static const char *job_id(const Publisher *p, const char *step, int attempt) {
    return arena_printf(p->run->arena, "revcycled_%.8s_%" PRId64 "_%" PRIx64 "_%s_%d", p->target.epoch,
                        p->publication.id, p->publication.claimed_us, step, attempt);
}

static PublicationCost cost_since(Publisher *p) {
    BigQueryUsage usage = bigquery_usage(p->bq);
    PublicationCost cost = {usage.load_jobs - p->counted.load_jobs, usage.bytes_sent - p->counted.bytes_sent,
                            usage.bytes_billed - p->counted.bytes_billed};
    p->counted = (PublicationCost){usage.load_jobs, usage.bytes_sent, usage.bytes_billed};
    return cost;
}

static bool save(Publisher *p, const char *state, const char *error, Error *err) {
    p->publication.state = state;
    PublicationCost cost = cost_since(p);
    return publication_save(p->run->pg, &p->publication, error, &cost, err);
}

/* ---- stage --------------------------------------------------------------------------------------------- */

/* Where a table's Avro goes. The upload begins with the first row: a table without rows sends nothing. */
typedef struct Staging {
    Publisher *p;
    const Entity *entity;
    const char *table, *job;
    bool is_started; /* the header, which comes before any row, is kept until then */
    Buf header;
    BigQueryUpload *upload;
} Staging;

static void staging_done(Staging *staging) {
    buf_done(&staging->header);
    bigquery_upload_drop(&staging->upload);
}

static bool staging_start(Staging *staging, Error *err) {
    Publisher *p = staging->p;
    const BigQueryTable *table = star_staging_table(p->run->arena, staging->entity, p->target.profile,
                                                    p->publication.id, clock_wall_us());
    TRY(bigquery_make_table(p->bq, table, err));
    staging->upload = bigquery_upload_open(p->bq, staging->job, table->name, err);
    TRY(staging->upload);
    FAILPOINT("publish.during_stage");
    return bigquery_upload_put(staging->upload, buf_str(&staging->header), err);
}

static bool staging_sink(void *context, Str bytes, Error *err) {
    Staging *staging = context;
    if (!staging->is_started) {
        staging->is_started = true;
        buf_put_str(&staging->header, bytes);
        return true;
    }
    if (!staging->upload)
        TRY(staging_start(staging, err));
    return bigquery_upload_put(staging->upload, bytes, err);
}

/* Any sixteen bytes will do; these make the file of a table in a publication always the same. */
static void fill_sync(uint8_t sync[AVRO_SYNC_BYTES], int64_t publication_id, const char *table) {
    uint64_t mix = 0x9e3779b97f4a7c15u * (uint64_t)(publication_id + 1);
    for (int i = 0; i < AVRO_SYNC_BYTES; i++) {
        mix = (mix ^ (uint8_t)table[(size_t)i % strlen(table)]) * 0x100000001b3u;
        sync[i] = (uint8_t)(mix >> 32);
    }
}

static bool write_avro(Publisher *p, Pg *tx, Staging *staging, PublishedTable *table, Error *err) {
    AvroSpec spec = {.record = table->entity->gold, .codec = AVRO_CODEC_DEFLATE, .sink = staging_sink,
                     .sink_context = staging};
    spec.columns = star_avro_columns(p->run->arena, table->entity, p->target.profile, &spec.n_columns);
    fill_sync(spec.sync, p->publication.id, table->entity->gold);
    CLEANUP(avro_drop) AvroWriter *avro = avro_open(&spec, err);
    TRY(avro);
    TRY(publication_write_rows(tx, &p->publication, p->target.profile, p->run->arena, table, avro,
                               p->run->canceled, err));
    return avro_finish(avro, err);
}

static bool finish_upload(Publisher *p, Staging *staging, const PublishedTable *table, Error *err) {
    TRY(bigquery_upload_finish(staging->upload, err));
    BigQueryJob job;
    TRY(bigquery_wait_for_job(p->bq, staging->job, &job, err));
    METRIC_ADD(METRIC_BIGQUERY_LOAD_JOBS, 1, table->entity->gold, job.state == JOB_DONE ? "done" : "failed");
    if (job.state == JOB_FAILED) {
        *err = job.why;
        return error_context(err, "cannot stage %s", table->entity->gold);
    }
    if (job.rows != table->changed + table->deleted)
        return error_set(err, STATE_CONNECTION, "BigQuery staged %" PRId64 " rows of %s, %" PRId64 " were sent",
                         job.rows, table->entity->gold, table->changed + table->deleted);
    return true;
}

static bool stage_table(Publisher *p, Pg *tx, const Entity *entity, Error *err) {
    CLEANUP(staging_done) Staging staging = {.p = p, .entity = entity};
    buf_init(&staging.header, HEADER_BYTES_MAX);
    staging.job = job_id(p, arena_printf(p->run->arena, "load_%s", entity->gold), 1);
    PublishedTable table = {.entity = entity};
    TRY(write_avro(p, tx, &staging, &table, err));
    if (!staging.upload && p->publication.is_rebuild)
        TRY(staging_start(&staging, err)); /* an empty table replaces what is there, too */
    if (!staging.upload)
        return true;
    TRY(publication_measure(tx, p->run->arena, &p->publication, &table, err));
    TRY(finish_upload(p, &staging, &table, err));
    p->publication.tables[p->publication.n_tables++] = table;
    p->run->counts.rows_read += table.changed + table.deleted;
    return true;
}

static bool stage_tables(Publisher *p, Pg *tx, Error *err) {
    for (int i = 0; i < N_ENTITIES && p->publication.id != 0; i++)
        TRY(stage_table(p, tx, &ENTITIES[i], err));
    return !p->comparison || comparison_measure(tx, p->run->arena, p->comparison, err);
}

/* Ends the snapshot, whatever came of it: what follows writes. */
static bool stage(Publisher *p, Pg *snapshot, Error *err) {
    CLEANUP(pg_tx_drop) Pg *tx = snapshot;
    if (p->is_rebuild) /* it may drop tables: only once the ledger says that a rebuild was begun */
        TRY(star_ensure(&p->target, err));
    return stage_tables(p, tx, err) && pg_commit(&tx, PG_FLUSHED, err);
}

/* ---- apply ---------------------------------------------------------------------------------------------- */

static bool make_script(Publisher *p, const char **ret_script, Error *err) {
    SequencePosition *sequences;
    int n;
    const char *as_of;
    TRY(publication_sequences(p->run->pg, p->run->arena, &sequences, &n, err));
    TRY(publication_as_of(p->run->pg, p->run->arena, &as_of, err));
    *ret_script = star_apply_script(&p->target, &p->publication, as_of, sequences, n);
    return true;
}

/* The same statement over the same staging would fail again: it expired, or its columns are others. A missing
 * right, a cap or a busy service is another matter. */
static bool is_hopeless(const Error *err) {
    return error_class(err) == ERROR_CONFIGURATION && strcmp(err->state, STATE_AUTH) != 0;
}

/* A statement that is refused at once has no job: a failed attempt all the same. */
static bool start_apply(Publisher *p, const char *id, BigQueryJob *job, Error *err) {
    const char *script;
    TRY(make_script(p, &script, err));
    FAILPOINT("publish.before_apply");
    if (bigquery_start_query(p->bq, id, script, err))
        return true;
    if (!is_hopeless(err))
        return false;
    *job = (BigQueryJob){.state = JOB_FAILED, .why = *err};
    error_clear(err);
    return true;
}

/* One attempt. The outcome stands in `_publications`, whatever became of the answer. */
static bool try_apply(Publisher *p, bool *ret_applied, BigQueryJob *job, Error *err) {
    TRY(star_is_applied(&p->target, p->publication.id, ret_applied, err));
    if (*ret_applied)
        return true;
    const char *id = job_id(p, "apply", p->publication.attempt);
    TRY(bigquery_look_at_job(p->bq, id, job, err));
    if (job->state == JOB_UNKNOWN)
        TRY(start_apply(p, id, job, err));
    FAILPOINT("publish.after_apply");
    if (job->state != JOB_FAILED)
        TRY(bigquery_wait_for_job(p->bq, id, job, err));
    FAILPOINT("publish.before_outcome");
    return star_is_applied(&p->target, p->publication.id, ret_applied, err);
}

/* The next attempt has another id: a failed job's answers 409 for ever. */
static bool count_attempt(Publisher *p, const BigQueryJob *job, Error *err) {
    if (job->state != JOB_FAILED)
        return error_set(err, STATE_BUG, "publication %" PRId64 ": the job is done, and nothing is there",
                         p->publication.id);
    p->publication.attempt++;
    return save(p, "staged", job->why.text, err);
}

/* Gives back what will never be applied; anything else stays staged for the next run. */
static bool end_attempts(Publisher *p, const Error *why, Error *err) {
    *err = *why;
    if (!is_hopeless(why))
        return false;
    Error ledger = {0};
    if (publication_abandon(p->run->pg, &p->publication, why->text, &ledger))
        p->publication.state = "abandoned";
    else
        *err = ledger;
    return false;
}

static bool apply(Publisher *p, Error *err) {
    for (int try = 1;; try++) {
        bool applied;
        BigQueryJob job = {.state = JOB_UNKNOWN};
        TRY(try_apply(p, &applied, &job, err));
        if (applied)
            return save(p, "applied", NULL, err);
        TRY(count_attempt(p, &job, err));
        if (try == APPLY_TRIES)
            return end_attempts(p, &job.why, err);
        TRY(bigquery_pause(p->bq, try, err));
    }
}

/* ---- proof ------------------------------------------------------------------------------------------------ */

static bool compare(Publisher *p, const char **ret_differing, Error *err) {
    *ret_differing = NULL;
    for (int i = 0; i < p->publication.n_tables; i++) {
        PublishedTable *table = &p->publication.tables[i];
        TRY(star_measure(&p->target, table, err));
        if (!sums_agree(table->entity, &table->expected, &table->found) && !*ret_differing)
            *ret_differing = table->entity->gold;
    }
    return true;
}

/* Staging tables would go by themselves after a week; one that stays behind does no harm. */
static void drop_staging(Publisher *p) {
    for (int i = 0; i < p->publication.n_tables; i++) {
        Error ignored = {0};
        const char *name = star_staging_name(p->run->arena, p->publication.tables[i].entity, p->publication.id);
        if (!bigquery_drop_table(p->bq, name, &ignored))
            LOG_FAILURE(LOG_LEVEL_INFO, "a staging table stays until it expires", &ignored);
    }
}

static void log_published(const Publication *publication) {
    for (int i = 0; i < publication->n_tables; i++) {
        const PublishedTable *table = &publication->tables[i];
        LOG_INFO("table published", LOG_INT("publication", publication->id),
                 LOG_TEXT("table", table->entity->gold), LOG_INT("changed", table->changed),
                 LOG_INT("deleted", table->deleted), LOG_INT("partitions", table->n_months));
    }
}

static bool finish(Publisher *p, Error *err) {
    const char *differing;
    TRY(compare(p, &differing, err));
    FAILPOINT("publish.before_finish");
    if (differing) {
        error_set(err, STATE_HELD, "publication %" PRId64 ": counts or sums of %s differ between BigQuery and "
                                   "PostgreSQL", p->publication.id, differing);
        error_hint(err, "compare `tables` of /v1/publications; `revcycled publish --rebuild` replaces the tables");
        Error ledger = {0};
        if (!save(p, "applied", err->text, &ledger) ||
            !publication_alert(p->run->pg, err->text, &ledger))
            *err = ledger;
        return false;
    }
    drop_staging(p);
    TRY(save(p, "succeeded", NULL, err));
    METRIC_SET(METRIC_BIGQUERY_PUBLICATION_LAG, 0);
    log_published(&p->publication);
    for (int i = 0; i < p->publication.n_tables; i++)
        p->run->counts.rows_changed += p->publication.tables[i].changed + p->publication.tables[i].deleted;
    return publication_release(p->run->pg, err);
}

/* Everything, not only what was touched: what BigQuery holds now is our snapshot. */
static bool compare_all(Publisher *p, Error *err) {
    Pg *pg = p->run->pg;
    for (int i = 0; i < p->comparison->n_tables; i++)
        TRY(star_measure_months(&p->target, &p->comparison->tables[i], err));
    const char *difference;
    TRY(comparison_record(pg, p->run->arena, p->comparison, cost_since(p).bytes_billed, &difference, err));
    if (!difference) {
        LOG_INFO("bigquery holds what postgresql holds", LOG_INT("tables", p->comparison->n_tables));
        return publication_release(pg, err);
    }
    TRY(publication_alert(pg, difference, err));
    error_set(err, STATE_HELD, "%s", difference);
    return error_hint(err, "see /v1/reconciliations; `revcycled publish --rebuild` replaces the tables");
}

/* ---- the next publication ----------------------------------------------------------------------------------- */

/* What differs is not published over. */
static bool check_comparison(Publisher *p, Error *err) {
    PublicationDue due;
    const char *difference;
    TRY(comparison_find_difference(p->run->pg, p->run->arena, &difference, err));
    if (!difference || p->is_rebuild)
        return true;
    TRY(publication_find_due(p->run->pg, &due, err));
    return !due.rows || publication_hold(p->run->pg, difference, err);
}

/* A broken rule with severity stop: what is claimed already goes on, nothing more is claimed. */
static bool check_stops(const RunContext *run, Error *err) {
    const StopLook look = {.rules = run->config->rules, .n_rules = run->config->n_rules, .is_approved = run->is_approved,
                           .run_id = run->run_id, .arena = run->arena};
    const RuleSpec *rule;
    const char *found;
    TRY(stop_rules_look(run->pg, &look, &rule, &found, err));
    if (!rule)
        return true;
    error_set(err, STATE_HELD, "nothing is published: rule %s, %s: %s", rule->name, rule_spec_sentence(run->arena, rule), found);
    Error ignored = {0};
    if (!publication_alert(run->pg, err->text, &ignored))
        LOG_FAILURE(LOG_LEVEL_WARN, "an alert was not raised", &ignored);
    return error_hint(err, "mend the data at its source, or approve this run to publish as it is");
}

/* Settled, claimed and seen in one piece: no page is placed meanwhile. `*ret_tx` is the snapshot, or NULL
 * when nothing is to be sent or compared. */
static bool claim_locked(Publisher *p, Pg **ret_tx, Error *err) {
    RunContext *run = p->run;
    TRY(step_settle(run, err) && check_stops(run, err));
    TRY(check_comparison(p, err));
    TRY(publication_claim(run->pg, p->is_rebuild, p->target.profile, &p->publication, err));
    FAILPOINT("publish.after_claim");
    *ret_tx = NULL;
    if (p->publication.id == 0 && !p->comparison)
        return true;
    *ret_tx = publication_snapshot(run->pg, &p->publication, err);
    return *ret_tx != NULL;
}

static bool claim(Publisher *p, Pg **ret_tx, Error *err) {
    TRY(publication_lock(p->run->pg, err));
    bool claimed = claim_locked(p, ret_tx, err);
    Error ignored = {0}; /* a lock that cannot be given back went with its connection */
    publication_unlock(p->run->pg, claimed ? err : &ignored);
    return claimed && !err->state[0];
}

static bool give_back(Publisher *p, Error *err) {
    Error ledger = {0};
    if (p->publication.id != 0 && !publication_abandon(p->run->pg, &p->publication, err->text, &ledger))
        LOG_FAILURE(LOG_LEVEL_WARN, "a publication's batches are given back by the next run", &ledger);
    return false;
}

static bool record_staged(Publisher *p, Error *err) {
    if (p->publication.n_tables == 0) /* what changed was changed back, or is not published */
        return save(p, "abandoned", "nothing was to be sent", err);
    TRY(save(p, "staged", NULL, err));
    FAILPOINT("publish.after_stage");
    return true;
}

static bool publish_next(Publisher *p, Error *err) {
    if (!p->is_rebuild)
        TRY(star_ensure(&p->target, err));
    Pg *tx;
    TRY(claim(p, &tx, err));
    if (!tx)
        return true;
    if (!stage(p, tx, err))
        return give_back(p, err);
    if (p->publication.id != 0)
        TRY(record_staged(p, err));
    if (p->publication.n_tables > 0)
        TRY(apply(p, err) && finish(p, err));
    return !p->comparison || compare_all(p, err);
}

/* ---- the unfinished one ----------------------------------------------------------------------------------------- */

/* True, too, when what was staged is given back: the next publication carries it. */
static bool resume_apply(Publisher *p, Error *err) {
    if (apply(p, err))
        return true;
    if (strcmp(p->publication.state, "abandoned") != 0)
        return false;
    LOG_FAILURE(LOG_LEVEL_WARN, "what was staged cannot be applied and is staged again", err);
    error_clear(err);
    return true;
}

static bool resume(Publisher *p, Error *err) {
    LOG_INFO("publication goes on", LOG_INT("publication", p->publication.id),
             LOG_TEXT("state", p->publication.state));
    if (strcmp(p->publication.state, "claimed") == 0)
        return publication_abandon(p->run->pg, &p->publication, "stopped before everything was staged", err);
    if (strcmp(p->publication.state, "staged") == 0)
        TRY(resume_apply(p, err));
    return strcmp(p->publication.state, "applied") != 0 || finish(p, err);
}

static bool is_held(const Error *err) { return strcmp(err->state, STATE_HELD) == 0; }

/* What cannot end holds those that come after it. */
static bool end_unfinished(Publisher *p, bool due, Error *err) {
    Pg *pg = p->run->pg;
    if (p->is_rebuild)
        return publication_abandon(pg, &p->publication, "replaced by a rebuild", err);
    if (resume(p, err))
        return true;
    return is_held(err) && due && publication_hold(pg, err->text, err);
}

static bool find_due(Publisher *p, PublicationDue *ret_due, Error *err) {
    bool compares;
    TRY(publication_find_due(p->run->pg, ret_due, err));
    int64_t every_ms = p->run->mode == RUN_RECONCILE ? 0 : p->run->config->bigquery.compare_every_ms;
    TRY(comparison_is_due(p->run->pg, every_ms, &compares, err));
    METRIC_SET(METRIC_BIGQUERY_PUBLICATION_LAG, ret_due->lag_s);
    p->is_rebuild = p->run->mode == RUN_REBUILD || ret_due->rebuild;
    p->comparison = compares ? ARENA_NEW(p->run->arena, Comparison) : NULL;
    return true;
}

static bool publish(Publisher *p, PublicationDue *due, Error *err) {
    if (p->is_rebuild && p->run->mode != RUN_REBUILD)
        LOG_INFO("a rebuild that did not end is begun again");
    TRY(known_check(p->run->pg, &p->target, err));
    if (p->publication.id != 0)
        TRY(end_unfinished(p, due->rows, err));
    TRY(find_due(p, due, err)); /* what was given back is due again */
    p->target.may_replace = p->is_rebuild;
    TRY(check_comparison(p, err));
    return !(due->rows || p->is_rebuild || p->comparison) || publish_next(p, err);
}

/* What a run cost that was held, failed or gave its batches back. */
static void record_rest(Publisher *p) {
    PublicationCost cost = cost_since(p);
    Error ignored = {0};
    if ((cost.load_jobs > 0 || cost.bytes_billed > 0) && !publication_add_cost(p->run->pg, &cost, &ignored))
        LOG_FAILURE(LOG_LEVEL_WARN, "the caps of bigquery do not see what a run cost", &ignored);
}

static void note_table(RunContext *run, const Entity *entity, int64_t rows) {
    size_t used = strlen(run->note);
    snprintf(run->note + used, sizeof run->note - used, "%s%s %" PRId64, used ? ", " : "", entity->gold, rows);
}

static bool plan_rows(void *ctx, Pg *pg, Error *err) {
    RunContext *run = ctx;
    int64_t *rows;
    TRY(publication_plan(pg, run->arena, run->mode == RUN_REBUILD, &rows, err));
    for (int i = 0; i < N_ENTITIES; i++) {
        run->counts.rows_read += rows[i];
        run->counts.rows_changed += rows[i];
        if (rows[i] > 0)
            note_table(run, &ENTITIES[i], rows[i]);
    }
    return true;
}

/* It settles first, so the plan does. What another run left unfinished is not counted. */
static bool plan_publication(RunContext *run, Error *err) {
    PublicationDue due;
    TRY(publication_find_due(run->pg, &due, err));
    return !(due.rows || run->mode == RUN_REBUILD) || settle_plan(run, plan_rows, err);
}

bool step_publish(RunContext *run, Error *err) {
    if (!run->config->bigquery.enabled)
        return true;
    if (run->plan)
        return plan_publication(run, err);
    CLEANUP(publisher_done) Publisher p = {.run = run};
    PublicationDue due;
    bool may;
    int64_t bytes_left;
    TRY(find_due(&p, &due, err));
    TRY(publication_find_unfinished(run->pg, run->arena, &p.publication, err));
    if (!due.rows && p.publication.id == 0 && !p.is_rebuild && !p.comparison)
        return true;
    TRY(ask_governor(run, &may, &bytes_left, err));
    if (!may)
        return run->mode != RUN_REBUILD ||
               error_set(err, STATE_RESOURCES, "the rebuild has to wait: a cap of bigquery is reached");
    TRY(open_bigquery(&p, bytes_left, err));
    bool ok = publish(&p, &due, err);
    record_rest(&p);
    return ok;
}
