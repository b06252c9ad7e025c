/* batch_answer.h - what a 277CA says above its claims (005010X214, loops 2200B and 2200C).
 *
 * STC at the receiver's level (HL03 = 21) speaks of all claims of the set whose BHT03 is TRN02 of that level, STC at a provider's
 * (19) of that provider's in it. STC03 = U refuses them, WQ takes them; where it is left out STC01's category says which.
 * A refusal of claims that are named below it is none here: each is told of itself there, and there are payers who refuse a whole
 * set for the sake of the one claim that they name (X12's request for interpretation 2145). One provider may have several levels,
 * and a set's refusal may be taken back by the last claim that is named: what all of a set's answers come to is settled when all
 * are there (x12_note_batches), so levels that say nothing are given out as well.
 * Pure; one thread at a time. */
#pragma once
#include "transform/formats/x12.h"

enum { X12_ID_BYTES = 84, X12_STATUS_BYTES = 32, X12_BATCH_ANSWERS_MAX = 2 };
typedef struct X12BatchAnswer {
    char reference[X12_ID_BYTES]; /* TRN02 of the receiver's level; "": it names no set */
    char provider[X12_ID_BYTES];  /* NM109 of the billing provider; "": of none, or of one without a number: see is_of_provider */
    char code[X12_STATUS_BYTES];  /* STC01, parted by colons */
    bool is_of_provider, is_said, is_refusal;
    X12Place place; /* of its STC, or where nothing is said of its HL */
} X12BatchAnswer;

/* Zeroed at the start of a file. */
typedef struct X12BatchReader {
    X12BatchAnswer receiver, provider;
    enum { X12_LEVEL_OTHER, X12_LEVEL_RECEIVER, X12_LEVEL_PROVIDER } level;
} X12BatchReader;
/* Takes the segments of 277CAs, ST and SE with them. Returns how many answers this one completed: a set without SE completes
 * none at its end. */
size_t x12_batch_take(X12BatchReader *reader, const X12Segment *segment, X12BatchAnswer ret_answers[X12_BATCH_ANSWERS_MAX]);
