/* page.c - see page.h. */
#include "api/page.h"

#include <xxhash.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* base64url without padding, RFC 4648, section 5. */
static char *encode(Arena *arena, Str bytes) {
    char *text = arena_alloc(arena, bytes.size * 4 / 3 + 4), *end = text;
    uint32_t bits = 0;
    int n_bits = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        bits = bits << 8 | (unsigned char)bytes.at[i];
        for (n_bits += 8; n_bits >= 6; n_bits -= 6)
            *end++ = ALPHABET[bits >> (n_bits - 6) & 63];
    }
    if (n_bits > 0)
        *end++ = ALPHABET[bits << (6 - n_bits) & 63];
    *end = 0;
    return text;
}

static char *decode(Arena *arena, const char *text) {
    char *bytes = arena_alloc(arena, strlen(text) + 1), *end = bytes;
    uint32_t bits = 0;
    int n_bits = 0;
    for (; *text; text++) {
        const char *at = strchr(ALPHABET, *text);
        if (!at)
            return NULL;
        bits = bits << 6 | (uint32_t)(at - ALPHABET);
        if ((n_bits += 6) >= 8)
            *end++ = (char)(bits >> (n_bits -= 8) & 255);
    }
    *end = 0;
    return bytes;
}

static const char *prefix_of(Call *call) {
    const char *pattern = call->route->pattern;
    return arena_printf(call->arena, "%08x:", (unsigned)XXH3_64bits(pattern, strlen(pattern)));
}

const char *page_cursor(Call *call, const char *key) {
    return encode(call->arena, str_of(arena_printf(call->arena, "%s%s", prefix_of(call), key)));
}

const char *page_key(Call *call, const char *cursor) {
    const char *text = decode(call->arena, cursor), *prefix = prefix_of(call);
    if (!text || strncmp(text, prefix, strlen(prefix)) != 0 || !text[strlen(prefix)])
        return NULL;
    return text + strlen(prefix);
}

bool page_read(Call *call, Page *ret_page) {
    Page page = {PAGE_LIMIT_DEFAULT, NULL};
    const char *limit = call_param(call, "limit"), *cursor = call_param(call, "cursor");
    int64_t number;
    bool fine = true;
    if (limit && (!str_to_int64(str_of(limit), &number) || number < 1 || number > PAGE_LIMIT_MAX))
        fine = reply_input_error(&call->reply, "?limit", "a number from 1 to %d", PAGE_LIMIT_MAX);
    else if (limit)
        page.limit = (int)number;
    if (cursor && !(page.after = page_key(call, cursor)))
        fine = reply_input_error(&call->reply, "?cursor",
                                 "not a next_cursor that this list answered");
    if (fine)
        *ret_page = page;
    return fine;
}
