/* planned.c - see planned.h. */
#include "steps/planned.h"

#include "base/buf.h"
#include "base/own.h"

#include <search.h>
#include <stdio.h>
#include <string.h>

enum { NOTE_BYTES = 1 << 20 };

struct PlannedFile {
    PlannedFile *before;
    Outlook outlook;
    const char *name, *source_system;
    uint8_t sha256[FILE_SHA256_BYTES];
};

static int compare_names(const void *a, const void *b) {
    return strcmp(((const PlannedFile *)a)->name, ((const PlannedFile *)b)->name);
}

static int compare_content(const void *a, const void *b) {
    const PlannedFile *left = a, *right = b;
    int order = memcmp(left->sha256, right->sha256, sizeof left->sha256);
    return order ? order : strcmp(left->source_system, right->source_system);
}

void planned_init(Planned *planned, Arena *arena) { *planned = (Planned){.arena = arena}; }

static void keep(void *file) { (void)file; } /* the arena's */

void planned_done(Planned *planned) {
    tdestroy(planned->by_name, keep);
    tdestroy(planned->by_content, keep);
    planned->by_name = planned->by_content = NULL;
}

static void enter(const PlannedFile *file, void **tree, int (*compare)(const void *, const void *)) {
    if (!tsearch(file, tree, compare))
        abort();
}

void planned_note(Planned *planned, const char *name, const FileSeen *seen, Outlook outlook) {
    PlannedFile *file = ARENA_NEW(planned->arena, PlannedFile);
    *file = (PlannedFile){.before = planned->last, .outlook = outlook, .name = arena_string(planned->arena, str_of(name)),
                          .source_system = arena_string(planned->arena, str_of(seen ? seen->source_system : ""))};
    planned->last = file;
    enter(file, &planned->by_name, compare_names);
    if (!seen || !seen->bytes)
        return;
    memcpy(file->sha256, seen->bytes->sha256, sizeof file->sha256);
    if (outlook == OUTLOOK_RECEIVED)
        enter(file, &planned->by_content, compare_content);
}

bool planned_has(const Planned *planned, const char *name) {
    return tfind(&(PlannedFile){.name = name}, &planned->by_name, compare_names) != NULL;
}

bool planned_is_received(const Planned *planned, const FileSeen *seen) {
    PlannedFile asked = {.source_system = seen->source_system};
    memcpy(asked.sha256, seen->bytes->sha256, sizeof asked.sha256);
    return tfind(&asked, &planned->by_content, compare_content) != NULL;
}

/* Names come from outside: what is no plain letter is not shown. */
static void put_name(Buf *note, const char *name) {
    for (; *name; name++)
        buf_put_byte(note, (uint8_t)(*name >= ' ' && *name < 0x7F ? *name : '?'));
}

static void put_outlook(Buf *note, const PlannedFile *last, Outlook outlook, const char *word) {
    size_t n = 0;
    for (const PlannedFile *file = last; file; file = file->before)
        n += file->outlook == outlook;
    if (n == 0)
        return;
    buf_printf(note, "%s%zu %s: ", note->size ? "; " : "", n, word);
    const char *comma = "";
    for (const PlannedFile *file = last; file; file = file->before) {
        if (file->outlook != outlook)
            continue;
        buf_put_str(note, str_of(comma));
        put_name(note, file->name);
        comma = ", ";
    }
}

void planned_write(const Planned *planned, char *ret_note, size_t size) {
    static const char *const WORDS[N_OUTLOOKS] = {
        [OUTLOOK_RECEIVED] = "to be received", [OUTLOOK_REFUSED] = "to be refused", [OUTLOOK_KNOWN] = "known already"};
    CLEANUP(buf_drop) Buf note;
    buf_init(&note, NOTE_BYTES);
    for (int outlook = 0; outlook < N_OUTLOOKS; outlook++)
        put_outlook(&note, planned->last, (Outlook)outlook, WORDS[outlook]);
    snprintf(ret_note, size, "%.*s", (int)note.size, note.size ? note.data : "");
}
