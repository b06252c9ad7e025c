/* watermark.c - see watermark.h. */
#include "storage/watermark.h"

#include "base/clock.h"
#include "base/own.h"
#include "sql.h"
#include "storage/check.h"
#include "storage/template.h"

#include <inttypes.h>
#include <stdio.h>

enum {
    LIST_MAX_ROWS = 10000, /* of sessions */
    LIST_MAX_BYTES = 1 << 20,
    UNKNOWN_WAIT_S = 60,  /* where the server does not tell how long a statement waits for a lock */
    AFTER_WAIT_S = 10,    /* and what it does then, until it commits */
    UNPROVEN_MARGIN_S = 10,
    COUNTER_LOOK_BACK_S = 60,
    /* Clocks of two machines run apart by less than this between two polls. */
    STEP_MIN_MS = 1000,
    /* What the network makes of the difference of two clocks from poll to poll; more is a step, or drift by now. */
    NOISE_MS = 20,
};
/* Columns of a list of statements. */
enum { LIST_NOW, LIST_CIVIL, LIST_ID, LIST_AGE };
#define US(seconds) ((int64_t)(seconds) * 1000000)
static const char COUNTER_LOWEST[] = "-9223372036854775808";

const char *watermark_quality_name(WatermarkQuality quality) {
    static const char *const NAMES[] = {"proven", "bounded", "unproven"};
    return NAMES[quality];
}

/* ---- what can be known here ---- */

static bool can_read(My *my, Arena *arena, const char *sql) {
    MyPage page;
    Error ignored = {0};
    return my_read(my, sql, LIST_MAX_ROWS, LIST_MAX_BYTES, arena, &page, &ignored);
}

static const char *const LISTS[] = {
    [WATERMARK_LIST_MARIADB] = SQL_WATERMARK_STATEMENTS_MARIADB,
    [WATERMARK_LIST_MYSQL] = SQL_WATERMARK_STATEMENTS_MYSQL,
    [WATERMARK_LIST_MYSQL_THREADS] = SQL_WATERMARK_STATEMENTS_MYSQL_THREADS,
};

static bool shows_ourselves(const MyPage *list) {
    bool is_found = list->is_cut; /* among those that were left out, for all we know */
    for (size_t i = 0; i < list->n_rows; i++)
        is_found = is_found || str_is_null(list->fields[i * list->n_fields + LIST_ID]);
    return is_found;
}

/* What is known of the table, its server and what was declared. */
typedef struct Grounds {
    const SourceTable *table;
    TableFacts facts;
    ServerFacts server;
    CursorClock clock;
    WatermarkList list;
    bool has_process;
    bool is_list_off; /* the server keeps none */
} Grounds;

/* Which lists there are to ask, the better first. Without PROCESS the first two show ourselves alone, and say nothing of it. */
static const struct {
    WatermarkList list;
    bool is_of_mariadb, needs_process;
} ASKED[] = {
    {WATERMARK_LIST_MARIADB, true, true},
    {WATERMARK_LIST_MYSQL, false, true}, /* since 8.0.22 */
    {WATERMARK_LIST_MYSQL_THREADS, false, false},
};

/* What is refused, or is not there, is no list; a connection that broke is an error. */
static bool find_list(My *my, Arena *arena, Grounds *grounds, Error *err) {
    grounds->has_process = can_read(my, arena, SQL_WATERMARK_READERS); /* which are refused without it */
    for (size_t i = 0; i < sizeof ASKED / sizeof *ASKED; i++) {
        MyPage page;
        Error why = {0};
        if (ASKED[i].is_of_mariadb != my_is_mariadb(my) || (ASKED[i].needs_process && !grounds->has_process))
            continue;
        bool is_read = my_read(my, LISTS[ASKED[i].list], LIST_MAX_ROWS, LIST_MAX_BYTES, arena, &page, &why);
        if (!is_read && error_class(&why) == ERROR_TRANSIENT) {
            *err = why;
            return false;
        }
        if (is_read && shows_ourselves(&page)) {
            grounds->list = ASKED[i].list;
            return true;
        }
        grounds->is_list_off = grounds->is_list_off || is_read;
    }
    return true;
}

static int64_t lock_wait_s(My *my, Arena *arena) {
    MyPage page;
    Error ignored = {0};
    int64_t seconds = UNKNOWN_WAIT_S;
    if (my_read(my, SQL_WATERMARK_LOCK_WAIT, 1, LIST_MAX_BYTES, arena, &page, &ignored))
        str_to_int64(page.fields[0], &seconds);
    return seconds;
}

