/* The API as a whole over real sockets: the loop in one thread, clients in another. The jobs are
 * the test's own; the store is one nobody answers at, so whatever needs it says 503. */
#include "test.h"

#include "api/dispatch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/sha.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <uv.h>

enum { ANSWER_MAX = 1 << 20, PARALLEL = 60 };

/* ---- jobs of our own ---- */

typedef struct FakeRun {
    int64_t id;
    const char *state;
} FakeRun;
static FakeRun runs[64];
static int64_t n_made;
static bool is_paused;

static size_t fake_n_jobs(void *ctx) {
    (void)ctx;
    return 3;
}

static bool fake_find_run(void *ctx, int64_t id, RunView *ret_run) {
    (void)ctx;
    if (id < 1 || id > n_made)
        return false;
    *ret_run = (RunView){.id = id, .job = "b", .mode = "full", .trigger = "test",
                         .state = runs[id].state, .attempt = 1, .queued_us = 1, .step = "extract"};
    return true;
}

static void fake_job_at(void *ctx, size_t index, JobView *ret_job) {
    static const char *const NAMES[] = {"c", "a", "b"}; /* in no order */
    *ret_job = (JobView){.name = NAMES[index], .kind = "extract", .schedule = "every 30 s",
                         .state = is_paused ? "paused" : "idle", .paused = is_paused};
    if (index == 2)
        fake_find_run(ctx, n_made, &ret_job->last_run);
}

static bool fake_find_job(void *ctx, const char *name, JobView *ret_job) {
    for (size_t i = 0; i < 3; i++) {
        fake_job_at(ctx, i, ret_job);
        if (strcmp(ret_job->name, name) == 0)
            return true;
    }
    return false;
}

static ControlOutcome fake_trigger(void *ctx, const ControlTrigger *request, int64_t *ret_run_id,
                                   Error *err) {
    JobView job;
    (void)err;
    if (!fake_find_job(ctx, request->job, &job))
        return CONTROL_UNKNOWN;
    *ret_run_id = n_made;
    if (n_made > 0 && strcmp(runs[n_made].state, "running") == 0)
        return CONTROL_BUSY;
    *ret_run_id = ++n_made;
    runs[n_made] = (FakeRun){n_made, "running"};
    return CONTROL_DONE;
}

static ControlOutcome fake_pause(void *ctx, const char *job, bool paused, const char *actor,
                                 Error *err) {
    JobView view;
    (void)actor;
    (void)err;
    if (!fake_find_job(ctx, job, &view))
        return CONTROL_UNKNOWN;
    is_paused = paused;
    return CONTROL_DONE;
}

static ControlOutcome fake_cancel(void *ctx, int64_t id, const char *actor, Error *err) {
    RunView run;
    (void)actor;
    if (!fake_find_run(ctx, id, &run))
        return CONTROL_UNKNOWN;
    if (strcmp(run.state, "running") != 0) {
        error_set(err, STATE_BUSY, "the run has ended");
        return CONTROL_REFUSED;
    }
    runs[id].state = "canceled";
    return CONTROL_DONE;
}

static size_t fake_n_runs(void *ctx, const char *state) {
    (void)ctx;
    size_t n = 0;
    for (int64_t i = 1; i <= n_made; i++)
        n += strcmp(runs[i].state, state) == 0;
    return n;
}

static size_t fake_queue_depth(void *ctx) {
    (void)ctx;
    return 0;
}

static size_t fake_n_retired(void *ctx) {
    (void)ctx;
    return 0;
}

static const Control FAKE = {
    .n_jobs = fake_n_jobs, .job_at = fake_job_at, .find_job = fake_find_job,
    .trigger = fake_trigger, .pause = fake_pause, .find_run = fake_find_run,
    .cancel = fake_cancel, .queue_depth = fake_queue_depth, .n_runs = fake_n_runs,
    .n_retired = fake_n_retired,
};

/* ---- the loop's thread ---- */

typedef struct World {
    uv_loop_t loop;
    uv_async_t async;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t answered;
    void (*order)(void); /* to be done on the loop thread */
    Api *api;
    int port;
} World;
static World world;
static const ServerConfig CONFIG = {.listen = "127.0.0.1:0"};

static AuthToken make_token(int64_t id, const char *text, unsigned scopes) {
    AuthToken token = {.id = id, .scopes = scopes};
    snprintf(token.name, sizeof token.name, "%s", text);
    SHA256((const unsigned char *)text, strlen(text), token.sha256);
    return token;
}

