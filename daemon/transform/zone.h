/* zone.h - civil time of a source to instants and back.
 *
 * Made from the bytes of a TZif file (RFC 8536, version 2 or later), so that it is pure and knows
 * nothing of $TZ. A civil time that a jump forward skips maps to the instant of the jump; one that is
 * shown twice maps to the first. Immutable; any thread. */
#pragma once
#include "base/arena.h"
#include "base/error.h"

typedef struct Zone Zone;

/* `name` is for sentences ("America/Chicago"). */
Zone *zone_parse(Arena *arena, const char *name, Str tzif, Error *err);
/* Offset 0 for ever. */
const Zone *zone_utc(void);
/* Microseconds of civil time since 1970-01-01 00:00 in the zone -> microseconds since the epoch. */
int64_t zone_to_instant(const Zone *zone, int64_t civil_us);
int64_t zone_to_civil(const Zone *zone, int64_t instant_us);
/* By how many microseconds the clock will be set back within three hours of the instant, so that it
 * shows again what it shows now; 0 when it will not. */
int64_t zone_set_back(const Zone *zone, int64_t instant_us);