/* Of a query there is no one table to look at: what is declared has to do. */
static bool is_not_innodb(const Grounds *g) { return !g->table->is_query && !g->facts.is_innodb; }
static bool is_follower(const Grounds *g) {
    return g->server.is_replica || g->server.is_group_member || g->server.is_read_only;
}
static bool has_counter(const Grounds *g) { return g->table->cursor_kind == CURSOR_COUNTER; }
static bool is_undeclared(const Grounds *g) { return g->clock == CURSOR_CLOCK_AUTO && !g->facts.is_cursor_kept; }
static bool is_off(const Grounds *g) { return g->list == WATERMARK_LIST_NONE && g->is_list_off; }
static bool is_too_old(const Grounds *g) { return g->list == WATERMARK_LIST_NONE && g->has_process; }
static bool is_unseen(const Grounds *g) { return g->list == WATERMARK_LIST_NONE; }
static bool is_application(const Grounds *g) { return g->clock == CURSOR_CLOCK_APPLICATION; }
static bool is_query(const Grounds *g) { return g->table->is_query; }
static bool is_any(const Grounds *g) { return g != NULL; }

typedef enum Margin {
    MARGIN_OWN,      /* what is declared */
    MARGIN_UNPROVEN, /* and some seconds */
    MARGIN_LATE      /* and what a statement may wait for a lock */
} Margin;

/* The first that holds is what may be known. */
static const struct {
    bool (*holds)(const Grounds *grounds);
    WatermarkQuality quality;
    Margin margin;
    const char *why;
} VERDICTS[] = {
    {is_not_innodb, WATERMARK_UNPROVEN, MARGIN_UNPROVEN,
     "table {table} is not InnoDB: what is not committed yet cannot be told apart"},
    {is_follower, WATERMARK_UNPROVEN, MARGIN_LATE,
     "the server follows another one: what has not arrived yet cannot be seen; read the server that is written to"},
    {has_counter, WATERMARK_BOUNDED, MARGIN_OWN,
     "column {cursor} counts: it is read again for {counter_s} s behind its greatest value"},
    {is_undeclared, WATERMARK_UNPROVEN, MARGIN_UNPROVEN,
     "nothing says whose clock fills {cursor}: it is not ON UPDATE CURRENT_TIMESTAMP; set `cursor_clock`"},
    {is_off, WATERMARK_BOUNDED, MARGIN_LATE,
     "the server keeps no list of statements: one that runs longer than {late_s} s can be missed; set performance_schema = ON"},
    {is_too_old, WATERMARK_BOUNDED, MARGIN_LATE,
     "this server's list of statements cannot be read: one that runs longer than {late_s} s can be missed; GRANT SELECT ON "
     "performance_schema.threads"},
    {is_unseen, WATERMARK_BOUNDED, MARGIN_LATE,
     "the account lacks PROCESS: a statement that runs longer than {late_s} s can be missed; GRANT PROCESS ON *.*"},
    {is_application, WATERMARK_BOUNDED, MARGIN_OWN,
     "an application's clock fills {cursor}: `margin` must cover its skew and latency"},
    {is_query, WATERMARK_BOUNDED, MARGIN_OWN,
     "a query: that the server stamps every part of {cursor}, in InnoDB, is as declared"},
    {is_any, WATERMARK_PROVEN, MARGIN_OWN,
     "the server's clock fills {cursor}, and its running statements and uncommitted rows are seen"},
};

bool watermark_judge(My *my, const SourceTable *table, CursorClock clock, int64_t margin_us,
                     WatermarkBasis *ret_basis, Error *err) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Grounds grounds = {.table = table, .clock = clock};
    TRY(check_table(my, table, &grounds.facts, err) && check_server(my, &grounds.server, err) &&
        find_list(my, arena, &grounds, err));
    int64_t late_s = lock_wait_s(my, arena) + AFTER_WAIT_S;
    const int64_t margins_s[] = {[MARGIN_OWN] = 0, [MARGIN_UNPROVEN] = UNPROVEN_MARGIN_S, [MARGIN_LATE] = late_s};
    size_t i = 0;
    while (!VERDICTS[i].holds(&grounds))
        i++;
    *ret_basis = (WatermarkBasis){.quality = VERDICTS[i].quality, .list = grounds.list,
                                  .margin_us = margin_us + US(margins_s[VERDICTS[i].margin]),
                                  .server = grounds.server.identity};
    snprintf(ret_basis->why, sizeof ret_basis->why, "%s",
             sql_fill(arena, VERDICTS[i].why, {"table", table->name}, {"cursor", table->fields[table->cursor].name},
                      {"counter_s", arena_printf(arena, "%d", COUNTER_LOOK_BACK_S)},
                      {"late_s", arena_printf(arena, "%" PRId64, late_s)}));
    return true;
}

