/* address.c - see address.h. Read from the right end, where an address is most regular: ZIP, state,
 * then the city up to the comma before it. */
#include "transform/address.h"

#include "transform/text.h"

/* USPS Publication 28, appendix B. */
static const char STATES[] = "AL AK AS AZ AR CA CO CT DE DC FM FL GA GU HI ID IL IN IA KS KY LA ME MH MD "
                             "MA MI MN MS MO MT NE NV NH NJ NM NY NC ND MP OH OK OR PW PA PR RI SC SD TN "
                             "TX UT VT VI VA WA WV WI WY AA AE AP";

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool state_is_known(Str text) {
    if (text.size != 2)
        return false;
    char first = (char)(text.at[0] & ~0x20), second = (char)(text.at[1] & ~0x20);
    for (size_t i = 0; i + 1 < sizeof STATES; i += 3)
        if (STATES[i] == first && STATES[i + 1] == second)
            return true;
    return false;
}

static size_t count_digits(Str text) {
    size_t n = 0;
    while (n < text.size && is_digit(text.at[n]))
        n++;
    return n;
}

Str zip_parse(Arena *arena, Str text) {
    text = text_trim(text);
    size_t digits = count_digits(text);
    if (digits == text.size && digits == 5)
        return text;
    bool has_hyphen = text.size == 10 && digits == 5 && text.at[5] == '-' &&
                      count_digits((Str){text.at + 6, 4}) == 4;
    if (has_hyphen)
        return text;
    if (digits != text.size || digits != 9)
        return STR_NULL;
    char *made = arena_alloc(arena, 10);
    memcpy(made, text.at, 5);
    made[5] = '-';
    memcpy(made + 6, text.at + 5, 4);
    return (Str){made, 10};
}

/* Splits off what follows the last `separator`; the whole text when there is none. */
static Str cut_last(Str *text, char separator) {
    size_t i = text->size;
    while (i > 0 && text->at[i - 1] != separator)
        i--;
    Str last = {text->at + i, text->size - i};
    text->size = i > 0 ? i - 1 : 0;
    return last;
}

/* Without blanks and commas at the end. */
static Str trim_end(Str text) {
    text = text_trim(text);
    while (text.size > 0 && text.at[text.size - 1] == ',')
        text = text_trim((Str){text.at, text.size - 1});
    return text;
}

static Str drop_country(Str text) {
    static const char *const COUNTRIES[] = {"USA", "U.S.A.", "US", "United States"};
    Str rest = text;
    Str last = text_trim(cut_last(&rest, ','));
    for (size_t i = 0; i < sizeof COUNTRIES / sizeof *COUNTRIES; i++)
        if (rest.size > 0 && str_equal_nocase(last, str_of(COUNTRIES[i])))
            return trim_end(rest);
    return text;
}

static bool is_post_office(Str word) {
    return str_equal_nocase(word, STR("APO")) || str_equal_nocase(word, STR("FPO")) ||
           str_equal_nocase(word, STR("DPO"));
}

/* What stands where a city is expected, but has a number in it, is part of a street ("Apt. 907"). */
static bool is_city(Str text) {
    for (size_t i = 0; i < text.size; i++)
        if (is_digit(text.at[i]))
            return false;
    return text.size > 0 && !is_post_office(text);
}

/* Lines of a label are parts of an address as commas are. */
static Str lines_to_commas(Arena *arena, Str text) {
    if (text.size == 0 || !memchr(text.at, '\n', text.size))
        return text;
    char *made = arena_alloc(arena, text.size);
    for (size_t i = 0; i < text.size; i++)
        made[i] = text.at[i] == '\n' ? ',' : text.at[i];
    return (Str){made, text.size};
}

Address address_parse(Arena *arena, Str text) {
    Str whole = text_collapse(arena, text);
    Address address = {.street = whole, .city = STR_NULL, .state = STR_NULL, .zip = STR_NULL};
    Str rest = drop_country(trim_end(text_collapse(arena, lines_to_commas(arena, text))));
    Str zip = zip_parse(arena, cut_last(&rest, ' '));
    rest = trim_end(rest);
    Str before_state = rest;
    Str state = cut_last(&before_state, ' ');
    if (str_is_null(zip) || !state_is_known(state))
        return address;
    address.zip = zip;
    address.state = text_upper(arena, state);
    rest = trim_end(before_state);
    Str street = rest;
    Str city = text_trim(cut_last(&street, ','));
    street = trim_end(street);
    if (street.size == 0 || !is_city(city))
        return address;
    address.street = street;
    address.city = city;
    address.is_complete = true;
    return address;
}
