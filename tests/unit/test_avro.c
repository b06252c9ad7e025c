/* Vectors follow the Avro specification, "Binary Encoding"; whole files are read back by fastavro in
 * tests/component/test_avro.py. */
#include "test.h"

#include "base/own.h"
#include "transform/formats/avro.h"

#include <zlib.h>

static bool collect(void *context, Str bytes, Error *err) {
    (void)err;
    buf_put_str(context, bytes);
    return true;
}

static bool refuse(void *context, Str bytes, Error *err) {
    (void)context;
    (void)bytes;
    return error_set(err, STATE_CONNECTION, "the line is cut");
}

static AvroSpec spec_of(const AvroColumn *columns, int n, Buf *file) {
    return (AvroSpec){.record = "row", .columns = columns, .n_columns = n,
                      .sync = "0123456789abcde", .sink = collect, .sink_context = file};
}

/* The bytes of one block's rows: what follows the header and the block's two numbers (each one
 * byte here) up to its sync mark. */
static Str rows_of(const Buf *file, size_t header_size) {
    return (Str){file->data + header_size + 2, file->size - header_size - 2 - AVRO_SYNC_BYTES};
}

typedef struct NumberCase {
    AvroKind kind;
    bool nullable;
    int64_t value;
    const char *expected;
    size_t size;
} NumberCase;