/* ---- taking it ---- */

static bool contains(const MyPage *readers, Str id) {
    for (size_t i = 0; i < readers->n_rows; i++)
        if (str_equal(readers->fields[i], id))
            return true;
    return false;
}

/* The oldest statement that may write; its age in microseconds, 0 when there is none. */
typedef struct Oldest {
    int64_t age_us, thread_id;
    bool is_cut; /* more statements than can be looked at */
} Oldest;

static Oldest find_oldest(const MyPage *list, const MyPage *readers) {
    Oldest oldest = {.is_cut = list->is_cut || readers->is_cut};
    for (size_t i = 0; i < list->n_rows; i++) {
        const Str *row = list->fields + i * list->n_fields;
        int64_t age_us = 0, id = 0;
        if (str_is_null(row[LIST_ID])) /* ourselves */
            continue;
        str_to_int64(row[LIST_ID], &id);
        if (!str_to_int64(row[LIST_AGE], &age_us))
            age_us = US(UNKNOWN_WAIT_S); /* no start is told of it */
        if (contains(readers, row[LIST_ID]) || age_us <= oldest.age_us)
            continue;
        oldest.age_us = age_us;
        oldest.thread_id = id;
    }
    return oldest;
}

/* Steps 0 to 2 of rules, section 4: the clock and the list, in one statement that tells the time before it looks, then
 * who of the list only reads. */
static bool read_statements(My *my, const WatermarkBasis *basis, Arena *arena, SourceClock *ret_clock, Oldest *ret_oldest,
                            Error *err) {
    MyPage list, readers = {.n_rows = 0};
    SourceClock clock;
    TRY(my_read(my, LISTS[basis->list], LIST_MAX_ROWS, LIST_MAX_BYTES, arena, &list, err));
    if (!shows_ourselves(&list))
        return error_set(err, STATE_CONNECTION, "the hospital's server shows no list of its statements any more");
    if (!source_parse_time(list.fields[LIST_NOW], &clock.now_us) || !source_parse_time(list.fields[LIST_CIVIL], &clock.civil_us))
        return error_set(err, STATE_BUG, "the hospital's server tells a time we cannot read");
    if (list.n_rows > 1 && basis->list != WATERMARK_LIST_MYSQL_THREADS)
        TRY(my_read(my, SQL_WATERMARK_READERS, LIST_MAX_ROWS, LIST_MAX_BYTES, arena, &readers, err));
    *ret_oldest = find_oldest(&list, &readers);
    *ret_clock = clock;
    return true;
}

/* The civil time of writers can only be told in their zone; an instant needs none. */
static bool read_statements_in_zone(My *my, const SourceTable *table, const WatermarkBasis *basis, Arena *arena,
                                    SourceClock *ret_clock, Oldest *ret_oldest, Error *err) {
    if (table->cursor_kind == CURSOR_INSTANT)
        return read_statements(my, basis, arena, ret_clock, ret_oldest, err);
    TRY(my_exec(my, SQL_SOURCE_ZONE_OF_WRITERS, err));
    TRY(read_statements(my, basis, arena, ret_clock, ret_oldest, err));
    return my_exec(my, SQL_SOURCE_ZONE_UTC, err);
}

static void hold(Watermark *mark, int64_t held_us, int64_t thread_id, const char *cause) {
    mark->held_us = held_us;
    mark->thread_id = thread_id;
    snprintf(mark->cause, sizeof mark->cause, "%s", cause);
}

/* Both clocks went on by the same time since the poll before, or the server's was set. */
static void compare_clocks(WatermarkMemory *memory, Watermark *mark) {
    int64_t monotonic_us = clock_monotonic_us();
    if (memory->monotonic_us) {
        mark->elapsed_us = monotonic_us - memory->monotonic_us;
        int64_t step_us = mark->now_us - memory->server_us - mark->elapsed_us;
        mark->set_back_us = step_us < -(int64_t)STEP_MIN_MS * 1000 ? -step_us : 0;
    }
    memory->server_us = mark->now_us;
    memory->monotonic_us = monotonic_us;
    int64_t ahead_us = mark->now_us - clock_wall_us();
    mark->ahead_us = ahead_us ? ahead_us : 1;
}

