/* delivery.h - one claims file, read in pages.
 *
 * Opens the layers (bytes -> unpacked, unpack.h -> UTF-8, formats/decode.h -> rows, formats/csv.h), reads the
 * header, and gives rows of as many fields as the header has, page by
 * page, bounded by rows and bytes. A row that does not fit comes with its reject; a last line that was
 * cut does too. Pages depend on the file and the limits alone, so that a crash resumes at a page's end.
 * One thread at a time. */
#pragma once
#include "steps/refused.h"
#include "storage/file.h"

/* Rules of rows that cannot be read: no mapping makes them usable. As a text[] literal. */
#define RULE_LINE_UNREADABLE "line_unreadable"
#define RULE_FIELD_COUNT "field_count"
#define RULE_LINE_CUT "line_cut"
#define RULE_HEADER_AGAIN "header_again"
#define RULE_REMITTANCE_UNBALANCED "remittance_unbalanced"
#define RULE_X12_ENVELOPE "x12_envelope"
#define RULE_X12_ORDER "x12_order"
#define RULE_X12_DATE "x12_date"
#define RULE_X12_AMOUNT "x12_amount"
#define RULE_X12_CLAIM "x12_claim"
#define DELIVERY_RULES \
    "{" RULE_LINE_UNREADABLE "," RULE_FIELD_COUNT "," RULE_LINE_CUT "," RULE_HEADER_AGAIN "," RULE_REMITTANCE_UNBALANCED "," \
    RULE_X12_ENVELOPE "," RULE_X12_ORDER "," RULE_X12_DATE "," RULE_X12_AMOUNT "," RULE_X12_CLAIM "}"

typedef struct DeliveryFile DeliveryFile;

typedef struct DeliveryPage {
    RawRows rows;          /* in the page's arena */
    int64_t offset, line;  /* behind its last row: where to resume */
    bool is_last;          /* the file has no more */
    bool was_cut;          /* its last line was */
    size_t size_bytes;
} DeliveryPage;

/* Reads the header. NULL and an Error of class data when the file itself is no good (empty, damaged, of another kind, a
 * header with a name twice): its text is the sentence for the report. Takes the descriptor over.
 * `pattern` is the one that the file's name fits; formats other than X12 do not look at it.
 * `canceled` is looked at between pieces; NULL: never. */
DeliveryFile *delivery_open(int fd, const ClaimsConfig *claims, const FilePattern *pattern, const atomic_bool *canceled,
                            Arena *arena, Error *err);
void delivery_close(DeliveryFile *file);
static inline void delivery_drop(DeliveryFile **owner) {
    if (*owner)
        delivery_close(*owner);
}
const Field *delivery_fields(const DeliveryFile *file, size_t *ret_n);
/* Do the first rows' dates and amounts read as the mapping says? False and a sentence of class data when a column's do not,
 * and all of them fit another way: that is the sender's, and has to be declared. Reads a page, into `arena`, and goes back;
 * before the first one. */
bool delivery_check_values(DeliveryFile *file, const Mapping *mapping, Arena *arena, Error *err);
/* How the file is written, as far as its first 64 KiB show it, and its header. Lives with the file and the arena. */
const FileDetected *delivery_detected(DeliveryFile *file, Arena *arena);
/* X12 only, else NULL: what the file as a whole was found to be. */
const struct X12Survey *delivery_survey(const DeliveryFile *file);
/* Whether it has so many rows, by its unpacked size, that what they name is better read as a whole. */
bool delivery_is_large(const DeliveryFile *file);
/* Goes to where a page ended. */
bool delivery_seek(DeliveryFile *file, int64_t offset, int64_t line, Error *err);
bool delivery_read(DeliveryFile *file, Arena *page, DeliveryPage *ret_page, Error *err);
