/* main.c - from the command line to a running daemon, and back to an exit code.
 *
 * The only file that knows every module. Exit codes are options.h's. */
#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "command.h"
#include "config.h"
#include "inbox.h"
#include "job.h"
#include "lineage.h"
#include "notify.h"
#include "once.h"
#include "proof.h"
#include "reload.h"
#include "sealer.h"
#include "shown.h"
#include "storage/http.h"
#include "storage/migrate.h"
#include "storage/mysql.h"
#include "storage/pg_pool.h"
#include "storage/run_store.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { DRAIN_LIMIT_MS = 9000, INSTANCE_WAIT_MS = 3000, URGENT_WORKERS = 3 };

/* ---- the daemon ---- */

typedef struct Daemon {
    const Options *options;
    const Config *boot_config; /* of the start: server, store, audit and workers stay as it says */
    Reloads *reloads;          /* know the configuration in force */
    Loop *loop;
    Pool *pool;   /* runs */
    Pool *urgent; /* what must not wait behind them */
    PgPool *pg_pool;
    Pg *instance; /* its session holds the lock of this configuration */
    Jobs *jobs;
    Once once; /* when it ends by itself */
    Api *api;
    Sealer *sealer; /* NULL: the configuration names no key */
    Lineage *lineage; /* NULL: nobody collects it */
    Notify *notify;
    Inbox *inbox;
    const char **directories; /* the inbox's: one per claims feed */
    LoopTimer *limit;
    char owner[LEASE_OWNER_BYTES];
    char session[LEASE_SESSION_BYTES], sealer_session[LEASE_SESSION_BYTES + 8], api_session[LEASE_SESSION_BYTES + 8];
    bool is_stopping;
    int n_ending; /* jobs and API: what is still to end before the loop stops */
    int status;
} Daemon;

/* True when the daemon stops by itself after its work. */
static bool ends_by_itself(const Daemon *daemon) {
    return daemon->options->once || daemon->options->job || daemon->options->reconcile;
}

static void end_loop(void *context) { loop_stop(((Daemon *)context)->loop); }

/* The sealer ends last: the others' last lines are sealed too. */
static void finish(void *context) {
    Daemon *daemon = context;
    if (--daemon->n_ending > 0)
        return;
    if (daemon->sealer)
        sealer_stop(daemon->sealer, end_loop, daemon);
    else
        end_loop(daemon);
}

/* Pages are transactions: what a worker still holds when the limit passes is lost with no harm. */
static void give_up(void *context) {
    Daemon *daemon = context;
    LOG_WARN("a worker did not stop in time; ending without it");
    _exit(daemon->status);
}

static void stop(void *context) {
    Daemon *daemon = context;
    if (daemon->is_stopping)
        return;
    daemon->is_stopping = true;
    LOG_INFO("stopping");
    notify_stopping();
    reloads_stop(daemon->reloads);
    loop_timer_start(daemon->limit, DRAIN_LIMIT_MS, 0);
    daemon->n_ending = 2;
    api_stop(daemon->api, finish, daemon);
    jobs_drain(daemon->jobs, finish, daemon);
}

static void once_done(void *context) {
    Daemon *daemon = context;
    daemon->status = daemon->once.status;
    stop(daemon);
}

/* ---- reloading ---- */

static bool open_inbox(Daemon *daemon, Error *err);

static void on_taken(void *context) {
    Daemon *daemon = context;
    Error err = {0};
    shown_keep(reloads_config(daemon->reloads));
    if (!open_inbox(daemon, &err))
        LOG_FAILURE(LOG_LEVEL_ERROR, "drop directories are not watched", &err);
}

static void on_reload_ended(void *context) {
    Daemon *daemon = context;
    api_changed(daemon->api);
}

static void hang_up(void *context) {
    Daemon *daemon = context;
    if (!daemon->is_stopping)
        reloads_ask(daemon->reloads, "signal");
}

static bool watch_signals(Daemon *daemon, Error *err) {
    signal(SIGPIPE, SIG_IGN);
    signal(SIGIO, SIG_IGN); /* a sender opened a file that we looked at under a lease */
    signal(SIGXFSZ, SIG_IGN); /* a write beyond a limit of the file size fails as on a full disk */
    return loop_on_signal(daemon->loop, SIGTERM, stop, daemon, err) &&
           loop_on_signal(daemon->loop, SIGINT, stop, daemon, err) &&
           loop_on_signal(daemon->loop, SIGHUP, hang_up, daemon, err);
}

