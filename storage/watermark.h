/* watermark.h - up to where a hospital's table is known whole (rules, section 4).
 *
 * A row is stamped when its statement runs and seen when its transaction commits, so that a cursor at the
 * greatest value read passes over rows. The watermark is the instant before which no unseen row can bear a
 * stamp: the server's clock at P, or the start of the oldest statement that ran when the list of statements
 * was read, whichever is earlier. A statement that begins after P stamps at or after P; one that began
 * before is in the list, or has ended, and then the rows it wrote are seen, committed or not, by the reads
 * that follow. So the list is read first, and what is read later uncommitted (watermark_hold_at) lowers it.
 * MariaDB tells how long a statement runs by a clock that is never set: where the other one was set forward
 * meanwhile, the stamp lies further back by as much, if a poll has seen it before.
 *
 * Instants are microseconds since the epoch, UTC; positions are texts in the cursor's own form and
 * precision, cut, never rounded up. Blocking; on a worker. */
#pragma once
#include "storage/source.h"

/* What the server and the table allow to be known; judged now and then, not at every poll. */
typedef enum WatermarkQuality {
    WATERMARK_PROVEN,  /* no committed row can be missed */
    WATERMARK_BOUNDED, /* none that commits within the margin */
    WATERMARK_UNPROVEN /* a precondition is missing: reconcile finds what polling may miss */
} WatermarkQuality;
const char *watermark_quality_name(WatermarkQuality quality);

typedef enum WatermarkList {
    WATERMARK_LIST_NONE,       /* other sessions' statements cannot be seen */
    WATERMARK_LIST_MARIADB,
    WATERMARK_LIST_MYSQL,
    WATERMARK_LIST_MYSQL_THREADS /* by SELECT on performance_schema.threads: reports hold the cursor, too */
} WatermarkList;

enum { WATERMARK_POSITION_BYTES = 48, WATERMARK_WHY_BYTES = 192, WATERMARK_CAUSE_BYTES = 80 };

/* Whose clock fills the cursor; AUTO: the server's when the column is ON UPDATE CURRENT_TIMESTAMP. */
typedef enum CursorClock { CURSOR_CLOCK_AUTO, CURSOR_CLOCK_SERVER, CURSOR_CLOCK_APPLICATION } CursorClock;

typedef struct WatermarkBasis {
    WatermarkQuality quality;
    char why[WATERMARK_WHY_BYTES]; /* one sentence, for doctor and /v1/feeds */
    WatermarkList list;
    int64_t margin_us; /* how far behind P the watermark stays in any case */
    int64_t server;    /* which one it was (storage/check.h) */
} WatermarkBasis;

/* `margin_us` is the feed's own: skew and latency of an application's clock. */
bool watermark_judge(My *my, const SourceTable *table, CursorClock clock, int64_t margin_us,
                     WatermarkBasis *ret_basis, Error *err);

/* A greatest value of a counter, and when it was seen. */
typedef struct CounterMemory {
    int64_t seen_us; /* monotonic, negative when that was before the machine started; 0: not yet */
    char value[24];
} CounterMemory;

/* What is remembered of one table from poll to poll; zeroed at first. */
typedef struct WatermarkMemory {
    int64_t server_us, monotonic_us; /* both clocks at the poll before; 0: none */
    /* The least that the server's clock was ahead of the monotonic one while the statements that run now may have begun
     * (0: not yet), and since when it is further ahead (0: it is not). */
    int64_t least_ahead_us, ahead_since_us;
    /* A counter's greatest values, and when they were seen: one at least a look-back old, one younger. */
    CounterMemory counter[2];
} WatermarkMemory;

typedef struct Watermark {
    int64_t now_us;       /* P */
    const char *position; /* the watermark; "" without a cursor, NULL where none is known yet (counters) */
    int64_t set_back_us;  /* by how much the server's clock was set back since the poll before; mostly 0 */
    int64_t elapsed_us;   /* since the poll before; 0 at the first */
    int64_t ahead_us;     /* the server's clock before our own; never 0 */
    int64_t held_us;      /* how far behind P, beyond the margin, something holds it; 0: nothing does */
    int64_t thread_id;    /* the statement's that holds it, or 0 */
    char cause[WATERMARK_CAUSE_BYTES]; /* for people; "" when nothing holds */
    int64_t civil_us;     /* P on the server's wall */
    const Zone *zone;
} Watermark;

/* Before the rows are read. Texts in `arena`. `zone` is the source's: a civil clock that it sets back within
 * hours counts as set back already, for what it will show again can still be written. */
bool watermark_take(My *my, const SourceTable *table, const WatermarkBasis *basis, const Zone *zone,
                    WatermarkMemory *memory, Arena *arena, Watermark *ret_mark, Error *err);

/* What a poll read that is not committed yet, or was committed while it read: the watermark does not pass
 * `value`, the cursor of the first such row, which must live as long as the mark. */
void watermark_hold_at(Watermark *mark, const SourceTable *table, const char *value);

/* True when P lies before the position, which was taken from this clock: somebody set it back. */
bool watermark_is_behind(Arena *arena, const SourceTable *table, const Watermark *mark, const char *position);

/* Microseconds since the oldest transaction that has written began; 0 where that cannot be seen. A lower bound
 * only: after a restart of the server a prepared one shows the restart. */
int64_t watermark_oldest_writer(My *my);

/* The instant `us` before the mark's P as a position, the lowest its clock shows or will show again; for a
 * counter the lowest of all. In `arena`. */
const char *watermark_before(Arena *arena, const SourceTable *table, const Watermark *mark, int64_t us);
/* The position `us` before `position`, to read what may have appeared behind it; NULL for a counter. */
const char *watermark_earlier(Arena *arena, const SourceTable *table, const char *position, int64_t us);

/* Of two pages in the same order, the first row of `dirty` that is not in `clean` as it is; -1: none. Column i of
 * a dirty row is field columns[i] of a clean one; with `hashes`, those of the clean rows, the column behind them is
 * the row's source hash. Pure. */
int64_t watermark_first_unseen(const MyPage *clean, const int64_t *hashes, const MyPage *dirty, const int *columns,
                               size_t n_columns);
