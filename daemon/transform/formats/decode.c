/* decode.c - see decode.h. */
#include "transform/formats/decode.h"

#include "transform/text.h"

enum { PAIRS_MIN = 8, BAD_BYTE = 0x81 /* neither UTF-8 by itself nor Windows-1252 */ };

static bool starts_with(Str text, Str start) {
    return text.size >= start.size && memcmp(text.at, start.at, start.size) == 0;
}

/* ---- which it is ---- */

static const struct {
    Str mark;
    Encoding encoding;
    const char *name;
} MARKS[] = {
    {STR("\xEF\xBB\xBF"), ENCODING_UTF_8, "utf-8"},
    {STR("\xFF\xFE"), ENCODING_UTF_16LE, "utf-16le"},
    {STR("\xFE\xFF"), ENCODING_UTF_16BE, "utf-16be"},
};

static const struct {
    const char *name;
    Encoding encoding;
} DECLARED[] = {
    [DECLARED_DETECT] = {"detect", ENCODING_UTF_8},
    [DECLARED_UTF_8] = {"utf-8", ENCODING_UTF_8},
    [DECLARED_UTF_16] = {"utf-16", ENCODING_UTF_16LE},
    [DECLARED_UTF_16LE] = {"utf-16le", ENCODING_UTF_16LE},
    [DECLARED_UTF_16BE] = {"utf-16be", ENCODING_UTF_16BE},
    [DECLARED_WINDOWS_1252] = {"windows-1252", ENCODING_WINDOWS_1252},
};

static bool find_mark(Str head, EncodingFound *ret_found) {
    for (size_t i = 0; i < sizeof MARKS / sizeof *MARKS; i++)
        if (starts_with(head, MARKS[i].mark)) {
            *ret_found = (EncodingFound){MARKS[i].encoding, MARKS[i].name, true, false};
            return true;
        }
    return false;
}

static bool mark_fits(EncodingDeclared declared, Encoding by_mark) {
    if (declared == DECLARED_DETECT)
        return true;
    if (declared == DECLARED_UTF_16)
        return by_mark != ENCODING_UTF_8;
    return DECLARED[declared].encoding == by_mark;
}

static bool refuse_contradiction(EncodingDeclared declared, const EncodingFound *found, Error *err) {
    error_set(err, STATE_DATA, "the file begins with the byte order mark of %s, and `encoding: %s` is configured",
              found->name, DECLARED[declared].name);
    return error_hint(err, "say `encoding: detect`, or have the file sent as declared");
}

/* Letters, digits and signs of UTF-16 have a zero byte each, always on the same side. */
static int count_zeros(Str head, size_t from) {
    int n = 0;
    for (size_t i = from; i + 1 < head.size && i < 2 * PAIRS_MIN; i += 2)
        n += head.at[i] == '\0';
    return n;
}

static bool refuse_markless(Str head, EncodingDeclared declared, Error *err) {
    bool may_be = declared == DECLARED_DETECT || declared == DECLARED_UTF_8 || declared == DECLARED_UTF_16;
    int first = count_zeros(head, 0), second = count_zeros(head, 1);
    if (!may_be || head.size < 2 * PAIRS_MIN || first + second < PAIRS_MIN - 1 || (first > 0 && second > 0)) {
        if (declared != DECLARED_UTF_16)
            return true;
        error_set(err, STATE_DATA, "the file has no byte order mark, and `encoding: utf-16` is told by it");
        return error_hint(err, "say `encoding: utf-16le` or `encoding: utf-16be`, or `detect`");
    }
    error_set(err, STATE_DATA, "the file is UTF-16 without a byte order mark, so the order of its bytes is not declared");
    return error_hint(err, "say `encoding: utf-16%s`, or have it sent as UTF-8", first > second ? "be" : "le");
}

static bool refuse_utf_32(Str head, Error *err) {
    if (!starts_with(head, STR("\xFF\xFE\0\0")) && !starts_with(head, STR("\0\0\xFE\xFF")))
        return true;
    error_set(err, STATE_DATA, "the file is UTF-32, which is not read");
    return error_hint(err, "have it sent as UTF-8");
}

/* EBCDIC has letters and digits above 0x80, and neither blank nor line's end where ASCII has them. */
static bool refuse_ebcdic(Str head, Error *err) {
    size_t n_high = 0, n = head.size < 400 ? head.size : 400;
    for (size_t i = 0; i < n; i++) {
        n_high += (uint8_t)head.at[i] > 0x80;
        if (head.at[i] == ' ' || head.at[i] == '\n' || head.at[i] == '\r')
            return true;
    }
    if (n < 20 || n_high * 2 < n || text_is_clean_utf8((Str){head.at, n - n % 4}))
        return true;
    error_set(err, STATE_DATA, "the file is EBCDIC, or no text at all");
    return error_hint(err, "have it sent as UTF-8, or as ASCII, by a transfer in text mode");
}

