/* secret.h - reading a password or key when it is needed, and forgetting it after.
 *
 * From a file, from $CREDENTIALS_DIRECTORY when the path is relative, or from an environment variable. One
 * trailing line end is not part of the secret. Never logged; the sentence of a failure names the file. */
#pragma once
#include "base/error.h"

#include <limits.h>
#include <stddef.h>

enum { SECRET_MAX_BYTES = 16384 };

typedef struct Secret {
    char text[SECRET_MAX_BYTES + 1]; /* terminated */
    size_t size;
} Secret;

/* Both NULL: an empty secret. `what` is for sentences: "the password of source hospital_a". */
bool secret_read(const char *file, const char *env, const char *what, Secret *ret_secret, Error *err);
/* Where such a file stands. */
void secret_path(const char *file, char ret_path[PATH_MAX]);
/* Overwrites it. Also for CLEANUP(secret_wipe). */
void secret_wipe(Secret *secret);