/* Who holds our leases: the same on every start of the same configuration on the same host. */
static void name_owner(Daemon *daemon) {
    char host[128] = "localhost";
    gethostname(host, sizeof host - 1);
    snprintf(daemon->owner, sizeof daemon->owner, "%s:%s", host, daemon->boot_config->path);
    lease_session_name(daemon->owner, daemon->session);
    snprintf(daemon->sealer_session, sizeof daemon->sealer_session, "%s sealer", daemon->session);
    snprintf(daemon->api_session, sizeof daemon->api_session, "%s api", daemon->session);
}

static bool open_store(Daemon *daemon, Error *err) {
    daemon->instance = pg_open(daemon->boot_config->store_dsn, "revcycled instance", INSTANCE_WAIT_MS, err);
    TRY(daemon->instance && instance_lock(daemon->instance, daemon->owner, err));
    daemon->pg_pool = pg_pool_open(daemon->boot_config->store_dsn, daemon->session);
    Pg *pg = pg_pool_take(daemon->pg_pool, err);
    bool ok = pg && migrate_check(pg, err);
    pg_pool_give(daemon->pg_pool, pg);
    return ok;
}

static void on_arrival(void *context, size_t directory) {
    Daemon *daemon = context;
    Job *job = jobs_find(daemon->jobs, reloads_config(daemon->reloads)->claims[directory].name);
    if (job && !daemon->is_stopping)
        jobs_wake(daemon->jobs, job);
}

static bool open_inbox(Daemon *daemon, Error *err) {
    const Config *config = reloads_config(daemon->reloads);
    size_t n = config->n_claims;
    if (daemon->inbox)
        inbox_close(daemon->inbox);
    daemon->inbox = NULL;
    if (n == 0 || ends_by_itself(daemon))
        return true;
    daemon->directories = ARENA_ARRAY(config->arena, const char *, n);
    for (size_t i = 0; i < n; i++)
        daemon->directories[i] = config->claims[i].directory;
    daemon->inbox = inbox_open(loop_uv(daemon->loop), daemon->directories, n, on_arrival, daemon, err);
    return daemon->inbox != NULL;
}

static bool open_lineage(Daemon *daemon, Error *err) {
    daemon->lineage = lineage_open(daemon->boot_config, daemon->jobs, daemon->pg_pool, daemon->owner, err);
    return daemon->lineage || !err->state[0];
}

static void on_run_changed(void *context, const Run *run) {
    Daemon *daemon = context;
    if (daemon->lineage)
        lineage_tell(daemon->lineage, run);
    api_changed(daemon->api);
}

static bool open_api(Daemon *daemon, Error *err) {
    const ApiOptions options = {.loop = loop_uv(daemon->loop),
                                .server = &daemon->boot_config->server,
                                .store_dsn = daemon->boot_config->store_dsn,
                                .session = daemon->api_session,
                                .audit_key_file = daemon->boot_config->audit_key_file,
                                .control = control_of(daemon->jobs, daemon->reloads)};
    daemon->api = api_open(&options, err);
    if (daemon->api)
        jobs_listen(daemon->jobs, on_run_changed, daemon);
    return daemon->api != NULL;
}

static bool open_sealer(Daemon *daemon, Error *err) {
    const Config *config = daemon->boot_config;
    if (!config->audit_key_file) {
        LOG_WARN("the audit trail is not sealed: the configuration names no audit.key_file");
        return true;
    }
    daemon->sealer = sealer_open(daemon->loop, config->store_dsn, daemon->sealer_session, config->audit_key_file, err);
    return daemon->sealer != NULL;
}

static bool open_daemon(Daemon *daemon, Error *err) {
    name_owner(daemon);
    TRY(open_store(daemon, err));
    daemon->loop = loop_open(err);
    TRY(daemon->loop && watch_signals(daemon, err));
    daemon->limit = loop_timer_open(daemon->loop, give_up, daemon);
    daemon->notify = notify_open(daemon->loop);
    daemon->pool = pool_open(loop_uv(daemon->loop), daemon->boot_config->workers, my_thread_open,
                             my_thread_close, err);
    TRY(daemon->pool);
    daemon->urgent = pool_open(loop_uv(daemon->loop), URGENT_WORKERS, my_thread_open, my_thread_close, err);
    TRY(daemon->urgent);
    JobsOptions options = {.config = daemon->boot_config, .loop = daemon->loop, .pool = daemon->pool,
                           .urgent = daemon->urgent,
                           .pg_pool = daemon->pg_pool, .owner = daemon->owner,
                           .lease_ms = daemon->boot_config->lease_ms};
    daemon->jobs = jobs_open(&options, err);
    TRY(daemon->jobs);
    daemon->reloads = reloads_open(&(ReloadsOptions){
        .jobs = daemon->jobs, .pool = daemon->urgent, .pg_pool = daemon->pg_pool, .config = daemon->boot_config,
        .taken = on_taken, .ended = on_reload_ended, .context = daemon});
    return open_inbox(daemon, err) && open_sealer(daemon, err) && open_lineage(daemon, err) && open_api(daemon, err);
}