static void on_order(uv_async_t *async) {
    (void)async;
    pthread_mutex_lock(&world.mutex);
    if (world.order)
        world.order();
    world.order = NULL;
    pthread_cond_signal(&world.answered);
    pthread_mutex_unlock(&world.mutex);
}

/* On the loop thread; returns when it is done. */
static void do_there(void (*order)(void)) {
    pthread_mutex_lock(&world.mutex);
    world.order = order;
    uv_async_send(&world.async);
    while (world.order)
        pthread_cond_wait(&world.answered, &world.mutex);
    pthread_mutex_unlock(&world.mutex);
}

static void *turn(void *unused) {
    (void)unused;
    uv_run(&world.loop, UV_RUN_DEFAULT);
    return NULL;
}

static int open_world(void **state) {
    (void)state;
    n_made = 0;
    is_paused = false;
    Error err = {0};
    uv_loop_init(&world.loop);
    uv_async_init(&world.loop, &world.async, on_order);
    pthread_mutex_init(&world.mutex, NULL);
    pthread_cond_init(&world.answered, NULL);
    ApiOptions options = {.loop = &world.loop, .server = &CONFIG, .control = FAKE,
                          .store_dsn = "host=127.0.0.1 port=1 dbname=x connect_timeout=2", .session = "test",
                          .requests_per_second = 1, .burst = 200};
    world.api = api_open(&options, &err);
    if (!world.api)
        fail_msg("%s", err.text);
    AuthToken tokens[] = {make_token(1, "reader", SCOPE_READ),
                          make_token(2, "operator", SCOPE_READ | SCOPE_OPERATE),
                          make_token(3, "doctor", SCOPE_PHI)};
    auth_replace(world.api->auth, tokens, 3);
    world.api->tokens_known = true;
    world.port = atoi(strrchr(api_address(world.api), ':') + 1);
    pthread_create(&world.thread, NULL, turn, NULL);
    return 0;
}

static void close_api(void *unused) {
    (void)unused;
    api_free(world.api);
    world.api = NULL;
    uv_close((uv_handle_t *)&world.async, NULL);
}

static void stop_api(void) { api_stop(world.api, close_api, NULL); }

static int close_world(void **state) {
    (void)state;
    do_there(stop_api);
    pthread_join(world.thread, NULL);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    return 0;
}

/* ---- clients ---- */

static int dial(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)world.port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text, size_t size) {
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, text + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0)
            return; /* refused early: the answer is read anyway */
        sent += (size_t)n;
    }
}

/* Until the server closes, or nothing came for 20 s. */
static const char *hear(int fd) {
    static char answer[ANSWER_MAX];
    size_t size = 0;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    while (size < sizeof answer - 1 && poll(&poll_fd, 1, 20000) == 1) {
        ssize_t n = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        if (n <= 0)
            break;
        size += (size_t)n;
    }
    answer[size] = 0;
    return answer;
}

static const char *exchange(const char *request, size_t size) {
    CLEANUP(fd_drop) int fd = dial();
    say(fd, request, size);
    return hear(fd);
}

static int status_of(const char *answer) {
    int status = 0;
    sscanf(answer, "HTTP/1.1 %d", &status);
    return status;
}

/* One request on a connection of its own; `more` are further header lines, each with its end. */
static const char *ask(const char *line, const char *token, const char *more, const char *body) {
    char request[4096], auth[128] = "";
    if (token)
        snprintf(auth, sizeof auth, "Authorization: Bearer %s\r\n", token);
    char length[160] = "";
    if (body)
        snprintf(length, sizeof length, "%sContent-Length: %zu\r\n",
                 strstr(more, "Content-Type") ? "" : "Content-Type: application/json\r\n",
                 strlen(body));
    int size = snprintf(request, sizeof request,
                        "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s%s\r\n%s", line, auth,
                        length, more, body ? body : "");
    return exchange(request, (size_t)size);
}

static void assert_problem(const char *answer, int status, const char *word) {
    if (status_of(answer) != status || !strstr(answer, "application/problem+json") ||
        !strstr(answer, word))
        fail_msg("not a %d with \"%s\": %s", status, word, answer);
}

/* ---- tests ---- */

