/* sealer.h - seals the audit trail once a second, and looks once a day whether all of it is whole.
 *
 * Has a worker and a connection of its own: neither long runs nor a busy API keep lines unsealed. A quiet second
 * costs one short statement. Looking through goes on in small steps between the seals, so that a trail of years
 * is walked in minutes at a few per cent of a core. The metrics audit_chain_ok and audit_last_seal tell the
 * outcome, and the log the newest seal's HMAC: whoever keeps the log can tell a trail that was cut off.
 * Loop thread, but for sealer_keys(). */
#pragma once
#include "loop.h"
#include "storage/audit_verify.h"

typedef struct Sealer Sealer;

/* Reads the key file. Any thread. */
bool sealer_keys(const char *key_file, AuditKeys *ret_keys, Error *err);
/* The dsn must outlive it. Starts with the loop. NULL: the key file is no good. */
/* `session` is what its connection is called; it must live as long, as the dsn. */
Sealer *sealer_open(Loop *loop, const char *dsn, const char *session, const char *key_file, Error *err);
/* Seals what is there by now, then calls `done(context)`. */
void sealer_stop(Sealer *sealer, LoopCall done, void *context);
/* After `done`, or when the loop never ran; the loop must turn once more before it closes. */
void sealer_close(Sealer *sealer);
