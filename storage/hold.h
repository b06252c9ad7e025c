/* hold.h - legal holds: nothing under one is deleted by retention (retention.h) from the moment it is set.
 *
 * A hold is on a source, a feed, one hospital's patient, or a person with everything known of him at any hospital. It is
 * released by a person, and stays in the ledger. Each verb is a transaction of its own, with its line in the trail. */
#pragma once
#include "storage/pg.h"

typedef struct HoldOrder {
    const char *kind;   /* "source", "feed", "patient", "person" */
    const char *object; /* its name, a patient_key, a person's id */
    const char *reason, *actor, *request_id;
} HoldOrder;
/* 0 in *ret_id: there is nothing of that name. */
bool hold_set(Pg *pg, const HoldOrder *order, int64_t *ret_id, Error *err);

typedef enum HoldRelease { HOLD_RELEASED, HOLD_UNKNOWN, HOLD_RELEASED_BEFORE } HoldRelease;
bool hold_release(Pg *pg, int64_t id, const char *actor, const char *request_id, HoldRelease *ret_outcome, Error *err);
