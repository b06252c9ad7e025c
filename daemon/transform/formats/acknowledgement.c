/* acknowledgement.c - see acknowledgement.h. */
#include "transform/formats/acknowledgement.h"

/* IK501, AK901 and TA104; M, W and X are refusals too: of security, and of what could not be decrypted. */
static const char *word_of(Str code) {
    static const struct {
        const char *code, *word;
    } WORDS[] = {{"A", "Accepted"}, {"E", "Accepted with errors"}, {"P", "Partially accepted"}};
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (str_equal(code, str_of(WORDS[i].code)))
            return WORDS[i].word;
    return "Rejected";
}

static bool decide(X12AckReader *reader, const X12Segment *segment, X12Acknowledgement *ret_ack) {
    Str code = x12_element(segment, 1);
    x12_copy(reader->ack.code, X12_CODE_BYTES, code);
    reader->ack.word = word_of(code);
    reader->ack.place = segment->place;
    *ret_ack = reader->ack;
    reader->ack.set_control[0] = '\0';
    return true;
}

bool x12_ack_take(X12AckReader *reader, const X12Segment *segment, X12Acknowledgement *ret_ack) {
    if (x12_is(segment, "ST"))
        *reader = (X12AckReader){.is_open = str_equal(x12_element(segment, 1), STR("999")) ||
                                            str_equal(x12_element(segment, 1), STR("997"))};
    if (!reader->is_open)
        return false;
    if (x12_is(segment, "AK1")) {
        reader->ack.is_of_claims = str_equal(x12_element(segment, 1), STR("HC"));
        x12_copy(reader->ack.group_control, X12_CONTROL_BYTES, x12_element(segment, 2));
    }
    if (x12_is(segment, "AK2"))
        x12_copy(reader->ack.set_control, X12_CONTROL_BYTES, x12_element(segment, 2));
    bool is_set = (x12_is(segment, "IK5") || x12_is(segment, "AK5")) && reader->ack.set_control[0];
    if (x12_is(segment, "AK9"))
        reader->ack.set_control[0] = '\0';
    return (is_set || x12_is(segment, "AK9")) && decide(reader, segment, ret_ack);
}

bool x12_interchange_ack(const X12Segment *segment, X12InterchangeAck *ret_ack) {
    if (!x12_is(segment, "TA1") || segment->place.transaction != 0 || x12_element(segment, 1).size == 0)
        return false;
    *ret_ack = (X12InterchangeAck){
        .control = x12_element(segment, 1), .date = x12_element(segment, 2), .time = x12_element(segment, 3),
        .code = x12_element(segment, 4), .note = x12_element(segment, 5), .word = word_of(x12_element(segment, 4))};
    return true;
}
