/* address.h - US addresses written in one line, taken apart.
 *
 * "9864 Gibson Islands, Danielside, KY 99809" is street, city, state and ZIP, after USPS Publication
 * 28. A military or diplomatic address ("Unit 0915 Box 7064, DPO AA 82777") names no city: APO, FPO and
 * DPO say by which post office it goes. Where the city cannot be told, `is_complete` is false and
 * `street` holds the whole text, so that nothing is lost; state and ZIP are given if they can be.
 * Pure; any thread. */
#pragma once
#include "base/arena.h"

typedef struct Address {
    Str street, city, state, zip;
    bool is_complete;
} Address;

/* Parts point into `text`, or into the arena. */
Address address_parse(Arena *arena, Str text);
/* One of USPS's two-letter abbreviations of states, territories and military regions, in any case. */
bool state_is_known(Str text);
/* 12345 or 12345-6789, from 123456789 too; STR_NULL when it is neither. */
Str zip_parse(Arena *arena, Str text);
