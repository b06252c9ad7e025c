/* x12.h - segments of an X12 file (ASC X12.5 and X12.6, as the 005010 guides use them), from chunks of any size.
 *
 *     while ((status = x12_next(x12, &segment, &fault)) != X12_END)
 *         if (status == X12_MORE) feed or finish; else use segment or fault;
 *
 * The delimiters come from each ISA: the element separator is its fourth byte, the component separator and
 * the terminator stand behind its sixteenth element, wherever that is (senders pad wrongly). Takes what senders
 * really write: a byte order mark (also behind an interchange: files put together), LF, CRLF, CR or nothing behind the
 * terminator, a line end as the terminator, blanks before a segment, lines folded at a fixed width, several interchanges
 * with delimiters of their own.
 * What comes out does not depend on how the file was cut into chunks.
 *
 * Envelopes (ISA/IEA, GS/GE, ST/SE) are counted and their control numbers compared; what is wrong comes out
 * as a fault just before the segment it was found at, and reading goes on. Holds one segment and one chunk,
 * never more than max_segment_bytes + the chunk. Pure: no I/O, no clock. One thread at a time. */
#pragma once
#include "base/str.h"

enum { X12_ELEMENTS_MAX = 200, X12_CONTROL_BYTES = 40, X12_SENTENCE_BYTES = 240 };

typedef struct X12Options {
    size_t max_segment_bytes; /* 0: 256 KiB */
} X12Options;

/* Where a segment stands. All counted from 1 over the whole file; 0: in none. */
typedef struct X12Place {
    int64_t segment, line, offset; /* offset: bytes of the file before it */
    int64_t interchange, group, transaction;
} X12Place;

typedef struct X12Segment {
    const Str *elements; /* [0] is the name; valid until the next call on the parser; never NULL texts */
    size_t n_elements;
    X12Place place;
    int64_t end;         /* bytes of the file up to and with its terminator */
    char element, terminator; /* of this interchange, as the next two */
    char component;      /* separates what stands within an element; '\0': this interchange has none */
    char repetition;     /* '\0': none */
    bool is_fault;       /* its envelope has a fault of X12_TRANSACTION or worse: see SE */
} X12Segment;

/* What a fault costs. */
typedef enum X12Cost {
    X12_NOTE,        /* readable all the same */
    X12_TRANSACTION, /* the transaction set is not to be trusted */
    X12_FILE         /* something of the file is missing or unreadable */
} X12Cost;

typedef enum X12FaultKind {
    X12_NO_INTERCHANGE, /* the file does not begin with an ISA */
    X12_BAD_ISA,        /* no delimiters to be had from it */
    X12_ISA_RECODED,    /* its delimiters have become several bytes each */
    X12_ISA_WIDTH,
    X12_SEGMENT_TOO_LONG,
    X12_TOO_MANY_ELEMENTS,
    X12_BAD_NAME,
    X12_STRAY_SEGMENT, /* outside a transaction set */
    X12_ISA_OPEN, X12_GS_OPEN, X12_ST_OPEN,       /* another begins, or the outer one ends, before its end */
    X12_GS_ALONE, X12_ST_ALONE,                   /* begins outside its envelope */
    X12_IEA_ALONE, X12_GE_ALONE, X12_SE_ALONE,    /* ends what did not begin */
    X12_IEA_COUNT, X12_GE_COUNT, X12_SE_COUNT,
    X12_IEA_CONTROL, X12_GE_CONTROL, X12_SE_CONTROL,
    X12_CUT, /* the file ends within an interchange, or within a segment */
    X12_N_FAULTS
} X12FaultKind;

typedef struct X12Fault {
    X12FaultKind kind;
    X12Cost cost;
    X12Place place;
    int64_t said, counted; /* of X12_*_COUNT; said -1: no number stands there */
} X12Fault;

typedef enum X12Status {
    X12_SEGMENT,
    X12_FAULT,
    X12_MORE, /* x12_feed() or x12_finish() is wanted */
    X12_END
} X12Status;

typedef struct X12Parser X12Parser;

X12Parser *x12_open(const X12Options *options);
void x12_free(X12Parser *x12);
static inline void x12_drop(X12Parser **owner) {
    if (*owner)
        x12_free(*owner);
}
/* Copies the chunk. Only at the start and after X12_MORE. */
void x12_feed(X12Parser *x12, Str chunk);
/* The file has no more bytes. */
void x12_finish(X12Parser *x12);
X12Status x12_next(X12Parser *x12, X12Segment *ret_segment, X12Fault *ret_fault);
/* Did the file begin with a byte order mark? From its first segment on. */
bool x12_has_mark(const X12Parser *x12);

/* "segment 25, line 25, byte 1180: the transaction set says 25 segments, 34 were counted": one sentence with the
 * place, without any value of the file but counts. */
const char *x12_fault_text(const X12Fault *fault, char ret_sentence[X12_SENTENCE_BYTES]);

/* Element i, blanks at its ends taken off; "" where the segment has none. */
Str x12_element(const X12Segment *segment, size_t i);
/* The start of an element as a C string. A NUL byte, of which X12 has none, becomes a question mark: what is compared later would
 * end at it, and be equal to another element ("837" and NUL to "837"). */
void x12_copy(char *to, size_t size, Str element);
/* Component i, from 0, of an element; "" where there is none. */
Str x12_component(const X12Segment *segment, Str element, size_t i);
static inline bool x12_is(const X12Segment *segment, const char *name) {
    size_t size = strlen(name);
    return segment->elements[0].size == size && memcmp(segment->elements[0].at, name, size) == 0;
}
/* What a GS said holds no longer: not of a set that stands outside any group either. */
static inline bool x12_leaves_group(const X12Segment *segment) { return x12_is(segment, "ISA") || x12_is(segment, "GE"); }
