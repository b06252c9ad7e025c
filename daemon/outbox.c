/* outbox.c - see outbox.h. */
#include "outbox.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/own.h"
#include "secret.h"
#include "storage/http.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

enum {
    LINES_MAX = 1000,
    FILES_KEPT = 4,
    FILE_MODE = 0640,
    SEND_MS = 10 * 1000,
    CONNECT_MS = 5 * 1000,
    PAUSE_FIRST_MS = 250,
    PAUSE_MAX_MS = 60 * 1000,
    END_MS = 2000,
    ANSWER_BYTES_MAX = 1 << 20
};

typedef enum Sent { SENT, REFUSED, NOT_NOW } Sent;

typedef struct Line {
    char *text;
    int64_t id; /* for options.sent; 0: not told */
    bool may_stand;
} Line;

/* What the files held when it was first asked, as sorted hashes. */
typedef struct Standing {
    uint64_t *hashes;
    size_t n, room;
    bool is_read;
} Standing;

struct Outbox {
    OutboxOptions options;
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t moved;
    Line lines[LINES_MAX]; /* a ring */
    size_t first, n;
    bool is_ending, has_ended;
    int64_t end_us; /* monotonic */
    /* the thread's */
    atomic_bool is_late; /* or whoever closes it */
    HttpClient *client;
    int fd; /* -1: not open */
    Standing standing;
    bool is_failing;
};

static void count(const char *outcome, int64_t n) { METRIC_ADD(METRIC_LINEAGE_EVENTS, (double)n, outcome); }

/* ---- a file ---- */

static void close_file(Outbox *box) {
    if (box->fd >= 0)
        close(box->fd);
    box->fd = -1;
}

static void rotate(Outbox *box) {
    char from[PATH_MAX], to[PATH_MAX];
    close_file(box);
    for (int i = FILES_KEPT; i > 0; i--) {
        int n = i > 1 ? snprintf(from, sizeof from, "%s.%d", box->options.file, i - 1)
                      : snprintf(from, sizeof from, "%s", box->options.file);
        if (n < (int)sizeof from && snprintf(to, sizeof to, "%s.%d", box->options.file, i) < (int)sizeof to)
            rename(from, to); /* one that is not there, or cannot be moved: the next look tells */
    }
}

static bool open_file(Outbox *box, struct stat *ret_state) {
    if (box->fd < 0)
        box->fd = open(box->options.file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, FILE_MODE);
    return box->fd >= 0 && fstat(box->fd, ret_state) == 0;
}

static void note_lines(Standing *standing, const char *path) {
    CLEANUP(file_drop) FILE *file = fopen(path, "re");
    char *line = NULL;
    size_t room = 0;
    for (ssize_t n; file && (n = getline(&line, &room, file)) > 0;) {
        if (standing->n == standing->room) {
            standing->room = 2 * standing->room + 64;
            standing->hashes = realloc(standing->hashes, standing->room * sizeof *standing->hashes);
            if (!standing->hashes)
                abort();
        }
        standing->hashes[standing->n++] = XXH3_64bits(line, (size_t)n);
    }
    free(line);
}

