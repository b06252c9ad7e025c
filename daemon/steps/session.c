/* session.c - see session.h. */
#include "steps/session.h"

#include "base/clock.h"

#include <stdlib.h>

/* ---- the connection ---- */

FeedSession *feed_session_open(void) {
    FeedSession *session = calloc(1, sizeof *session);
    if (!session)
        abort();
    session->mutex = malloc(sizeof *session->mutex);
    if (!session->mutex)
        abort();
    pthread_mutex_init(session->mutex, NULL);
    return session;
}

static void exchange_connection(FeedSession *session, My *my) {
    pthread_mutex_lock(session->mutex);
    if (session->my)
        my_close(session->my);
    session->my = my;
    pthread_mutex_unlock(session->mutex);
}

void feed_session_free(FeedSession *session) {
    if (!session)
        return;
    exchange_connection(session, NULL);
    secret_wipe(&session->password);
    glance_forget(&session->polls.glance);
    pthread_mutex_destroy(session->mutex);
    free(session->mutex);
    free(session);
}

void feed_session_cancel(FeedSession *session) {
    pthread_mutex_lock(session->mutex);
    if (session->my)
        my_cancel(session->my);
    pthread_mutex_unlock(session->mutex);
}

static bool connect_source(const SourceConfig *source, FeedSession *session, Error *err) {
    char what[160];
    snprintf(what, sizeof what, "the password of source %s", source->name);
    TRY(secret_read(source->password_file, source->password_env, what, &session->password, err));
    MyOptions options = {
        .host = source->host, .socket = source->socket, .user = source->user,
        .password = session->password.text, .database = source->database, .port = source->port,
        .tls = source->tls == TLS_REQUIRED, .tls_ca = source->tls_ca,
        .timeout_s = (int)(source->timeout_ms / 1000),
    };
    My *my = my_open(&options, err);
    if (my)
        exchange_connection(session, my);
    return my || error_context(err, "source %s", source->name);
}

My *session_connect(FeedSession *session, const SourceConfig *source, Error *err) {
    if (session->my && my_is_alive(session->my))
        return session->my;
    exchange_connection(session, NULL);
    secret_wipe(&session->password);
    session->polls.judged_us = 0;
    TRY_NULL(connect_source(source, session, err));
    return session->my;
}

/* ---- what polls found ---- */

bool session_is_recent(int64_t at_us) { return at_us && clock_monotonic_us() - at_us < US(LOOK_BACK_S); }

bool session_judge(FeedSession *session, const FeedConfig *feed, const SourceTable *table, Error *err) {
    PollMemory *polls = &session->polls;
    if (table->cursor_kind == CURSOR_NONE || session_is_recent(polls->judged_us))
        return true;
    TRY(watermark_judge(session->my, table, feed->cursor_clock, feed->margin_ms * 1000, &polls->basis, err));
    polls->judged_us = clock_monotonic_us();
    if (polls->is_widened) {
        polls->basis.quality = WATERMARK_UNPROVEN;
        polls->basis.margin_us += US(LOOK_BACK_S);
        snprintf(polls->basis.why, sizeof polls->basis.why,
                 "rows appeared behind the cursor: somebody stamps %s with another clock", feed->cursor);
    }
    return true;
}

void session_forget_cursor(FeedSession *session) {
    session->polls.judged_us = 0;
    session->polls.clock = (WatermarkMemory){0};
    session->polls.looked_at[0] = '\0';
}

void session_widen(FeedSession *session) {
    session->polls.is_widened = true;
    session->polls.judged_us = 0;
}

void session_restore(FeedSession *session, const PollMemory *before) {
    bool is_judged_anew = session->polls.judged_us != before->judged_us; /* another connection, perhaps server */
    glance_forget(&session->polls.glance);
    session->polls = *before;
    if (is_judged_anew)
        session->polls.judged_us = 0;
}
