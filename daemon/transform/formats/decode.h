/* decode.h - a file's bytes as UTF-8.
 *
 * Second of the layers under steps/delivery.h. A file of UTF-8 passes by untouched and uncopied; UTF-16 and
 * Windows-1252 are decoded chunk by chunk. What cannot be decoded (half of a surrogate pair, a byte that Windows-1252
 * leaves open) becomes a byte that is no UTF-8 either: the field that holds it is repaired and flagged
 * `text_repaired` later, as any other (transform/text.h).
 *
 * Which encoding it is: what the configuration declares; else the byte order mark; else UTF-8, in which a byte that is
 * none is taken for Windows-1252 and its field flagged. UTF-16 without a mark is recognised and refused: which byte comes
 * first would be a guess. Pure; one thread at a time. */
#pragma once
#include "base/error.h"
#include "base/str.h"

typedef enum Encoding { ENCODING_UTF_8, ENCODING_UTF_16LE, ENCODING_UTF_16BE, ENCODING_WINDOWS_1252 } Encoding;

/* In the order of the configuration's choices. */
typedef enum EncodingDeclared {
    DECLARED_DETECT, DECLARED_UTF_8, DECLARED_UTF_16, DECLARED_UTF_16LE, DECLARED_UTF_16BE, DECLARED_WINDOWS_1252
} EncodingDeclared;

typedef struct EncodingFound {
    Encoding encoding;
    const char *name; /* for people: "windows-1252" also where nothing declares it and each field is repaired by itself */
    bool has_mark;
    bool is_guessed;  /* bytes that are no UTF-8 stand in the head, and nothing declares what they are */
} EncodingFound;

/* From the file's first bytes, some 64 KiB of them. False when they contradict what is declared, or are none of these:
 * the sentence for the report. */
bool encoding_find(Str head, EncodingDeclared declared, EncodingFound *ret_found, Error *err);

typedef struct Decoder {
    Encoding encoding;
    uint8_t held[4]; /* of a character that the next chunk ends */
    size_t n_held;
} Decoder;
/* Room that decoder_take() needs. */
static inline size_t decoder_room(size_t size_bytes) { return size_bytes * 3 + 8; }
/* Returns the bytes written to `to`. `is_last`: nothing follows, and what is half is told as such. */
size_t decoder_take(Decoder *decoder, Str bytes, bool is_last, char *to);
