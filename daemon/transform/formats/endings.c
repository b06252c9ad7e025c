/* endings.c - see endings.h. */
#include "transform/formats/endings.h"

#include <string.h>

enum { SURE_OF_WIDTH_ROWS = 2 };

/* What stands behind the last sign of a text: the cents of an amount, the day of a date; 0 bytes without one. */
static size_t tail_of(Str text) {
    size_t n = 0;
    while (n < text.size && !strchr(".,-/:", text.at[text.size - 1 - n]))
        n++;
    return n < text.size ? n : 0;
}

void endings_note(Endings *endings, int64_t line, Str last) {
    size_t tail = tail_of(last);
    if (line <= endings->line)
        return;
    endings->line = line;
    if (endings->n == 0)
        endings->width = last.size;
    endings->is_even = (endings->n == 0 || endings->is_even) && endings->width == last.size;
    endings->n++;
    if (last.size == 0)
        return;
    endings->has_even_tails = tail > 0 && (endings->n_told == 0 || (endings->has_even_tails && endings->tail == tail));
    endings->tail = tail;
    endings->n_told++;
}

bool endings_show_cut(const Endings *endings, Str last) {
    if (endings->n >= SURE_OF_WIDTH_ROWS && endings->is_even)
        return last.size < endings->width;
    bool may_be_empty = last.size == 0 && endings->n_told < endings->n;
    return endings->n_told >= SURE_OF_WIDTH_ROWS && endings->has_even_tails && !may_be_empty && tail_of(last) < endings->tail;
}
