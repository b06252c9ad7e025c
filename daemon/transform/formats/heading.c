/* heading.c - see heading.h. */
#include "transform/formats/heading.h"

#include "transform/text.h"

enum { SURE_OF_HEADER = 2 }; /* names that a row does not hold by chance */

struct Heading {
    const Str *names;
    size_t n_names;
    const char *const *wanted;
    size_t n_wanted;
    size_t n_least;      /* names that a header has at least */
    uint64_t sizes[256]; /* by first byte: a bit for each size (modulo 64) of a name that starts so */
};

Str heading_name(Arena *arena, Str text) { return text_trim(text_visible(arena, text_trim(text))); }

static uint64_t size_bit(Str text) { return UINT64_C(1) << (text.size & 63); }

static void note_start(Heading *heading, Str name) {
    if (name.size == 0)
        return;
    uint8_t first = (uint8_t)name.at[0];
    bool is_letter = (uint8_t)((first | 32) - 'a') < 26;
    heading->sizes[first] |= size_bit(name);
    if (is_letter)
        heading->sizes[first ^ 32] |= size_bit(name);
}

static bool is_wanted(const Heading *heading, Str name) {
    for (size_t i = 0; i < heading->n_wanted; i++)
        if (str_equal_nocase(name, str_of(heading->wanted[i])))
            return true;
    return false;
}

static bool is_name(const Heading *heading, Str text) {
    if (text.size == 0 || !(heading->sizes[(uint8_t)text.at[0]] & size_bit(text)))
        return false;
    for (size_t i = 0; i < heading->n_names; i++)
        if (str_equal_nocase(text, heading->names[i]))
            return true;
    return is_wanted(heading, text);
}

const Heading *heading_make(Arena *arena, const Str *names, size_t n_names, const char *const *wanted, size_t n_wanted) {
    Heading *heading = ARENA_NEW(arena, Heading);
    *heading = (Heading){.names = names, .n_names = n_names, .wanted = wanted, .n_wanted = n_wanted};
    for (size_t i = 0; i < n_wanted; i++)
        note_start(heading, str_of(wanted[i]));
    size_t n_known = 0;
    for (size_t i = 0; i < n_names; i++) {
        note_start(heading, names[i]);
        n_known += is_wanted(heading, names[i]);
    }
    size_t more_than_half = (n_known ? n_known : n_names) / 2 + 1;
    heading->n_least = more_than_half > SURE_OF_HEADER ? more_than_half : SURE_OF_HEADER;
    return heading;
}

static bool is_again(const Heading *heading, const CsvRow *row, Arena *scratch) {
    for (size_t i = 0; i < row->n_fields; i++)
        if (!str_equal_nocase(heading_name(scratch, row->fields[i]), heading->names[i]))
            return false;
    return row->n_fields == heading->n_names;
}

static bool names_columns(const Heading *heading, const CsvRow *row, Arena *scratch) {
    size_t n = 0;
    for (size_t i = 0; i < row->n_fields; i++)
        n += is_name(heading, heading_name(scratch, row->fields[i]));
    return n >= heading->n_least;
}

HeadingAnswer heading_look(const Heading *heading, const CsvRow *row, Arena *scratch) {
    if (row->problem != CSV_FINE || row->n_fields == 0)
        return HEADING_NONE;
    Str first = heading_name(scratch, row->fields[0]), last = heading_name(scratch, row->fields[row->n_fields - 1]);
    if ((!is_name(heading, first) && !is_name(heading, last)) || !names_columns(heading, row, scratch))
        return HEADING_NONE;
    return row->n_fields == heading->n_names && is_again(heading, row, scratch) ? HEADING_AGAIN : HEADING_OTHER;
}
