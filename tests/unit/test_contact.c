/* Telephone numbers, e-mail addresses, postal addresses and codes. */
#include "in_arena.h"

#include "base/own.h"
#include "transform/address.h"
#include "transform/code.h"
#include "transform/contact.h"

static void phones_of_every_shape_become_e164(void **state) {
    (void)state;
    static const struct {
        const char *text, *number, *extension, *country;
    } CASES[] = {
        {"+1-630-829-7585x0769", "+16308297585", "0769"}, {"456.746.7289x69233", "+14567467289", "69233"},
        {"(703)210-5078x2916", "+17032105078", "2916"}, {"001-703-210-5078", "+17032105078"},
        {"001-703-210-5078x12", "+17032105078", "12"}, {"4902994299", "+14902994299"},
        {"703-210-5078", "+17032105078"}, {"(703)210-5078", "+17032105078"}, {"703.210.5078", "+17032105078"},
        {"(703) 210 5078 ext. 12", "+17032105078", "12"}, {"703/210-5078 Extension 7", "+17032105078", "7"},
        {"17032105078", "+17032105078"}, {"1 703 210 5078 #9", "+17032105078", "9"},
        {"0012345678", "+10012345678"}, /* ten digits are national, whatever they begin with */
        {"+44 20 7946 0018", "+442079460018"}, {"011 44 20 7946 0018", "+442079460018"},
        {"0044 20 7946 0018", "+442079460018"}, {"020 7946 0018", "+442079460018", NULL, "44"},
        {"12345", NULL}, {"555-01", NULL}, {"call the office", NULL}, {"(999) 12", NULL}, {"1-2-3-4", NULL},
        {"", NULL}, {"x12", NULL}, {"703-210-5078x", NULL}, {"703-210-5078x12a", NULL},
        {"703-210-5078x123456789", NULL}, {"703+2105078", NULL}, {"++17032105078", NULL},
        {"0000000000", NULL}, {"+1 999 999 9999", NULL}, {"+0123456789", NULL}, {"+1703210507", NULL},
        {"70321050781", NULL}, {"1234567890123456", NULL}, {"111111111111111111111111111111", NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Phone phone = {STR_NULL, STR_NULL};
        bool is_read = phone_parse(arena, str_of(CASES[i].text), CASES[i].country ? CASES[i].country : "1", &phone);
        if (is_read != (CASES[i].number != NULL))
            fail_msg("%s", CASES[i].text);
        assert_str(phone.number, CASES[i].number);
        assert_str(phone.extension, CASES[i].extension);
    }
}

static void emails_are_valid_or_not(void **state) {
    (void)state;
    static const char *const GOOD[] = {"a@b.co", "jane.doe+x@mail.example.org", "o'brien@example.com",
                                       "x_y%z@1st-site.de", "A@EXAMPLE.ORG"};
    static const char *const BAD[] = {"", "nobody", "a@", "@example.org", "a@@example.org", "a@b", "a b@c.de",
                                      ".a@b.co", "a.@b.co", "a..b@c.de", "a@-b.co", "a@b-.co", "a@b..co",
                                      "a@b.c", "a@1.2.3.4", "jane.doe(at)example.org", "a@b.co.", "a,b@c.de",
                                      "\"a b\"@c.de", "ü@example.org", "a@[1.2.3.4]"};
    for (size_t i = 0; i < sizeof GOOD / sizeof *GOOD; i++)
        if (!email_is_valid(str_of(GOOD[i])))
            fail_msg("%s", GOOD[i]);
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        if (email_is_valid(str_of(BAD[i])))
            fail_msg("%s", BAD[i]);
    char long_local[80];
    memset(long_local, 'a', sizeof long_local);
    memcpy(long_local + 64, "@b.co", 5);
    assert_true(email_is_valid((Str){long_local, 69}));
    memcpy(long_local + 64, "a@b.co", 6);
    assert_false(email_is_valid((Str){long_local, 70}));
}

static void addresses_are_taken_apart_from_the_right(void **state) {
    (void)state;
    static const struct {
        const char *text, *street, *city, *state, *zip;
    } CASES[] = {
        {"9864 Gibson Islands, Danielside, KY 99809", "9864 Gibson Islands", "Danielside", "KY", "99809"},
        {"7912 Arthur Loaf Apt. 907, Julieville, AK 38866", "7912 Arthur Loaf Apt. 907", "Julieville", "AK", "38866"},
        {"1 Main St, Suite 4, New  York, ny 10001-1234", "1 Main St, Suite 4", "New York", "NY", "10001-1234"},
        {"1 Main St, Reno NV 89501", "1 Main St", "Reno", "NV", "89501"},
        {"1 Main St\nSt. Paul, MN 551011234\nUSA", "1 Main St", "St. Paul", "MN", "55101-1234"},
        {"1 Main St, Reno, NV, 89501", "1 Main St", "Reno", "NV", "89501"},
        {"Unit 0915 Box 7064, DPO AA 82777", "Unit 0915 Box 7064, DPO AA 82777", NULL, "AA", "82777"},
        {"PSC 1234, Box 5678, APO AE 09012", "PSC 1234, Box 5678, APO AE 09012", NULL, "AE", "09012"},
        {"USS Smith, FPO AP 96601", "USS Smith, FPO AP 96601", NULL, "AP", "96601"},
        {"1 Main St Reno NV 89501", "1 Main St Reno NV 89501", NULL, "NV", "89501"}, /* where does it end? */
        {"1 Main St, Apt. 907, NV 89501", "1 Main St, Apt. 907, NV 89501", NULL, "NV", "89501"},
        {"Reno, NV 89501", "Reno, NV 89501", NULL, "NV", "89501"},
        {"1 Main St, Reno, XX 89501", "1 Main St, Reno, XX 89501", NULL, NULL, NULL},
        {"1 Main St, Reno, NV 8950", "1 Main St, Reno, NV 8950", NULL, NULL, NULL},
        {"somewhere by the lake", "somewhere by the lake", NULL, NULL, NULL},
        {"", "", NULL, NULL, NULL}, {",", ",", NULL, NULL, NULL}, {"89501", "89501", NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        Address address = address_parse(arena, str_of(CASES[i].text));
        assert_str(address.street, CASES[i].street);
        assert_str(address.city, CASES[i].city);
        assert_str(address.state, CASES[i].state);
        assert_str(address.zip, CASES[i].zip);
        assert_int_equal(address.is_complete, CASES[i].city != NULL);
    }
}

static void states_and_zips_are_usps_s(void **state) {
    (void)state;
    static const char *const STATES[] = {"AL", "wy", "Dc", "GU", "AA", "AE", "AP", "PW"};
    static const char *const OTHERS[] = {"ZZ", "A", "", "ALA", "L ", " A", "LA K"};
    for (size_t i = 0; i < sizeof STATES / sizeof *STATES; i++)
        assert_true(state_is_known(str_of(STATES[i])));
    for (size_t i = 0; i < sizeof OTHERS / sizeof *OTHERS; i++)
        assert_false(state_is_known(str_of(OTHERS[i])));
    assert_str(zip_parse(arena, STR(" 01234 ")), "01234");
    assert_str(zip_parse(arena, STR("012345678")), "01234-5678");
    assert_str(zip_parse(arena, STR("01234-5678")), "01234-5678");
    assert_str(zip_parse(arena, STR("01234-567")), NULL);
    assert_str(zip_parse(arena, STR("0123")), NULL);
    assert_str(zip_parse(arena, STR("01234 5678")), NULL);
}

static void social_security_numbers_have_nine_digits(void **state) {
    (void)state;
    assert_str(ssn_parse(arena, STR("188-23-9828")), "188239828");
    assert_str(ssn_parse(arena, STR(" 188 23 9828 ")), "188239828");
    assert_str(ssn_parse(arena, STR("188239828")), "188239828");
    static const char *const BAD[] = {"", "18823982", "188-239-828", "188-23-982a", "188-23 9828", "***-**-9828",
                                      "1-88-23-9828", "N/A"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++)
        assert_str(ssn_parse(arena, str_of(BAD[i])), NULL);
}

static void diagnoses_get_their_dot(void **state) {
    (void)state;
    static const char *const CASES[][2] = {
        {"i194", "I19.4"}, {"I19.4", "I19.4"}, {" i19.4 ", "I19.4"}, {"A00", "A00"}, {"S72001A", "S72.001A"},
        {"S72.001A", "S72.001A"}, {"C7A8", "C7A.8"}, {"I19.", "I19."}, {"250.00", "250.00"}, {"I1.94", "I1.94"},
        {"S72001AB", "S72001AB"}, {"none", "NONE"}, {"", ""}, {"I19..4", "I19..4"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        assert_str(icd10_format(arena, str_of(CASES[i][0])), CASES[i][1]);
}

/* 1234567893 is the worked example in CMS's description of the check digit. */
static void npis_have_a_luhn_digit_over_80840(void **state) {
    (void)state;
    for (char last = '0'; last <= '9'; last++) {
        char npi[] = "1234567890";
        npi[9] = last;
        assert_int_equal(npi_check_digit_is_valid(npi_parse(str_of(npi))), last == '3');
    }
    /* Against the definition: Luhn over the fifteen digits with the prefix written out. */
    for (int64_t number = 1000000000; number < 1000200000; number++) {
        char digits[20];
        sprintf(digits, "80840%lld", (long long)number);
        int sum = 0;
        for (int i = 0; i < 15; i++) {
            int digit = digits[14 - i] - '0';
            sum += i % 2 == 0 ? digit : digit * 2 / 10 + digit * 2 % 10;
        }
        assert_int_equal(npi_check_digit_is_valid((Str){digits + 5, 10}), sum % 10 == 0);
    }
    assert_str(npi_parse(STR("123456789")), NULL);
    assert_str(npi_parse(STR("12345678901")), NULL);
    assert_str(npi_parse(STR("123456789x")), NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(phones_of_every_shape_become_e164),
        cmocka_unit_test(emails_are_valid_or_not),
        cmocka_unit_test(addresses_are_taken_apart_from_the_right),
        cmocka_unit_test(states_and_zips_are_usps_s),
        cmocka_unit_test(social_security_numbers_have_nine_digits),
        cmocka_unit_test(diagnoses_get_their_dot),
        cmocka_unit_test(npis_have_a_luhn_digit_over_80840),
    };
    return cmocka_run_group_tests(tests, open_arena, close_arena);
}
