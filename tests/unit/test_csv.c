#include "test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/own.h"
#include "transform/formats/csv.h"

#include <stdio.h>

/* The rows of a text as one readable text: "line:[a|b]" or "line:!problem[text]", each with its end offset. */
static void render(const CsvOptions *options, Str text, size_t chunk, int64_t offset, int64_t line, Buf *out) {
    CLEANUP(csv_drop) CsvParser *csv = csv_open(options);
    csv_resume_at(csv, offset, line);
    CsvRow row;
    size_t fed = (size_t)offset;
    for (CsvStatus status; (status = csv_next(csv, &row)) != CSV_END;) {
        if (status == CSV_MORE && fed == text.size) {
            csv_finish(csv);
            continue;
        }
        if (status == CSV_MORE) {
            size_t size = text.size - fed < chunk ? text.size - fed : chunk;
            csv_feed(csv, (Str){text.at + fed, size});
            fed += size;
            continue;
        }
        buf_printf(out, "%lld", (long long)row.line);
        buf_printf(out, row.problem ? ":!%d[" : ":[", (int)row.problem);
        for (size_t i = 0; i < row.n_fields; i++) {
            if (i > 0)
                buf_put(out, "|", 1);
            buf_put_str(out, row.fields[i]);
        }
        buf_printf(out, "]@%lld,%lld%s ", (long long)row.end, (long long)row.next_line,
                   row.has_end ? "" : "~");
    }
}

static const CsvOptions SMALL = {.max_line_bytes = 24, .max_field_bytes = 12};

static void quoting_is_as_declared(void **state) {
    (void)state;
    static const struct {
        CsvQuote quote;
        const char *text, *rows;
    } CASES[] = {
        {CSV_QUOTE_NONE, "\"a,b\"\n\"\nx\n", "1:[\"a|b\"]@6,2 2:[\"]@8,3 3:[x]@10,4 "},
        {CSV_QUOTE_BACKSLASH, "\"a\\\"b,\",c\n", "1:[a\"b,|c]@10,2 "},
        {CSV_QUOTE_BACKSLASH, "a\\,b,\\\\\nx\n", "1:[a,b|\\]@8,2 2:[x]@10,3 "},
        {CSV_QUOTE_BACKSLASH, "a\\\nb,c\nx\n", "1:[a\nb|c]@7,3 3:[x]@9,4 "},
        {CSV_QUOTE_BACKSLASH, "\"a\\\\\",b\n", "1:[a\\|b]@8,2 "},
        {CSV_QUOTE_BACKSLASH, "\"a\"\"b\"\nx\n", "1:!5[\"a\"\"b\"]@7,2 2:[x]@9,3 "},
        {CSV_QUOTE_BACKSLASH, "a,b\\", "1:[a|b\\]@4,2~ "},
        {CSV_QUOTE_BACKSLASH, "\"a\\\"\nb\n", "1:!4[\"a\\\"]@5,2 2:[b]@7,3 "},
        {CSV_QUOTE_BACKSLASH, "\\N,\\t\n", "1:[N|t]@6,2 "},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        for (size_t chunk = 1; chunk < 16; chunk++) {
            CsvOptions options = {.quote = CASES[i].quote, .max_line_bytes = 24, .max_field_bytes = 12};
            CLEANUP(buf_drop) Buf out;
            buf_init(&out, 1 << 16);
            render(&options, str_of(CASES[i].text), chunk, 0, 1, &out);
            assert_str(buf_str(&out), CASES[i].rows);
        }
}

static void every_shape_of_row_is_read_as_a_person_would(void **state) {
    (void)state;
    static const struct {
        const char *text, *rows;
        size_t size; /* 0: strlen */
    } CASES[] = {
        {"a,b\n1,2\n", "1:[a|b]@4,2 2:[1|2]@8,3 "},
        {"a,b\r\n1,2\r\n", "1:[a|b]@5,2 2:[1|2]@10,3 "},
        {"a,b\r1,2\r", "1:[a|b]@4,2 2:[1|2]@8,3 "},
        {"a,b\n1,2", "1:[a|b]@4,2 2:[1|2]@7,3~ "},
        {"a,b\n1,", "1:[a|b]@4,2 2:[1|]@6,3~ "},
        {"\xEF\xBB\xBF\"a\",b\n", "1:[a|b]@9,2 "},
        {"\xEF\xBBx\n", "1:[\xEF\xBBx]@4,2 "},
        {"", ""},
        {"\n\r\n\r", ""},
        {"\xEF\xBB\xBF", ""},
        {"a\n\n\r\nb\n", "1:[a]@2,2 4:[b]@7,5 "},
        {"\"a,\"\"b\"\"\",\"\"\n", "1:[a,\"b\"|]@13,2 "},
        {"\"\"\"\"\n", "1:[\"]@5,2 "},
        {"\"a\r\nb\",c\nd\n", "1:[a\r\nb|c]@9,3 3:[d]@11,4 "},
        {"\"a\rb\nc\"\nd\n", "1:[a\rb\nc]@8,4 4:[d]@10,5 "},
        {"a\"b\",c\n", "1:[a\"b\"|c]@7,2 "},
        {"\"a\"b,c\nd\n", "1:!5[\"a\"b,c]@7,2 2:[d]@9,3 "},
        {"\"a,b\nc\n", "1:!4[\"a,b]@5,2 2:[c]@7,3 "},
        {"x,\"a", "1:!4[x,\"a]@4,2~ "},
        {"\"a\nb\"c\nd\n", "1:!5[\"a]@3,2 2:[b\"c]@7,3 3:[d]@9,4 "},
        {"123456789,123456789,1234\nx\n", "1:[123456789|123456789|1234]@25,2 2:[x]@27,3 "},
        {"123456789,123456789,12345\nx\n", "1:!1[123456789,123456789,1234]@26,2 2:[x]@28,3 "},
        {"123456789,123456789,123456789,123456789,123456789\r\nx\n",
         "1:!1[123456789,123456789,1234]@51,2 2:[x]@53,3 "},
        {"123456789,123456789,123456789,123456789,123456789",
         "1:!1[123456789,123456789,1234]@49,2~ "},
        {"\"12345678\n12345678\n12345678\"\nx\n",
         "1:!1[\"12345678]@10,2 2:[12345678]@19,3 3:[12345678\"]@29,4 4:[x]@31,5 "},
        {"1234567890123,b\nx\n", "1:!2[1234567890123,b]@16,2 2:[x]@18,3 "},
        {"a\0b,c\nx\n", "1:!6[a\0b,c]@6,2 2:[x]@8,3 ", 8},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Str text = {CASES[i].text, CASES[i].size ? CASES[i].size : strlen(CASES[i].text)};
        for (size_t chunk = 1; chunk < 64; chunk = chunk * 2 + 1) {
            CLEANUP(buf_drop) Buf out;
            buf_init(&out, 1 << 16);
            render(&SMALL, text, chunk, 0, 1, &out);
            size_t size = CASES[i].size ? out.size : strlen(CASES[i].rows);
            if (out.size != size || (size && memcmp(out.data, CASES[i].rows, size) != 0))
                fail_msg("case %zu, chunk %zu: %.*s", i, chunk, (int)out.size, out.data);
        }
    }
}

static void another_delimiter_leaves_commas_alone(void **state) {
    (void)state;
    CsvOptions options = {.delimiter = ';'};
    CLEANUP(buf_drop) Buf out;
    buf_init(&out, 1 << 16);
    render(&options, STR("a,b;c\n"), 3, 0, 1, &out);
    assert_str(buf_str(&out), "1:[a,b|c]@6,2 ");
}

/* ---- properties, over random files from a fixed seed ---- */

static uint64_t random_state = 0x9E3779B97F4A7C15u;
static size_t random_below(size_t n) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (size_t)(random_state >> 11) % n;
}

