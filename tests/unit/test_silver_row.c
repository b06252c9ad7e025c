#include "test.h"

#include "base/own.h"
#include "storage/silver_row.h"

/* numeric_send() of PostgreSQL: digits in base 10000, weight of the first, sign, two decimals shown, the digits. */
static void amounts_are_written_as_postgresql_sends_them(void **state) {
    (void)state;
    static const struct {
        int64_t hundredths;
        int16_t count, weight;
        uint16_t sign;
        int16_t digits[6];
    } CASES[] = {
        {0, 0, 0, 0, {0}},
        {5, 1, -1, 0, {500}},
        {-5, 1, -1, 0x4000, {500}},
        {100, 1, 0, 0, {1}},
        {12345, 2, 0, 0, {123, 4500}},
        {-123456789, 3, 1, 0x4000, {123, 4567, 8900}},
        {1000000, 1, 1, 0, {1}},
        {1000001, 3, 1, 0, {1, 0, 100}},
        {INT64_C(1000000000000), 1, 2, 0, {100}},
        {INT64_C(99999999999999), 4, 2, 0, {9999, 9999, 9999, 9900}},
        {INT64_MIN, 6, 4, 0x4000, {9, 2233, 7203, 6854, 7758, 800}},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CLEANUP(buf_drop) Buf out, expected;
        buf_init(&out, 1000);
        buf_init(&expected, 1000);
        buf_put_i32(&expected, 8 + 2 * CASES[i].count);
        buf_put_i16(&expected, CASES[i].count);
        buf_put_i16(&expected, CASES[i].weight);
        buf_put_i16(&expected, (int16_t)CASES[i].sign);
        buf_put_i16(&expected, 2);
        for (int d = 0; d < CASES[i].count; d++)
            buf_put_i16(&expected, CASES[i].digits[d]);
        silver_put_value(&out, TYPE_MONEY, value_number(CASES[i].hundredths));
        assert_int_equal(out.size, expected.size);
        assert_memory_equal(out.data, expected.data, expected.size);
    }
}

static void values_bear_their_length_and_null_bears_none(void **state) {
    (void)state;
    static const struct {
        ColumnType type;
        Value value;
        const char *bytes;
        size_t size;
    } CASES[] = {
        {TYPE_TEXT, {.at = "Rick", .size = 4, .is_set = true}, "\0\0\0\4Rick", 8},
        {TYPE_TEXT, {.at = "", .is_set = true}, "\0\0\0\0", 4},
        {TYPE_TEXT, {.at = "Rick", .size = 4}, "\xFF\xFF\xFF\xFF", 4},
        {TYPE_DATE, {.number = PG_EPOCH_DAYS + 1, .is_set = true}, "\0\0\0\4\0\0\0\1", 8},
        {TYPE_DATE, {.number = PG_EPOCH_DAYS - 1, .is_set = true}, "\0\0\0\4\xFF\xFF\xFF\xFF", 8},
        {TYPE_TIMESTAMP, {.number = PG_EPOCH_US + 258, .is_set = true}, "\0\0\0\10\0\0\0\0\0\0\1\2", 12},
        {TYPE_TIMESTAMP, {.number = INT64_MAX, .is_set = true}, "\0\0\0\10\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 12},
        {TYPE_INT, {.number = -2, .is_set = true}, "\0\0\0\4\xFF\xFF\xFF\xFE", 8},
        {TYPE_BIGINT, {.number = 258, .is_set = true}, "\0\0\0\10\0\0\0\0\0\0\1\2", 12},
        {TYPE_BOOL, {.number = 1, .is_set = true}, "\0\0\0\1\1", 5},
        {TYPE_BOOL, {.number = 0, .is_set = true}, "\0\0\0\1\0", 5},
        {TYPE_BOOL, {.number = 1}, "\xFF\xFF\xFF\xFF", 4},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CLEANUP(buf_drop) Buf out;
        buf_init(&out, 1000);
        silver_put_value(&out, CASES[i].type, CASES[i].value);
        assert_int_equal(out.size, CASES[i].size);
        assert_memory_equal(out.data, CASES[i].bytes, out.size);
    }
}

/* A row begins with how many fields it has, and has as many. */
static void a_row_has_the_fields_it_says(void **state) {
    (void)state;
    Value values[ENTITY_COLUMNS_MAX] = {0};
    SilverPage page = {.entity = entity_find(STR("claims"))};
    Record record = {.entity = page.entity, .values = values};
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, 10000);
    buf_put(&out, "before", 6);
    silver_put_row(&out, &page, &record, NULL);
    int n_stored = 0, n_found = 0;
    for (int i = 0; i < page.entity->n_columns; i++)
        n_stored += column_is_stored(&page.entity->columns[i]);
    assert_int_equal((uint8_t)out.data[6] << 8 | (uint8_t)out.data[7], n_stored);
    for (size_t at = 8; at < out.size; n_found++) {
        uint32_t wire;
        memcpy(&wire, out.data + at, sizeof wire);
        int32_t size = (int32_t)__builtin_bswap32(wire);
        at += sizeof wire + (size > 0 ? (size_t)size : 0);
    }
    assert_int_equal(n_found, n_stored);
}

static void days_are_written_with_all_their_digits(void **state) {
    (void)state;
    CLEANUP(buf_drop) Buf out = pg_array(1000);
    silver_put_day(&out, value_number(0));
    silver_put_day(&out, VALUE_NULL);
    silver_put_day(&out, value_number(-719162));
    silver_put_day(&out, value_number(2932896));
    assert_string_equal(pg_array_end(&out, &(Error){0}), "{\"1970-01-01\",NULL,\"0001-01-01\",\"9999-12-31\"}");
}

/* At every place of texts of every length, for they are looked at eight bytes at a time. */
static void what_an_array_escapes_is_found_anywhere(void **state) {
    (void)state;
    static const char ODD[] = "\"\\{,\xA2\xDC"; /* the last are a quote and a backslash with the high bit */
    for (size_t kind = 0; kind < sizeof ODD - 1; kind++)
        for (size_t size = 1; size <= 40; size++)
            for (size_t at = 0; at < size; at++) {
                CLEANUP(buf_drop) Buf out = pg_array(1000);
                char text[40], expected[50];
                memset(text, 'x', sizeof text);
                text[at] = ODD[kind];
                int escapes = kind < 2;
                snprintf(expected, sizeof expected, "{\"%.*s%s%c%.*s\"}", (int)at, text, escapes ? "\\" : "", ODD[kind],
                         (int)(size - at - 1), text + at + 1);
                pg_array_text(&out, (Str){text, size});
                assert_string_equal(pg_array_end(&out, &(Error){0}), expected);
            }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(amounts_are_written_as_postgresql_sends_them),
        cmocka_unit_test(values_bear_their_length_and_null_bears_none),
        cmocka_unit_test(a_row_has_the_fields_it_says),
        cmocka_unit_test(days_are_written_with_all_their_digits),
        cmocka_unit_test(what_an_array_escapes_is_found_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
