/* date.c - see date.h. Day counts after Howard Hinnant, "chrono-Compatible Low-Level Date
 * Algorithms": years begin in March, so that the leap day is the last one. */
#include "transform/date.h"

#include "base/words.h"

#include <strings.h>

/* A text being read from its left end. */
typedef struct Reader {
    const char *at, *end;
} Reader;

static bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int date_days_in_month(int year, int month) {
    static const int DAYS[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && is_leap(year) ? 29 : DAYS[month - 1];
}

bool date_is_valid(CivilDate date) {
    return date.year >= YEAR_MIN && date.year <= YEAR_MAX && date.month >= 1 && date.month <= 12 &&
           date.day >= 1 && date.day <= date_days_in_month(date.year, date.month);
}

int64_t date_to_days(CivilDate date) {
    int64_t year = date.year - (date.month <= 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

CivilDate date_from_days(int64_t days) {
    int64_t from_era = days + 719468;
    int64_t era = (from_era >= 0 ? from_era : from_era - 146096) / 146097;
    int64_t day_of_era = from_era - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t march_month = (5 * day_of_year + 2) / 153;
    int64_t month = march_month + (march_month < 10 ? 3 : -9);
    return (CivilDate){
        .year = (int)(year_of_era + era * 400 + (month <= 2)),
        .month = (int)month,
        .day = (int)(day_of_year - (153 * march_month + 2) / 5 + 1),
    };
}

int date_weekday(int64_t days) {
    int64_t from_monday = (days + 3) % 7; /* 1970-01-01 was a Thursday */
    return (int)(from_monday < 0 ? from_monday + 7 : from_monday) + 1;
}

int64_t civil_to_us(const CivilTime *civil) {
    int64_t seconds = date_to_days(civil->date) * 86400 + civil->hour * 3600 + civil->minute * 60 +
                      civil->second;
    return seconds * US_PER_SECOND + civil->microsecond;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool read_char(Reader *reader, char c) {
    if (reader->at == reader->end || *reader->at != c)
        return false;
    reader->at++;
    return true;
}

/* Between `least` and `most` digits, as many as there are. */
static bool read_digits(Reader *reader, int least, int most, int *ret_value) {
    int value = 0, count = 0;
    while (count < most && reader->at < reader->end && is_digit(*reader->at)) {
        value = value * 10 + (*reader->at++ - '0');
        count++;
    }
    if (count < least)
        return false;
    *ret_value = value;
    return true;
}

/* What follows the point of a second; digits beyond the sixth are cut off. */
static bool read_fraction(Reader *reader, int *ret_microsecond) {
    int value = 0, count = 0;
    for (; reader->at < reader->end && is_digit(*reader->at); reader->at++, count++)
        if (count < 6)
            value = value * 10 + (*reader->at - '0');
    for (int i = count; i < 6; i++)
        value *= 10;
    *ret_microsecond = value;
    return count > 0;
}

static bool read_second(Reader *reader, CivilTime *civil) {
    return read_digits(reader, 2, 2, &civil->second) &&
           (!read_char(reader, '.') || read_fraction(reader, &civil->microsecond));
}

/* Z, +hh:mm, +hhmm, +hh or nothing. */
static bool read_offset(Reader *reader, CivilTime *civil) {
    if (reader->at == reader->end)
        return true;
    civil->has_offset = true;
    if (read_char(reader, 'Z') || read_char(reader, 'z'))
        return true;
    int sign = read_char(reader, '+') ? 1 : read_char(reader, '-') ? -1 : 0;
    int hours = 0, minutes = 0;
    if (sign == 0 || !read_digits(reader, 2, 2, &hours))
        return false;
    if (reader->at < reader->end) {
        read_char(reader, ':');
        if (!read_digits(reader, 2, 2, &minutes))
            return false;
    }
    civil->offset_seconds = sign * (hours * 3600 + minutes * 60);
    return hours <= 15 && minutes <= 59;
}

static bool read_clock(Reader *reader, CivilTime *civil) {
    if (!read_digits(reader, 2, 2, &civil->hour) || !read_char(reader, ':') ||
        !read_digits(reader, 2, 2, &civil->minute))
        return false;
    if (read_char(reader, ':') && !read_second(reader, civil))
        return false;
    read_char(reader, ' ');
    return read_offset(reader, civil);
}

static bool time_is_valid(const CivilTime *civil) {
    return date_is_valid(civil->date) && civil->hour <= 23 && civil->minute <= 59 &&
           civil->second <= 59;
}

/* A day alone, as most texts are: YYYY-MM-DD, of whose eight digits one number is made. */
static bool parse_day(Str text, CivilTime *ret_civil) {
    uint64_t first = word_load(text.at);
    uint16_t last;
    memcpy(&last, text.at + 8, sizeof last);
    if (text.at[4] != '-' || text.at[7] != '-')
        return false;
    int64_t digits = word_number((first & UINT32_MAX) | (first >> 40 & UINT16_MAX) << 32 | (uint64_t)last << 48);
    CivilDate date = {(int)(digits / 10000), (int)(digits / 100 % 100), (int)(digits % 100)};
    if (digits < 0 || !date_is_valid(date))
        return false;
    *ret_civil = (CivilTime){.date = date};
    return true;
}

bool civil_parse_iso(Str text, CivilTime *ret_civil) {
    if (text.size == 10)
        return parse_day(text, ret_civil);
    Reader reader = {text.at, text.at + text.size};
    CivilTime civil = {0};
    if (!read_digits(&reader, 4, 4, &civil.date.year) || !read_char(&reader, '-') ||
        !read_digits(&reader, 2, 2, &civil.date.month) || !read_char(&reader, '-') ||
        !read_digits(&reader, 2, 2, &civil.date.day))
        return false;
    if (reader.at < reader.end) {
        if (!read_char(&reader, 'T') && !read_char(&reader, ' ') && !read_char(&reader, 't'))
            return false;
        if (!read_clock(&reader, &civil))
            return false;
    }
    if (reader.at != reader.end || !time_is_valid(&civil))
        return false;
    *ret_civil = civil;
    return true;
}

/* One name in a format: how it is written, what it reads, the part of a time it fills. */
enum {
    PART_YEAR = 1,
    PART_MONTH = 2,
    PART_DAY = 4,
    PART_HOUR = 8,
    PART_MINUTE = 16,
    PART_SECOND = 32,
    PART_HALF = 64
};

typedef struct Token {
    const char *name;
    int part;
    bool (*read)(Reader *reader, CivilTime *civil);
} Token;

static bool read_year(Reader *r, CivilTime *c) { return read_digits(r, 4, 4, &c->date.year); }
static bool read_month(Reader *r, CivilTime *c) { return read_digits(r, 1, 2, &c->date.month); }
static bool read_day(Reader *r, CivilTime *c) { return read_digits(r, 1, 2, &c->date.day); }
static bool read_hour(Reader *r, CivilTime *c) { return read_digits(r, 1, 2, &c->hour); }
static bool read_minute(Reader *r, CivilTime *c) { return read_digits(r, 1, 2, &c->minute); }

static bool read_month_name(Reader *reader, CivilTime *civil) {
    static const char NAMES[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12 && reader->end - reader->at >= 3; i++) {
        if (strncasecmp(reader->at, NAMES + 3 * i, 3) != 0)
            continue;
        reader->at += 3;
        civil->date.month = i + 1;
        return true;
    }
    return false;
}

/* The hour comes before its half of the day in every format in use. */
static bool read_half(Reader *reader, CivilTime *civil) {
    bool is_pm = reader->end - reader->at >= 2 && strncasecmp(reader->at, "pm", 2) == 0;
    bool is_am = reader->end - reader->at >= 2 && strncasecmp(reader->at, "am", 2) == 0;
    if ((!is_am && !is_pm) || civil->hour < 1 || civil->hour > 12)
        return false;
    civil->hour = civil->hour % 12 + (is_pm ? 12 : 0);
    reader->at += 2;
    return true;
}

static const Token TOKENS[] = {
    {"YYYY", PART_YEAR, read_year},      {"MON", PART_MONTH, read_month_name},
    {"MM", PART_MONTH, read_month},      {"DD", PART_DAY, read_day},
    {"hh", PART_HOUR, read_hour},        {"mm", PART_MINUTE, read_minute},
    {"ss", PART_SECOND, read_second},    {"AM", PART_HALF, read_half},
};

static const Token *token_at(const char *format) {
    for (size_t i = 0; i < sizeof TOKENS / sizeof *TOKENS; i++)
        if (strncmp(format, TOKENS[i].name, strlen(TOKENS[i].name)) == 0)
            return &TOKENS[i];
    return NULL;
}

bool civil_parse_format(Str text, const char *format, CivilTime *ret_civil) {
    Reader reader = {text.at, text.at + text.size};
    CivilTime civil = {0};
    while (*format) {
        const Token *token = token_at(format);
        if (token ? !token->read(&reader, &civil) : !read_char(&reader, *format))
            return false;
        format += token ? strlen(token->name) : 1;
    }
    if (reader.at != reader.end || !time_is_valid(&civil))
        return false;
    *ret_civil = civil;
    return true;
}

bool civil_format_is_complete(const char *format) {
    int parts = 0;
    while (*format) {
        const Token *token = token_at(format);
        if (token && (parts & token->part))
            return false;
        if (token && token->part == PART_HALF && !(parts & PART_HOUR))
            return false;
        parts |= token ? token->part : 0;
        format += token ? strlen(token->name) : 1;
    }
    const int date = PART_YEAR | PART_MONTH | PART_DAY;
    return (parts & date) == date;
}
