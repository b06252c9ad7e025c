/* clock.c - see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_us(clockid_t id) {
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t clock_wall_us(void) { return read_us(CLOCK_REALTIME); }
int64_t clock_monotonic_us(void) { return read_us(CLOCK_MONOTONIC); }

void clock_condition_init(pthread_cond_t *condition) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

struct timespec clock_in_ms(int64_t ms) {
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    int64_t nsec = at.tv_nsec + ms % 1000 * 1000000;
    at.tv_sec += ms / 1000 + nsec / 1000000000;
    at.tv_nsec = nsec % 1000000000;
    return at;
}

void clock_format_utc(int64_t wall_us, char *ret_text) {
    int64_t seconds = wall_us / 1000000, micros = wall_us % 1000000;
    if (micros < 0)
        seconds--, micros += 1000000;
    time_t when = (time_t)seconds;
    struct tm parts;
    gmtime_r(&when, &parts);
    size_t used = strftime(ret_text, CLOCK_TEXT_BYTES, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(ret_text + used, CLOCK_TEXT_BYTES - used, ".%06dZ", (int)micros);
}
