/* member_names.c - see member_names.h. */
#include "storage/member_names.h"

#include "storage/silver_row.h"

#include <string.h>
#include <xxhash.h>

enum { NAMES_MIN = 256 };

void names_init(NameList *list, Arena *arena) {
    *list = (NameList){.arena = arena, .names = arena_alloc(arena, NAMES_MIN / 2 * sizeof(Name)),
                       .mask = NAMES_MIN - 1, .slots = ARENA_ARRAY(arena, uint32_t, NAMES_MIN)};
}

static bool same_name(const Name *name, Str id, Value day) {
    return str_equal(name->id, id) && name->day.is_set == day.is_set &&
           (!day.is_set || name->day.number == day.number);
}

/* The slot of a name; its content is 0 when the name is not in the list. */
static uint32_t *names_slot(const NameList *list, Str id, Value day) {
    size_t at = XXH3_64bits_withSeed(id.at, id.size, day.is_set ? (uint64_t)day.number : 0) & list->mask;
    while (list->slots[at] && !same_name(&list->names[list->slots[at] - 1], id, day))
        at = (at + 1) & list->mask;
    return &list->slots[at];
}

static void names_grow(NameList *list) {
    NameList old = *list;
    size_t size = (old.mask + 1) * 4;
    list->mask = size - 1;
    list->names = arena_alloc(list->arena, size / 2 * sizeof(Name));
    list->slots = ARENA_ARRAY(list->arena, uint32_t, size);
    memcpy(list->names, old.names, old.n * sizeof(Name));
    for (size_t i = 0; i < old.n; i++)
        *names_slot(list, old.names[i].id, old.names[i].day) = (uint32_t)i + 1;
}

uint32_t names_add(NameList *list, Str id, Value day) {
    if (list->n * 2 > list->mask)
        names_grow(list);
    uint32_t *slot = names_slot(list, id, day);
    if (*slot == 0) {
        list->names[list->n] = (Name){.id = id, .day = day};
        *slot = (uint32_t)++list->n;
    }
    return *slot;
}

Name *names_find(const NameList *list, Str id) {
    uint32_t slot = *names_slot(list, id, VALUE_NULL);
    return slot ? &list->names[slot - 1] : NULL;
}

const char *names_ids(const NameList *list, size_t n, Buf *out, Error *err) {
    for (size_t i = 0; i < n; i++)
        pg_array_text(out, list->names[i].id);
    return pg_array_end(out, err);
}

const char *names_days(const NameList *list, Buf *out, Error *err) {
    for (size_t i = 0; i < list->n; i++)
        silver_put_day(out, list->names[i].day);
    return pg_array_end(out, err);
}
