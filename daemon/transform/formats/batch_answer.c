/* batch_answer.c - see batch_answer.h. */
#include "transform/formats/batch_answer.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* By what STC03 says, else by the category. False: of neither is known what it means. */
static bool is_decided(const X12Segment *stc, bool *ret_refusal) {
    static const struct {
        const char *action, *category;
        bool is_refusal;
    } MEANS[] = {
        {"U", NULL, true}, {"WQ", NULL, false},
        {"", "A3", true}, {"", "A4", true}, {"", "A6", true}, {"", "A7", true}, {"", "A8", true}, {"", "A1", false}, {"", "A2", false},
    };
    Str action = x12_element(stc, 3), category = x12_component(stc, x12_element(stc, 1), 0);
    for (size_t i = 0; i < COUNT(MEANS); i++)
        if (str_equal(action, str_of(MEANS[i].action)) &&
            (!MEANS[i].category || str_equal(category, str_of(MEANS[i].category)))) {
            *ret_refusal = MEANS[i].is_refusal;
            return true;
        }
    return false;
}

static void copy_code(char to[X12_STATUS_BYTES], const X12Segment *stc) {
    x12_copy(to, X12_STATUS_BYTES, x12_element(stc, 1));
    for (char *at = to; *at; at++)
        if (*at == stc->component)
            *at = ':';
}

static X12BatchAnswer *answer_of_level(X12BatchReader *reader) {
    X12BatchAnswer *const OF[] = {NULL, &reader->receiver, &reader->provider};
    return OF[reader->level];
}

/* Of several the first counts, and a refusal before it. */
static void take_stc(X12BatchReader *reader, const X12Segment *stc) {
    X12BatchAnswer *answer = answer_of_level(reader);
    bool is_refusal;
    if (!answer || !is_decided(stc, &is_refusal) || (answer->is_said && (answer->is_refusal || !is_refusal)))
        return;
    answer->is_said = true;
    answer->is_refusal = is_refusal;
    answer->place = stc->place;
    copy_code(answer->code, stc);
}

static size_t complete(X12BatchAnswer *answer, X12BatchAnswer ret_answers[], size_t n) {
    if (answer->place.segment)
        ret_answers[n++] = *answer;
    *answer = (X12BatchAnswer){.place.segment = 0};
    return n;
}

static size_t complete_provider(X12BatchReader *reader, X12BatchAnswer ret_answers[], size_t n) {
    x12_copy(reader->provider.reference, X12_ID_BYTES, str_of(reader->receiver.reference));
    reader->provider.is_of_provider = true;
    return complete(&reader->provider, ret_answers, n);
}

static void forget_refusal(X12BatchAnswer *answer) {
    answer->is_said &= !answer->is_refusal;
    answer->is_refusal = false;
}

static void begin_level(X12BatchReader *reader, const X12Segment *hl, Str level) {
    reader->level = str_equal(level, STR("21"))   ? X12_LEVEL_RECEIVER
                    : str_equal(level, STR("19")) ? X12_LEVEL_PROVIDER
                                                  : X12_LEVEL_OTHER;
    X12BatchAnswer *answer = answer_of_level(reader);
    if (answer)
        answer->place = hl->place;
}

/* A patient's level names claims. */
static size_t take_hl(X12BatchReader *reader, const X12Segment *hl, X12BatchAnswer ret_answers[]) {
    Str level = x12_element(hl, 3);
    bool is_receiver = str_equal(level, STR("21")), is_provider = str_equal(level, STR("19"));
    size_t n = is_receiver || is_provider ? complete_provider(reader, ret_answers, 0) : 0;
    if (is_receiver)
        n = complete(&reader->receiver, ret_answers, n);
    if (str_equal(level, STR("PT"))) {
        forget_refusal(&reader->provider);
        forget_refusal(&reader->receiver);
    }
    begin_level(reader, hl, level);
    return n;
}

static void take_name(X12BatchReader *reader, const X12Segment *segment) {
    bool is_receiver = reader->level == X12_LEVEL_RECEIVER, is_provider = reader->level == X12_LEVEL_PROVIDER;
    if (is_receiver && x12_is(segment, "TRN") && str_equal(x12_element(segment, 1), STR("2")))
        x12_copy(reader->receiver.reference, X12_ID_BYTES, x12_element(segment, 2));
    if (is_provider && x12_is(segment, "NM1") && str_equal(x12_element(segment, 1), STR("85")))
        x12_copy(reader->provider.provider, X12_ID_BYTES, x12_element(segment, 9));
}

size_t x12_batch_take(X12BatchReader *reader, const X12Segment *segment, X12BatchAnswer ret_answers[X12_BATCH_ANSWERS_MAX]) {
    if (x12_is(segment, "ST"))
        *reader = (X12BatchReader){.level = X12_LEVEL_OTHER};
    if (x12_is(segment, "HL"))
        return take_hl(reader, segment, ret_answers);
    if (x12_is(segment, "SE"))
        return complete(&reader->receiver, ret_answers, complete_provider(reader, ret_answers, 0));
    if (x12_is(segment, "STC"))
        take_stc(reader, segment);
    take_name(reader, segment);
    return 0;
}
