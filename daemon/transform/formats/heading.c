/* heading.c - see heading.h. */
#include "transform/formats/heading.h"

#include "transform/text.h"

enum { SURE_OF_HEADER = 2 }; /* names that a row does not hold by chance */

struct Heading {
    const Str *names;
    size_t n_names;
    const char *const *wanted;
    size_t n_wanted;
    size_t n_least, n_wanted_least; /* names that a header has at least; of them wanted ones */
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

static bool is_among(Str name, const Str *names, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (str_equal_nocase(name, names[i]))
            return true;
    return false;
}

/* First bytes of the characters that text_visible leaves out. */
static bool begins_unseen(char c) { return c == '\xC2' || c == '\xE2' || c == '\xEF'; }

static bool may_have_unseen_ends(Str text) {
    const char *end = text.at + text.size;
    if (begins_unseen(text.at[0]))
        return true;
    return (end[-1] & 0x80) && text.size > 3 && (begins_unseen(end[-2]) || begins_unseen(end[-3]));
}

/* By its first byte and its size, unless characters that are no part of a name may stand around it. */
static bool may_be_name(const Heading *heading, Str field) {
    Str text = text_trim(field);
    if (text.size == 0)
        return false;
    return (heading->sizes[(uint8_t)text.at[0]] & size_bit(text)) != 0 || may_have_unseen_ends(text);
}

/* Most rows are found out here, within their first fields. */
static bool may_be_header(const Heading *heading, const CsvRow *row) {
    size_t n = 0, i = 0;
    while (i < row->n_fields && n < heading->n_least && row->n_fields - i >= heading->n_least - n)
        n += may_be_name(heading, row->fields[i++]);
    return n >= heading->n_least;
}

typedef struct Found {
    Str *names; /* none twice: a row may say in two fields what is one column's name */
    size_t n, n_wanted;
} Found;

static Found find_names(const Heading *heading, const Str *fields, size_t n, Arena *scratch) {
    Found found = {.names = NULL};
    for (size_t i = 0; i < n; i++) {
        Str name = heading_name(scratch, fields[i]);
        if (!may_be_name(heading, name) || is_among(name, found.names, found.n))
            continue;
        bool wanted = is_wanted(heading, name);
        if (!wanted && !is_among(name, heading->names, heading->n_names))
            continue;
        if (!found.names)
            found.names = ARENA_ARRAY(scratch, Str, n - i);
        found.names[found.n++] = name;
        found.n_wanted += wanted;
    }
    return found;
}

const Heading *heading_make(Arena *arena, const Str *names, size_t n_names, const char *const *wanted, size_t n_wanted) {
    Heading *heading = ARENA_NEW(arena, Heading);
    *heading = (Heading){.names = names, .n_names = n_names, .wanted = wanted, .n_wanted = n_wanted};
    for (size_t i = 0; i < n_wanted; i++)
        note_start(heading, str_of(wanted[i]));
    for (size_t i = 0; i < n_names; i++)
        note_start(heading, names[i]);
    Found own = find_names(heading, names, n_names, arena);
    heading->n_wanted_least = own.n_wanted ? own.n_wanted / 2 + 1 : 0;
    size_t more_than_half = own.n_wanted ? heading->n_wanted_least : own.n / 2 + 1;
    heading->n_least = more_than_half > SURE_OF_HEADER ? more_than_half : SURE_OF_HEADER;
    return heading;
}

static bool is_again(const Heading *heading, const CsvRow *row, Arena *scratch) {
    for (size_t i = 0; i < row->n_fields; i++)
        if (!str_equal_nocase(heading_name(scratch, row->fields[i]), heading->names[i]))
            return false;
    return true;
}

HeadingAnswer heading_look(const Heading *heading, const CsvRow *row, Arena *scratch) {
    if (row->problem != CSV_FINE || !may_be_header(heading, row))
        return HEADING_NONE;
    Found found = find_names(heading, row->fields, row->n_fields, scratch);
    if (found.n < heading->n_least || found.n_wanted < heading->n_wanted_least)
        return HEADING_NONE;
    return row->n_fields == heading->n_names && is_again(heading, row, scratch) ? HEADING_AGAIN : HEADING_OTHER;
}
