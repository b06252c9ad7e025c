/* acknowledgement.h - what a receiver says of the sets it was sent: 999 (005010X231A1; 997 says the same by AK5); and of an
 * interchange: TA1.
 *
 * One acknowledgement per set that is named (AK2 … IK5), and one of the whole group (AK9), whose `set_control` is "".
 * Pure; one thread at a time. */
#pragma once
#include "transform/formats/x12.h"

enum { X12_CODE_BYTES = 8 };
typedef struct X12Acknowledgement {
    char group_control[X12_CONTROL_BYTES], set_control[X12_CONTROL_BYTES];
    char code[X12_CODE_BYTES]; /* IK501, AK901 */
    const char *word;          /* Accepted, Accepted with errors, Partially accepted, Rejected */
    bool is_of_claims;         /* AK101 = HC; groups of other kinds are numbered on their own */
    X12Place place;
} X12Acknowledgement;

/* What a receiver says of a whole interchange: TA1 (X12.5). It stands within an interchange, in no group. */
typedef struct X12InterchangeAck {
    Str control; /* TA101: ISA13 of the interchange it speaks of; like the others the segment's */
    Str date, time; /* TA102, TA103: its ISA09, ISA10 */
    Str code;    /* TA104 */
    Str note;    /* TA105: 000, or what was found */
    const char *word; /* Accepted, Accepted with errors, Rejected */
} X12InterchangeAck;
/* False: it is no TA1, or names nothing. */
bool x12_interchange_ack(const X12Segment *segment, X12InterchangeAck *ret_ack);

/* Zeroed at the start of a file. */
typedef struct X12AckReader {
    X12Acknowledgement ack;
    bool is_open; /* within a 999 or 997 */
} X12AckReader;
/* True when this segment decided about a set or a group. */
bool x12_ack_take(X12AckReader *reader, const X12Segment *segment, X12Acknowledgement *ret_ack);