static void close_daemon(Daemon *daemon) {
    if (daemon->pool)
        pool_close(daemon->pool);
    if (daemon->urgent)
        pool_close(daemon->urgent);
    if (daemon->inbox)
        inbox_close(daemon->inbox);
    if (daemon->jobs)
        jobs_close(daemon->jobs);
    if (daemon->api)
        api_free(daemon->api);
    if (daemon->sealer)
        sealer_close(daemon->sealer);
    if (daemon->lineage)
        lineage_close(daemon->lineage);
    if (daemon->notify)
        notify_close(daemon->notify);
    loop_timer_close(daemon->limit);
    if (daemon->loop)
        loop_close(daemon->loop);
    if (daemon->pg_pool)
        pg_pool_close(daemon->pg_pool);
    if (daemon->instance)
        pg_close(daemon->instance);
    if (daemon->reloads)
        reloads_close(daemon->reloads);
}

/* ---- once ---- */

static void print_failures(const Daemon *daemon) {
    for (size_t i = jobs_run_count(daemon->jobs); i-- > 0;)
        command_print_failure(jobs_run_at(daemon->jobs, i));
}

static void print_once(const Daemon *daemon) {
    printf("%-32s %-10s %10s %10s %10s %12s %8s\n", "job", "state", "read", "changed", "flagged", "quarantined", "ms");
    for (size_t i = jobs_run_count(daemon->jobs); i-- > 0;) {
        const Run *run = jobs_run_at(daemon->jobs, i);
        printf("%-32s %-10s %10lld %10lld %10lld %12lld %8lld\n", run->job, run_state_name(run->state),
               (long long)run->counts.rows_read, (long long)run->counts.rows_changed,
               (long long)run->counts.rows_flagged, (long long)run->counts.rows_quarantined,
               (long long)(run->finished_us - run->started_us) / 1000);
    }
    print_failures(daemon);
}

/* What differs and was not mended is a failure, and stands in the exit code. */
static void print_proof(Daemon *daemon, int64_t since_us) {
    Error err = {0};
    bool is_equal = true;
    Pg *pg = pg_pool_take(daemon->pg_pool, &err);
    if (!pg || !proof_print(pg, daemon->jobs, since_us, stdout, &is_equal, &err))
        options_print_error(&err);
    pg_pool_give(daemon->pg_pool, pg);
    if ((!is_equal || err.state[0]) && daemon->status == EXIT_DONE)
        daemon->status = EXIT_FAILED;
    print_failures(daemon);
}

static void start_jobs(Daemon *daemon) {
    const Options *options = daemon->options;
    if (options->job)
        once_run_job(&daemon->once, daemon->jobs, jobs_find(daemon->jobs, options->job),
                     options->rebuild ? RUN_REBUILD : RUN_INCREMENTAL, once_done, daemon);
    else if (options->reconcile)
        once_run_reconcile(&daemon->once, daemon->jobs, options->feed, !options->repair, once_done, daemon);
    else if (options->once)
        once_run_all(&daemon->once, daemon->jobs, once_done, daemon);
    else
        jobs_start(daemon->jobs);
}

static void start(Daemon *daemon) {
    LOG_INFO("started", LOG_TEXT("version", REVCYCLED_VERSION),
             LOG_INT("jobs", jobs_count(daemon->jobs)));
    METRIC_SET(METRIC_UP_SINCE, (double)clock_wall_us() / 1e6);
    notify_ready();
    int64_t since_us = clock_wall_us();
    start_jobs(daemon);
    loop_run(daemon->loop);
    if (daemon->options->reconcile)
        print_proof(daemon, since_us);
    else if (ends_by_itself(daemon))
        print_once(daemon);
}

