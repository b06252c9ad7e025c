/* member_names.h - the names that a page is to ask for, each once, with what is answered.
 *
 * In an arena, and empty with it. One thread. */
#pragma once
#include "storage/member_cache.h"
#include "storage/pg.h"
#include "transform/value.h"

typedef struct Name {
    Str id;
    Value day;
    MemberAnswer answer;
} Name;

typedef struct NameList {
    Arena *arena;
    Name *names;
    size_t n, mask;  /* half of the slots have a name at most */
    uint32_t *slots; /* index into names + 1; 0: free */
} NameList;

void names_init(NameList *list, Arena *arena);
/* The place of a name in the list, from 1 on: names move while the list grows. */
uint32_t names_add(NameList *list, Str id, Value day);
/* Of names without a day; NULL: it is not in the list. */
Name *names_find(const NameList *list, Str id);
/* As arrays of PostgreSQL's: the first n ids; all days. */
const char *names_ids(const NameList *list, size_t n, Buf *out, Error *err);
const char *names_days(const NameList *list, Buf *out, Error *err);
