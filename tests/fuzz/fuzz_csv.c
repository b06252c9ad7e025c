/* fuzz_csv - any bytes: no crash, bounded rows, and the same rows however the bytes are cut.
 *
 * Built and run by scripts/fuzz. The first two bytes choose the chunk size, the delimiter and the quoting. */
#include "base/own.h"
#include "transform/formats/csv.h"

#include <stdlib.h>

enum { MAX_LINE_BYTES = 200, MAX_FIELD_BYTES = 50 };

static uint64_t mix(uint64_t hash, const void *bytes, size_t size) {
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ ((const uint8_t *)bytes)[i]) * 0x100000001B3u;
    return hash;
}

static uint64_t read_rows(Str text, size_t chunk, char delimiter, CsvQuote quote) {
    CsvOptions options = {delimiter, quote, MAX_LINE_BYTES, MAX_FIELD_BYTES};
    CLEANUP(csv_drop) CsvParser *csv = csv_open(&options);
    uint64_t hash = 0xCBF29CE484222325u;
    size_t fed = 0;
    int64_t end = 0;
    CsvRow row;
    for (CsvStatus status; (status = csv_next(csv, &row)) != CSV_END;) {
        if (status == CSV_MORE) {
            size_t size = text.size - fed < chunk ? text.size - fed : chunk;
            csv_feed(csv, (Str){text.at + fed, size});
            fed += size;
            if (size == 0)
                csv_finish(csv);
            continue;
        }
        if (row.end <= end || row.end > (int64_t)text.size || row.offset < end)
            abort();
        end = row.end;
        hash = mix(hash, &row.line, sizeof row.line);
        hash = mix(hash, &row.problem, sizeof row.problem);
        for (size_t i = 0; i < row.n_fields; i++) {
            if (row.problem == CSV_FINE && row.fields[i].size > MAX_FIELD_BYTES)
                abort();
            hash = mix(mix(hash, row.fields[i].at, row.fields[i].size), "\x1f", 1);
        }
    }
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    Str text = {(const char *)data + 2, size - 2};
    char delimiter = ",;\t|\n"[data[1] % 5];
    CsvQuote quote = (data[1] >> 4) % 3;
    if (read_rows(text, text.size + 1, delimiter, quote) != read_rows(text, 1u + data[0], delimiter, quote))
        abort();
    return 0;
}
