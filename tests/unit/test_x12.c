#include "test.h"

#include "base/buf.h"
#include "base/own.h"
#include "transform/formats/x12_rows.h"

#include <stdio.h>

#define ISA "ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROVIDER       *250101*1000*^*00501*000000001*0*P*:~"
#define GS "GS*HP*P*Q*20250101*1000*1*X*005010X221A1~"
#define TAIL "GE*1*1~IEA*1*000000001~"

/* Segments as "name/elements", faults as "!kind@segment". */
static void render(Str text, size_t chunk, size_t max_segment_bytes, Buf *out) {
    CLEANUP(x12_drop) X12Parser *x12 = x12_open(&(X12Options){max_segment_bytes});
    X12Segment segment;
    X12Fault fault;
    size_t fed = 0;
    for (X12Status status; (status = x12_next(x12, &segment, &fault)) != X12_END;) {
        if (status == X12_MORE) {
            size_t size = text.size - fed < chunk ? text.size - fed : chunk;
            if (size > 0)
                x12_feed(x12, (Str){text.at + fed, size});
            else
                x12_finish(x12);
            fed += size;
        } else if (status == X12_FAULT) {
            buf_printf(out, "!%d@%lld ", (int)fault.kind, (long long)fault.place.segment);
        } else {
            buf_printf(out, "%.*s/%zu%s ", STR_ARG(segment.elements[0]), segment.n_elements - 1,
                       x12_is(&segment, "SE") && segment.is_fault ? "-" : "");
        }
    }
}

static void assert_reads(const char *text, const char *expected) {
    for (size_t chunk = 1; chunk < 200; chunk += chunk < 9 ? 1 : 63) {
        CLEANUP(buf_drop) Buf out;
        buf_init(&out, 100000);
        render(str_of(text), chunk, 0, &out);
        assert_str(buf_str(&out), expected);
    }
}


static const char *mark(X12FaultKind kind, int segment) {
    static char text[32];
    snprintf(text, sizeof text, "!%d@%d ", (int)kind, segment);
    return text;
}

static void each_fault_of_an_envelope_is_found_where_it_is(void **state) {
    (void)state;
    static const struct {
        const char *text;
        X12FaultKind kind;
        int segment;
        const char *before, *behind; /* what else comes out */
    } CASES[] = {
        {"", X12_NO_INTERCHANGE, 1, "", ""},
        {"ClaimID,Amount\n1,2\n", X12_NO_INTERCHANGE, 1, "", ""},
        {"ISA*00*only~GS*", X12_BAD_ISA, 1, "", ""},
        {ISA GS "ST*835*1~SE*3*1~" TAIL, X12_SE_COUNT, 4, "ISA/16 GS/8 ST/2 ", "SE/2- GE/2 IEA/2 "},
        {ISA GS "ST*835*1~SE*two*1~" TAIL, X12_SE_COUNT, 4, "ISA/16 GS/8 ST/2 ", "SE/2- GE/2 IEA/2 "},
        {ISA GS "ST*835*1~SE*2*9~" TAIL, X12_SE_CONTROL, 4, "ISA/16 GS/8 ST/2 ", "SE/2- GE/2 IEA/2 "},
        {ISA GS "ST*835*0001~SE*2*1~" "GE*2*1~IEA*1*1~", X12_GE_COUNT, 5, "ISA/16 GS/8 ST/2 SE/2 ", "GE/2 IEA/2 "},
        {ISA GS "ST*835*1~SE*2*1~" "GE*1*7~IEA*1*1~", X12_GE_CONTROL, 5, "ISA/16 GS/8 ST/2 SE/2 ", "GE/2 IEA/2 "},
        {ISA GS "ST*835*1~SE*2*1~" "GE*1*1~IEA*2*1~", X12_IEA_COUNT, 6, "ISA/16 GS/8 ST/2 SE/2 GE/2 ", "IEA/2 "},
        {ISA GS "ST*835*1~SE*2*1~" "GE*1*1~IEA*1*2~", X12_IEA_CONTROL, 6, "ISA/16 GS/8 ST/2 SE/2 GE/2 ", "IEA/2 "},
        {ISA GS "ST*835*1~ST*835*2~SE*2*2~GE*2*1~IEA*1*1~", X12_ST_OPEN, 4, "ISA/16 GS/8 ST/2 ",
         "ST/2 SE/2 GE/2 IEA/2 "},
        {ISA GS "ST*835*1~SE*2*1~N1*PR~" TAIL, X12_STRAY_SEGMENT, 5, "ISA/16 GS/8 ST/2 SE/2 ", "N1/1 GE/2 IEA/2 "},
        {ISA GS "SE*2*1~GE*0*1~IEA*1*1~", X12_SE_ALONE, 3, "ISA/16 GS/8 ", "SE/2 GE/2 IEA/2 "},
        {ISA "ST*835*1~SE*2*1~IEA*0*1~", X12_ST_ALONE, 2, "ISA/16 ", "ST/2 SE/2 IEA/2 "},
        {ISA GS "ST*835*1~SE*2*1~GE*1*1~", X12_CUT, 5, "ISA/16 GS/8 ST/2 SE/2 GE/2 ", ""},
        {ISA GS "ST*835*1~N1*P", X12_CUT, 4, "ISA/16 GS/8 ST/2 ", ""},
        {ISA GS "ST*835*1~n1*PR~SE*3*1~" TAIL, X12_BAD_NAME, 4, "ISA/16 GS/8 ST/2 ", "n1/1 SE/2- GE/2 IEA/2 "},
        {"ISA*00* *00* *ZZ*A*ZZ*B*250101*1000*^*00501*1*0*P*:~" GS "GE*0*1~IEA*1*1~", X12_ISA_WIDTH, 1, "",
         "ISA/16 GS/8 GE/2 IEA/2 "},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char expected[200];
        snprintf(expected, sizeof expected, "%s%s%s", CASES[i].before, mark(CASES[i].kind, CASES[i].segment),
                 CASES[i].behind);
        assert_reads(CASES[i].text, expected);
    }
}