static void the_open_routes_ask_for_no_token(void **state) {
    (void)state;
    assert_int_equal(status_of(ask("GET /healthz", NULL, "", NULL)), 200);
    assert_problem(ask("GET /readyz", NULL, "", NULL), 503, "not reachable");
    assert_non_null(strstr(ask("GET /metrics", NULL, "", NULL), "revcycle_up_since_seconds"));
    assert_non_null(strstr(ask("GET /metrics", NULL, "Accept: application/openmetrics-text\r\n", NULL),
                           "# EOF"));
    assert_non_null(strstr(ask("GET /openapi.json", NULL, "", NULL), "\"openapi\""));
    const char *page = ask("GET /", NULL, "", NULL);
    assert_non_null(strstr(page, "<title>revcycled"));
    assert_non_null(strstr(page, "default-src 'none'"));
    assert_int_equal(status_of(ask("HEAD /", NULL, "", NULL)), 200);
}

static void who_may_not_is_refused_and_told_why(void **state) {
    (void)state;
    const char *answer = ask("GET /v1/jobs", NULL, "", NULL);
    assert_problem(answer, 401, "needs a token");
    assert_non_null(strstr(answer, "WWW-Authenticate: Bearer"));
    assert_problem(ask("GET /v1/jobs", "stranger", "", NULL), 401, "unknown or revoked");
    assert_problem(ask("POST /v1/jobs/a/runs", "reader", "", NULL), 403, "\"scope\":\"operate\"");
    assert_problem(ask("GET /v1/quarantine/1", "operator", "", NULL), 403, "\"scope\":\"phi\"");
    assert_problem(ask("GET /v1/jobs", "doctor", "", NULL), 403, "\"scope\":\"read\"");
    assert_int_equal(n_made, 0);
}

static void bad_requests_are_refused(void **state) {
    (void)state;
    assert_problem(ask("GET /nowhere", "reader", "", NULL), 404, "nothing at this path");
    const char *answer = ask("DELETE /v1/jobs/a/runs", "reader", "", NULL);
    assert_problem(answer, 405, "method");
    assert_non_null(strstr(answer, "Allow: POST\r\n"));
    assert_problem(ask("GET /v1/jobs?colour=red&limit=5", "reader", "", NULL), 400, "?colour");
    assert_problem(ask("GET /v1/jobs?limit=5000", "reader", "", NULL), 400, "?limit");
    assert_problem(ask("GET /v1/runs/1?wait=3600", "reader", "", NULL), 400, "?wait");
    assert_problem(ask("GET /v1/jobs/%00", "reader", "", NULL), 400, "NUL");
    assert_problem(ask("GET /v1/jobs/%2e%2e/status", "reader", "", NULL), 400, "dot segment");
    assert_problem(ask("POST /v1/jobs/a/runs", "operator", "Content-Type: text/csv\r\n", "{}"), 415,
                   "application/json");
    assert_problem(ask("POST /v1/jobs/a/runs", "operator", "", "{"), 400, "not JSON");
    assert_problem(ask("POST /v1/jobs/a/runs", "operator", "", "[1]"), 400, "not a JSON object");
    answer = ask("POST /v1/jobs/a/runs", "operator", "", "{\"mode\":\"quick\",\"speed\":9,\"from\":\"x\"}");
    assert_problem(answer, 400, "#/mode");
    assert_non_null(strstr(answer, "#/speed"));
    assert_non_null(strstr(answer, "#/from"));
    assert_problem(ask("POST /v1/jobs/zzz/runs", "operator", "", NULL), 404, "no such job");
    assert_int_equal(n_made, 0);
}

static void requests_that_could_be_read_in_two_ways_are_refused(void **state) {
    (void)state;
    static const char *const HEADS[] = {
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: 2\r\nContent-Length: 2\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Host: y\r\n",
        "Content-Length : 2\r\n",
        "Content-Length: 2x\r\n",
        "Content-Length: -2\r\n",
    };
    for (size_t i = 0; i < sizeof HEADS / sizeof *HEADS; i++) {
        char request[512];
        int size = snprintf(request, sizeof request,
                            "POST /v1/jobs/a/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer operator\r\n"
                            "Content-Type: application/json\r\n%s\r\n{}GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
                            HEADS[i]);
        const char *answer = exchange(request, (size_t)size);
        if (status_of(answer) != 400 || strstr(answer, "alive"))
            fail_msg("%s answered: %s", HEADS[i], answer);
    }
    /* a body that a reader of either header would take */
    static const char BOTH[] = "POST /v1/jobs/a/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer operator\r\n"
                               "Content-Type: application/json\r\nContent-Length: 12\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n";
    assert_problem(exchange(BOTH, strlen(BOTH)), 400, "exclude each other");
    assert_int_equal(n_made, 0);
}

