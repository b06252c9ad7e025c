/* x12.c - see x12.h.
 *
 * How it works: `data[start, end)` holds bytes not yet given out. x12_next() looks for one whole segment from
 * `start`; when it is not there nothing of the search is kept but where it stopped, and more is asked for. So
 * the result does not depend on the chunks. A segment that begins with ISA sets the delimiters anew,
 * wherever it stands. Envelopes are three levels of the same kind: open, count what is inside, compare at the end; faults
 * that a segment causes wait in a short queue and come out before the segment. */
#include "transform/formats/x12.h"

#include "base/own.h"

enum {
    SEGMENT_BYTES_DEFAULT = 256 * 1024,
    ISA_ELEMENTS = 16,
    ISA_BYTES = 106,
    ISA_BYTES_MAX = 400, /* wrongly padded ones are some bytes off */
    ISA_BEHIND = 12,     /* looked at behind ISA15: ISA16, blanks, line ends and the name of the next segment */
    FAULTS_MAX = 8,
    NAME_BYTES_MAX = 3
};

typedef enum Level { LEVEL_INTERCHANGE, LEVEL_GROUP, LEVEL_TRANSACTION, N_LEVELS } Level;

/* What begins and ends a level, which elements count and control, and what to say when it is not so. */
static const struct {
    const char *begins, *ends;
    int control_in_begin;
    X12FaultKind open, alone, end_alone, count, control;
} LEVELS[N_LEVELS] = {
    {"ISA", "IEA", 13, X12_ISA_OPEN, X12_NO_INTERCHANGE, X12_IEA_ALONE, X12_IEA_COUNT, X12_IEA_CONTROL},
    {"GS", "GE", 6, X12_GS_OPEN, X12_GS_ALONE, X12_GE_ALONE, X12_GE_COUNT, X12_GE_CONTROL},
    {"ST", "SE", 2, X12_ST_OPEN, X12_ST_ALONE, X12_SE_ALONE, X12_SE_COUNT, X12_SE_CONTROL},
};
enum { END_COUNT = 1, END_CONTROL = 2 }; /* elements of IEA, GE and SE alike */

static const struct {
    X12Cost cost;
    const char *text;
} FAULTS[X12_N_FAULTS] = {
    [X12_NO_INTERCHANGE] = {X12_FILE, "an interchange begins with ISA, and none does here; send X12 as ASCII or UTF-8, and "
                                         "rows, such as CSV, to a directory of their own"},
    [X12_BAD_ISA] = {X12_FILE, "the ISA has not its sixteen elements, so the delimiters are not known; have the file "
                                   "made anew"},
    [X12_ISA_RECODED] = {X12_FILE, "a separator of the ISA is several bytes, for the file was saved as UTF-8 on its way; send it as "
                                   "it came, byte for byte"},
    [X12_ISA_WIDTH] = {X12_NOTE, "the ISA is not 106 bytes wide; its elements were counted instead"},
    [X12_SEGMENT_TOO_LONG] = {X12_TRANSACTION, "the segment is longer than is read; is its terminator there?"},
    [X12_TOO_MANY_ELEMENTS] = {X12_TRANSACTION, "the segment has more elements than any of the standard"},
    [X12_BAD_NAME] = {X12_TRANSACTION, "the segment's name is none: two or three letters and digits"},
    [X12_STRAY_SEGMENT] = {X12_FILE, "the segment stands outside any transaction set"},
    [X12_ISA_OPEN] = {X12_FILE, "the interchange before it has no IEA"},
    [X12_GS_OPEN] = {X12_FILE, "the functional group before it has no GE"},
    [X12_ST_OPEN] = {X12_TRANSACTION, "the transaction set before it has no SE"},
    [X12_GS_ALONE] = {X12_FILE, "the functional group begins outside any interchange"},
    [X12_ST_ALONE] = {X12_FILE, "the transaction set begins outside any functional group"},
    [X12_IEA_ALONE] = {X12_FILE, "an IEA ends an interchange that did not begin"},
    [X12_GE_ALONE] = {X12_FILE, "a GE ends a functional group that did not begin"},
    [X12_SE_ALONE] = {X12_FILE, "an SE ends a transaction set that did not begin"},
    [X12_IEA_COUNT] = {X12_FILE, "the interchange's functional groups"},
    [X12_GE_COUNT] = {X12_FILE, "the functional group's transaction sets"},
    [X12_SE_COUNT] = {X12_TRANSACTION, "the transaction set's segments"},
    [X12_IEA_CONTROL] = {X12_FILE, "the control numbers of ISA and IEA differ"},
    [X12_GE_CONTROL] = {X12_FILE, "the control numbers of GS and GE differ"},
    [X12_SE_CONTROL] = {X12_TRANSACTION, "the control numbers of ST and SE differ"},
    [X12_CUT] = {X12_FILE, "the file ends before the interchange does: it was cut; send it again, whole"},
};