static void every_dress_of_a_file_gives_the_same_segments(void **state) {
    (void)state;
    static const char *const SAME[] = {
        ISA GS "ST*835*1~N1*PR*A~SE*3*1~" TAIL,
        "\xEF\xBB\xBF" ISA "\r\n" GS "\r\nST*835*1~\r\n  N1*PR*A~\r\nSE*3*1~\r\n" TAIL "\r\n\x1a",
        ISA GS "ST*835*1~N1*P\r\nR*A~SE*3*\n1~~~" "GE*1*1~IEA*1*000000001",
        "ISA|00|          |00|          |ZZ|PAYER          |ZZ|PROVIDER       |250101|1000|^|00501|000000001|0|P|:\n"
        "GS|HP|P|Q|20250101|1000|1|X|005010X221A1\nST|835|1\nN1|PR|A\nSE|3|1\nGE|1|1\nIEA|1|000000001\n",
        "ISA~00~          ~00~          ~ZZ~PAYER          ~ZZ~PROVIDER       ~250101~1000~U~00501~000000001~0~P~^_\r\n"
        "GS~HP~P~Q~20250101~1000~1~X~005010X221A1_\r\nST~835~1_N1~PR~A_SE~3~1_GE~1~1_IEA~1~000000001_",
        ISA "\r\n" GS "ST*835*1~N1*PR*A~SE*3*1~" TAIL "\r\n\x1a",
        "ISA|00|          |00|          |ZZ|PAYER          |ZZ|PROVIDER       |250101|1000|^|00501|000000001|0|P|:\r\n"
        "GS|HP|P|Q|20250101|1000|1|X|005010X221A1\nST|835|1\nN1|PR|A\nSE|3|1\nGE|1|1\nIEA|1|000000001\x1a\0",
    };
    for (size_t i = 0; i < sizeof SAME / sizeof *SAME; i++)
        assert_reads(SAME[i], "ISA/16 GS/8 ST/2 N1/2 SE/2 GE/2 IEA/2 ");
}

