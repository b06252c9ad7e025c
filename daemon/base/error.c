/* error.c - see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *prefix;
    ErrorClass class;
} CLASSES[] = {
    /* the longest prefix stands first */
    {"57014", ERROR_CANCELED},   {"55P", ERROR_TRANSIENT},    {"57P", ERROR_TRANSIENT},
    {"08", ERROR_TRANSIENT},     {"53", ERROR_TRANSIENT},     {"58", ERROR_TRANSIENT},
    {"40", ERROR_CONFLICT},      {"22", ERROR_DATA},          {"23", ERROR_DATA},
    {"28", ERROR_CONFIGURATION}, {"42", ERROR_CONFIGURATION}, {"F0", ERROR_CONFIGURATION},
    {"3D", ERROR_CONFIGURATION}, {"3F", ERROR_CONFIGURATION},
};

ErrorClass error_class(const Error *err) {
    if (!err->state[0])
        return ERROR_NONE;
    for (size_t i = 0; i < sizeof CLASSES / sizeof *CLASSES; i++)
        if (strncmp(err->state, CLASSES[i].prefix, strlen(CLASSES[i].prefix)) == 0)
            return CLASSES[i].class;
    return ERROR_BUG;
}

const char *error_class_name(ErrorClass c) {
    static const char *const NAMES[] = {"none", "transient", "conflict", "data",
                                        "canceled", "configuration", "bug"};
    return NAMES[c];
}

bool error_set(Error *err, const char *state, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char text[sizeof err->text]; /* an argument may be the old text itself */
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    snprintf(err->state, sizeof err->state, "%s", state);
    memcpy(err->text, text, sizeof text);
    err->hint[0] = '\0';
    return false;
}

bool error_hint(Error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(err->hint, sizeof err->hint, format, args);
    va_end(args);
    return false;
}

bool error_context(Error *err, const char *format, ...) {
    char old[sizeof err->text];
    memcpy(old, err->text, sizeof old);
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof err->text)
        snprintf(err->text + used, sizeof err->text - (size_t)used, ": %s", old);
    return false;
}

static const char *state_of_errno(int number) {
    switch (number) {
    case EACCES:
    case EPERM:
    case ENOENT:
    case ENOTDIR:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
        return STATE_CONFIG;
    case ENOMEM:
    case EMFILE:
    case ENFILE:
    case ENOSPC:
    case EDQUOT:
        return STATE_RESOURCES;
    default:
        return STATE_IO;
    }
}

bool error_set_errno(Error *err, int number, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char text[sizeof err->text];
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(err, state_of_errno(number), "%s: %s", text, strerror(number));
}

void error_clear(Error *err) { *err = (Error){0}; }
