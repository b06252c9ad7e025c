/* post.c - see post.h. */
#include "steps/post.h"

#include "base/clock.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/own.h"
#include "steps/place.h"
#include "storage/again.h"
#include "transform/fingerprint.h"

enum { ATTEMPTS = 3, ANSWER_MAX_BYTES = 16 << 20 };

typedef struct Posting {
    const Post *post;
    RunContext *run;
    PlaceFeed *feed;
    PostResult *result;
    int64_t file_id;
    char period[CLOCK_TEXT_BYTES];
    bool is_answered; /* nothing is to be placed: the result stands */
} Posting;

/* ---- the columns ---- */

static bool is_among(const char *name, const char *const *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

const char *const *post_columns(const ClaimsConfig *claims, Arena *arena, size_t *ret_n) {
    size_t n_most = 0, n = 0;
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        n_most += claims->mapping.columns[i].n_from;
    const char **names = ARENA_ARRAY(arena, const char *, n_most + 1);
    for (size_t i = 0; i < claims->mapping.n_columns; i++)
        for (size_t j = 0; j < claims->mapping.columns[i].n_from; j++)
            if (!is_among(claims->mapping.columns[i].from[j], names, n))
                names[n++] = claims->mapping.columns[i].from[j];
    *ret_n = n;
    return names;
}

/* ---- the answer ---- */

typedef enum RowOutcome { ROW_IS_NEW, ROW_IS_CORRECTED, ROW_IS_SAME, ROW_IS_QUARANTINED, N_ROW_OUTCOMES } RowOutcome;
static const char *const OUTCOMES[] = {"new", "corrected", "same", "quarantined"};

/* A row that quarantine holds already was not cleaned: its rule is found once more. */
static void clean_held(const Posting *p, const SilverPage *page, SilverRow *row) {
    row->record.values = ARENA_ARRAY(page->arena, Value, (size_t)page->entity->n_columns);
    mapping_clean(p->feed->mapping, row->fields, row->source_hash, page->arena, &row->record);
}

static RowOutcome outcome_of(const Posting *p, const SilverPage *page, SilverRow *row) {
    bool is_held = row->fate == ROW_SAME && row->held.is_found;
    if (is_held && !row->record.values)
        clean_held(p, page, row);
    if (row->fate == ROW_REJECTED || (is_held && row->record.reject_rule))
        return ROW_IS_QUARANTINED;
    return row->fate == ROW_NEW ? ROW_IS_NEW : row->fate == ROW_CHANGED ? ROW_IS_CORRECTED : ROW_IS_SAME;
}

static size_t put_flags(Buf *out, const Posting *p, const SilverRow *row) {
    size_t n = 0;
    buf_put_str(out, STR(",\"flags\":["));
    for (int flag = 0; flag < FLAGS_MAX; flag++)
        if (row->record.flags >> flag & 1) {
            buf_put_str(out, n++ ? STR(",") : STR(""));
            buf_put_json(out, mapping_flag_name(p->feed->mapping, flag));
        }
    buf_put_str(out, STR("]"));
    return n;
}

static void put_rows(Buf *out, const Posting *p, const SilverPage *page, int64_t *counts, int64_t *ret_flagged) {
    for (size_t i = 0; i < page->n_rows; i++) {
        SilverRow *row = &page->rows[i];
        RowOutcome outcome = outcome_of(p, page, row);
        counts[outcome]++;
        buf_printf(out, "%s{\"row\":%zu,\"outcome\":\"%s\"", i ? "," : "", i, OUTCOMES[outcome]);
        if (outcome == ROW_IS_QUARANTINED) {
            buf_put_str(out, STR(",\"rule\":"));
            buf_put_json(out, row->record.reject_rule);
            buf_put_str(out, STR(",\"reason\":"));
            buf_put_json(out, row->record.reject_reason ? row->record.reject_reason : "");
        } else if (outcome != ROW_IS_SAME) {
            *ret_flagged += put_flags(out, p, row) > 0;
        }
        buf_put_byte(out, '}');
    }
}

static bool write_answer(const Posting *p, const SilverPage *page, Arena *arena, Str *ret_answer, Error *err) {
    CLEANUP(buf_drop) Buf rows, out;
    buf_init(&rows, ANSWER_MAX_BYTES);
    buf_init(&out, ANSWER_MAX_BYTES);
    int64_t counts[N_ROW_OUTCOMES] = {0}, n_flagged = 0;
    put_rows(&rows, p, page, counts, &n_flagged);
    buf_printf(&out, "{\"file\":\"%lld\",\"feed\":", (long long)p->file_id);
    buf_put_json(&out, p->feed->feed);
    buf_put_str(&out, STR(",\"source_system\":"));
    buf_put_json(&out, p->feed->source_system);
    buf_printf(&out, ",\"period\":\"%s\",\"rows_read\":%zu", p->period, page->n_rows);
    for (int i = 0; i < N_ROW_OUTCOMES; i++)
        buf_printf(&out, ",\"rows_%s\":%lld", OUTCOMES[i], (long long)counts[i]);
    buf_printf(&out, ",\"rows_flagged\":%lld,\"rows\":[", (long long)n_flagged);
    buf_put_str(&out, buf_str(&rows));
    buf_put_str(&out, STR("]}"));
    if (buf_overflowed(&rows) || buf_overflowed(&out))
        return error_set(err, STATE_RESOURCES, "feed %s: the answer to a post is too long", p->feed->feed);
    *ret_answer = str_of(arena_string(arena, buf_str(&out)));
    return true;
}

/* ---- the page ---- */

static bool find_answer(Posting *p, Pg *pg, Error *err) {
    PostedAnswer found;
    PostResult *result = p->result;
    TRY(posted_find(pg, p->feed->feed, p->post->key, p->run->arena, &found, &result->file_id, &result->answer, err));
    p->is_answered = found != POSTED_UNKNOWN;
    result->outcome = found == POSTED_SAME ? POST_ANSWERED : POST_KEY_TAKEN;
    return !p->is_answered || error_set(err, STATE_CONFLICT, "the post was answered before");
}

static bool enter(void *ctx, Pg *pg, int64_t *ret_file_id, Error *err) {
    Posting *p = ctx;
    if (p->post->key)
        TRY(find_answer(p, pg, err));
    FileSeen seen = {.feed = p->feed->feed, .source_system = p->feed->source_system, .name = "POST /v1/claims",
                     .period = p->period, .bytes = &p->post->bytes};
    TRY(posted_enter(pg, &seen, &p->file_id, err));
    *ret_file_id = p->file_id;
    return true;
}

static bool conclude(void *ctx, Pg *pg, const SilverPage *page, Error *err) {
    Posting *p = ctx;
    PostResult result = {.outcome = POST_PLACED, .file_id = p->file_id};
    TRY(write_answer(p, page, p->run->arena, &result.answer, err));
    if (p->post->key)
        TRY(posted_keep(pg, p->feed->feed, p->post->key, p->file_id, result.answer.at, err));
    *p->result = result;
    FAILPOINT("post.before_commit");
    return true;
}

static bool place_rows(Posting *p, Error *err) {
    const Post *post = p->post;
    Arena *arena = p->run->arena;
    int64_t *lines = ARENA_ARRAY(arena, int64_t, post->n_rows);
    for (size_t i = 0; i < post->n_rows; i++)
        lines[i] = (int64_t)i + 1;
    PlaceEntry entry = {.enter = enter, .conclude = conclude, .ctx = p, .is_beside = true};
    RawRows rows = {.fields = post->values, .lines = lines, .n_rows = post->n_rows, .period = str_of(p->period),
                    .sha256 = {(const char *)post->bytes.sha256, sizeof post->bytes.sha256},
                    .source_now_us = clock_wall_us(), .entry = &entry};
    PlaceOutcome outcome;
    p->feed->commit = PG_FLUSHED; /* before anybody is told */
    if (!place_page(p->feed, &rows, NULL, arena, &outcome, err))
        return false;
    FAILPOINT("post.after_commit");
    p->result->has_news = p->run->counts.batches > 0;
    return true;
}

/* ---- the feed ---- */

static const FilePattern *pattern_of(const Post *post) {
    size_t i = 0;
    while (strcmp(post->claims->from[i].source, post->source_system) != 0)
        i++;
    return &post->claims->from[i];
}

static bool open_feed(const Post *post, RunContext *run, PlaceFeed *ret_feed, Error *err) {
    size_t n;
    const char *const *names = post_columns(post->claims, run->arena, &n);
    Field *fields = ARENA_ARRAY(run->arena, Field, n);
    const char **types = ARENA_ARRAY(run->arena, const char *, n);
    for (size_t i = 0; i < n; i++) {
        fields[i] = (Field){.name = names[i], .kind = FIELD_TEXT, .folds_case = post->claims->fold_ids};
        types[i] = "text";
    }
    const FilePattern *pattern = pattern_of(post);
    PlaceSource source = {
        .feed = post->claims->name, .source_system = post->source_system, .timezone = pattern->timezone,
        .zone = pattern->zone, .mapping = &post->claims->mapping,
        .fields = fields, .types = types, .n_fields = n,
    };
    return place_open(run, &source, ret_feed, err);
}

static bool is_ready(const Post *post, Pg *pg, bool *ret_ready, Error *err) {
    uint8_t fingerprint[16];
    int32_t version;
    bool is_new;
    AgainDue due = {.mapping = true};
    mapping_fingerprint(&post->claims->mapping, fingerprint);
    TRY(state_mapping_read(pg, post->claims->name, fingerprint, &version, &is_new, err));
    if (!is_new)
        TRY(again_due(pg, post->claims->name, &due, err));
    *ret_ready = !due.mapping;
    return true;
}

static bool post_once(const Post *post, Pg *pg, Arena *arena, PostResult *result, Error *err) {
    static atomic_bool never;
    bool ready;
    TRY(is_ready(post, pg, &ready, err));
    if (!ready) {
        result->outcome = POST_NOT_READY;
        return true;
    }
    RunContext run = {.config = post->config, .claims = post->claims, .pg = pg, .arena = arena, .job = post->claims->name,
                      .epoch = post->epoch, .canceled = &never};
    CLEANUP(place_close) PlaceFeed feed = {0};
    TRY(open_feed(post, &run, &feed, err));
    Posting posting = {.post = post, .run = &run, .feed = &feed, .result = result};
    clock_format_utc(post->posted_us, posting.period);
    if (place_rows(&posting, err))
        return true;
    if (posting.is_answered)
        error_clear(err);
    return posting.is_answered;
}

bool post_claims(const Post *post, Pg *pg, Arena *arena, PostResult *ret_result, Error *err) {
    for (int attempt = 1;; attempt++) {
        PostResult result = {0};
        if (post_once(post, pg, arena, &result, err)) {
            *ret_result = result;
            break;
        }
        if (attempt == ATTEMPTS || error_class(err) != ERROR_CONFLICT)
            return false;
        error_clear(err);
    }
    if (ret_result->outcome == POST_PLACED)
        LOG_INFO("claims posted", LOG_TEXT("feed", post->claims->name), LOG_INT("file", ret_result->file_id),
                 LOG_INT("rows", (int64_t)post->n_rows));
    return true;
}
