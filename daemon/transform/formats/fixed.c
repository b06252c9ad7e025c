/* fixed.c - see fixed.h. In a line of ASCII, as nearly all are, a character is a byte and nothing is counted. */
#include "transform/formats/fixed.h"

#include "transform/text.h"

/* The byte at which so many characters have passed, or the line's end. */
static size_t byte_of(Str line, size_t n_characters, bool is_ascii) {
    if (is_ascii)
        return n_characters < line.size ? n_characters : line.size;
    size_t at = 0;
    for (size_t n = 0; at < line.size && n < n_characters; n++)
        do
            at++;
        while (at < line.size && ((uint8_t)line.at[at] & 0xC0) == 0x80);
    return at;
}

size_t fixed_cut(Str line, const FixedColumn *columns, size_t n_columns, Str *ret_fields) {
    bool is_ascii = text_is_ascii(line);
    size_t n = 0;
    for (size_t i = 0; i < n_columns; i++) {
        size_t before = (size_t)columns[i].start - 1;
        size_t from = byte_of(line, before, is_ascii), to = byte_of(line, before + (size_t)columns[i].width, is_ascii);
        bool is_there = from < line.size;
        ret_fields[i] = is_there ? str_trim((Str){line.at + from, to - from}) : STR_NULL;
        n += is_there;
    }
    return n;
}
