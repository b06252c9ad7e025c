/* api.h - the HTTP API as one object: the server, the tokens, the calls under way.
 *
 * main.c opens it after the jobs and stops it before the workers. Whoever changes a job or a run
 * calls api_changed(), which answers the long polls that waited for it. Loop thread only. */
#pragma once
#include "api/control.h"
#include "config.h"

struct uv_loop_s;

typedef struct ApiOptions {
    struct uv_loop_s *loop;
    const ServerConfig *server; /* outlives the API */
    const char *store_dsn;      /* outlives the API */
    const char *session;        /* outlives the API; what its sessions there are called (lease_session_name()) */
    const char *audit_key_file; /* outlives the API; NULL: the audit trail is not sealed */
    Control control;
    double requests_per_second; /* per token; 0: 100 */
    double burst;               /* 0: 200 */
} ApiOptions;

typedef struct Api Api;

Api *api_open(const ApiOptions *options, Error *err);
/* What a client connects to: "127.0.0.1:8080", "/run/revcycled/api.sock". */
const char *api_address(const Api *api);
/* A job or a run changed its state. */
void api_changed(Api *api);
/* What is open is answered with 503, nothing new is taken, statements under way are canceled.
 * `done(context)` is called when no worker has anything of the API's any more, perhaps at once. */
void api_stop(Api *api, void (*done)(void *context), void *context);
/* After `done`; the loop must turn once more before it closes. */
void api_free(Api *api);
/* One line per route: method, pattern, scope, query parameters. For the test that compares it with
 * openapi.json. */
void api_print_routes(void);
