/* upload.h - a file that a client sends, on its way into a drop directory.
 *
 * Never whole in memory: pieces gather in one buffer on the loop while a worker writes the other to a file whose name
 * begins with a dot, which nobody takes. When all is there it is flushed, and gets its name by a rename that
 * overwrites nothing: from then on it is a file like any that was dropped. What does not come so far goes with the
 * upload; after a crash, with the feed's next run (drop.h). Loop thread, but for the three verbs that say otherwise; a
 * worker has it for one of them at a time. */
#pragma once
#include "base/error.h"
#include "base/str.h"
#include "storage/file.h"

typedef struct Upload Upload;

/* Texts are copied; no file is touched. `id` tells uploads of one name apart. */
Upload *upload_open(const char *directory, const char *name, const char *id);
void upload_free(Upload *upload);

void upload_take(Upload *upload, Str bytes);
/* There is enough for a worker. */
bool upload_has_piece(const Upload *upload);
/* What was gathered is the worker's from now on, and there is room for more. */
void upload_hand_over(Upload *upload);
/* On a worker: writes what was handed over. */
bool upload_write(Upload *upload, Error *err);
/* All pieces are here, and none is being written: what the file is. */
const FileBytes *upload_bytes(Upload *upload);
/* On a worker: writes the rest, and flushes. */
bool upload_finish(Upload *upload, Error *err);
/* On a worker: gives the file its name, if all of it was written. False in `ret_landed`: another of this name waits. */
bool upload_land(Upload *upload, bool *ret_landed, Error *err);