/* Where bytes that are no UTF-8 stand: among characters of UTF-8, or alone. The head may end within a character. */
static const char *name_of(Str head, bool *ret_guessed) {
    size_t n_good = 0, n_bad = 0;
    for (size_t i = 0; i < head.size; i++) {
        if ((uint8_t)head.at[i] < 0x80)
            continue;
        size_t size = 2;
        while (size <= 4 && i + size <= head.size && !text_is_clean_utf8((Str){head.at + i, size}))
            size++;
        if (i + size > head.size && head.size - i < 4)
            break;
        bool is_good = size <= 4;
        n_good += is_good;
        n_bad += !is_good;
        i += is_good ? size - 1 : 0;
    }
    *ret_guessed = n_bad > 0;
    return n_bad == 0 ? "utf-8" : n_good == 0 ? "windows-1252" : "utf-8 and windows-1252";
}

bool encoding_find(Str head, EncodingDeclared declared, EncodingFound *ret_found, Error *err) {
    TRY(refuse_utf_32(head, err));
    EncodingFound found;
    if (find_mark(head, &found)) {
        if (!mark_fits(declared, found.encoding))
            return refuse_contradiction(declared, &found, err);
        *ret_found = found;
        return true;
    }
    TRY(refuse_markless(head, declared, err));
    found = (EncodingFound){DECLARED[declared].encoding, DECLARED[declared].name, false, false};
    if (found.encoding == ENCODING_UTF_8) {
        TRY(refuse_ebcdic(head, err));
        found.name = name_of(head, &found.is_guessed);
    }
    *ret_found = found;
    return true;
}

/* ---- decoding ---- */

static size_t put_character(uint32_t character, char *to) {
    if (character < 0x80) {
        to[0] = (char)character;
        return 1;
    }
    size_t size = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    static const uint8_t LEADS[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = size - 1; i > 0; i--, character >>= 6)
        to[i] = (char)(0x80 | (character & 0x3F));
    to[0] = (char)(LEADS[size] | character);
    return size;
}

static size_t decode_windows_1252(Str bytes, char *to) {
    size_t used = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        uint32_t character = text_from_windows_1252((uint8_t)bytes.at[i]);
        if (character == 0xFFFD)
            to[used++] = (char)BAD_BYTE;
        else
            used += put_character(character, to + used);
    }
    return used;
}

static bool is_high(uint32_t unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
static bool is_low(uint32_t unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

static uint32_t unit_of(Encoding encoding, const uint8_t *at) {
    return encoding == ENCODING_UTF_16LE ? at[0] | (uint32_t)at[1] << 8 : at[1] | (uint32_t)at[0] << 8;
}

/* One character from `at`; returns the bytes it took, 0 when more are needed. */
static size_t take_utf_16(Encoding encoding, const uint8_t *at, size_t size, char *to, size_t *used) {
    if (size < 2)
        return 0;
    uint32_t unit = unit_of(encoding, at);
    if (is_high(unit)) {
        if (size < 4)
            return 0;
        uint32_t low = unit_of(encoding, at + 2);
        if (is_low(low)) {
            *used += put_character(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00), to + *used);
            return 4;
        }
    }
    if (is_high(unit) || is_low(unit))
        to[(*used)++] = (char)BAD_BYTE;
    else
        *used += put_character(unit, to + *used);
    return 2;
}

/* What was held is at most three bytes: with those of the chunk behind it one character. */
static size_t finish_held(Decoder *d, Str *bytes, char *to) {
    size_t used = 0;
    while (d->n_held > 0 && bytes->size > 0) {
        d->held[d->n_held++] = (uint8_t)*bytes->at++;
        bytes->size--;
        for (size_t taken; (taken = take_utf_16(d->encoding, d->held, d->n_held, to, &used)) > 0; d->n_held -= taken)
            memmove(d->held, d->held + taken, d->n_held - taken);
    }
    return used;
}

static size_t decode_utf_16(Decoder *d, Str bytes, bool is_last, char *to) {
    size_t used = finish_held(d, &bytes, to), at = 0;
    const uint8_t *from = (const uint8_t *)bytes.at;
    for (size_t taken; (taken = take_utf_16(d->encoding, from + at, bytes.size - at, to, &used)) > 0; at += taken)
        ;
    if (d->n_held == 0 && bytes.size > at) {
        d->n_held = bytes.size - at;
        memcpy(d->held, from + at, d->n_held);
    }
    if (is_last && d->n_held > 0) {
        to[used++] = (char)BAD_BYTE;
        d->n_held = 0;
    }
    return used;
}

size_t decoder_take(Decoder *decoder, Str bytes, bool is_last, char *to) {
    if (decoder->encoding == ENCODING_WINDOWS_1252)
        return decode_windows_1252(bytes, to);
    if (decoder->encoding != ENCODING_UTF_8)
        return decode_utf_16(decoder, bytes, is_last, to);
    memcpy(to, bytes.at, bytes.size);
    return bytes.size;
}
