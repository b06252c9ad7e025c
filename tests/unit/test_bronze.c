#include "test.h"

#include "base/own.h"
#include "storage/bronze.h"

#include <stdio.h>
#include <stdlib.h>

/* Bytes that COPY escapes, that no text can hold, and that look like escapes. */
static const char ALPHABET[] = "\\tnrNx0f4\t\n\r\0\xc3\xa9\xff";

static Str random_field(Arena *arena, unsigned *seed) {
    size_t size = (size_t)rand_r(seed) % 12;
    char *text = arena_alloc(arena, size + 1);
    for (size_t i = 0; i < size; i++)
        text[i] = ALPHABET[(size_t)rand_r(seed) % (sizeof ALPHABET - 1)];
    return rand_r(seed) % 8 == 0 ? STR_NULL : (Str){text, size};
}

static void what_was_packed_comes_out_byte_for_byte(void **state) {
    (void)state;
    enum { ROUNDS = 20000, FIELDS = 5 };
    CLEANUP(arena_drop) Arena *arena = arena_open();
    unsigned seed = 20260101;
    for (int round = 0; round < ROUNDS; round++) {
        ArenaMark mark = arena_mark(arena);
        Str fields[FIELDS], found[FIELDS];
        Buf packed;
        buf_init(&packed, 1 << 16);
        for (size_t i = 0; i < FIELDS; i++)
            fields[i] = random_field(arena, &seed);
        bronze_pack(&packed, fields, FIELDS);
        assert_true(bronze_unpack(buf_str(&packed), FIELDS, arena, found));
        for (size_t i = 0; i < FIELDS; i++) {
            assert_int_equal(str_is_null(found[i]), str_is_null(fields[i]));
            assert_true(str_is_null(fields[i]) || str_equal(found[i], fields[i]));
        }
        buf_done(&packed);
        arena_rewind(arena, mark);
    }
}

/* At every place of texts of every length, for they are looked at eight bytes at a time. */
static void what_copy_escapes_is_found_anywhere(void **state) {
    (void)state;
    static const struct {
        char byte;
        const char *written;
    } CASES[] = {{'\\', "\\\\"}, {'\t', "\\t"}, {'\n', "\\n"}, {'\r', "\\r"}, {'\xFF', "\\xff"},
                 {'\xDC', "\\xdc"}, {'\x1F', "\x1F"}, {' ', " "}, {'\x7F', "\x7F"}};
    for (size_t kind = 0; kind < sizeof CASES / sizeof *CASES; kind++)
        for (size_t size = 1; size <= 40; size++)
            for (size_t at = 0; at < size; at++) {
                CLEANUP(buf_drop) Buf packed;
                char text[40], expected[50];
                memset(text, 'x', sizeof text);
                text[at] = CASES[kind].byte;
                snprintf(expected, sizeof expected, "%.*s%s%.*s", (int)at, text, CASES[kind].written, (int)(size - at - 1),
                         text + at + 1);
                buf_init(&packed, 1 << 10);
                bronze_pack(&packed, &(Str){text, size}, 1);
                assert_str(buf_str(&packed), expected);
            }
}

static void another_number_of_columns_is_told(void **state) {
    (void)state;
    CLEANUP(arena_drop) Arena *arena = arena_open();
    Str found[3];
    assert_true(bronze_unpack(STR("a\t\\N\t"), 3, arena, found));
    assert_true(str_is_null(found[1]) && !str_is_null(found[2]) && found[2].size == 0);
    assert_false(bronze_unpack(STR("a\tb\tc"), 2, arena, found));
    assert_false(bronze_unpack(STR("a\tb"), 3, arena, found));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_packed_comes_out_byte_for_byte),
        cmocka_unit_test(what_copy_escapes_is_found_anywhere),
        cmocka_unit_test(another_number_of_columns_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
