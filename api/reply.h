/* reply.h - what goes back: JSON, text, or a problem.
 *
 * A handler fills a Reply; dispatch.c finishes and sends it. Errors are RFC 9457 problems: status,
 * title and default code stand in one table; `code` is an SQLSTATE. Input that is wrong in several
 * places gets one problem with all of them in errors[]: pointer "#/mode" is a member of the body,
 * "?limit" a query parameter, "Idempotency-Key" a header.
 * Owns its body. Not shared between threads: it goes along with its call. */
#pragma once
#include "api/server.h"
#include "base/buf.h"

#include <jansson.h>

enum { REPLY_HEADERS_MAX = 12, REPLY_MAX_BYTES = 16 * 1024 * 1024, REPLY_ETAG_BYTES = 40 };

typedef enum ReplyCaching {
    REPLY_PRIVATE, /* revalidate by ETag */
    REPLY_NO_STORE /* patient data, secrets */
} ReplyCaching;

typedef struct Reply {
    int status;
    const char *content_type;
    Buf body;
    ReplyCaching caching;
    HttpHeader headers[REPLY_HEADERS_MAX];
    size_t n_headers;
    json_t *errors; /* of reply_input_error */
    char etag[REPLY_ETAG_BYTES];
    const char *instance; /* of the request; set by the dispatcher */
} Reply;

void reply_init(Reply *reply, const char *instance);
void reply_done(Reply *reply);

/* `value` must outlive the reply: a literal or of the call's arena. */
void reply_header(Reply *reply, const char *name, const char *value);
/* Takes the reference. */
void reply_json(Reply *reply, int status, json_t *value);
void reply_text(Reply *reply, int status, const char *content_type, Str text);

/* Replaces whatever was there. `detail` is a sentence without row values, in lower case. */
void reply_problem(Reply *reply, int status, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with members of its own, e.g. {"run": "17"}; takes the reference. */
void reply_problem_with(Reply *reply, int status, json_t *members, const char *detail, ...)
    __attribute__((format(printf, 4, 5)));
/* Collects; the first one makes the reply a 400. Returns false. */
bool reply_input_error(Reply *reply, const char *pointer, const char *detail, ...)
    __attribute__((format(printf, 3, 4)));
/* By the error's class: 503, 409, 422 or 500; logs it, for here it is decided. */
void reply_error(Reply *reply, const Error *err);

/* ETag and 304, gzip when it pays, security headers. NULL for headers the client did not send. */
void reply_finish(Reply *reply, const char *accept_encoding, const char *if_none_match);
HttpAnswer reply_answer(const Reply *reply);
