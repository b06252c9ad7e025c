/* config_mistake.h - what is wrong in a configuration, collected to be shown all at once.
 *
 * A mistake is a place and a sentence. Values of keys that may hold a secret are never part of it. */
#pragma once
#include "base/arena.h"

typedef struct Mark {
    const char *file;
    int line, column; /* from 1; 0: the file as a whole */
} Mark;

typedef struct Mistake {
    Mark mark;
    const char *sentence;
} Mistake;

typedef struct Mistakes {
    Arena *arena; /* of the sentences */
    Mistake *items;
    size_t n, capacity;
} Mistakes;

void mistake_add(Mistakes *mistakes, Mark mark, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* One after the other in the order of the files' lines, none twice; `place` is "file:line:column", or the file. */
typedef void (*MistakeTeller)(void *context, const char *place, const char *sentence);
void mistakes_tell(Mistakes *mistakes, MistakeTeller tell, void *context);
