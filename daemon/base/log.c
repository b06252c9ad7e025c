/* log.c - see log.h. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <stdlib.h>
#include <unistd.h>

#define LINE_MAX_BYTES 8192

static LogLevel threshold = LOG_LEVEL_INFO;

void log_set_level(LogLevel level) { threshold = level; }

static const char *level_name(LogLevel level) {
    return level == LOG_LEVEL_ERROR  ? "error"
           : level == LOG_LEVEL_WARN ? "warning"
           : level == LOG_LEVEL_INFO ? "info"
                                     : "debug";
}

static void put_field(Buf *line, const LogField *field) {
    buf_printf(line, ",\"%s\":", field->name);
    if (field->text)
        buf_put_json(line, field->text);
    else
        buf_printf(line, "%lld", (long long)field->number);
}

static void put_head(Buf *line, LogLevel level, const char *message) {
    char when[CLOCK_TEXT_BYTES];
    clock_format_utc(clock_wall_us(), when);
    if (getenv("JOURNAL_STREAM"))
        buf_printf(line, "<%d>", (int)level);
    buf_printf(line, "{\"time\":\"%s\",\"level\":\"%s\",\"message\":", when, level_name(level));
    buf_put_json(line, message);
}

void log_error(LogLevel level, const char *message, const Error *err, const LogField *fields,
               size_t n_fields) {
    if (level > threshold)
        return;
    Buf line;
    buf_init(&line, LINE_MAX_BYTES);
    put_head(&line, level, message);
    for (size_t i = 0; i < n_fields; i++)
        put_field(&line, &fields[i]);
    if (err) {
        put_field(&line, &LOG_TEXT("code", err->state));
        put_field(&line, &LOG_TEXT("error", err->text));
        if (err->hint[0])
            put_field(&line, &LOG_TEXT("hint", err->hint));
    }
    buf_put(&line, "}\n", 2);
    /* A line that did not fit is cut where it overflowed and ended, so that the next one stands alone. */
    ssize_t written = write(STDERR_FILENO, line.data, line.size);
    if (buf_overflowed(&line))
        written = write(STDERR_FILENO, "\"}\n", 3);
    (void)written; /* nowhere left to complain */
    buf_done(&line);
}

void log_write(LogLevel level, const char *message, const LogField *fields, size_t n_fields) {
    log_error(level, message, NULL, fields, n_fields);
}
