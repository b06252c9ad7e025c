/* idempotency.c - see idempotency.h. */
#include "api/idempotency.h"

#include <openssl/sha.h>
#include <stdlib.h>

static const int64_t KEEP_US = 24LL * 3600 * 1000000;

typedef struct Entry {
    struct Entry *next; /* newest first */
    int64_t token_id, begun_us;
    char *key;
    uint8_t print[IDEMPOTENCY_PRINT_BYTES];
    int status; /* 0: under way */
    char *location, *body;
    size_t body_size;
    const char *content_type;
} Entry;

struct Idempotency {
    Entry *entries;
    size_t n_entries;
};

Idempotency *idempotency_open(void) {
    Idempotency *store = calloc(1, sizeof *store);
    if (!store)
        abort();
    return store;
}

static void entry_free(Entry *entry) {
    free(entry->key);
    free(entry->location);
    free(entry->body);
    free(entry);
}

void idempotency_free(Idempotency *store) {
    while (store->entries) {
        Entry *entry = store->entries;
        store->entries = entry->next;
        entry_free(entry);
    }
    free(store);
}

void idempotency_print(const char *method, const char *path, Str body,
                       uint8_t ret_print[IDEMPOTENCY_PRINT_BYTES]) {
    uint8_t parts[3][SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)method, strlen(method), parts[0]);
    SHA256((const unsigned char *)path, strlen(path), parts[1]);
    SHA256((const unsigned char *)body.at, body.size, parts[2]);
    SHA256(&parts[0][0], sizeof parts, ret_print);
}

static Entry **find(Idempotency *store, int64_t token_id, const char *key) {
    Entry **at = &store->entries;
    while (*at && ((*at)->token_id != token_id || strcmp((*at)->key, key) != 0))
        at = &(*at)->next;
    return at;
}

static void remove_at(Idempotency *store, Entry **at) {
    Entry *entry = *at;
    *at = entry->next;
    store->n_entries--;
    entry_free(entry);
}

/* Entries are in the order of their making: the old ones are at the end. */
static void forget_old(Idempotency *store, int64_t now_us) {
    Entry **at = &store->entries;
    for (size_t i = 0; *at; i++) {
        if (i >= IDEMPOTENCY_MAX - 1 || (*at)->begun_us < now_us - KEEP_US)
            remove_at(store, at);
        else
            at = &(*at)->next;
    }
}

IdempotencyOutcome idempotency_begin(Idempotency *store, int64_t token_id, const char *key,
                                     const uint8_t print[IDEMPOTENCY_PRINT_BYTES], int64_t now_us,
                                     IdempotentAnswer *ret_answer) {
    forget_old(store, now_us);
    const Entry *known = *find(store, token_id, key);
    if (known && memcmp(known->print, print, sizeof known->print) != 0)
        return IDEMPOTENCY_DIFFERENT;
    if (known && known->status == 0)
        return IDEMPOTENCY_BUSY;
    if (known) {
        *ret_answer = (IdempotentAnswer){known->status, known->location,
                                         {known->body, known->body_size}, known->content_type};
        return IDEMPOTENCY_SAME;
    }
    Entry *entry = calloc(1, sizeof *entry);
    if (!entry || !(entry->key = strdup(key)))
        abort();
    entry->token_id = token_id;
    entry->begun_us = now_us;
    memcpy(entry->print, print, sizeof entry->print);
    entry->next = store->entries;
    store->entries = entry;
    store->n_entries++;
    return IDEMPOTENCY_NEW;
}

void idempotency_finish(Idempotency *store, int64_t token_id, const char *key,
                        const IdempotentAnswer *answer) {
    Entry *entry = *find(store, token_id, key);
    if (!entry)
        return;
    entry->status = answer->status;
    entry->location = answer->location ? strdup(answer->location) : NULL;
    entry->body = malloc(answer->body.size + 1);
    if (!entry->body)
        abort();
    memcpy(entry->body, answer->body.at, answer->body.size);
    entry->body_size = answer->body.size;
    entry->content_type = answer->content_type;
}

void idempotency_forget(Idempotency *store, int64_t token_id, const char *key) {
    Entry **at = find(store, token_id, key);
    if (*at)
        remove_at(store, at);
}