typedef struct Envelope {
    bool is_open;
    int64_t inside; /* groups, transaction sets or segments so far */
    char control[X12_CONTROL_BYTES];
} Envelope;

struct X12Parser {
    size_t max_segment_bytes;
    char *data;
    size_t start, end, capacity;
    size_t searched; /* bytes from start that hold no terminator */
    int64_t offset, line; /* of data[start] */
    char element, component, repetition, terminator;
    bool knows_delimiters, is_finished, is_over;
    bool has_mark;    /* at the start of the file */
    bool was_return;  /* the last byte given out was CR: an LF behind it is no line of its own */
    bool is_odd_isa;  /* of another width */
    bool is_skipping; /* within a segment too long */
    bool is_spoilt;   /* the transaction set has a fault */
    Envelope envelopes[N_LEVELS];
    X12Place place;
    X12Fault faults[FAULTS_MAX];
    size_t n_faults, next_fault;
    X12Segment segment;
    bool has_segment; /* waits behind its faults */
    Str elements[X12_ELEMENTS_MAX];
};

static void *grow(void *memory, size_t size_bytes) {
    void *grown = realloc(memory, size_bytes);
    if (!grown)
        abort(); /* as arena.h */
    return grown;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\x1a' || c == '\0'; }
static bool is_capital_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
static bool is_alphanumeric(char c) { return is_capital_or_digit(c) || (c >= 'a' && c <= 'z'); }

static X12Fault *add_fault(X12Parser *x12, X12FaultKind kind) {
    static X12Fault ignored; /* of one segment that causes more than anyone reads */
    X12Fault *fault = x12->n_faults < FAULTS_MAX ? &x12->faults[x12->n_faults++] : &ignored;
    *fault = (X12Fault){.kind = kind, .cost = FAULTS[kind].cost, .place = x12->place};
    x12->is_spoilt |= fault->cost == X12_TRANSACTION;
    return fault;
}

static void consume(X12Parser *x12, size_t bytes) {
    const char *at = x12->data + x12->start;
    for (size_t i = 0; i < bytes; i++) {
        x12->line += at[i] == '\r' || (at[i] == '\n' && !x12->was_return);
        x12->was_return = at[i] == '\r';
    }
    x12->start += bytes;
    x12->offset += (int64_t)bytes;
    x12->searched = 0;
}

/* A byte order mark at the start of the file, or of another that was put behind it. False when it cannot be told yet
 * whether one stands here. */
static bool pass_mark(X12Parser *x12) {
    static const char MARK[] = "\xEF\xBB\xBF";
    size_t size = x12->end - x12->start, n = size < 3 ? size : 3;
    if (n == 0 || x12->envelopes[LEVEL_INTERCHANGE].is_open || memcmp(x12->data + x12->start, MARK, n) != 0)
        return true;
    if (n == 3) {
        x12->has_mark |= x12->offset == 0;
        consume(x12, 3);
    }
    return n == 3 || x12->is_finished;
}

/* Blanks between segments; also a terminator that follows another: nothing stands between them. */
static void pass_blanks(X12Parser *x12) {
    size_t size = 0, most = x12->end - x12->start;
    if (most == 0)
        return;
    const char *at = x12->data + x12->start;
    while (size < most && (is_blank(at[size]) || (x12->knows_delimiters && at[size] == x12->terminator)))
        size++;
    consume(x12, size);
}

/* All that stands between two segments, however it was cut into chunks. False: more bytes are needed to tell. */
static bool pass_between(X12Parser *x12) {
    int64_t before;
    do {
        pass_blanks(x12);
        before = x12->offset;
        if (!pass_mark(x12))
            return false;
    } while (x12->offset > before);
    return true;
}

/* ---- the interchange header ---- */

typedef enum IsaAnswer { ISA_FINE, ISA_MORE, ISA_BAD, ISA_RECODED } IsaAnswer;

/* Where the sixteenth element begins, counting separators; 0: not in sight. */
static size_t find_isa16(const char *at, size_t size) {
    size_t n = 0;
    for (size_t i = 3; i < size; i++) {
        n += at[i] == at[3];
        if (n == ISA_ELEMENTS)
            return i + 1;
    }
    return 0;
}

static bool is_line_end(char c) { return c == '\r' || c == '\n'; }

/* "~" and a line end behind the sixteenth separator: an ISA16 left out, or "~" as ISA16 and lines as segments. By which of the
 * two does the next segment end? '\0': that is not in sight. */
static char end_of_next(const char *at, const char *end) {
    while (at < end && is_line_end(*at))
        at++;
    while (at < end && *at != '~' && !is_line_end(*at))
        at++;
    return at < end ? *at : '\0';
}

static bool is_isa16_unsure(const char *behind) { return behind[0] == '~' && is_line_end(behind[1]); }

/* A character beyond ASCII in UTF-8. As two separators that stand side by side such bytes occur nowhere. */
static bool is_recoded(const char *at, const char *end) {
    return end - at > 1 && (uint8_t)at[0] >= 0xC2 && (uint8_t)at[0] < 0xF5 && ((uint8_t)at[1] & 0xC0) == 0x80;
}

static bool is_group(const char *at, const char *end, char element) {
    while (at < end && is_line_end(*at))
        at++;
    return end - at > 2 && at[0] == 'G' && at[1] == 'S' && at[2] == element;
}

/* Of lines folded at a fixed width one may end right before ISA16, or right behind it: how many bytes of line ends that are none
 * of the delimiters stand here. */
static size_t fold_before_isa16(const char behind[ISA_BEHIND], char element) {
    size_t size = 0;
    while (size < ISA_BEHIND && is_line_end(behind[size]))
        size++;
    bool is_sign = size < ISA_BEHIND && !is_alphanumeric(behind[size]);
    return is_sign && !is_group(behind, behind + ISA_BEHIND, element) ? size : 0;
}

static size_t fold_before_terminator(const char behind[ISA_BEHIND], size_t i, char element) {
    size_t size = 0;
    while (i + size + 1 < ISA_BEHIND && is_line_end(behind[i + size]))
        size++;
    const char *at = behind + i + size;
    bool is_sign = !is_alphanumeric(*at) && !is_blank(*at);
    return is_sign && is_group(at + 1, behind + ISA_BEHIND, element) ? size : 0;
}

/* Component separator and terminator, from what stands behind the sixteenth separator. An ISA16 left out shows as
 * a terminator there: "~" before a line end, or a character right before GS. `next_end`: end_of_next(). Where the terminator
 * stands. */
static size_t read_delimiters(X12Parser *x12, const char *behind, char next_end) {
    bool is_left_out = (is_isa16_unsure(behind) && !is_line_end(next_end)) ||
                       (behind[1] == 'G' && behind[2] == 'S' && behind[3] == x12->element);
    size_t i = is_left_out ? 0 : 1;
    while (i + 1 < ISA_BEHIND && behind[i] == ' ')
        i++;
    i += is_left_out ? 0 : fold_before_terminator(behind, i, x12->element);
    /* Of CRLF the LF: other lines of the file may have it alone, and a CR before it is nobody's data. */
    i += behind[i] == '\r' && i + 1 < ISA_BEHIND && behind[i + 1] == '\n';
    x12->component = is_left_out ? '\0' : behind[0];
    x12->terminator = behind[i];
    return i;
}

static Str isa_element(const char *at, size_t size, int wanted) {
    const char *from = at;
    for (int i = 0; i < wanted; i++)
        from = (const char *)memchr(from, at[3], size - (size_t)(from - at)) + 1;
    const char *to = memchr(from, at[3], size - (size_t)(from - at));
    return (Str){from, (size_t)((to ? to : at + size) - from)};
}

static char repetition_of(Str isa11) {
    bool has_one = isa11.size == 1 && !is_alphanumeric(isa11.at[0]) && isa11.at[0] != ' ';
    return has_one ? isa11.at[0] : '\0';
}

static void copy_behind(char behind[ISA_BEHIND], const char *at, const char *end) {
    size_t size = end > at ? (size_t)(end - at) : 0;
    memset(behind, 0, ISA_BEHIND);
    memcpy(behind, at, size < ISA_BEHIND ? size : ISA_BEHIND);
}

/* Sets the delimiters from the ISA at `start`. */
static IsaAnswer begin_isa(X12Parser *x12) {
    const char *at = x12->data + x12->start;
    size_t size = x12->end - x12->start;
    if (size > ISA_BYTES_MAX)
        size = ISA_BYTES_MAX;
    size_t isa16 = size > 3 ? find_isa16(at, size) : 0;
    bool is_enough = isa16 > 0 && isa16 + 2 * ISA_BEHIND < size;
    char next_end = is_enough ? end_of_next(at + isa16 + 1, at + size) : '\0';
    is_enough = is_enough && (next_end != '\0' || !is_isa16_unsure(at + isa16));
    if (!is_enough && !x12->is_finished && size < ISA_BYTES_MAX)
        return ISA_MORE;
    if (size > 3 && is_recoded(at + 3, at + size))
        return ISA_RECODED;
    if (isa16 == 0 || isa16 + 2 > size || is_alphanumeric(at[3]) || (is_blank(at[3]) && at[3] != '\t'))
        return ISA_BAD;
    x12->element = at[3];
    char behind[ISA_BEHIND];
    copy_behind(behind, at + isa16, at + size);
    isa16 += fold_before_isa16(behind, x12->element);
    copy_behind(behind, at + isa16, at + size);
    size_t terminator = read_delimiters(x12, behind, next_end);
    if (is_recoded(at + isa16, at + size) || is_recoded(at + isa16 + terminator, at + size))
        return ISA_RECODED;
    if (is_alphanumeric(x12->terminator) || x12->terminator == x12->element || x12->terminator == '\0')
        return ISA_BAD;
    x12->repetition = repetition_of(isa_element(at, isa16, 11));
    x12->knows_delimiters = true;
    x12->is_odd_isa = isa16 != ISA_BYTES - 2;
    return ISA_FINE;
}

/* ---- envelopes ---- */

static void open_level(X12Parser *x12, Level level, const X12Segment *segment) {
    Envelope *envelope = &x12->envelopes[level];
    *envelope = (Envelope){.is_open = true};
    x12_copy(envelope->control, X12_CONTROL_BYTES, x12_element(segment, (size_t)LEVELS[level].control_in_begin));
}

/* Levels from the innermost up to `level` that are open here should not be. */
static void shut_open(X12Parser *x12, Level level) {
    for (int i = N_LEVELS - 1; i >= (int)level; i--)
        if (x12->envelopes[i].is_open) {
            add_fault(x12, LEVELS[i].open);
            x12->envelopes[i].is_open = false;
        }
}

/* The names GS06 and GE02 bear are numbers to some senders: 1 and 0001 are the same. */
static bool is_same_control(Str a, const char *b) {
    int64_t x, y;
    return str_equal(a, str_of(b)) || (str_to_int64(a, &x) && str_to_int64(str_of(b), &y) && x == y);
}

static void begin_level(X12Parser *x12, Level level, const X12Segment *segment) {
    shut_open(x12, level);
    if (level == LEVEL_INTERCHANGE && x12->is_odd_isa)
        add_fault(x12, X12_ISA_WIDTH);
    if (level > LEVEL_INTERCHANGE && !x12->envelopes[level - 1].is_open)
        add_fault(x12, LEVELS[level].alone);
    else if (level > LEVEL_INTERCHANGE)
        x12->envelopes[level - 1].inside++;
    open_level(x12, level, segment);
    if (level == LEVEL_TRANSACTION) {
        x12->is_spoilt = false;
        x12->envelopes[level].inside = 1; /* SE01 counts ST and SE too */
    }
}

static void end_level(X12Parser *x12, Level level, const X12Segment *segment) {
    Envelope *envelope = &x12->envelopes[level];
    if (level < LEVEL_TRANSACTION)
        shut_open(x12, level + 1);
    if (!envelope->is_open) {
        add_fault(x12, LEVELS[level].end_alone);
        return;
    }
    int64_t said = -1;
    envelope->inside += level == LEVEL_TRANSACTION;
    if (!str_to_int64(x12_element(segment, END_COUNT), &said) || said < 0)
        said = -1;
    if (said != envelope->inside) {
        X12Fault *fault = add_fault(x12, LEVELS[level].count);
        fault->said = said;
        fault->counted = envelope->inside;
    }
    if (!is_same_control(x12_element(segment, END_CONTROL), envelope->control))
        add_fault(x12, LEVELS[level].control);
    envelope->is_open = false;
}

static void number_levels(X12Parser *x12, const X12Segment *segment) {
    if (x12_is(segment, "ISA"))
        x12->place.interchange++;
    else if (x12_is(segment, "GS"))
        x12->place.group++;
    else if (x12_is(segment, "ST"))
        x12->place.transaction++;
}

static void follow_envelopes(X12Parser *x12, X12Segment *segment) {
    number_levels(x12, segment);
    for (Level level = LEVEL_INTERCHANGE; level < N_LEVELS; level++) {
        if (x12_is(segment, LEVELS[level].begins)) {
            begin_level(x12, level, segment);
            return;
        }
        if (x12_is(segment, LEVELS[level].ends)) {
            end_level(x12, level, segment);
            return;
        }
    }
    if (x12->envelopes[LEVEL_TRANSACTION].is_open)
        x12->envelopes[LEVEL_TRANSACTION].inside++;
    else if (!x12_is(segment, "TA1")) /* acknowledges an interchange, beside the groups */
        add_fault(x12, X12_STRAY_SEGMENT);
}

/* ---- segments ---- */

static bool is_name(Str name) {
    if (name.size < 2 || name.size > NAME_BYTES_MAX || name.at[0] < 'A' || name.at[0] > 'Z')
        return false;
    for (size_t i = 1; i < name.size; i++)
        if (!is_capital_or_digit(name.at[i]))
            return false;
    return true;
}

/* Folded lines: line ends within a segment are nobody's data. */
static size_t without_line_ends(char *text, size_t size) {
    size_t kept = 0;
    for (size_t i = 0; i < size; i++)
        if (text[i] != '\r' && text[i] != '\n')
            text[kept++] = text[i];
    return kept;
}

static void split(X12Parser *x12, Str text) {
    const char *at = text.at, *end = text.at + text.size;
    size_t n = 0;
    for (;;) {
        const char *stop = at;
        while (stop < end && *stop != x12->element)
            stop++;
        if (n == X12_ELEMENTS_MAX) {
            add_fault(x12, X12_TOO_MANY_ELEMENTS);
            break;
        }
        x12->elements[n++] = (Str){at, (size_t)(stop - at)};
        if (stop == end)
            break;
        at = stop + 1;
    }
    x12->elements[0] = str_trim(x12->elements[0]);
    x12->segment.n_elements = n;
}

/* The segment at `start` is the next one. */
static void place_here(X12Parser *x12) {
    x12->place.segment++;
    x12->place.line = x12->line;
    x12->place.offset = x12->offset;
}

/* Its bytes are whole. */
static void take_segment(X12Parser *x12, size_t size, size_t end) {
    char *text = x12->data + x12->start;
    X12Segment *segment = &x12->segment;
    place_here(x12);
    consume(x12, end);
    if (memchr(text, '\n', size) || memchr(text, '\r', size))
        size = without_line_ends(text, size);
    *segment = (X12Segment){.elements = x12->elements, .end = x12->offset, .element = x12->element,
                            .terminator = x12->terminator, .component = x12->component, .repetition = x12->repetition};
    split(x12, (Str){text, size});
    if (!is_name(x12->elements[0]))
        add_fault(x12, X12_BAD_NAME);
    bool was_within = x12->envelopes[LEVEL_TRANSACTION].is_open;
    follow_envelopes(x12, segment);
    segment->place = x12->place;
    if (!was_within && !x12->envelopes[LEVEL_TRANSACTION].is_open)
        segment->place.transaction = 0; /* what stands behind a set is not of it: nobody has added it up */
    segment->is_fault = x12->is_spoilt;
    x12->has_segment = true;
}

/* What is left of the file has no terminator. */
static void take_rest(X12Parser *x12, size_t size) {
    while (size > 0 && is_blank(x12->data[x12->start + size - 1]))
        size--;
    bool is_trailer = x12->envelopes[LEVEL_INTERCHANGE].is_open && size >= 3 &&
                      memcmp(x12->data + x12->start, "IEA", 3) == 0;
    if (is_trailer) { /* many senders leave out the last terminator */
        take_segment(x12, size, size);
        return;
    }
    place_here(x12);
    if (!x12->envelopes[LEVEL_INTERCHANGE].is_open)
        add_fault(x12, X12_STRAY_SEGMENT);
    consume(x12, size);
}

/* Nothing more can be read: there are no delimiters. */
static void give_up(X12Parser *x12, X12FaultKind kind) {
    place_here(x12);
    add_fault(x12, kind);
    x12->is_over = true;
}

/* At the end of the file: nothing may be open. */
static void end_file(X12Parser *x12) {
    x12->is_over = true;
    if (x12->place.segment == 0)
        give_up(x12, X12_NO_INTERCHANGE);
    else if (x12->envelopes[LEVEL_INTERCHANGE].is_open)
        add_fault(x12, X12_CUT);
}

/* A segment without an end within reach: reported once, its bytes let go. */
static void skip_too_long(X12Parser *x12, size_t bytes) {
    if (!x12->is_skipping) {
        place_here(x12);
        add_fault(x12, X12_SEGMENT_TOO_LONG);
        x12->envelopes[LEVEL_TRANSACTION].inside += x12->envelopes[LEVEL_TRANSACTION].is_open;
    }
    x12->is_skipping = true;
    consume(x12, bytes);
}

/* Looks for one segment; false: more bytes are needed. */
static bool find_segment(X12Parser *x12) {
    size_t size = x12->end - x12->start;
    const char *at = x12->data + x12->start;
    const char *stop = memchr(at + x12->searched, x12->terminator, size - x12->searched);
    size_t length = stop ? (size_t)(stop - at) : size;
    if (x12->is_skipping || length > x12->max_segment_bytes) {
        skip_too_long(x12, stop ? length + 1 : size);
        x12->is_skipping = !stop;
        return stop || x12->is_finished || x12->n_faults > 0;
    }
    x12->searched = size;
    if (!stop && !x12->is_finished)
        return false;
    if (stop)
        take_segment(x12, length, length + 1);
    else
        take_rest(x12, size);
    return true;
}

/* Where a line was folded right behind the name, the separator is that of the interchange before. */
static bool says_delimiters(const X12Parser *x12, const char *at, size_t size) {
    bool is_isa = size >= 4 && memcmp(at, "ISA", 3) == 0 && !is_alphanumeric(at[3]);
    return is_isa && !(x12->knows_delimiters && is_line_end(at[3]));
}

/* One step ahead: a segment, faults, or the end. False: more bytes are needed. */
static bool advance(X12Parser *x12) {
    if (!x12->is_skipping && x12->searched == 0 && !pass_between(x12))
        return false;
    size_t size = x12->end - x12->start;
    if (size == 0) {
        if (x12->is_finished)
            end_file(x12);
        return x12->is_finished;
    }
    const char *at = x12->data + x12->start;
    if (!x12->is_skipping && x12->searched == 0 && at[0] == 'I') {
        if (size < 4 && !x12->is_finished)
            return false;
        IsaAnswer answer = says_delimiters(x12, at, size) ? begin_isa(x12) : ISA_FINE;
        if (answer == ISA_BAD || answer == ISA_RECODED)
            give_up(x12, answer == ISA_BAD ? X12_BAD_ISA : X12_ISA_RECODED);
        if (answer != ISA_FINE)
            return answer != ISA_MORE;
    }
    if (!x12->knows_delimiters) {
        give_up(x12, X12_NO_INTERCHANGE);
        return true;
    }
    return find_segment(x12);
}

X12Status x12_next(X12Parser *x12, X12Segment *ret_segment, X12Fault *ret_fault) {
    for (;;) {
        if (x12->next_fault < x12->n_faults) {
            *ret_fault = x12->faults[x12->next_fault++];
            return X12_FAULT;
        }
        x12->n_faults = x12->next_fault = 0;
        if (x12->has_segment) {
            x12->has_segment = false;
            *ret_segment = x12->segment;
            return X12_SEGMENT;
        }
        if (x12->is_over)
            return X12_END;
        if (!advance(x12))
            return X12_MORE;
    }
}

X12Parser *x12_open(const X12Options *options) {
    X12Parser *x12 = grow(NULL, sizeof *x12);
    *x12 = (X12Parser){.line = 1};
    x12->max_segment_bytes =
        options->max_segment_bytes ? options->max_segment_bytes : SEGMENT_BYTES_DEFAULT;
    return x12;
}

void x12_free(X12Parser *x12) {
    free(x12->data);
    free(x12);
}

void x12_feed(X12Parser *x12, Str chunk) {
    size_t size = x12->end - x12->start;
    if (size > 0)
        memmove(x12->data, x12->data + x12->start, size);
    x12->start = 0;
    x12->end = size;
    if (size + chunk.size > x12->capacity) {
        x12->capacity = size + chunk.size;
        x12->data = grow(x12->data, x12->capacity);
    }
    if (chunk.size > 0)
        memcpy(x12->data + size, chunk.at, chunk.size);
    x12->end += chunk.size;
}

void x12_finish(X12Parser *x12) { x12->is_finished = true; }

bool x12_has_mark(const X12Parser *x12) { return x12->has_mark; }

const char *x12_fault_text(const X12Fault *fault, char ret_sentence[X12_SENTENCE_BYTES]) {
    int used = snprintf(ret_sentence, X12_SENTENCE_BYTES, "segment %lld, line %lld, byte %lld: %s",
                        (long long)fault->place.segment, (long long)fault->place.line,
                        (long long)fault->place.offset, FAULTS[fault->kind].text);
    bool is_count = fault->kind == X12_IEA_COUNT || fault->kind == X12_GE_COUNT || fault->kind == X12_SE_COUNT;
    if (is_count && fault->said < 0)
        snprintf(ret_sentence + used, X12_SENTENCE_BYTES - (size_t)used,
                 " are %lld, and its end says no number", (long long)fault->counted);
    else if (is_count)
        snprintf(ret_sentence + used, X12_SENTENCE_BYTES - (size_t)used, " are %lld, and its end says %lld",
                 (long long)fault->counted, (long long)fault->said);
    return ret_sentence;
}

Str x12_element(const X12Segment *segment, size_t i) {
    return i < segment->n_elements ? str_trim(segment->elements[i]) : STR("");
}

void x12_copy(char *to, size_t size, Str element) {
    size_t n = element.size < size - 1 ? element.size : size - 1;
    for (size_t i = 0; i < n; i++)
        to[i] = element.at[i] ? element.at[i] : '?';
    to[n] = '\0';
}

Str x12_component(const X12Segment *segment, Str element, size_t i) {
    const char *at = element.at, *end = element.at + element.size;
    for (;; i--) {
        const char *stop = segment->component && at < end
                               ? memchr(at, segment->component, (size_t)(end - at)) : NULL;
        if (i == 0)
            return str_trim((Str){at, (size_t)((stop ? stop : end) - at)});
        if (!stop)
            return STR("");
        at = stop + 1;
    }
}
