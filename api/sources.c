/* sources.c - /v1/sources and /v1/feeds/{feed}: what is read from whom, under which contract, and what its tables
 * were found to be. What the configuration says comes from memory, what was seen from the store. */
#include "api/page.h"
#include "api/resources.h"

#include "base/own.h"
#include "config.h"
#include "storage/report.h"

#include <stdlib.h>

static const char *const KINDS[] = {[SOURCE_MYSQL] = "mysql", [SOURCE_FILES] = "files"};

static const Config *config_of(const Call *call) { return call->control->config(call->control->ctx); }

/* ---- /v1/sources ---- */

static json_t *feed_line(const Call *call, const FeedConfig *feed) {
    JobView job = {.state = "idle"};
    call->control->find_job(call->control->ctx, feed->name, &job);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "name", feed->name, "entity", feed->mapping.entity->name,
                     "table", feed->table, "state", job.state, "why_not", json_text(job.why_not),
                     "last_success_at", json_instant(job.last_success_us));
}

static json_t *source_json(const Call *call, const SourceConfig *source) {
    json_t *feeds = json_array();
    for (size_t i = 0; i < source->n_feeds; i++)
        json_array_append_new(feeds, feed_line(call, &source->feeds[i]));
    return json_pack("{s:s, s:s, s:s, s:o}", "name", source->name, "kind", KINDS[source->kind], "timezone",
                     source->timezone, "feeds", feeds);
}

static int by_name(const void *a, const void *b) {
    return strcmp((*(const SourceConfig *const *)a)->name, (*(const SourceConfig *const *)b)->name);
}

Handling sources_list(Call *call, Error *err) {
    (void)err;
    const Config *config = config_of(call);
    Page page;
    if (!page_read(call, &page))
        return CALL_ANSWERED;
    const SourceConfig **sources = ARENA_ARRAY(call->arena, const SourceConfig *, config->n_sources + 1);
    for (size_t i = 0; i < config->n_sources; i++)
        sources[i] = &config->sources[i];
    qsort(sources, config->n_sources, sizeof *sources, by_name);
    json_t *items = json_array(), *next = json_null();
    for (size_t i = 0; i < config->n_sources; i++) {
        if (page.after && strcmp(sources[i]->name, page.after) <= 0)
            continue;
        if ((int)json_array_size(items) == page.limit) {
            next = json_string(page_cursor(call, sources[i - 1]->name));
            break;
        }
        json_array_append_new(items, source_json(call, sources[i]));
    }
    reply_json(&call->reply, 200, json_pack("{s:o, s:o}", "items", items, "next_cursor", next));
    return CALL_ANSWERED;
}

/* ---- /v1/feeds/{feed} ---- */

static const FeedConfig *find_feed(const Config *config, const char *name) {
    for (size_t s = 0; s < config->n_sources; s++)
        for (size_t f = 0; f < config->sources[s].n_feeds; f++)
            if (strcmp(config->sources[s].feeds[f].name, name) == 0)
                return &config->sources[s].feeds[f];
    return NULL;
}

static json_t *key_json(const FeedConfig *feed) {
    json_t *key = json_array();
    for (size_t i = 0; i < feed->n_key; i++)
        json_array_append_new(key, json_string(feed->key[i]));
    return key;
}

/* Up to where the table is known whole; null before the first poll, and without a cursor. */
static json_t *watermark_json(const CursorReport *cursor) {
    if (!cursor->is_known)
        return json_null();
    char thread[24];
    snprintf(thread, sizeof thread, "%lld", (long long)cursor->thread_id);
    return json_pack("{s:s, s:s, s:f, s:o, s:o}", "quality", watermark_quality_name(cursor->quality), "why", cursor->why,
                     "held_seconds", (double)cursor->held_us / 1e6, "held_by", json_text(cursor->cause[0] ? cursor->cause : NULL),
                     "thread_id", json_text(cursor->thread_id ? thread : NULL));
}

static json_t *known_json(const Call *call, const FeedConfig *feed) {
    JobView job = {.state = "idle"};
    call->control->find_job(call->control->ctx, feed->name, &job);
    json_t *contract = json_pack("{s:s, s:s, s:s}", "on_new_column", contract_name(feed->on_new_column),
                                 "on_missing_column", contract_name(feed->on_missing_column), "on_retyped_column",
                                 contract_name(feed->on_retyped_column));
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o, s:o}", "name", feed->name, "source",
                     feed->source->name, "entity", feed->mapping.entity->name, "table", feed->table, "key",
                     key_json(feed), "watermark", watermark_json(&job.cursor), "contract", contract, "state", job.state, "why_not", json_text(job.why_not),
                     "last_error", json_text(job.last_run.error));
}

/* The rest is the store's; the configuration may be another one by the time a worker asks. */
Handling feeds_get(Call *call, Error *err) {
    (void)err;
    const FeedConfig *feed = find_feed(config_of(call), call_segment(call, 0));
    if (!feed) {
        reply_problem(&call->reply, 404, "there is no such feed");
        return CALL_ANSWERED;
    }
    json_t *known = known_json(call, feed);
    char *text = json_dumps(known, JSON_COMPACT);
    json_decref(known);
    call->known = arena_string(call->arena, str_of(text));
    call->known_column = feed->cursor ? arena_string(call->arena, str_of(feed->cursor)) : NULL;
    free(text);
    return CALL_TO_WORKER;
}

/* Two objects as one. */
bool feeds_get_stored(Call *call, struct Pg *pg, Error *err) {
    CLEANUP(buf_drop) Buf stored;
    buf_init(&stored, 16 << 20);
    TRY(report_feed(pg, call_segment(call, 0), call->known_column, &stored, err));
    reply_text(&call->reply, 200, "application/json", STR(""));
    Buf *body = &call->reply.body;
    buf_put(body, call->known, strlen(call->known) - 1);
    buf_put_byte(body, ',');
    buf_put(body, stored.data + 1, stored.size - 1);
    buf_put_byte(body, '\n');
    return true;
}
