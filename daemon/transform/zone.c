/* zone.c - see zone.h.
 *
 * How this works. A zone is a sorted list of transitions: instant, offset from then on. The file's
 * list ends where its footer, a POSIX TZ rule, takes over for ever. The Gregorian calendar repeats
 * every 400 years, to the weekday, so the rule is written out once for 400 years, and an instant
 * beyond them is moved back by whole cycles: one binary search answers every question.
 *
 * Civil times get a second list: the civil time, by the old offset, at which each transition
 * happens. From there on the new offset counts; what it would place before the transition is a civil
 * time that the clock jumped over, and the transition itself is its instant. */
#include "transform/zone.h"

#include "transform/date.h"

#define CYCLE_YEARS 400
#define CYCLE_SECONDS (INT64_C(146097) * 86400)
#define NEVER INT64_MAX

struct Zone {
    size_t n;             /* transitions */
    const int64_t *at;    /* seconds since the epoch, ascending */
    const int64_t *civil; /* the same by the offset that ends there */
    const int32_t *offset; /* n + 1: before the first transition, after each */
    int64_t cycle_end;    /* seconds; instants from here on are moved back; NEVER without a rule */
};

static const int32_t UTC_OFFSET[] = {0};
static const Zone UTC = {.n = 0, .offset = UTC_OFFSET, .cycle_end = NEVER};

const Zone *zone_utc(void) { return &UTC; }

