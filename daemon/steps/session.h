/* session.h - what a feed keeps between its runs: the connection to its source, and what polls found there.
 *
 * A step has it alone, through its RunContext; only feed_session_cancel() (steps.h) comes from elsewhere meanwhile.
 * The connection is checked before each run and made anew; what polls found outlives it. In memory alone: after a
 * restart it is found again, and the position in the store tells nothing of it. */
#pragma once
#include "secret.h"
#include "steps/glance.h"
#include "steps/steps.h"

#include <pthread.h>

#define US(seconds) ((int64_t)(seconds) * 1000000)
enum { LOOK_BACK_S = 600 /* how far behind the position rows are looked for, and how often */ };

/* What polls found of the source and its clock. */
typedef struct PollMemory {
    WatermarkMemory clock;
    WatermarkBasis basis;
    int64_t judged_us, looked_back_us;        /* monotonic; 0: not yet */
    char looked_at[WATERMARK_POSITION_BYTES]; /* where the last look back ended; "": none yet */
    bool is_widened;   /* rows appeared behind the position */
    bool is_held_long; /* said already */
    Glance glance;
} PollMemory;

struct FeedSession {
    pthread_mutex_t *mutex; /* guards `my` as the run's thread exchanges it: others may cancel its statement */
    My *my;                 /* NULL: none yet, or it was lost */
    Secret password;        /* Connector/C keeps no copy that outlives a reconnect */
    PollMemory polls;
};

/* The session's connection. NULL and an error when the source cannot be reached. A new one is to be judged anew. */
My *session_connect(FeedSession *session, const SourceConfig *source, Error *err);
/* True for what happened less than LOOK_BACK_S ago, on the monotonic clock; 0 is never. */
bool session_is_recent(int64_t at_us);
/* What may be known of the table is judged anew with every connection, and now and then. */
bool session_judge(FeedSession *session, const FeedConfig *feed, const SourceTable *table, Error *err);
/* The feed has another cursor: what was known of the old one is of no use. */
void session_forget_cursor(FeedSession *session);
/* Rows appeared behind the position: nothing is proven any more, and every poll reads further back. */
void session_widen(FeedSession *session);
/* After what is not a poll: they go on from `before`, taken when the glance was forgotten. But for the connection,
 * which may be a new one: that is judged anew. */
void session_restore(FeedSession *session, const PollMemory *before);
