/* idempotency.h - the same POST twice is one POST.
 *
 * Remembers, per token and Idempotency-Key, what was asked and what was answered, for 24 hours or
 * until the daemon restarts, for the newest IDEMPOTENCY_MAX keys. Loop thread only. */
#pragma once
#include "base/str.h"

enum { IDEMPOTENCY_MAX = 1024, IDEMPOTENCY_KEY_MAX = 255, IDEMPOTENCY_PRINT_BYTES = 32 };

typedef struct IdempotentAnswer {
    int status;
    const char *location; /* or NULL */
    Str body;
    const char *content_type;
} IdempotentAnswer;

typedef enum IdempotencyOutcome {
    IDEMPOTENCY_NEW,      /* begun: end it with _finish or _forget */
    IDEMPOTENCY_BUSY,     /* the first one is still under way */
    IDEMPOTENCY_SAME,     /* *ret_answer is what was answered; borrowed until the next call */
    IDEMPOTENCY_DIFFERENT /* the key was used for something else */
} IdempotencyOutcome;

typedef struct Idempotency Idempotency;

Idempotency *idempotency_open(void);
void idempotency_free(Idempotency *store);
/* SHA-256 of what is asked. */
void idempotency_print(const char *method, const char *path, Str body,
                       uint8_t ret_print[IDEMPOTENCY_PRINT_BYTES]);
IdempotencyOutcome idempotency_begin(Idempotency *store, int64_t token_id, const char *key,
                                     const uint8_t print[IDEMPOTENCY_PRINT_BYTES], int64_t now_us,
                                     IdempotentAnswer *ret_answer);
void idempotency_finish(Idempotency *store, int64_t token_id, const char *key,
                        const IdempotentAnswer *answer);
/* The request came to nothing that should be repeated. */
void idempotency_forget(Idempotency *store, int64_t token_id, const char *key);
