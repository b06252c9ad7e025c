/* call.h - one request, as the handler of its route sees it.
 *
 * A call is made when the head of a request is in, and outlives the request when a worker is still
 * at it after the answer was given up (503 at the deadline). It belongs to the loop thread; while
 * on a worker it belongs to that worker, and the loop touches only `abandoned`. */
#pragma once
#include "api/auth.h"
#include "api/control.h"
#include "api/idempotency.h"
#include "api/reply.h"
#include "api/upload.h"
#include "api/uri.h"

struct Pg; /* of storage/pg.h */
typedef struct Api Api;
typedef struct Call Call;

typedef enum Handling {
    CALL_ANSWERED,  /* the reply is filled, be it with a problem */
    CALL_FAILED,    /* err is set */
    CALL_TO_WORKER, /* not to be had from memory: the route's worker function answers */
    CALL_WAIT       /* ask again when a job or run changed, or at wait_until_us for the last time */
} Handling;

typedef Handling (*MemoryFn)(Call *call, Error *err);
typedef bool (*WorkerFn)(Call *call, struct Pg *pg, Error *err);

enum { ROUTE_PARAMS_MAX = 8, CALL_ID_BYTES = 40 };

typedef enum RouteKind {
    ROUTE_READS,
    ROUTE_READS_PHI, /* an audit line is written before the data is read */
    ROUTE_CHANGES,   /* audited; so are all that follow */
    ROUTE_STARTS,    /* starts something: honours Idempotency-Key; so do all that follow */
    ROUTE_TAKES_ROWS, /* its body is a JSON array or NDJSON, left to the worker in `raw` */
    ROUTE_TAKES_FILE  /* its body is a file of any kind, streamed into `upload` */
} RouteKind;
static inline bool route_changes(RouteKind kind) { return kind >= ROUTE_CHANGES; }

typedef struct Route {
    const char *method;
    const char *pattern; /* "/v1/jobs/{job}/runs" */
    Scope scope;
    RouteKind kind;
    MemoryFn memory; /* on the loop thread, may be NULL */
    WorkerFn worker; /* on a worker, may be NULL */
    const char *params[ROUTE_PARAMS_MAX]; /* query parameters it knows */
} Route;

struct Call {
    Api *api;
    const Control *control;
    Arena *arena;
    const Route *route; /* NULL until found */
    HttpRequest *request; /* NULL once the request is gone */
    const char *method;
    char id[CALL_ID_BYTES]; /* urn:revcycled:request:… */
    Uri uri;
    const char *path; /* decoded, without the query */
    Str segment[2];     /* what stood for {…} in the pattern, in order */
    json_t *body;       /* object, or NULL when none was sent */
    Str raw;            /* ROUTE_TAKES_ROWS: the body */
    bool is_ndjson;
    Upload *upload;     /* ROUTE_TAKES_FILE: the body */
    const struct FileSeen *sent; /* and what is to be entered of it */
    uint8_t print[IDEMPOTENCY_PRINT_BYTES]; /* of method, target and body; with an Idempotency-Key alone */
    const char *actor;  /* the token's name, NULL without one */
    int64_t token_id;
    Reply reply;
    const char *accept, *accept_encoding, *if_none_match, *idempotency_key;
    int64_t received_us;  /* monotonic: the whole request was in */
    int64_t wait_until_us; /* monotonic; set by a handler before CALL_WAIT, 0: not waiting */
    bool is_last_look;    /* the wait is over: answer with what is there */
    const char *known, *known_column; /* what a handler had in memory, for its worker */
    void *found; /* by a worker, what the route knows: the memory handler, asked once more, answers */
    ControlGuest guest;   /* what a handler entered for its worker, and its `over` leaves */
    bool has_news;        /* the worker's, for `over`: something was placed, or decided */
    void (*over)(Call *call); /* on the loop, once the worker is done or was not asked; NULL: nothing to do */
    int64_t awaited;      /* what a handler that waits remembers from its first look */

    /* dispatch.c's */
    Call *next, **from;
    Error err;
    int64_t deadline_us;
    int64_t audit_number; /* of the line it waits for; 0: none */
    bool on_worker, abandoned, started_work;
    bool is_body_in; /* of an upload whose last piece is being written */
    bool has_reply;  /* of an upload that failed: what still comes of it is thrown away */
};

/* Query parameter as terminated text of the arena, NULL when not given. */
const char *call_param(Call *call, const char *name);
/* Path segment as terminated text. */
const char *call_segment(Call *call, size_t index);
/* A positive decimal id in the path; false with a 404 in the reply. */
bool call_id_segment(Call *call, size_t index, int64_t *ret_id);
/* Like 2026-01-31. */
bool call_is_date(const char *text);
/* ?wait=: sets wait_until_us at the first look. False with a reply when it is wrong. */
bool call_read_wait(Call *call);
/* A date, or an instant of RFC 3339. */
bool call_is_instant(const char *text);
/* RFC 3339 or JSON null. */
json_t *json_instant(int64_t wall_us);
/* Text or JSON null. */
json_t *json_text(const char *text);
json_t *json_id(int64_t id);
