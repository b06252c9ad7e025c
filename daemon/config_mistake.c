/* config_mistake.c - see config_mistake.h. */
#include "config_mistake.h"

#include <stdarg.h>
#include <stdlib.h>

enum { SENTENCE_MAX_BYTES = 1024 };

static void make_room(Mistakes *mistakes) {
    if (mistakes->n < mistakes->capacity)
        return;
    size_t capacity = mistakes->capacity ? mistakes->capacity * 2 : 16;
    Mistake *items = ARENA_ARRAY(mistakes->arena, Mistake, capacity);
    if (mistakes->n > 0)
        memcpy(items, mistakes->items, sizeof *items * mistakes->n);
    mistakes->items = items;
    mistakes->capacity = capacity;
}

void mistake_add(Mistakes *mistakes, Mark mark, const char *format, ...) {
    char sentence[SENTENCE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    make_room(mistakes);
    mistakes->items[mistakes->n++] =
        (Mistake){mark, arena_string(mistakes->arena, str_of(sentence))};
}

static int compare(const void *a, const void *b) {
    const Mistake *x = a, *y = b;
    int order = strcmp(x->mark.file, y->mark.file);
    if (order == 0)
        order = x->mark.line - y->mark.line;
    if (order == 0)
        order = x->mark.column - y->mark.column;
    return order ? order : strcmp(x->sentence, y->sentence);
}

static void print_one(const Mistake *mistake, FILE *out) {
    if (mistake->mark.line > 0)
        fprintf(out, "%s:%d:%d: %s\n", mistake->mark.file, mistake->mark.line, mistake->mark.column,
                mistake->sentence);
    else
        fprintf(out, "%s: %s\n", mistake->mark.file, mistake->sentence);
}

void mistakes_print(Mistakes *mistakes, FILE *out) {
    if (mistakes->n > 0)
        qsort(mistakes->items, mistakes->n, sizeof *mistakes->items, compare);
    for (size_t i = 0; i < mistakes->n; i++)
        if (i == 0 || compare(&mistakes->items[i - 1], &mistakes->items[i]) != 0)
            print_one(&mistakes->items[i], out);
}
