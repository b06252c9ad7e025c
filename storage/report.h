/* report.h - the ledgers as JSON, for whoever asks: one item, or a page of a list.
 *
 * PostgreSQL writes the items; here they are only put side by side. A list is read by key, so that
 * rows that arrive meanwhile move nothing: a page goes on after the key of the last item seen.
 * Reads only. A new question is a new line in the table of report.c and a statement in report.sql. */
#pragma once
#include "storage/pg.h"

typedef enum ReportList {
    REPORT_RUNS,         /* newest first; filters: job, state, since */
    REPORT_FILES,        /* newest first; feed, state */
    REPORT_QUARANTINE,   /* counts by feed, rule and state; feed */
    REPORT_QUALITY,      /* by feed */
    REPORT_RULES,        /* by what they are about, and name */
    REPORT_ORPHANS,      /* oldest first; entity, orphan, state */
    REPORT_PUBLICATIONS, /* newest first */
    REPORT_RECONCILIATIONS, /* newest first */
    REPORT_KPIS,         /* by name */
    REPORT_AUDIT,        /* newest first; who, since, object */
    REPORT_PERSON_REVIEWS, /* conflicts that are open, oldest first; patient data */
    REPORT_HOLDS,        /* newest first; state */
} ReportList;

typedef enum ReportItem {
    REPORT_RUN,
    REPORT_FILE,
    REPORT_QUARANTINED_ROW, /* patient data */
    REPORT_HOLD
} ReportItem;

enum { REPORT_FILTERS_MAX = 3 };

typedef struct ReportQuery {
    int limit;
    const char *after;                       /* key of the last item seen, NULL: from the start */
    const char *filters[REPORT_FILTERS_MAX]; /* in the list's order, NULL: any */
} ReportQuery;

/* Sets the connection's limit for statements: a question may take 25 s. */
bool report_limit(Pg *pg, Error *err);
/* Appends "item,item,…" to `items`; *ret_next is the last key when more follow, else NULL. */
bool report_list(Pg *pg, ReportList list, const ReportQuery *query, Arena *arena, Buf *items,
                 const char **ret_next, Error *err);
/* Appends the item; *ret_found is false when there is none with this id. */
bool report_item(Pg *pg, ReportItem item, int64_t id, Buf *out, bool *ret_found, Error *err);

/* Appends the data quality assessment. */
bool report_assessment(Pg *pg, Buf *out, Error *err);

/* Appends what was seen of a feed's table, its cursor (`column`: its name, or NULL) and its drift. */
bool report_feed(Pg *pg, const char *feed, const char *column, Buf *out, Error *err);

typedef struct KpiQuestion {
    const char *name;
    const char *as_of;     /* a date, NULL: the figure's default */
    const char *from, *to; /* months between which, NULL: all */
    const char *by;        /* dimensions as an array literal, NULL: the figure's default */
} KpiQuestion;

typedef struct KpiAnswer {
    bool is_known;                /* there is a figure of this name */
    const char *no_dimension;     /* a word of `by` that is no dimension, or NULL */
    const char *as_of;            /* what it answered for; NULL when it has no rows */
} KpiAnswer;

/* Appends the JSON array of the figure's rows when it is known and all dimensions are. */
bool report_kpi(Pg *pg, const KpiQuestion *question, Arena *arena, Buf *out, KpiAnswer *ret_answer,
                Error *err);