/* By how much the server's clock may have been set forward since a statement began that runs for `age_us`. The answer
 * comes after the clock was read, and the question before: `asked_us`. */
static int64_t set_forward_us(WatermarkMemory *memory, int64_t server_us, int64_t asked_us, int64_t age_us) {
    int64_t answered_us = clock_monotonic_us(), ahead_us = server_us - answered_us;
    if (!memory->least_ahead_us || ahead_us < memory->least_ahead_us)
        memory->least_ahead_us = ahead_us;
    bool is_further = ahead_us > memory->least_ahead_us + (int64_t)NOISE_MS * 1000;
    if (!is_further)
        memory->ahead_since_us = 0;
    else if (!memory->ahead_since_us)
        memory->ahead_since_us = answered_us;
    if (is_further && asked_us - age_us >= memory->ahead_since_us) { /* it began after that */
        memory->least_ahead_us = ahead_us;
        memory->ahead_since_us = 0;
    }
    return server_us - asked_us - memory->least_ahead_us;
}

/* The lowest civil time that a row stamped at `us` or later can bear: before a jump of the clock the offset was
 * another one, and a clock that is going to be set back will show its times again. */
static int64_t lowest_civil(const Watermark *mark, int64_t us) {
    int64_t by_offset_now = us + mark->civil_us - mark->now_us, by_zone = zone_to_civil(mark->zone, us);
    return (by_zone < by_offset_now ? by_zone : by_offset_now) - zone_set_back(mark->zone, mark->now_us);
}

const char *watermark_before(Arena *arena, const SourceTable *table, const Watermark *mark, int64_t us) {
    if (table->cursor_kind == CURSOR_COUNTER)
        return COUNTER_LOWEST;
    int64_t instant_us = mark->now_us - us;
    return source_format_position(arena, table, table->cursor_kind == CURSOR_INSTANT ? instant_us
                                                                                    : lowest_civil(mark, instant_us));
}

/* What was the greatest value at least a look-back ago; NULL while that is not known. `greatest` is of a read
 * before the list of statements. */
static const char *counter_position(WatermarkMemory *memory, Str greatest, Arena *arena) {
    int64_t now_us = clock_monotonic_us();
    bool is_due = memory->counter[1].seen_us == 0 || now_us - memory->counter[1].seen_us >= US(COUNTER_LOOK_BACK_S);
    if (is_due && !str_is_null(greatest) && greatest.size < sizeof memory->counter[1].value) {
        memory->counter[0] = memory->counter[1];
        memory->counter[1].seen_us = now_us;
        memcpy(memory->counter[1].value, greatest.at, greatest.size);
        memory->counter[1].value[greatest.size] = '\0';
    }
    return memory->counter[0].seen_us ? arena_string(arena, str_of(memory->counter[0].value)) : NULL;
}

static bool take_counter(My *my, const SourceTable *table, WatermarkMemory *memory, Arena *arena, Watermark *mark, Error *err) {
    MyPage greatest;
    const char *sql = sql_fill(arena, SQL_WATERMARK_GREATEST, {"cursor", table->quoted_cursor}, {"table", table->quoted});
    TRY(my_read(my, sql, 1, LIST_MAX_BYTES, arena, &greatest, err));
    mark->position = counter_position(memory, greatest.n_rows ? greatest.fields[0] : STR_NULL, arena);
    return true;
}

