/* place_write.c - see place_write.h. */
#include "steps/place_write.h"

#include "base/failpoint.h"
#include "steps/place_count.h"
#include "storage/audit.h"
#include "storage/file.h"
#include "storage/held_claims.h"
#include "storage/quarantine.h"
#include "storage/run_store.h"

#include <xxhash.h>

/* ---- the rows ---- */

bool placing_draw_batch(Placing *p, Error *err) { return state_batch_id(p->feed->pg, &p->page->batch_id, err); }

static bool resolve_members(Placing *p, MembersWay way, Error *err) {
    TRY(members_resolve(p->feed->members, p->feed->pg, way, p->page, err));
    FAILPOINT("page.after_members");
    return true;
}

bool placing_make_members(Placing *p, Error *err) { return resolve_members(p, MEMBERS_MAKE, err); }

bool placing_find_members(Placing *p, Error *err) { return resolve_members(p, MEMBERS_KNOWN, err); }

bool placing_write_bronze(Placing *p, Error *err) {
    TRY(bronze_write(p->feed->pg, &p->feed->bronze, p->page, err));
    FAILPOINT("page.after_bronze");
    return true;
}

bool placing_write_silver(Placing *p, Error *err) {
    TRY(p->work ? p->work->write(p->work->ctx, p->page, err) : place_kind(p->feed)->write(p->feed->pg, p->page, err));
    FAILPOINT("page.after_silver");
    return true;
}

bool placing_write_quarantine(Placing *p, Error *err) {
    const PlaceFeed *feed = p->feed;
    return quarantine_write(feed->pg, feed->feed, feed->fields, feed->n_fields, p->page, err);
}

/* ---- the ledgers ---- */

static uint64_t hash_of_keys(const SilverPage *page) {
    uint64_t hash = 0;
    for (size_t i = 0; i < page->n_rows; i++)
        if (page->rows[i].fate != ROW_SAME && !str_is_null(page->rows[i].id))
            hash = XXH3_64bits_withSeed(page->rows[i].id.at, page->rows[i].id.size, hash);
    return hash;
}

/* Which attributes made versions, and which were corrected. */
static bool write_attributes(Pg *pg, const SilverPage *page, Error *err) {
    AttributeChange changes[ENTITY_COLUMNS_MAX];
    size_t n = 0;
    for (int i = 0; page->attributes && i < page->entity->n_columns; i++)
        if (page->attributes[i].versions + page->attributes[i].corrected > 0)
            changes[n++] = (AttributeChange){page->entity->columns[i].name, page->attributes[i].versions,
                                             page->attributes[i].corrected};
    return state_attributes_write(pg, page->batch_id, changes, n, err);
}

/* Once something of it is committed a run is known, or one that is killed would never have been. */
static bool note_run(const RunContext *run, Error *err) {
    RunRow row = {.id = run->run_id, .job = run->job, .mode = run->mode_name, .trigger = run->trigger};
    bool is_known = run->run_id == 0 || run->counts.batches > 0 || !run->trigger;
    return is_known || run_begun(run->pg, &row, err);
}

static bool write_batch(const Placing *p, Error *err) {
    BatchCounts counts = {
        .rows_read = (int64_t)p->page->n_rows,
        .rows_changed = place_rows_written(&p->outcome),
        .rows_new = p->outcome.rows_new,
        .rows_flagged = p->outcome.rows_flagged,
        .rows_quarantined = p->outcome.rows_quarantined,
    };
    return state_batch_write(p->feed->pg, p->page->batch_id, p->feed->run->run_id, p->feed->feed, &counts, err);
}

static bool write_results(const Placing *p, Error *err) {
    FlagCounts flags;
    place_count_flags(p->feed, p->page, &flags);
    int64_t n_checked = p->outcome.rows_new + p->outcome.rows_changed;
    return state_result_write(p->feed->pg, p->page->batch_id, p->feed->feed, n_checked, flags.rules, flags.n, err);
}

static const char *describe_page(const SilverPage *page, const PlaceOutcome *outcome) {
    return arena_printf(
        page->arena,
        "{\"batch\":\"%lld\",\"read\":%lld,\"changed\":%lld,\"deleted\":%lld,\"quarantined\":%lld,%s\"keys\":\"%016llx\"}",
        (long long)page->batch_id, (long long)page->n_rows, (long long)place_rows_written(outcome),
        (long long)outcome->rows_deleted, (long long)outcome->rows_quarantined,
        page->former ? arena_printf(page->arena, "\"read_anew\":\"%lld\",", (long long)page->file_id) : "",
        (unsigned long long)hash_of_keys(page));
}

bool placing_write_ledgers(Placing *p, Error *err) {
    Pg *pg = p->feed->pg;
    AuditLine line = {.actor = "pipeline", .action = "page.commit", .object = p->feed->feed, .outcome = "done",
                      .details = describe_page(p->page, &p->outcome)};
    return note_run(p->feed->run, err) && write_batch(p, err) && write_attributes(pg, p->page, err) &&
           write_results(p, err) && audit_write(pg, &line, err);
}

/* ---- beside the rows ---- */

bool placing_withdraw_entries(Placing *p, Error *err) {
    if (!p->page->former || p->feed->run->plan)
        return true;
    TRY(held_claims_lock_former(p->feed->pg, p->feed->feed, p->page, err));
    TRY(quarantine_withdraw(p->feed->pg, p->feed->feed, p->page, &p->n_entries, err));
    FAILPOINT("page.after_withdrawn");
    return true;
}

bool placing_decide_entries(Placing *p, Error *err) {
    bool is_due = p->feed->entity->kind == ENTITY_CLAIM && (p->has_news || p->page->former);
    TRY(!is_due || held_claims_decide(p->feed->pg, p->feed->feed, p->page, err));
    FAILPOINT("page.after_decided");
    return true;
}

/* Rows of a file that is read anew that quarantine holds as it did, or whose content it holds by an earlier line. */
static int64_t count_held_still(const SilverPage *page) {
    int64_t n = 0;
    for (size_t i = 0; i < page->n_rows; i++) {
        const Held *held = &page->rows[i].held;
        n += page->rows[i].fate == ROW_SAME && held->is_found && (held->entry || held->is_repeat);
    }
    return n;
}

/* To a file its reading of today counts, as if it were the first. */
bool placing_count_file(Placing *p, Error *err) {
    int64_t n_held = count_held_still(p->page);
    FileCounts counts = {
        .rows_read = (int64_t)p->page->n_rows,
        .rows_new = p->outcome.rows_new,
        .rows_corrected = p->outcome.rows_changed,
        .rows_same = p->outcome.rows_same - n_held,
        .rows_flagged = p->outcome.rows_flagged,
        .rows_quarantined = p->outcome.rows_quarantined + n_held,
        .rows_withdrawn = (int64_t)p->page->n_withdrawn,
    };
    return p->page->file_id == 0 || file_count(p->feed->pg, p->page->file_id, &counts, err);
}

bool placing_take_spellings(Placing *p, Error *err) {
    return spelling_take(p->feed->pg, p->feed->feed, p->rows->takes, p->rows->n_takes, err);
}