static int run_daemon(const Options *options, Config *config) {
    Daemon daemon = {.options = options, .boot_config = config};
    Error err = {0};
    bool ok = open_daemon(&daemon, &err);
    if (ok)
        start(&daemon);
    else
        options_print_error(&err);
    close_daemon(&daemon);
    return ok ? daemon.status : EXIT_FAILED;
}

/* ---- commands that run jobs, and the table of all ---- */

/* `publish [--rebuild]`: the job alone, through the same machinery as the daemon's. */
static int command_publish(const Options *options, Config *config) {
    bool is_rebuild = options->n_args == 1 && strcmp(options->args[0], "--rebuild") == 0;
    if (options->n_args > 0 && !is_rebuild) {
        fputs("revcycled: publish [--rebuild]\n", stderr);
        return EXIT_USAGE;
    }
    if (!config->bigquery.enabled) {
        fputs("revcycled: the configuration has no `bigquery`: there is nowhere to publish to\n", stderr);
        return EXIT_USAGE;
    }
    Options one = *options;
    one.job = "publish";
    one.rebuild = is_rebuild;
    return run_daemon(&one, config);
}

static const FeedConfig *find_feed(const Config *config, const char *name) {
    for (size_t i = 0; i < config->n_sources; i++)
        for (size_t k = 0; k < config->sources[i].n_feeds; k++)
            if (strcmp(config->sources[i].feeds[k].name, name) == 0)
                return &config->sources[i].feeds[k];
    return NULL;
}

/* `reconcile [FEED] [--repair]`, through the same machinery as the daemon's. */
static int command_reconcile(const Options *options, Config *config) {
    Options one = *options;
    one.reconcile = true;
    for (int i = 0; i < options->n_args; i++) {
        bool is_repair = strcmp(options->args[i], "--repair") == 0;
        if (!is_repair && (one.feed || options->args[i][0] == '-')) {
            fputs("revcycled: reconcile [FEED] [--repair]\n", stderr);
            return EXIT_USAGE;
        }
        one.repair = one.repair || is_repair;
        one.feed = is_repair ? one.feed : options->args[i];
    }
    if (one.feed && !find_feed(config, one.feed)) {
        fprintf(stderr, "revcycled: no source of the configuration has a feed %s\n", one.feed);
        return EXIT_USAGE;
    }
    return run_daemon(&one, config);
}

static int command_routes(const Options *options, Config *config) {
    (void)options;
    (void)config;
    api_print_routes();
    return EXIT_DONE;
}

static const struct {
    const char *name;
    int (*run)(const Options *options, Config *config);
} COMMANDS[] = {
    {"doctor", command_doctor},
    {"migrate", command_migrate},
    {"plan", command_plan},
    {"publish", command_publish},
    {"verify", command_verify},
    {"reconcile", command_reconcile},
    {"routes", command_routes},
    {"token", command_token},
};

static int run_command(const Options *options, Config *config) {
    if (!options->command)
        return run_daemon(options, config);
    for (size_t i = 0; i < sizeof COMMANDS / sizeof *COMMANDS; i++)
        if (strcmp(COMMANDS[i].name, options->command) == 0)
            return COMMANDS[i].run(options, config);
    fprintf(stderr, "revcycled: there is no command %s\n", options->command);
    options_print_usage(stderr);
    return EXIT_USAGE;
}

/* Flat memory (design, promise 4): buffers of pages go back to the system when they are freed, and workers do
 * not each keep a heap of their own. Left alone, glibc raises the threshold to the largest buffer it saw. */
static void bound_memory(void) {
    enum { MMAP_FROM_BYTES = 128 << 10, HEAPS_MAX = 2 };
    mallopt(M_MMAP_THRESHOLD, MMAP_FROM_BYTES);
    mallopt(M_ARENA_MAX, HEAPS_MAX);
}

int main(int argc, char **argv) {
    Options options = {0};
    int status;
    bound_memory();
    if (!options_parse(argc, argv, &options, &status))
        return status;
    Config *config = config_load(options.config, config_print_mistake, stderr);
    if (!config)
        return EXIT_USAGE;
    Error err = {0};
    if (options.check_config) {
        printf("%s: no mistakes\n", options.config);
    } else if (!my_library_open(&err) || !http_global_init(&err)) {
        options_print_error(&err);
        status = EXIT_FAILED;
    } else {
        status = run_command(&options, config);
        my_library_close();
    }
    config_free(config);
    return status;
}