static void each_interchange_has_its_own_delimiters(void **state) {
    (void)state;
    assert_reads(ISA GS "GE*0*1~IEA*1*1~\n"
                 "ISA|00|          |00|          |ZZ|PAYER          |ZZ|PROVIDER       |250101|1000|^|00501|000000001|0|P|>!"
                 "GS|HP|P|Q|20250101|1000|1|X|005010X221A1!GE|0|1!IEA|1|1!",
                 "ISA/16 GS/8 GE/2 IEA/2 ISA/16 GS/8 GE/2 IEA/2 ");
}

static void files_with_marks_may_be_put_together(void **state) {
    (void)state;
    assert_reads("\xEF\xBB\xBF\n\xEF\xBB\xBF" ISA GS "GE*0*1~IEA*1*1~\r\n\xEF\xBB\xBF\r\n" ISA GS "GE*0*1~IEA*1*1~\xEF\xBB\xBF",
                 "ISA/16 GS/8 GE/2 IEA/2 ISA/16 GS/8 GE/2 IEA/2 ");
}

static void a_segment_without_end_is_let_go_in_bounded_memory(void **state) {
    (void)state;
    char text[4000];
    int used = snprintf(text, sizeof text, "%s", ISA GS "ST*835*1~NTE*");
    memset(text + used, 'x', 3000);
    snprintf(text + used + 3000, sizeof text - (size_t)used - 3000, "~SE*3*1~" TAIL);
    for (size_t chunk = 7; chunk < 5000; chunk *= 9) {
        CLEANUP(buf_drop) Buf out;
        buf_init(&out, 10000);
        render(str_of(text), chunk, 200, &out);
        char expected[100];
        snprintf(expected, sizeof expected, "ISA/16 GS/8 ST/2 %sSE/2- GE/2 IEA/2 ", mark(X12_SEGMENT_TOO_LONG, 4));
        assert_str(buf_str(&out), expected);
    }
}

static void a_fault_is_one_sentence_with_its_place(void **state) {
    (void)state;
    char sentence[X12_SENTENCE_BYTES];
    X12Fault fault = {.kind = X12_SE_COUNT, .place = {.segment = 4, .line = 2, .offset = 155}, .said = 3, .counted = 2};
    assert_string_equal(x12_fault_text(&fault, sentence),
        "segment 4, line 2, byte 155: the transaction set's segments are 2, and its end says 3");
    fault.said = -1;
    assert_string_equal(x12_fault_text(&fault, sentence),
        "segment 4, line 2, byte 155: the transaction set's segments are 2, and its end says no number");
}

static void components_are_counted_from_nought(void **state) {
    (void)state;
    Str elements[] = {STR("SVC"), STR(" HC:99213: 25 ")};
    X12Segment segment = {.elements = elements, .n_elements = 2, .component = ':'};
    Str element = x12_element(&segment, 1);
    assert_str(x12_component(&segment, element, 0), "HC");
    assert_str(x12_component(&segment, element, 2), "25");
    assert_str(x12_component(&segment, element, 3), "");
    assert_str(x12_element(&segment, 2), "");
    segment.component = '\0';
    assert_str(x12_component(&segment, element, 0), "HC:99213: 25");
}

static void amounts_are_exact_or_none(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool is_fine;
        int64_t cents;
    } CASES[] = {
        {"", true, 0}, {"0", true, 0}, {"-1.27", true, -127}, {"24599.00", true, 2459900}, {".5", true, 50},
        {"12.3400", true, 1234}, {"12.345", false, 0}, {"1,234", false, 0}, {"$5", false, 0}, {"1e3", false, 0},
        {"99213", true, 9921300}, {"HC", false, 0}, {"+5", false, 0}, {"-.5", true, -50}, {"5.", true, 500},
        {"5-", false, 0}, {"5+", false, 0}, {"--5", false, 0}, {"10.500", true, 1050}, {"10.50000", true, 1050}, {"10.005", false, 0},
        {"1E2", false, 0}, {"-", false, 0}, {".", false, 0}, {"-.", false, 0}, {"1.2.3", false, 0}, {"-0", true, 0}, {" 7 ", true, 700},
        {"007.10", true, 710}, {"1 000", false, 0}, {"1'000", false, 0}, {"- 5", false, 0}, {"1000000000000", false, 0},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        int64_t cents = -1;
        assert_int_equal(x12_cents(str_of(CASES[i].text), &cents), CASES[i].is_fine);
        assert_int_equal(CASES[i].is_fine ? cents : CASES[i].cents, CASES[i].cents);
    }
}

