/* steps.h - everything a run can do, one line each.
 *
 * A step is one straight-line blocking function on a worker thread. It opens what it needs through its
 * RunContext, works page by page, looks at `canceled` between pages, counts what it did, and returns
 * true, or false with an Error whose class run.c decides upon. It never retries, logs only progress,
 * and leaves nothing half done: every page is one transaction. Two steps have further threads, which end
 * with them: extract, while it walks a table, and receive, while it reads a file (ahead.h, turns.h). */
#pragma once
#include "base/arena.h"
#include "base/error.h"
#include "config.h"
#include "storage/watermark.h"

#include <stdatomic.h>

typedef enum RunMode {
    RUN_INCREMENTAL, /* from the cursor */
    RUN_FULL,        /* every row again, compared by hash */
    RUN_BACKFILL,    /* rows of a range of dates again */
    RUN_REMAP,       /* clean again from bronze */
    RUN_REPLAY,      /* of what quarantine holds, the entries that a person asked for */
    RUN_RECONCILE,
    RUN_REBUILD      /* publish: replace BigQuery's tables */
} RunMode;

/* Of how many patients or providers an attribute made a new version, and of how many it was corrected in place. */
typedef struct RunAttribute {
    const char *name; /* of the entity table */
    int64_t versions, corrected;
} RunAttribute;
enum { RUN_ATTRIBUTES_MAX = 24 }; /* more than any entity has */

typedef struct RunCounts {
    int64_t rows_read;
    int64_t rows_new;
    int64_t rows_changed; /* new and changed rows in silver */
    int64_t rows_flagged;
    int64_t rows_quarantined;
    int64_t bytes_read;
    int64_t bytes_sent; /* to BigQuery */
    int64_t pages;
    int64_t batches; /* pages that had news: they bear the run's id */
    RunAttribute attributes[RUN_ATTRIBUTES_MAX];
    int n_attributes;
} RunCounts;

/* Where a feed's cursor stands, for people: what may be known of it, and what holds it back. */
typedef struct CursorReport {
    bool is_known; /* the feed has a cursor, and a poll has looked */
    WatermarkQuality quality;
    char why[WATERMARK_WHY_BYTES];
    int64_t held_us, thread_id; /* 0: nothing; the statement's at the source, if it is one */
    char cause[WATERMARK_CAUSE_BYTES];
} CursorReport;

struct Pg;
/* What a feed keeps between its runs: the connection to its source. Steps make and check it; whoever
 * owns the job frees it, on any thread, when no run uses it. */
typedef struct FeedSession FeedSession;
FeedSession *feed_session_open(void);
void feed_session_free(FeedSession *session);
/* From any thread while a step uses it: the statement at the source ends. Takes some seconds when the source does not
 * answer, and a step that wants another connection waits meanwhile. */
void feed_session_cancel(FeedSession *session);

enum { RUN_NOTE_BYTES = 400 };
typedef struct RunContext {
    const Config *config;
    const FeedConfig *feed;     /* extract, reconcile; else NULL */
    const ClaimsConfig *claims; /* receive; else NULL */
    struct Pg *pg;              /* the daemon's role; this run's alone */
    struct PgPool *pg_pool;     /* where there is another one to be had */
    FeedSession *session;       /* extract, reconcile: the job's */
    Arena *arena;               /* this run's; released after it */
    int64_t run_id;             /* of ops.run; 0 while a quiet poll has none */
    const char *job;            /* whose run it is */
    const char *trigger;        /* who asked for it; NULL: it is in no ledger */
    int64_t epoch;              /* of the job's lease: the fence of pages, settles and figures */
    RunMode mode;
    const char *mode_name;
    struct Plan *plan; /* a dry run: counts, writes nothing (plan.h); else NULL */
    const char *range_from, *range_to; /* backfill: ISO dates, or NULL */
    bool is_dry;                /* reconcile: says what differs, mends nothing */
    bool is_approved;           /* a person released what this run was held for */
    atomic_bool *canceled;
    RunCounts counts;
    CursorReport cursor;  /* set by extract */
    bool wants_more;      /* set by reference: there was more to do than a run may take */
    bool has_settled;     /* set by settle, and by publish, which settles first: there was something to settle */
    bool wants_full;      /* set by extract: the table changed, its rows are to be read again */
    char note[RUN_NOTE_BYTES]; /* what a person should know of it though it is no error; "" mostly */
    bool wants_reconcile; /* set by extract: polling alone may have missed something */
} RunContext;

/* Asked between pages. True sets the error that ends the step. */
static inline bool step_is_canceled(const RunContext *run, Error *err) {
    return atomic_load(run->canceled) && !error_set(err, STATE_CANCELED, "the run was canceled");
}

bool step_extract(RunContext *run, Error *err);   /* MySQL -> bronze, silver */
bool step_reconcile(RunContext *run, Error *err); /* a feed's table against silver, and mending what differs */
bool step_receive(RunContext *run, Error *err);   /* claims files -> bronze, silver */
bool step_settle(RunContext *run, Error *err);    /* what depends on other feeds' rows */
bool step_reference(RunContext *run, Error *err); /* registries -> what silver says of codes and numbers */
bool step_publish(RunContext *run, Error *err);   /* PostgreSQL -> BigQuery */
bool step_kpi(RunContext *run, Error *err);       /* figures -> ops.kpi_snapshot */
bool step_quality(RunContext *run, Error *err);   /* rules over feeds, orphans, scores -> schema dq */
bool step_retention(RunContext *run, Error *err); /* what is old and needed by nobody -> nothing */
