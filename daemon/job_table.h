/* job_table.h - the jobs that a configuration makes, what is known of each, and how they stand to each other.
 *
 * `<source>.<feed>` extracts, `reconcile.<source>.<feed>` compares the whole table, `claims.<name>` receives,
 * `settle`, `reference`, `publish`, `kpi`, `quality` and `retention` follow. A feed's reconcile stands directly behind the feed.
 * The loop thread's, but for what is said to be blocking. Starts nothing: job.h does. */
#pragma once
#include "loop.h"
#include "run.h"
#include "storage/hospitals.h"

/* Whose rows name whose: facts name members, transactions and claims name encounters. */
enum {
    RANK_MEMBERS, /* and whatever is no feed */
    RANK_ENCOUNTERS,
    RANK_LAST,
    RANK_RECONCILE, /* behind every feed of its source: what was never read is not compared, but read */
};

/* A run that a person asked for and a reload ended: it is begun again as it was asked for. */
typedef struct Interrupted {
    bool is_asked;
    RunMode mode;
    char by[64], from[RUN_DATE_BYTES], to[RUN_DATE_BYTES]; /* "": none */
} Interrupted;

typedef struct Job {
    const char *name;
    JobKind kind;
    const FeedConfig *feed;     /* extract, reconcile */
    const ClaimsConfig *claims; /* receive */
    int rank;                   /* of place jobs: those of a lower rank come first */
    size_t party;               /* who shares workers: 1 + index of its source; 0: everything else */
    const char *group;          /* two of one group never run at once */
    const char *schedule;       /* for people: "every 30 s", "after settle" */
    int64_t every_us;
    bool is_paused;
    char paused_by[64];
    bool has_lease;
    bool is_lease_locked;       /* another session holds its row */
    const char *owner;          /* whose the lease is, as of the last look; "": nobody's */
    int64_t epoch;
    bool is_stopped;            /* a configuration error: until triggered or reloaded */
    int failures;               /* in a row */
    bool is_woken;
    bool is_full_due;           /* the next turn reads everything: the table changed */
    int64_t woken_us, finished_us; /* monotonic */
    Interrupted interrupted;
    int64_t begun_us, took_us;  /* of the last run; monotonic, and how long */
    int64_t last_success_us;    /* wall; 0: never */
    Run *current;               /* queued, running or waiting; NULL */
    const Run *last;            /* the last that ended; NULL */
    FeedSession *session;
    CursorReport cursor;        /* of the last poll */
    LoopTimer *timer;           /* course.c's, as is `course` */
    struct Course *course;
} Job;

typedef struct JobTable {
    const Config *config; /* outlives the table */
    Arena *arena;
    Job *jobs;
    size_t n;
    size_t *n_running; /* by party; turn.c's to count with, as is `is_wanted` */
    bool *is_wanted;   /* has something it may run */
    RetiredHospital *retired; /* as of job_table_take_hospitals() */
    size_t n_retired;
} JobTable;

JobTable *job_table_make(const Config *config);
/* Nothing of it may be running. */
void job_table_free(JobTable *table);

/* NULL: there is none. */
Job *job_table_find(const JobTable *table, const char *name);
Job *job_table_find_kind(const JobTable *table, JobKind kind);
Job *job_table_find_of_feed(const JobTable *table, JobKind kind, const FeedConfig *feed);
/* Parties are 0 to this, exclusive. */
static inline size_t job_table_parties(const JobTable *table) { return table->config->n_sources + 1; }
/* True when it places rows: extract, receive. */
bool job_is_place(const Job *job);

/* Blocking. The store's sources become those of the configuration, before anything is read under their names. */
bool job_table_take_hospitals(JobTable *table, Pg *pg, const char *owner, Error *err);
/* Blocking. A table is compared so long after the last time, however often the daemon starts. */
bool job_table_take_ages(JobTable *table, Pg *pg, Error *err);
/* Blocking. Figures that the daemon before did not come to ask are asked for now: nobody else calls for them until rows come. */
bool job_table_take_news(JobTable *table, Pg *pg, Error *err);

/* What the job is called here: its source may have been renamed. */
void job_table_name_now(const JobTable *table, const char *name, char ret_name[RUN_JOB_BYTES]);
/* A job of the same name goes on where the old one was. */
void job_table_inherit(JobTable *table, const JobTable *old);