bool watermark_take(My *my, const SourceTable *table, const WatermarkBasis *basis, const Zone *zone,
                    WatermarkMemory *memory, Arena *arena, Watermark *ret_mark, Error *err) {
    Watermark mark = {.position = "", .zone = zone};
    bool has_cursor = table->cursor_kind != CURSOR_NONE, is_counter = table->cursor_kind == CURSOR_COUNTER;
    SourceClock clock;
    Oldest oldest = {0};
    int64_t asked_us = clock_monotonic_us();
    if (is_counter)
        TRY(take_counter(my, table, memory, arena, &mark, err));
    if (has_cursor && !is_counter && basis->list != WATERMARK_LIST_NONE)
        TRY(read_statements_in_zone(my, table, basis, arena, &clock, &oldest, err));
    else
        TRY(source_clock(my, arena, &clock, err));
    mark.now_us = clock.now_us;
    mark.civil_us = clock.civil_us;
    compare_clocks(memory, &mark);
    if (oldest.is_cut && oldest.age_us < US(UNKNOWN_WAIT_S))
        oldest.age_us = US(UNKNOWN_WAIT_S);
    int64_t forward_us = set_forward_us(memory, clock.now_us, asked_us, oldest.age_us);
    if (oldest.age_us > 0 && basis->list == WATERMARK_LIST_MARIADB)
        oldest.age_us += forward_us;
    if (oldest.age_us > 0)
        hold(&mark, oldest.age_us, oldest.thread_id, "a running statement");
    if (has_cursor && !is_counter)
        mark.position = watermark_before(arena, table, &mark, basis->margin_us + oldest.age_us);
    *ret_mark = mark;
    return true;
}

/* ---- what the reads show ---- */

bool watermark_is_behind(Arena *arena, const SourceTable *table, const Watermark *mark, const char *position) {
    if (table->cursor_kind == CURSOR_COUNTER)
        return false;
    int64_t now_us = table->cursor_kind == CURSOR_INSTANT ? mark->now_us : mark->civil_us;
    return source_compare_positions(table, str_of(source_format_position(arena, table, now_us)), str_of(position)) < 0;
}

int64_t watermark_oldest_writer(My *my) {
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Error ignored = {0};
    MyPage page;
    int64_t age_s = 0;
    if (my_exec(my, SQL_WATERMARK_ZONE_OF_SERVER, &ignored) &&
        my_read(my, SQL_WATERMARK_OLDEST_WRITER, 1, LIST_MAX_BYTES, arena, &page, &ignored))
        str_to_int64(page.fields[0], &age_s);
    my_exec(my, SQL_SOURCE_ZONE_UTC, &ignored); /* a connection lost here is found by the next read */
    return US(age_s);
}

/* How far the value lies behind P; 0 for what is no time. */
static int64_t behind_now(const Watermark *mark, const SourceTable *table, const char *value) {
    char text[32];
    int64_t us;
    snprintf(text, sizeof text, "%s%s", value, table->cursor_kind == CURSOR_DATE ? " 00:00:00" : "");
    if (table->cursor_kind == CURSOR_COUNTER || !source_parse_time(str_of(text), &us))
        return 0;
    int64_t now_us = table->cursor_kind == CURSOR_INSTANT ? mark->now_us : mark->civil_us;
    return now_us > us ? now_us - us : 0;
}

void watermark_hold_at(Watermark *mark, const SourceTable *table, const char *value) {
    if (!mark->position || source_compare_positions(table, str_of(value), str_of(mark->position)) >= 0)
        return;
    mark->position = value;
    hold(mark, behind_now(mark, table, value), 0, "a row that is not committed");
}

const char *watermark_earlier(Arena *arena, const SourceTable *table, const char *position, int64_t us) {
    char text[32];
    int64_t at_us;
    snprintf(text, sizeof text, "%s%s", position, table->cursor_kind == CURSOR_DATE ? " 00:00:00" : "");
    if (table->cursor_kind == CURSOR_COUNTER || !source_parse_time(str_of(text), &at_us))
        return NULL;
    return source_format_position(arena, table, at_us - us);
}

static bool is_same_row(const MyPage *clean, size_t c, const int64_t *hashes, const MyPage *dirty, size_t d,
                        const int *columns, size_t n_columns) {
    const Str *known = clean->fields + c * clean->n_fields, *seen = dirty->fields + d * dirty->n_fields;
    for (size_t i = 0; i < n_columns; i++)
        if (!str_equal(known[columns[i]], seen[i]))
            return false;
    int64_t hash;
    /* a row longer than the server's packet has no hash there: it would hold the cursor for ever */
    return !hashes || str_is_null(seen[n_columns]) || (str_to_int64(seen[n_columns], &hash) && hash == hashes[c]);
}

int64_t watermark_first_unseen(const MyPage *clean, const int64_t *hashes, const MyPage *dirty, const int *columns,
                               size_t n_columns) {
    size_t c = 0;
    for (size_t d = 0; d < dirty->n_rows; d++, c++) {
        while (c < clean->n_rows && !is_same_row(clean, c, hashes, dirty, d, columns, n_columns))
            c++; /* deleted or moved by somebody who has not committed */
        if (c == clean->n_rows)
            return (int64_t)d;
    }
    return -1;
}