static void numbers_are_encoded_as_the_specification_says(void **state) {
    (void)state;
    static const NumberCase CASES[] = {
        {AVRO_LONG, false, 0, "\x00", 1},
        {AVRO_LONG, false, -1, "\x01", 1},
        {AVRO_LONG, false, 1, "\x02", 1},
        {AVRO_LONG, false, -64, "\x7f", 1},
        {AVRO_LONG, false, 64, "\x80\x01", 2},
        {AVRO_LONG, false, INT64_MIN, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
        {AVRO_LONG, false, INT64_MAX, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10},
        {AVRO_LONG, true, 1, "\x02\x02", 2},
        {AVRO_DATE, true, 19723, "\x02\x96\xb4\x02", 4},
        {AVRO_BOOL, false, 7, "\x01", 1},
        {AVRO_BOOL, true, 0, "\x02\x00", 2},
        {AVRO_DECIMAL, false, 0, "\x02\x00", 2},
        {AVRO_DECIMAL, false, 127, "\x02\x7f", 2},
        {AVRO_DECIMAL, false, 128, "\x04\x00\x80", 3},
        {AVRO_DECIMAL, false, -1, "\x02\xff", 2},
        {AVRO_DECIMAL, false, -128, "\x02\x80", 2},
        {AVRO_DECIMAL, false, -129, "\x04\xff\x7f", 3},
        {AVRO_DECIMAL, true, 98837, "\x02\x06\x01\x82\x15", 5},
        {AVRO_DECIMAL, false, INT64_MIN, "\x10\x80\x00\x00\x00\x00\x00\x00\x00", 9},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const NumberCase *c = &CASES[i];
        AvroColumn column = {"x", c->kind, c->nullable, 18, 2};
        CLEANUP(buf_done) Buf file;
        buf_init(&file, 1 << 20);
        AvroSpec spec = spec_of(&column, 1, &file);
        Error err = {0};
        CLEANUP(avro_drop) AvroWriter *writer = avro_open(&spec, &err);
        assert_non_null(writer);
        size_t header = file.size;
        avro_put_number(writer, c->value);
        assert_true(avro_end_row(writer, &err));
        assert_true(avro_finish(writer, &err));
        Str rows = rows_of(&file, header);
        assert_int_equal(rows.size, c->size);
        assert_memory_equal(rows.at, c->expected, c->size);
    }
}

static void texts_arrays_and_nulls_stand_in_one_block(void **state) {
    (void)state;
    static const AvroColumn COLUMNS[] = {
        {"a", AVRO_STRING, true, 0, 0}, {"b", AVRO_STRING, true, 0, 0},
        {"c", AVRO_STRINGS, false, 0, 0}, {"d", AVRO_STRINGS, false, 0, 0},
        {"e", AVRO_LONG, true, 0, 0},
    };
    CLEANUP(buf_done) Buf file;
    buf_init(&file, 1 << 20);
    AvroSpec spec = spec_of(COLUMNS, 5, &file);
    Error err = {0};
    CLEANUP(avro_drop) AvroWriter *writer = avro_open(&spec, &err);
    assert_non_null(writer);
    size_t header = file.size;
    avro_put_string(writer, STR("\xc3\x9cnal"));
    avro_put_null(writer);
    avro_put_strings(writer, (Str[]){STR("p"), STR("")}, 2);
    avro_put_null(writer);
    avro_put_null(writer);
    assert_true(avro_end_row(writer, &err));
    assert_int_equal(file.size, header); /* a block waits until it is full */
    assert_true(avro_finish(writer, &err));
    static const char EXPECTED[] = "\x02\x0a\xc3\x9cnal\x00\x04\x02p\x00\x00\x00\x00";
    Str rows = rows_of(&file, header);
    assert_int_equal(rows.size, sizeof EXPECTED - 1);
    assert_memory_equal(rows.at, EXPECTED, rows.size);
    assert_int_equal(file.data[header], 2); /* one row, zig-zag */
    assert_memory_equal(file.data, "Obj\x01", 4);
}

static void a_full_block_goes_out_and_inflates_to_its_rows(void **state) {
    (void)state;
    static const AvroColumn COLUMN = {"x", AVRO_STRING, false, 0, 0};
    CLEANUP(buf_done) Buf file;
    buf_init(&file, 1 << 20);
    AvroSpec spec = spec_of(&COLUMN, 1, &file);
    spec.codec = AVRO_CODEC_DEFLATE;
    spec.block_bytes = 40;
    Error err = {0};
    CLEANUP(avro_drop) AvroWriter *writer = avro_open(&spec, &err);
    assert_non_null(writer);
    size_t header = file.size;
    for (int i = 0; i < 4; i++) {
        avro_put_string(writer, STR("aaaaaaaaa")); /* ten bytes with its length */
        assert_true(avro_end_row(writer, &err));
    }
    assert_true(file.size > header);
    Str packed = rows_of(&file, header);
    char plain[64];
    z_stream z = {.next_in = (Bytef *)packed.at, .avail_in = (uInt)packed.size,
                  .next_out = (Bytef *)plain, .avail_out = sizeof plain};
    assert_int_equal(inflateInit2(&z, -15), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(sizeof plain - z.avail_out, 40);
    inflateEnd(&z);
    size_t size = file.size;
    assert_true(avro_finish(writer, &err)); /* nothing is left */
    assert_int_equal(file.size, size);
}

static void a_row_of_another_shape_is_refused(void **state) {
    (void)state;
    static const AvroColumn COLUMNS[] = {{"a", AVRO_STRING, false, 0, 0}, {"b", AVRO_LONG, true, 0, 0}};
    for (int wrong = 0; wrong < 4; wrong++) {
        CLEANUP(buf_done) Buf file;
        buf_init(&file, 1 << 20);
        AvroSpec spec = spec_of(COLUMNS, 2, &file);
        Error err = {0};
        CLEANUP(avro_drop) AvroWriter *writer = avro_open(&spec, &err);
        if (wrong == 0)
            avro_put_null(writer); /* not nullable */
        else if (wrong == 1)
            avro_put_number(writer, 1); /* a text column */
        else
            avro_put_string(writer, STR("x"));
        if (wrong != 2) /* 2: a column too few */
            avro_put_number(writer, 1);
        if (wrong == 3)
            avro_put_null(writer); /* a column too many */
        assert_false(avro_end_row(writer, &err));
        assert_int_equal(error_class(&err), ERROR_BUG);
    }
}

static void the_sinks_failure_is_the_writers(void **state) {
    (void)state;
    static const AvroColumn COLUMN = {"x", AVRO_LONG, false, 0, 0};
    AvroSpec spec = spec_of(&COLUMN, 1, NULL);
    spec.sink = refuse;
    Error err = {0};
    assert_null(avro_open(&spec, &err));
    assert_string_equal(err.state, STATE_CONNECTION);
}

static void a_name_that_is_no_avro_name_is_refused(void **state) {
    (void)state;
    static const char *const NAMES[] = {"", "1x", "a-b", "a b", "\xc3\x9c"};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        AvroColumn column = {NAMES[i], AVRO_LONG, false, 0, 0};
        AvroSpec spec = spec_of(&column, 1, NULL);
        Error err = {0};
        assert_null(avro_open(&spec, &err));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_encoded_as_the_specification_says),
        cmocka_unit_test(texts_arrays_and_nulls_stand_in_one_block),
        cmocka_unit_test(a_full_block_goes_out_and_inflates_to_its_rows),
        cmocka_unit_test(a_row_of_another_shape_is_refused),
        cmocka_unit_test(the_sinks_failure_is_the_writers),
        cmocka_unit_test(a_name_that_is_no_avro_name_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
