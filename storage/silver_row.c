/* silver_row.c - see silver_row.h. */
#include "storage/silver_row.h"

#include "transform/date.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROWS_MAX_BYTES = 256 << 20, STREAM_BYTES = 64 << 10 };

/* ---- flags ---- */

/* Flags that only settle can set or take away; what place can see of the others stands in the record. */
static bool is_settles_alone(Str name) {
    static const char *const NAMES[] = {
        "claim_date_mismatch",      "claim_department_mismatch", "claim_encounter_mismatch", "claim_patient_mismatch",
        "claim_provider_mismatch",  "orphan_claim",              "orphan_transaction",       "possible_duplicate",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (str_equal(str_of(NAMES[i]), name))
            return true;
    return false;
}

typedef struct FlagList {
    Str names[2 * FLAGS_MAX]; /* sorted */
    size_t n;
} FlagList;

static void flag_list_add(FlagList *list, Str name) {
    size_t i = list->n;
    while (i > 0 && str_compare(list->names[i - 1], name) > 0)
        i--;
    if ((i > 0 && str_equal(list->names[i - 1], name)) || list->n == 2 * FLAGS_MAX)
        return;
    memmove(&list->names[i + 1], &list->names[i], (list->n - i) * sizeof(Str));
    list->names[i] = name;
    list->n++;
}

typedef bool (*FlagChoice)(Str name);

static void flag_list_add_joined(FlagList *list, Str joined, FlagChoice is_wanted) {
    while (joined.size > 0) {
        const char *comma = memchr(joined.at, ',', joined.size);
        size_t size = comma ? (size_t)(comma - joined.at) : joined.size;
        Str name = {joined.at, size};
        if (!is_wanted || is_wanted(name))
            flag_list_add(list, name);
        size_t step = size + (comma ? 1 : 0);
        joined = (Str){joined.at + step, joined.size - step};
    }
}

/* text[] in PostgreSQL's binary form (array_send) */
static void put_flag_list(Buf *out, const FlagList *list) {
    size_t size = list->n ? 20 : 12;
    for (size_t i = 0; i < list->n; i++)
        size += 4 + list->names[i].size;
    buf_put_i32(out, (int32_t)size);
    buf_put_i32(out, list->n ? 1 : 0); /* dimensions */
    buf_put_i32(out, 0);               /* no NULLs */
    buf_put_i32(out, 25);              /* text */
    if (list->n) {
        buf_put_i32(out, (int32_t)list->n);
        buf_put_i32(out, 1); /* lower bound */
    }
    for (size_t i = 0; i < list->n; i++)
        buf_put_str_field(out, list->names[i]);
}

static FlagList list_flags(const SilverPage *page, const Record *record, Str carried) {
    FlagList list = {.n = 0};
    for (uint64_t rest = record->flags; rest; rest &= rest - 1)
        flag_list_add(&list, str_of(mapping_flag_name(page->mapping, __builtin_ctzll(rest))));
    for (uint32_t rest = record->settle_flags; rest; rest &= rest - 1)
        flag_list_add(&list, str_of(settle_flag_name((SettleFlag)__builtin_ctz(rest))));
    flag_list_add_joined(&list, carried, is_settles_alone);
    return list;
}

void silver_put_flags(Buf *out, const SilverPage *page, const Record *record, Str carried) {
    FlagList list = list_flags(page, record, carried);
    put_flag_list(out, &list);
}

Str silver_join_flags(const SilverPage *page, const Record *record, Str carried) {
    FlagList list = list_flags(page, record, carried);
    size_t size = 0;
    for (size_t i = 0; i < list.n; i++)
        size += list.names[i].size + 1;
    char *text = arena_alloc(page->arena, size + 1), *at = text;
    for (size_t i = 0; i < list.n; i++) {
        memcpy(at, list.names[i].at, list.names[i].size);
        at += list.names[i].size;
        *at++ = ',';
    }
    return (Str){text, size ? size - 1 : 0};
}

static bool is_not_of_time(Str name) { return !str_equal(name, STR("time_inferred")); }

void silver_put_names(Buf *out, Str joined, bool is_time_inferred) {
    FlagList list = {.n = 0};
    flag_list_add_joined(&list, joined, is_not_of_time);
    if (is_time_inferred)
        flag_list_add(&list, STR("time_inferred"));
    put_flag_list(out, &list);
}

/* ---- values and rows ---- */

/* numeric in PostgreSQL's binary form (numeric_send): how many digits in base 10000, the weight of the first, the sign,
 * two decimals shown; then the digits. */
static void put_numeric(Buf *out, int64_t hundredths) {
    enum { DIGITS_MAX = 6, HEAD = 4, ROOM = 8 /* gcc under TSan takes copy_short()'s case of long pieces for possible */ };
    uint64_t rest = hundredths < 0 ? 0 - (uint64_t)hundredths : (uint64_t)hundredths;
    uint16_t digits[DIGITS_MAX], wire[HEAD + DIGITS_MAX + ROOM]; /* digits: least significant first, the fraction */
    int n = 0;
    digits[n++] = (uint16_t)(rest % 100 * 100);
    for (rest /= 100; rest > 0; rest /= 10000)
        digits[n++] = (uint16_t)(rest % 10000);
    int last = 0;
    while (last < n && digits[last] == 0)
        last++;
    int count = n - last;
    wire[0] = __builtin_bswap16((uint16_t)count);
    wire[1] = __builtin_bswap16((uint16_t)(count ? n - 2 : 0));
    wire[2] = __builtin_bswap16(hundredths < 0 && count ? 0x4000 : 0);
    wire[3] = __builtin_bswap16(2);
    for (int i = 0; i < count; i++)
        wire[HEAD + i] = __builtin_bswap16(digits[n - 1 - i]);
    buf_put_field(out, wire, (size_t)(HEAD + count) * sizeof *wire);
}

void silver_put_value(Buf *out, ColumnType type, Value value) {
    if (!value.is_set) {
        buf_put_null_field(out);
        return;
    }
    switch (type) {
    case TYPE_TEXT:
    case TYPE_BYTES:
        buf_put_field(out, value.at, value.size);
        break;
    case TYPE_DATE:
        buf_put_i32_field(out, (int32_t)(value.number - PG_EPOCH_DAYS));
        break;
    case TYPE_TIMESTAMP:
        buf_put_i64_field(out, value.number == INT64_MAX ? INT64_MAX : value.number - PG_EPOCH_US);
        break;
    case TYPE_MONEY:
    case TYPE_PERCENT:
        put_numeric(out, value.number);
        break;
    case TYPE_INT:
        buf_put_i32_field(out, (int32_t)value.number);
        break;
    case TYPE_BIGINT:
        buf_put_i64_field(out, value.number);
        break;
    case TYPE_BOOL:
        buf_put_field(out, value.number != 0 ? "\1" : "\0", 1);
        break;
    case TYPE_TEXTS:
    case TYPE_UUID:
        abort(); /* flags have their own writer, uuids are settle's */
    }
}

void silver_put_row(Buf *out, const SilverPage *page, const Record *record, const Carried *carried) {
    const Entity *entity = record->entity;
    size_t count_at = out->size;
    uint16_t n_stored = 0;
    buf_put_i16(out, 0);
    for (int i = 0; i < entity->n_columns; i++) {
        const Column *column = &entity->columns[i];
        if (!column_is_stored(column))
            continue;
        n_stored++;
        if (column->type == TYPE_UUID)
            buf_put_str_field(out, carried ? carried->person_id : STR_NULL);
        else if (column->type == TYPE_TEXTS)
            silver_put_flags(out, page, record, carried ? carried->flags : STR_NULL);
        else
            silver_put_value(out, column->type, record->values[i]);
    }
    if (buf_overflowed(out))
        return;
    n_stored = __builtin_bswap16(n_stored);
    memcpy(out->data + count_at, &n_stored, sizeof n_stored);
}

static char *put_digits(char *at, int number, int n_digits) {
    for (int i = n_digits; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + n_digits;
}

void silver_put_day(Buf *array, Value day) {
    if (!day.is_set) {
        pg_array_text(array, STR_NULL);
        return;
    }
    CivilDate date = date_from_days(day.number);
    char text[] = "YYYY-MM-DD";
    put_digits(text, date.year, 4);
    put_digits(text + 5, date.month, 2);
    put_digits(text + 8, date.day, 2);
    pg_array_text(array, (Str){text, sizeof text - 1});
}

/* ---- COPY ---- */

const char *silver_column_list(Arena *arena, const Entity *entity) {
    Buf list;
    buf_init(&list, 1 << 16);
    for (int i = 0; i < entity->n_columns; i++) {
        if (!column_is_stored(&entity->columns[i]))
            continue;
        if (list.size > 0)
            buf_put(&list, ", ", 2);
        buf_put_str(&list, str_of(entity->columns[i].name));
    }
    const char *text = arena_string(arena, buf_str(&list));
    buf_done(&list);
    return text;
}

const char *silver_copy_statement(Arena *arena, const char *table, const Entity *entity) {
    return arena_printf(arena, "COPY silver.%s (%s) FROM STDIN (FORMAT binary)", table,
                        silver_column_list(arena, entity));
}

bool row_stream_begin(RowStream *stream, Pg *pg, const char *statement, Error *err) {
    *stream = (RowStream){.pg = pg};
    buf_init(&stream->rows, ROWS_MAX_BYTES);
    pg_copy_header(&stream->rows);
    stream->is_open = pg_copy_begin(pg, statement, err);
    return stream->is_open;
}

static bool send_rows(RowStream *stream, Error *err) {
    TRY(pg_copy_put(stream->pg, &stream->rows, err));
    buf_clear(&stream->rows);
    return true;
}

bool row_stream_next(RowStream *stream, Error *err) {
    stream->n_rows++;
    return stream->rows.size < STREAM_BYTES || send_rows(stream, err);
}

bool row_stream_end(RowStream *stream, Error *err) {
    int64_t n_copied = 0;
    pg_copy_trailer(&stream->rows);
    TRY(send_rows(stream, err));
    stream->is_open = false;
    TRY(pg_copy_end(stream->pg, NULL, &n_copied, err));
    if (n_copied != stream->n_rows)
        return error_set(err, STATE_BUG, "COPY took %lld rows of %lld", (long long)n_copied,
                         (long long)stream->n_rows);
    return true;
}

void row_stream_drop(RowStream *stream) {
    Error ignored = {0};
    if (stream->is_open)
        pg_copy_end(stream->pg, "gave up", NULL, &ignored);
    buf_done(&stream->rows);
}
