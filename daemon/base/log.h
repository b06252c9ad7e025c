/* log.h - one line of JSON per event, on stderr.
 *
 *     LOG_INFO("page placed", LOG_TEXT("feed", feed->name), LOG_INT("rows_read", n));
 *
 * Under systemd ($JOURNAL_STREAM) each line starts with the journal's priority, "<6>". The message
 * is a constant; what varies stands in fields. Never a row value, a secret or a DSN: fields name
 * configuration, counts, states and sentences of errors. Any thread; a line is one write(). */
#pragma once
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

typedef enum LogLevel { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 } LogLevel;

typedef struct LogField {
    const char *name;
    const char *text; /* NULL: `number` counts */
    int64_t number;
} LogField;

static inline const char *log_text_of(const char *text) { return text ? text : ""; }
#define LOG_TEXT(key, value) ((LogField){.name = (key), .text = log_text_of(value)})
#define LOG_INT(key, value) ((LogField){.name = (key), .number = (int64_t)(value)})

void log_set_level(LogLevel level); /* before threads start, or from the loop thread */
void log_write(LogLevel level, const char *message, const LogField *fields, size_t n_fields);
/* An error at its point of decision: message, state, sentence, hint. */
void log_error(LogLevel level, const char *message, const Error *err, const LogField *fields,
               size_t n_fields);

#define LOG_FIELDS_(...) ((const LogField[]){{0}, ##__VA_ARGS__}) + 1, \
    sizeof((const LogField[]){{0}, ##__VA_ARGS__}) / sizeof(LogField) - 1
#define LOG_ERROR(message, ...) log_write(LOG_LEVEL_ERROR, message, LOG_FIELDS_(__VA_ARGS__))
#define LOG_WARN(message, ...) log_write(LOG_LEVEL_WARN, message, LOG_FIELDS_(__VA_ARGS__))
#define LOG_INFO(message, ...) log_write(LOG_LEVEL_INFO, message, LOG_FIELDS_(__VA_ARGS__))
#define LOG_DEBUG(message, ...) log_write(LOG_LEVEL_DEBUG, message, LOG_FIELDS_(__VA_ARGS__))
#define LOG_FAILURE(level, message, err, ...) \
    log_error(level, message, err, LOG_FIELDS_(__VA_ARGS__))
