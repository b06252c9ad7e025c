/* date.h - civil dates: the proleptic Gregorian calendar without clocks and zones.
 *
 * Days count from 1970-01-01, years run from 0001 to 9999. Pure; any thread. */
#pragma once
#include "base/str.h"

enum { YEAR_MIN = 1, YEAR_MAX = 9999 };
#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY (INT64_C(86400) * US_PER_SECOND)

typedef struct CivilDate {
    int year, month, day;
} CivilDate;

/* A date with a time of day as a text shows it; the offset counts east of UTC. */
typedef struct CivilTime {
    CivilDate date;
    int hour, minute, second, microsecond;
    bool has_offset;
    int offset_seconds;
} CivilTime;

bool date_is_valid(CivilDate date);
/* Any year; month 1 to 12; a day beyond the month's end counts on into the next. */
int64_t date_to_days(CivilDate date);
CivilDate date_from_days(int64_t days);
/* 1 = Monday … 7 = Sunday. */
int date_weekday(int64_t days);
int date_days_in_month(int year, int month);

/* Microseconds since 1970-01-01 00:00 of the same civil time; the offset is left alone. */
int64_t civil_to_us(const CivilTime *civil);

/* ISO 8601 and SQL: 2024-05-25, 2024-05-25T13:01:02.123456, 2024-05-25 13:01, with Z or +hh:mm or
 * +hhmm or +hh behind a time. False for anything else and for days that do not exist. Digits beyond
 * the sixth of a fraction are cut off. */
bool civil_parse_iso(Str text, CivilTime *ret_civil);
/* By a declared format, whole text: YYYY; MM and DD of one or two digits; MON (Jan, in any case); hh mm
 * of one or two digits; ss with an optional fraction; AM (am or pm, makes hh run from 1 to 12). Any
 * other character stands for itself. Two-digit years are not readable: they would be guessed. */
bool civil_parse_format(Str text, const char *format, CivilTime *ret_civil);
/* True when the format names year, month and day, each once, and no AM without hh. */
bool civil_format_is_complete(const char *format);
