/* planned.h - what a plan of claims files would have done by now.
 *
 * Files stay where they are while a plan looks at them, and are met again with every look: a name counts once. The same
 * bytes of one source are received once, as the ledger has it. One thread; texts and files live in the caller's arena. */
#pragma once
#include "base/arena.h"
#include "storage/file.h"

typedef enum Outlook { OUTLOOK_RECEIVED, OUTLOOK_REFUSED, OUTLOOK_KNOWN, N_OUTLOOKS } Outlook;
typedef struct PlannedFile PlannedFile;
typedef struct Planned {
    Arena *arena;
    PlannedFile *last;          /* each leads to the one before it */
    void *by_name, *by_content; /* trees (tsearch(3)); of content: what is to be received */
} Planned;

void planned_init(Planned *planned, Arena *arena);
void planned_done(Planned *planned);
/* Where it was not read, `seen` is NULL, or has no bytes. */
void planned_note(Planned *planned, const char *name, const FileSeen *seen, Outlook outlook);
bool planned_has(const Planned *planned, const char *name);
/* The bytes of `seen`, of its source, under whatever name. */
bool planned_is_received(const Planned *planned, const FileSeen *seen);
/* For a person: how many, and as many names as there is room for. */
void planned_write(const Planned *planned, char *ret_note, size_t size);
