/* secret.c - see secret.h. */
#include "secret.h"

#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void secret_path(const char *file, char ret_path[PATH_MAX]) {
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (file[0] != '/' && directory)
        snprintf(ret_path, PATH_MAX, "%s/%s", directory, file);
    else
        snprintf(ret_path, PATH_MAX, "%s", file);
}

static bool read_file(const char *file, const char *what, Secret *secret, Error *err) {
    char path[PATH_MAX];
    secret_path(file, path);
    CLEANUP(fd_drop) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(err, errno, "cannot read %s from %s", what, path);
    ssize_t size;
    while ((size = read(fd, secret->text + secret->size, sizeof secret->text - secret->size)) > 0)
        secret->size += (size_t)size;
    if (size < 0)
        return error_set_errno(err, errno, "cannot read %s from %s", what, path);
    if (secret->size > SECRET_MAX_BYTES)
        return error_set(err, STATE_CONFIG, "%s in %s is longer than %d bytes", what, path, SECRET_MAX_BYTES);
    return true;
}

bool secret_read(const char *file, const char *env, const char *what, Secret *ret_secret, Error *err) {
    *ret_secret = (Secret){.size = 0};
    if (file) {
        TRY(read_file(file, what, ret_secret, err));
    } else if (env) {
        const char *value = getenv(env);
        if (!value || strlen(value) > SECRET_MAX_BYTES)
            return error_set(err, STATE_CONFIG, "%s: the environment has no usable %s", what, env);
        ret_secret->size = strlen(value);
        memcpy(ret_secret->text, value, ret_secret->size);
    }
    if (ret_secret->size > 0 && ret_secret->text[ret_secret->size - 1] == '\n')
        ret_secret->size--;
    if (ret_secret->size > 0 && ret_secret->text[ret_secret->size - 1] == '\r')
        ret_secret->size--;
    ret_secret->text[ret_secret->size] = '\0';
    return true;
}

void secret_wipe(Secret *secret) { explicit_bzero(secret, sizeof *secret); }