static int by_value(const void *a, const void *b) {
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* `text` with its line's end. */
static bool stands(Outbox *box, Str text) {
    Standing *standing = &box->standing;
    char path[PATH_MAX];
    for (int i = 0; i <= FILES_KEPT && !standing->is_read; i++) {
        int n = i > 0 ? snprintf(path, sizeof path, "%s.%d", box->options.file, i)
                      : snprintf(path, sizeof path, "%s", box->options.file);
        if (n < (int)sizeof path)
            note_lines(standing, path);
    }
    if (!standing->is_read && standing->n > 0)
        qsort(standing->hashes, standing->n, sizeof *standing->hashes, by_value);
    standing->is_read = true;
    uint64_t hash = XXH3_64bits(text.at, text.size);
    return standing->n > 0 && bsearch(&hash, standing->hashes, standing->n, sizeof hash, by_value);
}

/* A line stands there whole or not at all, also where the disk is full. */
static Sent send_to_file(Outbox *box, const Line *line, Error *err) {
    CLEANUP(buf_drop) Buf text;
    struct stat state;
    size_t size = strlen(line->text);
    buf_init(&text, size + 2);
    buf_put(&text, line->text, size);
    buf_put_byte(&text, '\n');
    if (line->may_stand && stands(box, buf_str(&text)))
        return SENT;
    bool ok = open_file(box, &state);
    if (ok && state.st_size > 0 && state.st_size + (int64_t)size + 1 > box->options.file_bytes_max) {
        rotate(box);
        ok = open_file(box, &state);
    }
    if (ok && write(box->fd, text.data, text.size) == (ssize_t)text.size)
        return SENT;
    error_set(err, STATE_CONNECTION, "cannot write events to %s: %s", box->options.file, strerror(errno));
    if (ok && ftruncate(box->fd, state.st_size) != 0)
        error_hint(err, "its last line is cut");
    close_file(box);
    return NOT_NOW;
}

/* ---- a receiver ---- */

static bool read_token(const Outbox *box, Secret *secret, Error *err) {
    return !box->options.token_file || secret_read(box->options.token_file, NULL, "the token of lineage.url", secret, err);
}

static Sent judge(int status, Error *err) {
    if (status >= 200 && status < 300)
        return SENT;
    http_status_error(status, "the receiver of lineage events", err);
    bool is_passing = status == 408 || status == 429 || status == 401 || status == 403 || status == 404;
    return status >= 400 && status < 500 && !is_passing ? REFUSED : NOT_NOW;
}

static Sent send_over_http(Outbox *box, const Line *line, Error *err) {
    CLEANUP(secret_wipe) Secret token = {.size = 0};
    if (!read_token(box, &token, err))
        return NOT_NOW;
    HttpRequest request = {.method = "POST", .url = box->options.url, .subject = "the receiver of lineage events",
                           .bearer = token.size > 0 ? token.text : NULL, .content_type = "application/json",
                           .body = str_of(line->text)};
    HttpReply reply;
    bool was_answered = http_send(box->client, &request, &reply, err);
    Sent sent = was_answered ? judge(reply.status, err) : NOT_NOW;
    http_reply_done(&reply);
    return sent;
}

/* ---- the thread ---- */

/* The first line, which stays where it is; NULL: it is the end. */
static const Line *await_line(Outbox *box) {
    pthread_mutex_lock(&box->mutex);
    while (box->n == 0 && !box->is_ending)
        pthread_cond_wait(&box->moved, &box->mutex);
    const Line *line = box->n > 0 && !(box->is_ending && clock_monotonic_us() >= box->end_us) ? &box->lines[box->first] : NULL;
    pthread_mutex_unlock(&box->mutex);
    return line;
}

static void take_away(Outbox *box) {
    pthread_mutex_lock(&box->mutex);
    free(box->lines[box->first].text);
    box->first = (box->first + 1) % LINES_MAX;
    box->n--;
    pthread_mutex_unlock(&box->mutex);
}

/* Until `ms` are over; at the end it tries again soon. */
static void rest(Outbox *box, int64_t ms) {
    pthread_mutex_lock(&box->mutex);
    bool was_ending = box->is_ending;
    struct timespec until = clock_in_ms(was_ending && ms > PAUSE_FIRST_MS ? PAUSE_FIRST_MS : ms);
    while (box->is_ending == was_ending && pthread_cond_timedwait(&box->moved, &box->mutex, &until) != ETIMEDOUT)
        ;
    pthread_mutex_unlock(&box->mutex);
}

/* Once when it begins, once when it is over. */
static void tell(Outbox *box, Sent sent, const Error *err) {
    if (sent == REFUSED)
        LOG_FAILURE(LOG_LEVEL_WARN, "a lineage event was refused", err);
    else if (sent == NOT_NOW && !box->is_failing)
        LOG_FAILURE(LOG_LEVEL_WARN, "lineage events cannot be sent; they are kept, and dropped when there are too many", err);
    else if (sent == SENT && box->is_failing)
        LOG_INFO("lineage events are sent again");
    box->is_failing = sent == NOT_NOW || (sent == REFUSED && box->is_failing);
}

static void send_all(Outbox *box) {
    int64_t pause_ms = PAUSE_FIRST_MS;
    for (const Line *line; (line = await_line(box));) {
        Error err = {0};
        Sent sent = box->options.file ? send_to_file(box, line, &err) : send_over_http(box, line, &err);
        tell(box, sent, &err);
        if (sent == NOT_NOW) {
            rest(box, pause_ms);
            pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
            continue;
        }
        pause_ms = PAUSE_FIRST_MS;
        count(sent == SENT ? "sent" : "refused", 1);
        if (line->id != 0 && !atomic_load(&box->is_late))
            box->options.sent(box->options.context, line->id);
        take_away(box);
    }
}

static void *work(void *context) {
    Outbox *box = context;
    send_all(box);
    pthread_mutex_lock(&box->mutex);
    box->has_ended = true;
    pthread_cond_broadcast(&box->moved);
    pthread_mutex_unlock(&box->mutex);
    return NULL;
}

/* ---- its life ---- */

static void free_box(Outbox *box) {
    for (; box->n > 0; box->n--, box->first = (box->first + 1) % LINES_MAX)
        free(box->lines[box->first].text);
    if (box->client)
        http_free(box->client);
    close_file(box);
    free(box->standing.hashes);
    pthread_cond_destroy(&box->moved);
    pthread_mutex_destroy(&box->mutex);
    free(box);
}

Outbox *outbox_open(const OutboxOptions *options, Error *err) {
    Outbox *box = calloc(1, sizeof *box);
    if (!box)
        abort();
    box->options = *options;
    box->fd = -1;
    pthread_mutex_init(&box->mutex, NULL);
    clock_condition_init(&box->moved);
    HttpLimits limits = {.connect_ms = CONNECT_MS, .total_ms = SEND_MS, .answer_bytes_max = ANSWER_BYTES_MAX};
    bool ok = !options->url || (box->client = http_open(&limits, &box->is_late, err));
    if (ok && pthread_create(&box->thread, NULL, work, box) == 0)
        return box;
    if (ok)
        error_set(err, STATE_RESOURCES, "cannot start the thread that sends lineage events");
    free_box(box);
    return NULL;
}

void outbox_put(Outbox *box, char *line, int64_t id, bool may_stand) {
    pthread_mutex_lock(&box->mutex);
    bool is_full = box->n == LINES_MAX || box->is_ending;
    if (!is_full)
        box->lines[(box->first + box->n++) % LINES_MAX] = (Line){line, id, may_stand};
    pthread_cond_signal(&box->moved);
    pthread_mutex_unlock(&box->mutex);
    if (is_full) {
        free(line);
        count("dropped", 1);
    }
}

/* The thread, when it is given up, ends at its next look: libcurl asks is_late several times a second. Its end is awaited
 * before it is joined: TSan does not know a join with a limit on the monotonic clock. */
static void await_end(Outbox *box) {
    struct timespec until = clock_in_ms(END_MS);
    pthread_mutex_lock(&box->mutex);
    while (!box->has_ended && pthread_cond_timedwait(&box->moved, &box->mutex, &until) != ETIMEDOUT)
        ;
    atomic_store(&box->is_late, !box->has_ended);
    pthread_mutex_unlock(&box->mutex);
    pthread_join(box->thread, NULL);
}

void outbox_close(Outbox *box) {
    pthread_mutex_lock(&box->mutex);
    box->is_ending = true;
    box->end_us = clock_monotonic_us() + END_MS * INT64_C(1000);
    pthread_cond_broadcast(&box->moved);
    pthread_mutex_unlock(&box->mutex);
    await_end(box);
    if (box->n > 0) {
        count("dropped", (int64_t)box->n);
        LOG_WARN("lineage events were not sent before the end", LOG_INT("events", box->n));
    }
    free_box(box);
}
