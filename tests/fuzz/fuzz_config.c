/* fuzz_config - any bytes as a configuration file: no crash, and either a configuration or a sentence.
 *
 * Built and run by scripts/fuzz. What loads is shown, as --check-config and GET /v1/config do. The first two bytes
 * are those by which other targets choose. */
#include "base/own.h"
#include "config.h"
#include "config_show.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void count(void *context, const char *place, const char *sentence) {
    if (!place || !*place || !sentence || !*sentence)
        abort();
    ++*(size_t *)context;
}

/* The loader takes a path. */
static int file_of(Str text) {
    int fd = memfd_create("config.yaml", MFD_CLOEXEC);
    if (fd < 0 || write(fd, text.at, text.size) != (ssize_t)text.size || lseek(fd, 0, SEEK_SET) != 0)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    CLEANUP(fd_drop) int fd = file_of((Str){(const char *)data + 2, size - 2});
    char path[32];
    size_t mistakes = 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    Config *config = config_load(path, count, &mistakes);
    if ((config == NULL) != (mistakes > 0))
        abort();
    if (!config)
        return 0;
    json_decref(config_json(config));
    config_free(config);
    return 0;
}
