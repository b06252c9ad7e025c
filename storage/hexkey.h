/* hexkey.h - a row's key as one text of hexadecimal digits, "616263,64".
 *
 * For keys on their way through PostgreSQL: a hospital's text may hold what PostgreSQL's cannot, and digits
 * need no escape in any array. Pure. */
#pragma once
#include "base/arena.h"
#include "base/buf.h"

/* None of the fields is NULL. */
void hexkey_put(Buf *out, const Str *fields, size_t n);
void hexkey_take(Arena *arena, Str key, size_t n, Str *ret_fields);
