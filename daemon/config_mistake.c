/* config_mistake.c - see config_mistake.h. */
#include "config_mistake.h"

#include <stdarg.h>
#include <stdio.h>
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

static void tell_one(const Mistakes *mistakes, const Mistake *mistake, MistakeTeller tell, void *context) {
    const Mark *mark = &mistake->mark;
    const char *place = mark->line > 0
                            ? arena_printf(mistakes->arena, "%s:%d:%d", mark->file, mark->line, mark->column)
                            : mark->file;
    tell(context, place, mistake->sentence);
}

void mistakes_tell(Mistakes *mistakes, MistakeTeller tell, void *context) {
    if (mistakes->n > 0)
        qsort(mistakes->items, mistakes->n, sizeof *mistakes->items, compare);
    for (size_t i = 0; i < mistakes->n; i++)
        if (i == 0 || compare(&mistakes->items[i - 1], &mistakes->items[i]) != 0)
            tell_one(mistakes, &mistakes->items[i], tell, context);
}
