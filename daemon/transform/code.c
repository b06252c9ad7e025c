/* code.c - see code.h. */
#include "transform/code.h"

#include "transform/text.h"

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_letter(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_alphanumeric(char c) { return is_digit(c) || is_letter(c); }

static bool are_digits(Str text) {
    for (size_t i = 0; i < text.size; i++)
        if (!is_digit(text.at[i]))
            return false;
    return true;
}

Str ssn_parse(Arena *arena, Str text) {
    text = text_trim(text);
    if (text.size == 9 && are_digits(text))
        return text;
    bool is_grouped = text.size == 11 && (text.at[3] == '-' || text.at[3] == ' ') &&
                      text.at[6] == text.at[3];
    if (!is_grouped)
        return STR_NULL;
    char *made = arena_alloc(arena, 9);
    memcpy(made, text.at, 3);
    memcpy(made + 3, text.at + 4, 2);
    memcpy(made + 5, text.at + 7, 4);
    return are_digits((Str){made, 9}) ? (Str){made, 9} : STR_NULL;
}

static bool is_icd10(const char *code, size_t size) {
    if (size < 3 || size > 7 || !is_letter(code[0]) || !is_digit(code[1]))
        return false;
    for (size_t i = 2; i < size; i++)
        if (!is_alphanumeric(code[i]))
            return false;
    return true;
}

Str icd10_format(Arena *arena, Str text) {
    Str upper = text_upper(arena, text_trim(text));
    char code[8] = "";
    size_t size = 0;
    for (size_t i = 0; i < upper.size; i++) {
        if (upper.at[i] == '.' && size == 3)
            continue;
        if (size == sizeof code)
            return upper;
        code[size++] = upper.at[i];
    }
    if (!is_icd10(code, size) || (size == 3 && upper.size > 3))
        return upper;
    if (size == 3 || upper.at[3] == '.')
        return upper;
    char *made = arena_alloc(arena, size + 1);
    memcpy(made, code, 3);
    made[3] = '.';
    memcpy(made + 4, code + 3, size - 3);
    return (Str){made, size + 1};
}

bool icd10_is_formed(Str code) {
    bool has_dot = code.size > 4 && code.at[3] == '.';
    char plain[8] = "";
    if (code.size > sizeof plain || (code.size > 3 && !has_dot))
        return false;
    memcpy(plain, code.at, code.size < 3 ? code.size : 3);
    if (has_dot)
        memcpy(plain + 3, code.at + 4, code.size - 4);
    return is_icd10(plain, has_dot ? code.size - 1 : code.size);
}

bool hcpcs_is_formed(Str code) {
    return code.size == 5 && code.at[0] >= 'A' && code.at[0] <= 'V' && are_digits((Str){code.at + 1, 4});
}

Str npi_parse(Str text) {
    text = text_trim(text);
    return text.size == 10 && are_digits(text) ? text : STR_NULL;
}

bool npi_check_digit_is_valid(Str npi) {
    enum { SUM_OF_80840 = 24 }; /* 8+0+8+8+0: doubled at the even places from the right, as below */
    int sum = SUM_OF_80840;
    for (size_t i = 0; i < npi.size; i++) {
        int digit = npi.at[npi.size - 1 - i] - '0';
        int weighted = i % 2 == 1 ? digit * 2 : digit;
        sum += weighted > 9 ? weighted - 9 : weighted;
    }
    return npi.size == 10 && sum % 10 == 0;
}
