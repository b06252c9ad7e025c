/* fuzz_decode - any bytes in any encoding: no crash, and the same text however the bytes are cut; then what looks at the
 * text: the delimiter, and columns of fixed width.
 *
 * Built and run by scripts/fuzz. The first byte chooses the encoding that is declared, the second the chunk size. */
#include "base/own.h"
#include "transform/formats/decode.h"
#include "transform/formats/fixed.h"
#include "transform/formats/sniff.h"

#include <stdlib.h>
#include <string.h>

static size_t decode_by(size_t chunk, Encoding encoding, Str bytes, char *text) {
    Decoder decoder = {.encoding = encoding};
    size_t used = 0;
    for (size_t at = 0; at < bytes.size; at += chunk) {
        size_t size = bytes.size - at < chunk ? bytes.size - at : chunk;
        used += decoder_take(&decoder, (Str){bytes.at + at, size}, false, text + used);
    }
    return used + decoder_take(&decoder, STR(""), true, text + used);
}

static void look_at(Str text) {
    static const char *const WANTED[] = {"a", "ClaimID"};
    static const FixedColumn COLUMNS[] = {{"a", 1, 3}, {"b", 5, 100}, {"c", 2, 1}};
    Str fields[3];
    char delimiter;
    SniffText sniffed = {.head = text, .is_whole = true, .wanted = WANTED, .n_wanted = 2};
    sniff_delimiter(&sniffed, &delimiter);
    sniff_line_end(text);
    if (!sniff_delimiter_name(delimiter) || fixed_cut(text, COLUMNS, 3, fields) > 3)
        abort();
    for (int i = 0; i < 3; i++)
        if (fields[i].at && (fields[i].at < text.at || fields[i].at + fields[i].size > text.at + text.size))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 3)
        return 0;
    Str bytes = {(const char *)data + 2, size - 2};
    EncodingFound found;
    Error err = {0};
    if (!encoding_find(bytes, data[0] % (DECLARED_WINDOWS_1252 + 1), &found, &err))
        return 0;
    CLEANUP(mem_drop) char *whole = malloc(decoder_room(bytes.size)), *pieces = malloc(decoder_room(bytes.size));
    if (!whole || !pieces)
        abort();
    size_t n = decode_by(bytes.size, found.encoding, bytes, whole);
    if (n > decoder_room(bytes.size) ||
        decode_by(1u + data[1], found.encoding, bytes, pieces) != n || memcmp(whole, pieces, n) != 0)
        abort();
    look_at((Str){whole, n});
    return 0;
}
