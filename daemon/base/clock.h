/* clock.h - the two clocks. Wall time is for people and records, monotonic time for measuring and
 * deadlines. Nothing in transform/ may include this. Any thread. */
#pragma once
#include <pthread.h>
#include <stdint.h>

int64_t clock_wall_us(void);      /* microseconds since 1970-01-01T00:00:00Z */
int64_t clock_monotonic_us(void); /* never steps */

/* "2026-03-01T12:00:00.123456Z"; `ret_text` holds CLOCK_TEXT_BYTES. */
#define CLOCK_TEXT_BYTES 32
void clock_format_utc(int64_t wall_us, char *ret_text);

/* A condition for pthread_cond_timedwait() until clock_in_ms(), which no step of the wall clock moves. */
void clock_condition_init(pthread_cond_t *condition);
struct timespec clock_in_ms(int64_t ms);
