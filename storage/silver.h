/* silver.h - the clean rows: what is there, and writing what is new or changed.
 *
 * A SilverPage is one page on its way through place: the caller fills ids and source hashes,
 * silver_look_up() says what is known of each, the caller decides each row's fate and cleans those that
 * need it, silver_write() writes them. This file serves facts and members (one current row per id, the
 * old row to silver.<table>_past); versions are history.h's, iterations claim.h's; they use the same
 * page. All inside the caller's transaction. */
#pragma once
#include "storage/pg.h"
#include "transform/mapping.h"

typedef enum RowFate {
    ROW_SAME,     /* equal source hash: nothing to do */
    ROW_TOUCHED,  /* only the source hash differs: time or blanks moved */
    ROW_NEW,
    ROW_CHANGED,
    ROW_REJECTED, /* to quarantine */
    ROW_ABSORBED, /* claims: a delivery that is remembered, its text known already */
    ROW_REPEATED, /* the same id stands later in the page, and counts */
    ROW_GONE      /* no longer at the source: marked deleted; `record` is empty */
} RowFate;

/* What silver holds under a row's id. */
typedef struct Known {
    bool is_found;
    bool is_deleted;
    bool is_inferred;
    bool has_content; /* false of members that facts alone made */
    int32_t version; /* history tables */
    int64_t key;
    int64_t source_hash;
    int64_t effective_us; /* history tables */
    uint8_t record_hash[16];
} Known;

/* What quarantine holds of a row: an open or dismissed entry, by its id or, without one, by its content. Of a claim what an
 * earlier reading of the file held at this very place, whatever counts (storage/held_claims.h). */
typedef struct Held {
    int64_t entry; /* of a claim's; else 0 */
    int64_t source_hash;
    int32_t mapping_version;
    bool is_found;
    bool lacked_id; /* this very content is held as that of a row without an id; not of claims */
    bool is_repeat; /* of a claim without an id: an earlier line of its file says the same, whose entry is the file's */
    bool was_refused; /* by PostgreSQL, not by us: it may have the row by now */
    bool is_dismissed; /* by a person; not of claims */
} Held;

/* What a page's rows of a file without an id say: the first of them, and the lines of the others. */
typedef struct HeldContent {
    int64_t file_id, source_hash;
    size_t row;
    int64_t *further;
    size_t n_further;
    int64_t earlier; /* an entry on a line before the page's; 0: none */
    bool had_further; /* the entry at its own line told of others until now */
} HeldContent;

typedef struct SilverRow {
    const Str *fields; /* as received */
    Str id;            /* trimmed, folded; STR_NULL when missing */
    int64_t source_hash;
    int64_t line; /* files: the header is line 1; else 0 */
    Known known;
    Held held;
    const HeldContent *content; /* of a claim without an id, the first in the page to say it; else NULL */
    RowFate fate;
    Record record; /* of rows that were cleaned */
} SilverRow;

/* Where the columns that every stored row has stand in the entity, COLUMN_NONE for those it lacks. */
typedef struct SystemColumns {
    int key, id, source_system, is_deleted, is_inferred, reference_status, source_hash, record_hash,
        batch_id, made_by_batch, mapping_version;
    int modified_at;
    int iteration, is_final, file_id, line;               /* claims */
    int effective_date, expiry_date, is_current, version; /* of entities with versions */
} SystemColumns;
SystemColumns silver_system_columns(const Entity *entity);

/* How many members a page gave a new version for this attribute, and of how many it corrected it. */
typedef struct AttributeCount {
    int64_t versions, corrected;
} AttributeCount;

/* Of which file a row is, and what its deliveries are ordered by. */
typedef struct RowFile {
    int64_t file_id;
    Str period, sha256;
} RowFile;

/* Files of the page's bytes that were read before, perhaps in another way, and the lines that the page stands for: what
 * they placed or held of these, and the page does not hold, goes. */
typedef struct FormerReading {
    const int64_t *file_ids;
    size_t n;
    int64_t first_line, end_line; /* from, and up to before */
    int64_t from_line; /* where this reading began or goes on */
    const Str *ids; /* of the claims that they made of these lines (storage/former.h) */
    size_t n_ids;
} FormerReading;

