/* avro_tool - writes rows as an Avro file to stdout, for tests/component/test_avro.py.
 *
 *     avro_tool null|deflate ROWS
 *
 * Row i has every kind of column; each third row is NULL wherever it may be. */
#include "base/own.h"
#include "transform/formats/avro.h"

#include <stdio.h>

static bool to_stdout(void *context, Str bytes, Error *err) {
    (void)context;
    if (fwrite(bytes.at, 1, bytes.size, stdout) != bytes.size)
        return error_set(err, STATE_IO, "cannot write");
    return true;
}

static const AvroColumn COLUMNS[] = {
    {"key", AVRO_LONG, false, 0, 0},        {"text", AVRO_STRING, true, 0, 0},
    {"amount", AVRO_DECIMAL, true, 14, 2},  {"day", AVRO_DATE, true, 0, 0},
    {"at", AVRO_TIMESTAMP_US, true, 0, 0},  {"fact", AVRO_BOOL, true, 0, 0},
    {"flags", AVRO_STRINGS, false, 0, 0},
};
enum { N_COLUMNS = sizeof COLUMNS / sizeof *COLUMNS };

static void put_row(AvroWriter *avro, int64_t i) {
    avro_put_number(avro, i);
    if (i % 3 == 2) {
        for (int column = 1; column < N_COLUMNS; column++)
            avro_put_null(avro);
        return;
    }
    char text[64];
    snprintf(text, sizeof text, "\xc3\x9cnal %lld", (long long)i);
    Str flags[] = {STR("paid_above_billed"), str_of(text)};
    avro_put_string(avro, str_of(text));
    avro_put_number(avro, (i % 2 ? -1 : 1) * i * 98837);
    avro_put_number(avro, i - 100);
    avro_put_number(avro, i * 86399999999);
    avro_put_number(avro, i % 2);
    avro_put_strings(avro, flags, (size_t)(i % 3) + 1);
}

int main(int argc, char **argv) {
    Error err = {0};
    AvroSpec spec = {.record = "sample", .columns = COLUMNS, .n_columns = N_COLUMNS,
                     .sync = "0123456789abcde", .sink = to_stdout};
    if (argc != 3)
        return 2;
    spec.codec = strcmp(argv[1], "deflate") == 0 ? AVRO_CODEC_DEFLATE : AVRO_CODEC_NULL;
    CLEANUP(avro_drop) AvroWriter *avro = avro_open(&spec, &err);
    bool fine = avro != NULL;
    for (int64_t i = 0; fine && i < strtoll(argv[2], NULL, 10); i++) {
        put_row(avro, i);
        fine = avro_end_row(avro, &err);
    }
    return fine && avro_finish(avro, &err) ? 0 : 1;
}