/* How many of the ascending `list` are not above `key`. */
static size_t count_up_to(const int64_t *list, size_t n, int64_t key) {
    size_t low = 0;
    while (n > 0) {
        size_t half = n / 2;
        if (list[low + half] <= key) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

static int64_t floor_seconds(int64_t us) {
    return us / US_PER_SECOND - (us % US_PER_SECOND < 0);
}

/* Seconds to take off so that `seconds` lies in the cycle that is written out. */
static int64_t cycles_beyond(const Zone *zone, int64_t seconds) {
    if (seconds < zone->cycle_end)
        return 0;
    return ((seconds - zone->cycle_end) / CYCLE_SECONDS + 1) * CYCLE_SECONDS;
}

int64_t zone_to_instant(const Zone *zone, int64_t civil_us) {
    int64_t seconds = floor_seconds(civil_us);
    int64_t moved = cycles_beyond(zone, seconds);
    int64_t civil = seconds - moved;
    size_t index = count_up_to(zone->civil, zone->n, civil);
    int64_t instant = civil - zone->offset[index];
    if (index > 0 && instant < zone->at[index - 1])
        return (zone->at[index - 1] + moved) * US_PER_SECOND;
    return (instant + moved) * US_PER_SECOND + (civil_us - seconds * US_PER_SECOND);
}

int64_t zone_to_civil(const Zone *zone, int64_t instant_us) {
    int64_t seconds = floor_seconds(instant_us);
    int64_t moved = cycles_beyond(zone, seconds);
    size_t index = count_up_to(zone->at, zone->n, seconds - moved);
    return instant_us + zone->offset[index] * US_PER_SECOND;
}

int64_t zone_set_back(const Zone *zone, int64_t instant_us) {
    static const int64_t AHEAD_US = 3 * 3600 * US_PER_SECOND;
    int64_t passed = zone_to_civil(zone, instant_us + AHEAD_US) - zone_to_civil(zone, instant_us);
    return passed < AHEAD_US ? AHEAD_US - passed : 0;
}

/* The lists while they grow. */
typedef struct Building {
    size_t n, capacity;
    int64_t *at, *civil;
    int32_t *offset;
    int64_t cycle_end;
} Building;

static void add_transition(Building *zone, int64_t at, int32_t offset) {
    int64_t civil = at + zone->offset[zone->n];
    if (zone->n > 0 && civil < zone->civil[zone->n - 1])
        civil = zone->civil[zone->n - 1]; /* two jumps within an hour: keep the list ascending */
    zone->at[zone->n] = at;
    zone->civil[zone->n] = civil;
    zone->offset[++zone->n] = offset;
}

/* ---- the footer: RFC 8536 section 3.3, POSIX TZ ------------------------------------------- */

/* A day of the year and a time of it, in seconds from midnight. */
typedef struct DayRule {
    enum { DAY_OF_MONTH_WEEK, DAY_OF_365, DAY_OF_366 } kind;
    int month, week, weekday; /* M: 1-12, 1-5 (5 = last), 0-6 (0 = Sunday) */
    int day;                  /* Jn: 1-365 without 29 February; n: 0-365 */
    int seconds;
} DayRule;

typedef struct Rule {
    bool has_summer;
    int32_t standard, summer; /* offsets, east positive */
    DayRule start, end;
} Rule;

typedef struct Reader {
    const char *at, *end;
} Reader;

static bool take(Reader *r, char c) {
    if (r->at == r->end || *r->at != c)
        return false;
    r->at++;
    return true;
}

static bool take_int(Reader *r, int *ret_value) {
    int value = 0;
    const char *start = r->at;
    for (; r->at < r->end && *r->at >= '0' && *r->at <= '9' && value < 1000; r->at++)
        value = value * 10 + (*r->at - '0');
    *ret_value = value;
    return r->at > start;
}

static bool is_letter(char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }

/* "EST" or "<-03>". */
static bool take_name(Reader *r) {
    bool is_quoted = take(r, '<');
    const char *start = r->at;
    while (r->at < r->end && (is_quoted ? *r->at != '>' : is_letter(*r->at)))
        r->at++;
    return r->at > start && (!is_quoted || take(r, '>'));
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_time(Reader *r, int *ret_seconds) {
    int sign = take(r, '-') ? -1 : 1;
    if (sign == 1)
        take(r, '+');
    int hours, minutes = 0, seconds = 0;
    if (!take_int(r, &hours) || (take(r, ':') && !take_int(r, &minutes)) ||
        (take(r, ':') && !take_int(r, &seconds)))
        return false;
    *ret_seconds = sign * (hours * 3600 + minutes * 60 + seconds);
    return hours <= 167 && minutes <= 59 && seconds <= 59;
}

static bool take_month_week(Reader *r, DayRule *day) {
    day->kind = DAY_OF_MONTH_WEEK;
    return take_int(r, &day->month) && take(r, '.') && take_int(r, &day->week) && take(r, '.') &&
           take_int(r, &day->weekday) && day->month >= 1 && day->month <= 12 && day->week >= 1 &&
           day->week <= 5 && day->weekday <= 6;
}

static bool take_day_rule(Reader *r, DayRule *day) {
    if (!take(r, ','))
        return false;
    if (take(r, 'M')) {
        if (!take_month_week(r, day))
            return false;
    } else {
        day->kind = take(r, 'J') ? DAY_OF_365 : DAY_OF_366;
        if (!take_int(r, &day->day) || day->day > 365)
            return false;
    }
    day->seconds = 2 * 3600;
    return !take(r, '/') || take_time(r, &day->seconds);
}

static bool take_rule(Reader *r, Rule *rule) {
    int west = 0; /* POSIX counts west of Greenwich */
    if (!take_name(r) || !take_time(r, &west))
        return false;
    rule->standard = -west;
    if (r->at == r->end)
        return true;
    rule->has_summer = true;
    rule->summer = rule->standard + 3600;
    if (!take_name(r))
        return false;
    if (r->at < r->end && *r->at != ',') {
        if (!take_time(r, &west))
            return false;
        rule->summer = -west;
    }
    return take_day_rule(r, &rule->start) && take_day_rule(r, &rule->end) && r->at == r->end;
}

static int64_t days_of_rule(const DayRule *day, int year) {
    int64_t new_year = date_to_days((CivilDate){year, 1, 1});
    if (day->kind == DAY_OF_366)
        return new_year + day->day;
    if (day->kind == DAY_OF_365)
        return new_year + day->day - 1 + (date_days_in_month(year, 2) == 29 && day->day >= 60);
    int64_t first = date_to_days((CivilDate){year, day->month, 1});
    int to_weekday = (day->weekday - date_weekday(first) % 7 + 7) % 7;
    int64_t found = first + to_weekday + 7 * (day->week - 1);
    return found < first + date_days_in_month(year, day->month) ? found : found - 7;
}

static int64_t instant_of_rule(const DayRule *day, int year, int32_t offset_before) {
    return days_of_rule(day, year) * 86400 + day->seconds - offset_before;
}

static void add_year(Building *zone, const Rule *rule, int year) {
    int64_t start = instant_of_rule(&rule->start, year, rule->standard);
    int64_t end = instant_of_rule(&rule->end, year, rule->summer);
    bool starts_first = start < end; /* not so south of the equator */
    int64_t first = starts_first ? start : end, second = starts_first ? end : start;
    int64_t last = zone->n > 0 ? zone->at[zone->n - 1] : INT64_MIN;
    if (first > last)
        add_transition(zone, first, starts_first ? rule->summer : rule->standard);
    if (second > last)
        add_transition(zone, second, starts_first ? rule->standard : rule->summer);
}

static void write_out_rule(Building *zone, const Rule *rule) {
    if (!rule->has_summer)
        return; /* the file's last transition has its offset */
    int64_t last = zone->n > 0 ? zone->at[zone->n - 1] : 0;
    int first_year = date_from_days(last / 86400).year;
    for (int year = first_year; year <= first_year + CYCLE_YEARS + 1; year++)
        add_year(zone, rule, year);
    zone->cycle_end = date_to_days((CivilDate){first_year + CYCLE_YEARS + 1, 1, 1}) * 86400;
}

/* ---- the file: RFC 8536 section 3 --------------------------------------------------------- */

enum { HEADER_BYTES = 44, TYPE_BYTES = 6, TRANSITIONS_MAX = 20000 };

typedef struct Header {
    char version;
    uint32_t n_utc, n_standard, n_leap, n_at, n_types, n_chars;
} Header;

static uint32_t get_u32(const char *at) {
    uint32_t wire;
    memcpy(&wire, at, sizeof wire);
    return __builtin_bswap32(wire);
}

static int64_t get_i64(const char *at) {
    uint64_t wire;
    memcpy(&wire, at, sizeof wire);
    return (int64_t)__builtin_bswap64(wire);
}

static bool read_header(Str file, Header *ret_header) {
    if (file.size < HEADER_BYTES || memcmp(file.at, "TZif", 4) != 0)
        return false;
    *ret_header = (Header){
        .version = file.at[4],
        .n_utc = get_u32(file.at + 20),
        .n_standard = get_u32(file.at + 24),
        .n_leap = get_u32(file.at + 28),
        .n_at = get_u32(file.at + 32),
        .n_types = get_u32(file.at + 36),
        .n_chars = get_u32(file.at + 40),
    };
    return ret_header->n_types >= 1 && ret_header->n_types <= 256 &&
           ret_header->n_at <= TRANSITIONS_MAX && ret_header->n_chars <= 65536 &&
           ret_header->n_utc <= 256 && ret_header->n_standard <= 256 && ret_header->n_leap <= 1024;
}

static size_t body_bytes(const Header *h, size_t time_bytes) {
    return h->n_at * (time_bytes + 1) + h->n_types * TYPE_BYTES + h->n_chars +
           h->n_leap * (time_bytes + 4) + h->n_standard + h->n_utc;
}

static Str after(Str text, size_t size) { return (Str){text.at + size, text.size - size}; }

/* Transitions and their offsets from the 64-bit body. */
static bool read_body(Building *zone, const Header *h, const char *body) {
    const char *indices = body + h->n_at * 8, *types = indices + h->n_at;
    zone->offset[0] = (int32_t)get_u32(types); /* type 0 counts before the first transition */
    for (uint32_t i = 0; i < h->n_at; i++) {
        uint8_t type = (uint8_t)indices[i];
        int64_t at = get_i64(body + (size_t)i * 8);
        if (type >= h->n_types || (zone->n > 0 && at <= zone->at[zone->n - 1]))
            return false;
        add_transition(zone, at, (int32_t)get_u32(types + type * TYPE_BYTES));
    }
    for (uint32_t i = 0; i < h->n_types; i++) {
        int32_t offset = (int32_t)get_u32(types + i * TYPE_BYTES);
        if (offset < -26 * 3600 || offset > 26 * 3600)
            return false;
    }
    return true;
}

static bool read_footer(Building *zone, Str footer) {
    if (footer.size < 2 || footer.at[0] != '\n')
        return false;
    const char *end = memchr(footer.at + 1, '\n', footer.size - 1);
    if (!end)
        return false;
    Reader reader = {footer.at + 1, end};
    if (reader.at == reader.end)
        return true; /* nothing is known beyond the list */
    Rule rule = {0};
    if (!take_rule(&reader, &rule))
        return false;
    if (zone->n == 0)
        zone->offset[0] = rule.standard;
    write_out_rule(zone, &rule);
    return true;
}

static Building building_start(Arena *arena, size_t n_at) {
    size_t capacity = n_at + 2 * (CYCLE_YEARS + 2);
    return (Building){
        .capacity = capacity,
        .at = ARENA_ARRAY(arena, int64_t, capacity),
        .civil = ARENA_ARRAY(arena, int64_t, capacity),
        .offset = ARENA_ARRAY(arena, int32_t, capacity + 1),
        .cycle_end = NEVER,
    };
}

static Zone *fail(Error *err, const char *name, const char *why) {
    error_set(err, STATE_CONFIG, "cannot read time zone %s: %s", name, why);
    error_hint(err, "install Debian's tzdata, or name a zone it has, such as America/Chicago");
    return NULL;
}

Zone *zone_parse(Arena *arena, const char *name, Str tzif, Error *err) {
    Header first, header;
    if (!read_header(tzif, &first))
        return fail(err, name, "not a time zone file");
    if (first.version < '2')
        return fail(err, name, "its file is of version 1, which ends in 2037");
    if (tzif.size < HEADER_BYTES + body_bytes(&first, 4))
        return fail(err, name, "its file is cut short");
    Str second = after(tzif, HEADER_BYTES + body_bytes(&first, 4));
    if (!read_header(second, &header) || second.size < HEADER_BYTES + body_bytes(&header, 8))
        return fail(err, name, "its file is cut short");
    if (header.n_leap > 0)
        return fail(err, name, "it counts leap seconds");
    Building zone = building_start(arena, header.n_at);
    if (!read_body(&zone, &header, second.at + HEADER_BYTES) ||
        !read_footer(&zone, after(second, HEADER_BYTES + body_bytes(&header, 8))))
        return fail(err, name, "its file is damaged");
    Zone *made = ARENA_NEW(arena, Zone);
    *made = (Zone){.n = zone.n, .at = zone.at, .civil = zone.civil, .offset = zone.offset,
                   .cycle_end = zone.cycle_end};
    return made;
}
