/* x12_delivery.h - the claims of an X12 file in pages: what delivery.h does when the format is x12.
 *
 * The file is surveyed first (x12_survey.h) and read a second time for its rows; claims of a set that is not sound or
 * does not balance come with their reject. A row's line is its segment's number. One thread at a time. */
#pragma once
#include "steps/delivery.h"
#include "steps/x12_survey.h"

typedef struct X12Delivery X12Delivery;

/* `bytes` stays the caller's, and open for as long as this is. Fields and survey live in `arena`. When a set was made is
 * read by the pattern's clock; where that is declared, the rows say it with its offset, for whoever reads them again. */
X12Delivery *x12_delivery_open(Unpacker *bytes, const ClaimsConfig *claims, const FilePattern *pattern, Arena *arena,
                               Error *err);
void x12_delivery_close(X12Delivery *delivery);
static inline void x12_delivery_drop(X12Delivery **owner) {
    if (*owner)
        x12_delivery_close(*owner);
}
const Field *x12_delivery_fields(const X12Delivery *delivery, size_t *ret_n);
const X12Survey *x12_delivery_survey(const X12Delivery *delivery);
/* Rows up to this segment were placed before. */
void x12_delivery_seek(X12Delivery *delivery, int64_t segment);
bool x12_delivery_read(X12Delivery *delivery, Arena *page, DeliveryPage *ret_page, Error *err);