static void what_is_too_large_is_refused(void **state) {
    (void)state;
    char *head = malloc(12000);
    memset(head, 'x', 12000);
    memcpy(head, "X-Long: ", 8);
    strcpy(head + 9000, "\r\n");
    static char request[16000];
    int size = snprintf(request, sizeof request, "GET /healthz HTTP/1.1\r\nHost: x\r\n%s\r\n", head);
    free(head);
    assert_problem(exchange(request, (size_t)size), 431, "8 KiB");
    assert_problem(ask("POST /v1/jobs/a/runs", "operator",
                       "Content-Type: application/json\r\nContent-Length: 1048577\r\n", NULL),
                   413, "larger than the limit");
    /* chunked, so that nothing announces it */
    static char chunks[1300000];
    size = snprintf(chunks, sizeof chunks,
                    "POST /v1/jobs/a/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    "Authorization: Bearer operator\r\nContent-Type: application/json\r\n"
                    "Transfer-Encoding: chunked\r\n\r\n%x\r\n", 1200000);
    memset(chunks + size, ' ', 1200000);
    memcpy(chunks + size + 1200000, "\r\n0\r\n\r\n", 7);
    assert_problem(exchange(chunks, (size_t)size + 1200007), 413, "larger than the limit");
    assert_int_equal(n_made, 0);
}

static void a_large_body_arrives_whole(void **state) {
    (void)state;
    static char request[300000];
    int size = snprintf(request, sizeof request,
                        "POST /v1/jobs/a/runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Authorization: Bearer operator\r\nContent-Type: application/json\r\n"
                        "Content-Length: 200000\r\n\r\n");
    memset(request + size, ' ', 200000);
    memcpy(request + size, "{\"mode\":", 8);
    memcpy(request + size + 200000 - 7, "\"full\"}", 7);
    assert_int_equal(status_of(exchange(request, (size_t)size + 200000)), 202);
    assert_int_equal(n_made, 1);
}

static void jobs_are_listed_by_name_and_by_page(void **state) {
    (void)state;
    const char *answer = ask("GET /v1/jobs?limit=2", "reader", "", NULL);
    assert_int_equal(status_of(answer), 200);
    const char *first = strstr(answer, "\"name\":\"a\""), *second = strstr(answer, "\"name\":\"b\"");
    assert_true(first && second && first < second);
    assert_null(strstr(answer, "\"name\":\"c\""));
    char cursor[128], line[256];
    assert_int_equal(sscanf(strstr(answer, "\"next_cursor\":"), "\"next_cursor\":\"%127[^\"]", cursor), 1);
    snprintf(line, sizeof line, "GET /v1/jobs?limit=2&cursor=%s", cursor);
    answer = ask(line, "reader", "", NULL);
    assert_non_null(strstr(answer, "\"name\":\"c\""));
    assert_null(strstr(answer, "\"name\":\"b\""));
    assert_non_null(strstr(answer, "\"next_cursor\":null"));
}

static void a_run_is_started_once_per_key(void **state) {
    (void)state;
    static const char KEY[] = "Idempotency-Key: k1\r\n";
    const char *answer = ask("POST /v1/jobs/b/runs", "operator", KEY, "{\"mode\":\"full\"}");
    assert_int_equal(status_of(answer), 202);
    assert_non_null(strstr(answer, "Location: /v1/runs/1\r\n"));
    answer = ask("POST /v1/jobs/b/runs", "operator", KEY, "{\"mode\":\"full\"}");
    assert_int_equal(status_of(answer), 202);
    assert_non_null(strstr(answer, "Location: /v1/runs/1\r\n"));
    assert_problem(ask("POST /v1/jobs/b/runs", "operator", KEY, "{}"), 422, "another request");
    assert_problem(ask("POST /v1/jobs/b/runs", "operator", "", "{}"), 409, "\"run\":\"1\"");
    assert_int_equal(n_made, 1);
    assert_int_equal(status_of(ask("POST /v1/runs/1/cancel", "operator", "", NULL)), 202);
    assert_problem(ask("POST /v1/runs/1/cancel", "operator", "", NULL), 409, "has ended");
}

static void a_job_is_paused_and_resumed(void **state) {
    (void)state;
    assert_non_null(strstr(ask("POST /v1/jobs/a/pause", "operator", "", "{}"), "\"paused\":true"));
    assert_non_null(strstr(ask("POST /v1/jobs/a/resume", "operator", "", NULL), "\"paused\":false"));
}