typedef struct SilverPage {
    const Entity *entity;
    SystemColumns system;
    const Mapping *mapping; /* names of flags */
    const char *source_system, *feed;
    SilverRow *rows;
    size_t n_rows;
    int64_t batch_id;
    int64_t file_id; /* 0 for databases */
    Str period, sha256; /* of the file: a claim's deliveries are ordered by them */
    const RowFile *files; /* one per row, where they are of several; else NULL */
    const FormerReading *former; /* claims alone; NULL: nothing of these bytes was read before */
    size_t n_withdrawn; /* deliveries of it that go; set by claim_decide() */
    HeldContent *contents; /* of claims (storage/held_contents.h) */
    size_t n_contents;
    int64_t *outdated; /* entries of quarantine that are of its lines, and of none of its rows any more */
    size_t n_outdated;
    struct ClaimMemory *memory; /* claims of a run that writes nothing; else NULL */
    struct ClaimWork *claims; /* claim.c's, between its three calls */
    struct HistoryWork *history; /* history.c's, likewise */
    Tells tells;
    AttributeCount *attributes; /* per column, of entities with versions; NULL: none counted */
    int64_t received_us;
    int64_t source_now_us; /* the source's clock at the page */
    int32_t mapping_version;
    Arena *arena; /* the page's */
} SilverPage;

/* It says something that silver does not have yet. */
static inline bool silver_row_is_news(const SilverRow *row) {
    return row->fate == ROW_NEW || row->fate == ROW_CHANGED || row->fate == ROW_TOUCHED;
}

static inline RowFile silver_row_file(const SilverPage *page, const SilverRow *row) {
    return page->files ? page->files[row - page->rows] : (RowFile){page->file_id, page->period, page->sha256};
}

/* The period of the page's file, in its arena; NULL: none. */
const char *silver_period(const SilverPage *page);

/* Fills `known` of every row with an id. */
bool silver_look_up(Pg *pg, SilverPage *page, Error *err);
/* Writes rows of fate NEW, CHANGED, TOUCHED and GONE. */
bool silver_write(Pg *pg, SilverPage *page, Error *err);

/* --- for history.c, claim.c, bronze.c and member.c, which work on the same page --- */

/* Rows that count, and have an id. */
static inline bool silver_is_looked_up(const SilverRow *row) { return !str_is_null(row->id) && row->fate != ROW_REPEATED; }
/* The ids to look up, of those, as an array in the order of their index: neighbours in it cost less than ids that
 * are scattered. NULL and an error when it is too long. */
const char *silver_ids(SilverPage *page, Buf *out, Error *err);
/* From columns 1 to 5 of a look-up's binary row: key, source_hash, record_hash, is_deleted, is_inferred. */
void silver_take_known(const PgResult *found, int row, Known *known);

/* The row of a page that bears an id, for matching what PostgreSQL returns. */
typedef struct RowIndex RowIndex;
RowIndex *row_index_make(Arena *arena, SilverPage *page);
SilverRow *row_index_find(const RowIndex *index, Str id);
/* From now on this row of the page is the one that bears its id. */
void row_index_prefer(RowIndex *index, SilverRow *row);

/* n surrogate keys of the entity. */
bool silver_take_keys(Pg *pg, const Entity *entity, size_t n, Arena *arena, int64_t **ret_keys, Error *err);

/* A column the entity lacks (COLUMN_NONE) is passed over. */
void silver_set(Record *record, int column, Value value);
/* Key, id, source, hashes, batch: what every stored row has besides its content. */
void silver_set_system(const SilverPage *page, SilverRow *row, int64_t key);
size_t silver_count(const SilverPage *page, RowFate fate);
/* There is something here to mark: not of members that facts alone made, which the source never had. */
bool known_can_go(const Known *known);
/* Rows of fate TOUCHED: their source hash alone is updated in place. */
bool silver_touch(Pg *pg, SilverPage *page, Error *err);