static void put_quoted(Buf *file, Str field) {
    buf_put(file, "\"", 1);
    for (size_t i = 0; i < field.size; i++)
        buf_put(file, field.at[i] == '"' ? "\"\"" : &field.at[i], field.at[i] == '"' ? 2 : 1);
    buf_put(file, "\"", 1);
}

/* A field of letters and of everything that needs quotes; written plain when it can be. */
static void put_random_field(Buf *file, Buf *expected) {
    static const char LETTERS[] = "abcdefghijklmnopqrstuvwxyz ,\"\n\r;";
    char text[40];
    size_t size = random_below(4) == 0 ? 0 : random_below(sizeof text);
    bool needs_quotes = false;
    size_t n_letters = random_below(3) == 0 ? sizeof LETTERS - 1 : 27;
    for (size_t i = 0; i < size; i++) {
        text[i] = LETTERS[random_below(n_letters)];
        needs_quotes |= strchr(",\"\n\r", text[i]) != NULL;
    }
    buf_put(expected, text, size);
    if (needs_quotes || random_below(3) == 0)
        put_quoted(file, (Str){text, size});
    else
        buf_put(file, text, size);
}

static void make_random_file(Buf *file, Buf *expected) {
    static const char *const ENDS[] = {"\n", "\r\n", "\r"};
    if (random_below(4) == 0)
        buf_put(file, "\xEF\xBB\xBF", 3);
    const char *end = ENDS[random_below(3)];
    size_t n_fields = random_below(8) == 0 ? 60 + random_below(90) : 2 + random_below(6), n_rows = 1 + random_below(30);
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t f = 0; f < n_fields; f++) {
            if (f > 0)
                buf_put(file, ",", 1);
            put_random_field(file, expected);
            buf_put(expected, "\x1f", 1);
        }
        if (r + 1 < n_rows || random_below(2) == 0)
            buf_put(file, end, strlen(end));
        buf_put(expected, "\x1e", 1);
    }
}