static void a_sum_beyond_all_payers_is_none_and_overflows_nothing(void **state) {
    (void)state;
    X12Tally tally = {0};
    X12Totals totals;
    Str st[] = {STR("ST"), STR("835"), STR("0001")}, se[] = {STR("SE"), STR("9"), STR("0001")};
    Str clp[] = {STR("CLP"), STR("A"), STR("1"), STR("999999999999.99"), STR("999999999999.99")};
    assert_false(x12_tally_take(&tally, &(X12Segment){.elements = st, .n_elements = 3}, &totals));
    for (int i = 0; i < 200000; i++)
        assert_false(x12_tally_take(&tally, &(X12Segment){.elements = clp, .n_elements = 5}, &totals));
    assert_true(x12_tally_take(&tally, &(X12Segment){.elements = se, .n_elements = 3}, &totals));
    assert_int_equal(totals.claims, 200000);
    assert_true(totals.is_too_large && !x12_is_balanced(&totals));
}

/* Who counts a set's claims and who reads them: both or neither. */
static void a_kind_is_known_to_all_readers_or_to_none(void **state) {
    (void)state;
    static const struct {
        Str kind;
        bool is_known;
    } CASES[] = {{STR("837"), true}, {STR("837\0"), false}, {STR("837\0\0\0"), false}, {STR("837\0\0\0\0\0\0\0\0"), false},
                 {STR("837\0abcdefgh"), false}, {STR("8371234567"), false}, {STR("\0" "837"), false}, {STR(""), false}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        CLEANUP(x12_rows_drop) X12Rows *rows = x12_rows_open();
        X12Tally tally = {0};
        X12Totals totals;
        X12Row row;
        Str st[] = {STR("ST"), CASES[i].kind, STR("0001")}, clm[] = {STR("CLM"), STR("A"), STR("10")};
        Str se[] = {STR("SE"), STR("3"), STR("0001")};
        X12Segment segments[] = {{.elements = st, .n_elements = 3}, {.elements = clm, .n_elements = 3}, {.elements = se, .n_elements = 3}};
        int n_rows = 0;
        for (int k = 0; k < 3; k++) {
            n_rows += x12_rows_take(rows, &segments[k], &row);
            assert_int_equal(x12_tally_take(&tally, &segments[k], &totals), k == 2);
        }
        assert_int_equal(totals.claims, CASES[i].is_known);
        assert_int_equal(n_rows, CASES[i].is_known);
    }
}

static void a_copy_of_an_element_is_no_other_text_than_the_element(void **state) {
    (void)state;
    static const struct {
        Str element;
        const char *copied;
    } CASES[] = {{STR(""), ""}, {STR("0001"), "0001"}, {STR("1234567"), "1234567"}, {STR("12345678"), "1234567"},
                 {STR("0001\0"), "0001?"}, {STR("00\0" "1"), "00?1"}, {STR("\0" "001"), "?001"}, {STR("123456\0" "8"), "123456?"}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char copied[8];
        memset(copied, 'x', sizeof copied);
        x12_copy(copied, sizeof copied, CASES[i].element);
        assert_string_equal(copied, CASES[i].copied);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fault_of_an_envelope_is_found_where_it_is),
        cmocka_unit_test(every_dress_of_a_file_gives_the_same_segments),
        cmocka_unit_test(each_interchange_has_its_own_delimiters),
        cmocka_unit_test(files_with_marks_may_be_put_together),
        cmocka_unit_test(a_segment_without_end_is_let_go_in_bounded_memory),
        cmocka_unit_test(a_fault_is_one_sentence_with_its_place),
        cmocka_unit_test(components_are_counted_from_nought),
        cmocka_unit_test(amounts_are_exact_or_none),
        cmocka_unit_test(a_kind_is_known_to_all_readers_or_to_none),
        cmocka_unit_test(a_copy_of_an_element_is_no_other_text_than_the_element),
        cmocka_unit_test(a_sum_beyond_all_payers_is_none_and_overflows_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