static void what_needs_the_store_says_when_it_is_away(void **state) {
    (void)state;
    const char *answer = ask("GET /v1/files", "reader", "", NULL);
    assert_problem(answer, 503, "\"code\":\"08006\"");
    assert_non_null(strstr(answer, "Retry-After"));
}

/* ---- long polls ---- */

static void begin_run(void) { runs[n_made = 1] = (FakeRun){1, "running"}; }

static void end_run(void) {
    runs[1].state = "succeeded";
    api_changed(world.api);
}

static int poll_run(int seconds) {
    int fd = dial();
    char request[256];
    int size = snprintf(request, sizeof request,
                        "GET /v1/runs/1?wait=%d HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                        "Authorization: Bearer reader\r\n\r\n", seconds);
    say(fd, request, (size_t)size);
    return fd;
}

static size_t n_waiting;
static void count_waiting(void) {
    n_waiting = 0;
    for (const Call *call = world.api->calls; call; call = call->next)
        n_waiting++;
}

static void await_waiting(size_t n) {
    while (do_there(count_waiting), n_waiting != n)
        sched_yield();
}

static void many_wait_for_one_run_and_all_hear_of_its_end(void **state) {
    (void)state;
    do_there(begin_run);
    int fds[PARALLEL];
    for (size_t i = 0; i < PARALLEL; i++)
        fds[i] = poll_run(50);
    await_waiting(PARALLEL);
    int gone = fds[0]; /* a client that leaves is no harm */
    close(gone);
    do_there(end_run);
    for (size_t i = 1; i < PARALLEL; i++) {
        assert_non_null(strstr(hear(fds[i]), "\"state\":\"succeeded\""));
        close(fds[i]);
    }
}

static void a_wait_ends_at_its_time(void **state) {
    (void)state;
    do_there(begin_run);
    int64_t began_us = clock_monotonic_us();
    CLEANUP(fd_drop) int fd = poll_run(1);
    assert_non_null(strstr(hear(fd), "\"state\":\"running\""));
    int64_t took_us = clock_monotonic_us() - began_us;
    assert_true(took_us >= 1000000 && took_us < 10000000);
}

static int late_fd;
static int stop_while_waiting(void **state) {
    close_world(state);
    const char *answer = hear(late_fd);
    close(late_fd);
    return status_of(answer) == 503 && strstr(answer, "stopping") ? 0 : -1;
}

static void who_waits_when_the_daemon_stops_is_answered(void **state) {
    (void)state;
    do_there(begin_run);
    late_fd = poll_run(50);
    await_waiting(1);
}

static void requests_are_counted_by_route_and_never_by_path(void **state) {
    (void)state;
    do_there(metrics_reset);
    ask("GET /v1/jobs/a", "reader", "", NULL);
    ask("GET /v1/jobs/patient-7", "reader", "", NULL);
    ask("BREW /pot", NULL, "", NULL);
    const char *text = ask("GET /metrics", NULL, "", NULL);
    assert_non_null(strstr(text, "revcycle_http_requests_total{route=\"/v1/jobs/{job}\",method=\"GET\",code=\"404\"} 1.0"));
    assert_non_null(strstr(text, "{route=\"unmatched\",method=\"other\",code=\"404\"} 1.0"));
    assert_null(strstr(text, "patient-7"));
}

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)
int main(void) {
    log_set_level(LOG_LEVEL_ERROR);
    const struct CMUnitTest tests[] = {
        IN_WORLD(the_open_routes_ask_for_no_token),
        IN_WORLD(who_may_not_is_refused_and_told_why),
        IN_WORLD(bad_requests_are_refused),
        IN_WORLD(requests_that_could_be_read_in_two_ways_are_refused),
        IN_WORLD(what_is_too_large_is_refused),
        IN_WORLD(a_large_body_arrives_whole),
        IN_WORLD(jobs_are_listed_by_name_and_by_page),
        IN_WORLD(a_run_is_started_once_per_key),
        IN_WORLD(a_job_is_paused_and_resumed),
        IN_WORLD(what_needs_the_store_says_when_it_is_away),
        IN_WORLD(many_wait_for_one_run_and_all_hear_of_its_end),
        IN_WORLD(a_wait_ends_at_its_time),
        cmocka_unit_test_setup_teardown(who_waits_when_the_daemon_stops_is_answered, open_world,
                                        stop_while_waiting),
        IN_WORLD(requests_are_counted_by_route_and_never_by_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