static void read_back(Str file, size_t chunk, Buf *got) {
    CsvOptions options = {0};
    CLEANUP(csv_drop) CsvParser *csv = csv_open(&options);
    CsvRow row;
    size_t fed = 0;
    for (CsvStatus status; (status = csv_next(csv, &row)) != CSV_END;) {
        if (status == CSV_MORE) {
            size_t size = file.size - fed < chunk ? file.size - fed : chunk;
            csv_feed(csv, (Str){file.at + fed, size});
            fed += size;
            if (fed == file.size)
                csv_finish(csv);
            continue;
        }
        assert_int_equal(row.problem, CSV_FINE);
        for (size_t i = 0; i < row.n_fields; i++) {
            buf_put_str(got, row.fields[i]);
            buf_put(got, "\x1f", 1);
        }
        buf_put(got, "\x1e", 1);
    }
}

static void what_was_written_is_read_back(void **state) {
    (void)state;
    for (int round = 0; round < 400; round++) {
        CLEANUP(buf_drop) Buf file;
        CLEANUP(buf_drop) Buf expected;
        CLEANUP(buf_drop) Buf got;
        buf_init(&file, 1 << 20);
        buf_init(&expected, 1 << 20);
        buf_init(&got, 1 << 20);
        make_random_file(&file, &expected);
        read_back(buf_str(&file), 1 + random_below(200), &got);
        assert_int_equal(got.size, expected.size);
        assert_memory_equal(got.data, expected.data, got.size);
    }
}

/* Any bytes at all: the rows do not depend on the chunks. */
static void chunks_do_not_change_the_rows(void **state) {
    (void)state;
    static const char ALPHABET[] = "aab,,\"\"\n\r\0;\xEF\xBB\xBF";
    char bytes[300];
    for (int round = 0; round < 3000; round++) {
        Str text = {bytes, random_below(sizeof bytes)};
        for (size_t i = 0; i < text.size; i++)
            bytes[i] = ALPHABET[random_below(sizeof ALPHABET - 1)];
        CLEANUP(buf_drop) Buf whole;
        CLEANUP(buf_drop) Buf pieces;
        buf_init(&whole, 1 << 20);
        buf_init(&pieces, 1 << 20);
        render(&SMALL, text, text.size + 1, 0, 1, &whole);
        render(&SMALL, text, 1 + random_below(40), 0, 1, &pieces);
        assert_int_equal(whole.size, pieces.size);
        if (whole.size)
            assert_memory_equal(whole.data, pieces.data, whole.size);
    }
}

static void reading_goes_on_behind_any_row(void **state) {
    (void)state;
    static const char FILE_TEXT[] = "a,b\n\"x\ny\",2\n\n\"stray,3\nlast,4\n";
    Str text = STR(FILE_TEXT);
    CsvOptions options = {0};
    CLEANUP(csv_drop) CsvParser *csv = csv_open(&options);
    csv_feed(csv, text);
    csv_finish(csv);
    CsvRow row;
    CLEANUP(buf_drop) Buf rest;
    buf_init(&rest, 1 << 16);
    int n = 0;
    while (csv_next(csv, &row) == CSV_ROW) {
        buf_clear(&rest);
        render(&options, text, 5, row.end, row.next_line, &rest);
        n++;
        if (n == 2)
            assert_str(buf_str(&rest), "5:!4[\"stray,3]@22,6 6:[last|4]@29,7 ");
    }
    assert_int_equal(n, 4);
    assert_int_equal(rest.size, 0);
}

static void the_fast_search_finds_what_the_slow_one_does(void **state) {
    (void)state;
    char block[CSV_BLOCK_BYTES];
    for (int round = 0; round < 2000; round++) {
        uint64_t stops = 0;
        for (size_t i = 0; i < sizeof block; i++) {
            block[i] = random_below(10) == 0 ? "\n\r,\xAC"[random_below(4)] : (char)random_below(256);
            stops |= (uint64_t)(block[i] == ',' || block[i] == '\n' || block[i] == '\r') << i;
        }
        assert_true(csv_stops(block, ',') == stops);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quoting_is_as_declared),
        cmocka_unit_test(every_shape_of_row_is_read_as_a_person_would),
        cmocka_unit_test(another_delimiter_leaves_commas_alone),
        cmocka_unit_test(what_was_written_is_read_back),
        cmocka_unit_test(chunks_do_not_change_the_rows),
        cmocka_unit_test(reading_goes_on_behind_any_row),
        cmocka_unit_test(the_fast_search_finds_what_the_slow_one_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
