/* pattern.c - see pattern.h.
 *
 * The parser makes nodes of a machine that may be in several places at once: a node takes one byte of a set, or goes on
 * to two others without one. The machine's sets of places then become the states of the table. Bytes that no node tells
 * apart share a column of it. */
#include "transform/pattern.h"

#include <xxhash.h>

enum {
    NODES_MAX = 4096,
    NESTING_MAX = 50,
    REPEATS_MAX = 255,
    NOWHERE = -1,
    SET_WORDS = NODES_MAX / 64,
    DEAD = 0, /* the state that nothing leads out of */
    BYTES = 256
};

typedef struct ByteSet {
    uint64_t bits[4];
} ByteSet;

typedef enum NodeKind { NODE_BYTE, NODE_FORK, NODE_END } NodeKind;
typedef struct Node {
    NodeKind kind;
    ByteSet bytes;
    int next, other; /* `other` of a fork alone */
} Node;

struct Pattern {
    uint8_t column[BYTES];
    uint16_t n_columns, begin;
    const uint16_t *next; /* [state * n_columns + column] */
    const bool *is_end;
};

/* A piece of the machine: one way in, one way out (a fork whose `next` is open). */
typedef struct Piece {
    int in, out;
} Piece;

typedef struct Parser {
    const char *at, *end;
    Node nodes[NODES_MAX];
    int n, nesting;
    Error *err;
} Parser;

static bool fail(Parser *p, const char *what) {
    error_set(p->err, STATE_CONFIG, "%s", what);
    return false;
}

/* ---- sets of bytes ---- */

static void set_add(ByteSet *set, int from, int to) {
    for (int byte = from; byte <= to; byte++)
        set->bits[byte / 64] |= UINT64_C(1) << (byte % 64);
}
static bool set_has(const ByteSet *set, int byte) { return set->bits[byte / 64] >> (byte % 64) & 1; }

static ByteSet set_of(int from, int to) {
    ByteSet set = {{0}};
    set_add(&set, from, to);
    return set;
}

/* What \d, \w and \s stand for: ASCII, as codes are. */
static bool named_set(char name, ByteSet *set) {
    if (name == 'd' || name == 'w')
        set_add(set, '0', '9');
    if (name == 'w') {
        set_add(set, 'a', 'z');
        set_add(set, 'A', 'Z');
        set_add(set, '_', '_');
    }
    if (name == 's') {
        set_add(set, '\t', '\r');
        set_add(set, ' ', ' ');
    }
    return name == 'd' || name == 'w' || name == 's';
}

/* The ASCII characters that are not in the set. */
static ByteSet set_others(const ByteSet *set) {
    return (ByteSet){{~set->bits[0], ~set->bits[1], 0, 0}};
}

/* ---- pieces ---- */

static bool add_node(Parser *p, Node node, int *ret_index) {
    if (p->n == NODES_MAX)
        return fail(p, "it is too large");
    p->nodes[p->n] = node;
    *ret_index = p->n++;
    return true;
}

static bool add_open(Parser *p, int *ret_index) {
    return add_node(p, (Node){NODE_FORK, {{0}}, NOWHERE, NOWHERE}, ret_index);
}

static bool make_set(Parser *p, ByteSet set, Piece *ret) {
    return add_open(p, &ret->out) && add_node(p, (Node){NODE_BYTE, set, ret->out, NOWHERE}, &ret->in);
}

static bool make_nothing(Parser *p, Piece *ret) {
    if (!add_open(p, &ret->out))
        return false;
    ret->in = ret->out;
    return true;
}

static Piece chain(Parser *p, Piece first, Piece second) {
    p->nodes[first.out].next = second.in;
    return (Piece){first.in, second.out};
}

static bool either(Parser *p, Piece a, Piece b, Piece *ret) {
    int in, out;
    if (!add_open(p, &out) || !add_node(p, (Node){NODE_FORK, {{0}}, a.in, b.in}, &in))
        return false;
    p->nodes[a.out].next = p->nodes[b.out].next = out;
    *ret = (Piece){in, out};
    return true;
}

/* The character of two to four bytes that begins with one of these. */
static bool make_long(Parser *p, int first, int last, int n_following, Piece *ret) {
    if (!make_set(p, set_of(first, last), ret))
        return false;
    for (int i = 0; i < n_following; i++) {
        Piece following;
        if (!make_set(p, set_of(0x80, 0xBF), &following))
            return false;
        *ret = chain(p, *ret, following);
    }
    return true;
}

/* The ASCII characters of a set, and all others: RFC 3629, section 4. */
static bool make_set_or_beyond(Parser *p, ByteSet ascii, Piece *ret) {
    static const struct {
        int first, last, n_following;
    } LONG[] = {{0xC2, 0xDF, 1}, {0xE0, 0xEF, 2}, {0xF0, 0xF4, 3}};
    if (!make_set(p, ascii, ret))
        return false;
    for (int i = 0; i < 3; i++) {
        Piece other;
        if (!make_long(p, LONG[i].first, LONG[i].last, LONG[i].n_following, &other) || !either(p, *ret, other, ret))
            return false;
    }
    return true;
}

/* ---- atoms ---- */

static bool is_at_end(const Parser *p) { return p->at == p->end; }
static bool accept(Parser *p, char c) {
    if (is_at_end(p) || *p->at != c)
        return false;
    p->at++;
    return true;
}

/* Behind a backslash: a character that means itself or a control character; or a named set. */
static bool read_escape(Parser *p, ByteSet *set, bool *ret_is_negated) {
    if (is_at_end(p))
        return fail(p, "a \\ stands at its end");
    char c = *p->at++;
    *ret_is_negated = c == 'D' || c == 'W' || c == 'S';
    if (named_set(*ret_is_negated ? (char)(c + ('a' - 'A')) : c, set))
        return true;
    bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c & 0x80;
    if (is_word && c != 't' && c != 'n')
        return fail(p, "it has a \\ before a character that has no such meaning; \\d \\w \\s \\D \\W \\S \\t \\n have");
    int byte = c == 't' ? '\t' : c == 'n' ? '\n' : c;
    set_add(set, byte, byte);
    return true;
}

/* One character of a class, or a named set of which nothing can be a range; then *ret_byte is NOWHERE. */
static bool read_member(Parser *p, ByteSet *set, int *ret_byte) {
    if (is_at_end(p))
        return fail(p, "a [ is not closed");
    *ret_byte = NOWHERE;
    if (accept(p, '\\')) {
        ByteSet found = {{0}};
        bool is_negated;
        if (!read_escape(p, &found, &is_negated))
            return false;
        if (is_negated)
            return fail(p, "\\D, \\W and \\S cannot stand in [ ]");
        for (int i = 0; i < 4; i++)
            set->bits[i] |= found.bits[i];
        int n = __builtin_popcountll(found.bits[0]) + __builtin_popcountll(found.bits[1]);
        if (n == 1)
            *ret_byte = found.bits[0] ? __builtin_ctzll(found.bits[0]) : 64 + __builtin_ctzll(found.bits[1]);
        return true;
    }
    if (*p->at & 0x80)
        return fail(p, "[ ] holds ASCII characters; write (ä|ö)");
    *ret_byte = *p->at++;
    set_add(set, *ret_byte, *ret_byte);
    return true;
}

static bool read_class(Parser *p, Piece *ret) {
    ByteSet set = {{0}};
    bool is_negated = accept(p, '^');
    bool is_first = true;
    while (is_first || !accept(p, ']')) {
        int from, to;
        is_first = false;
        if (!read_member(p, &set, &from))
            return false;
        bool is_range = p->end - p->at > 1 && p->at[0] == '-' && p->at[1] != ']';
        if (!is_range || from == NOWHERE)
            continue;
        p->at++;
        if (!read_member(p, &set, &to))
            return false;
        if (to < from)
            return fail(p, "a range in [ ] ends before it begins");
        set_add(&set, from, to);
    }
    return is_negated ? make_set_or_beyond(p, set_others(&set), ret) : make_set(p, set, ret);
}

/* The bytes of one character beyond ASCII. */
static bool read_character(Parser *p, Piece *ret) {
    int byte = (uint8_t)*p->at++;
    if (!make_set(p, set_of(byte, byte), ret))
        return false;
    while (!is_at_end(p) && ((uint8_t)*p->at & 0xC0) == 0x80) {
        Piece following;
        byte = (uint8_t)*p->at++;
        if (!make_set(p, set_of(byte, byte), &following))
            return false;
        *ret = chain(p, *ret, following);
    }
    return true;
}

static bool read_choice(Parser *p, Piece *ret);

static bool read_group(Parser *p, Piece *ret) {
    if (accept(p, '?') && !accept(p, ':'))
        return fail(p, "(? goes with : alone");
    if (++p->nesting > NESTING_MAX)
        return fail(p, "its groups stand too deep in one another");
    if (!read_choice(p, ret))
        return false;
    p->nesting--;
    return accept(p, ')') || fail(p, "a ( is not closed");
}

static bool read_atom(Parser *p, Piece *ret) {
    ByteSet set = {{0}};
    bool is_negated;
    switch (*p->at) {
    case '(':
        p->at++;
        return read_group(p, ret);
    case '[':
        p->at++;
        return read_class(p, ret);
    case '.':
        p->at++;
        return make_set_or_beyond(p, set_of(0, 127), ret);
    case '\\':
        p->at++;
        if (!read_escape(p, &set, &is_negated))
            return false;
        return is_negated ? make_set_or_beyond(p, set_others(&set), ret) : make_set(p, set, ret);
    case '*':
    case '+':
    case '?':
    case '{':
        return fail(p, "nothing stands before a * + ? or {");
    case '^':
    case '$':
        return fail(p, "^ stands in front and $ at the end alone");
    default:
        return read_character(p, ret);
    }
}

/* ---- repeats ---- */

typedef struct Repeat {
    int least, most; /* `most` NOWHERE: any number */
} Repeat;

static bool read_number(Parser *p, int *ret) {
    int number = 0;
    const char *begin = p->at;
    for (; !is_at_end(p) && *p->at >= '0' && *p->at <= '9' && number <= REPEATS_MAX; p->at++)
        number = number * 10 + (*p->at - '0');
    *ret = number;
    return p->at > begin && (number <= REPEATS_MAX || fail(p, "{ } counts to 255"));
}

static bool read_braces(Parser *p, Repeat *ret) {
    static const char FORM[] = "{ } is {n}, {n,} or {n,m}";
    if (!read_number(p, &ret->least))
        return p->err->state[0] ? false : fail(p, FORM);
    ret->most = ret->least;
    if (accept(p, ',') && !read_number(p, &ret->most)) {
        if (p->err->state[0])
            return false;
        ret->most = NOWHERE;
    }
    if (!accept(p, '}'))
        return fail(p, FORM);
    return ret->most == NOWHERE || ret->most >= ret->least || fail(p, "{n,m} ends before it begins");
}

static bool read_repeat(Parser *p, Repeat *ret, bool *ret_found) {
    *ret_found = true;
    *ret = (Repeat){1, 1};
    if (accept(p, '{'))
        return read_braces(p, ret);
    if (accept(p, '*'))
        *ret = (Repeat){0, NOWHERE};
    else if (accept(p, '+'))
        *ret = (Repeat){1, NOWHERE};
    else if (accept(p, '?'))
        *ret = (Repeat){0, 1};
    else
        *ret_found = false;
    return true;
}

/* The atom once more: it is read again from where it stands. */
static bool read_copy(Parser *p, const char *begin, Piece *ret) {
    const char *behind = p->at;
    p->at = begin;
    bool ok = read_atom(p, ret);
    p->at = behind;
    return ok;
}

static bool maybe(Parser *p, Piece piece, Piece *ret) {
    Piece nothing;
    return make_nothing(p, &nothing) && either(p, piece, nothing, ret);
}

static bool loop(Parser *p, Piece piece, Piece *ret) {
    int in, out;
    if (!add_open(p, &out) || !add_node(p, (Node){NODE_FORK, {{0}}, piece.in, out}, &in))
        return false;
    p->nodes[piece.out].next = in;
    *ret = (Piece){in, out};
    return true;
}

/* `least` copies, then as many that may be missing, or one that comes again and again. The first copy is there. */
static bool repeat(Parser *p, const char *begin, Piece first, Repeat times, Piece *ret) {
    int n = times.most == NOWHERE ? times.least + 1 : times.most;
    if (!make_nothing(p, ret))
        return false;
    for (int i = 0; i < n; i++) {
        Piece copy = first;
        if (i > 0 && !read_copy(p, begin, &copy))
            return false;
        bool is_loop = times.most == NOWHERE && i == n - 1;
        if (is_loop ? !loop(p, copy, &copy) : i >= times.least && !maybe(p, copy, &copy))
            return false;
        *ret = chain(p, *ret, copy);
    }
    return true;
}

static bool read_repeated(Parser *p, Piece *ret) {
    const char *begin = p->at;
    Repeat times;
    bool is_repeated;
    if (!read_atom(p, ret) || !read_repeat(p, &times, &is_repeated))
        return false;
    if (!is_repeated)
        return true;
    if (!is_at_end(p) && strchr("*+?{", *p->at))
        return fail(p, "two of * + ? { follow one another");
    return repeat(p, begin, *ret, times, ret);
}

static bool read_sequence(Parser *p, Piece *ret) {
    if (!make_nothing(p, ret))
        return false;
    while (!is_at_end(p) && *p->at != '|' && *p->at != ')') {
        Piece piece;
        if (!read_repeated(p, &piece))
            return false;
        *ret = chain(p, *ret, piece);
    }
    return true;
}

static bool read_choice(Parser *p, Piece *ret) {
    if (!read_sequence(p, ret))
        return false;
    while (accept(p, '|')) {
        Piece other;
        if (!read_sequence(p, &other) || !either(p, *ret, other, ret))
            return false;
    }
    return true;
}

/* `^` and `$` say what holds in any case. A `$` behind an odd number of backslashes is a character. */
static Str without_anchors(Str text) {
    if (text.size > 0 && text.at[0] == '^')
        text = (Str){text.at + 1, text.size - 1};
    size_t n_backslashes = 0;
    while (n_backslashes + 1 < text.size && text.at[text.size - 2 - n_backslashes] == '\\')
        n_backslashes++;
    if (text.size > 0 && text.at[text.size - 1] == '$' && n_backslashes % 2 == 0)
        text.size--;
    return text;
}

static bool parse(Parser *p, Str text, int *ret_begin) {
    Str inner = without_anchors(text);
    p->at = inner.at;
    p->end = inner.at + inner.size;
    Piece whole;
    int end;
    if (!read_choice(p, &whole))
        return false;
    if (!is_at_end(p))
        return fail(p, "a ) closes nothing");
    if (!add_node(p, (Node){NODE_END, {{0}}, NOWHERE, NOWHERE}, &end))
        return false;
    p->nodes[whole.out].next = end;
    *ret_begin = whole.in;
    return true;
}

/* ---- states ---- */

typedef struct Places {
    uint64_t bits[SET_WORDS];
} Places;

typedef struct Builder {
    const Parser *machine;
    Pattern *pattern;
    uint16_t *next;
    bool *is_end;
    Places *places;
    uint64_t *hashes;
    int n;
    int stack[2 * NODES_MAX];
} Builder;

/* All places that are reached from one without a byte. */
static void enter(Builder *b, Places *places, int place) {
    int depth = 0;
    b->stack[depth++] = place;
    while (depth > 0) {
        int at = b->stack[--depth];
        if (at == NOWHERE || places->bits[at / 64] >> (at % 64) & 1)
            continue;
        places->bits[at / 64] |= UINT64_C(1) << (at % 64);
        const Node *node = &b->machine->nodes[at];
        if (node->kind != NODE_FORK)
            continue;
        b->stack[depth++] = node->next;
        b->stack[depth++] = node->other;
    }
}

static void find_columns(const Parser *machine, Pattern *pattern) {
    pattern->n_columns = 1;
    for (int i = 0; i < machine->n; i++) {
        if (machine->nodes[i].kind != NODE_BYTE)
            continue;
        int renamed[2][BYTES]; /* by the old column: the new one of its bytes that are in the set, and that are not */
        memset(renamed, -1, sizeof renamed);
        int n = 0;
        for (int byte = 0; byte < BYTES; byte++) {
            int *column = &renamed[set_has(&machine->nodes[i].bytes, byte)][pattern->column[byte]];
            if (*column < 0)
                *column = n++;
            pattern->column[byte] = (uint8_t)*column;
        }
        pattern->n_columns = (uint16_t)n;
    }
}

/* The state of these places; a new one unless it is known. NOWHERE: one too many. */
static int state_of(Builder *b, const Places *places) {
    uint64_t hash = XXH3_64bits(places, sizeof *places);
    for (int i = 0; i < b->n; i++)
        if (b->hashes[i] == hash && memcmp(&b->places[i], places, sizeof *places) == 0)
            return i;
    if (b->n == PATTERN_STATES_MAX)
        return NOWHERE;
    b->places[b->n] = *places;
    b->hashes[b->n] = hash;
    for (int i = 0; i < b->machine->n; i++)
        if (b->machine->nodes[i].kind == NODE_END && places->bits[i / 64] >> (i % 64) & 1)
            b->is_end[b->n] = true;
    return b->n++;
}

static void step(Builder *b, const Places *from, int byte, Places *ret) {
    memset(ret, 0, sizeof *ret);
    for (int word = 0; word * 64 < b->machine->n; word++)
        for (uint64_t bits = from->bits[word]; bits; bits &= bits - 1) {
            const Node *node = &b->machine->nodes[word * 64 + __builtin_ctzll(bits)];
            if (node->kind == NODE_BYTE && set_has(&node->bytes, byte))
                enter(b, ret, node->next);
        }
}

static bool fill_state(Builder *b, int state, Error *err) {
    bool is_filled[BYTES] = {false};
    Places from = b->places[state], to;
    for (int byte = 0; byte < BYTES; byte++) {
        int column = b->pattern->column[byte];
        if (is_filled[column])
            continue;
        is_filled[column] = true;
        step(b, &from, byte, &to);
        int next = state_of(b, &to);
        if (next == NOWHERE)
            return error_set(err, STATE_CONFIG, "it needs more than %d states; write it shorter", PATTERN_STATES_MAX);
        b->next[state * b->pattern->n_columns + column] = (uint16_t)next;
    }
    return true;
}

static bool build(Builder *b, int begin, Error *err) {
    Places places = {{0}};
    state_of(b, &places); /* DEAD */
    enter(b, &places, begin);
    b->pattern->begin = (uint16_t)state_of(b, &places);
    for (int state = 0; state < b->n; state++)
        TRY(fill_state(b, state, err));
    return true;
}

static const Pattern *compile_in(Arena *scratch, Arena *arena, Str text, Error *err) {
    Parser *parser = ARENA_NEW(scratch, Parser);
    parser->err = err;
    int begin;
    TRY_NULL(parse(parser, text, &begin));
    Pattern *pattern = ARENA_NEW(arena, Pattern);
    find_columns(parser, pattern);
    Builder *b = ARENA_NEW(scratch, Builder);
    *b = (Builder){.machine = parser, .pattern = pattern,
                   .next = ARENA_ARRAY(scratch, uint16_t, (size_t)PATTERN_STATES_MAX * pattern->n_columns),
                   .is_end = ARENA_ARRAY(scratch, bool, PATTERN_STATES_MAX),
                   .places = ARENA_ARRAY(scratch, Places, PATTERN_STATES_MAX),
                   .hashes = ARENA_ARRAY(scratch, uint64_t, PATTERN_STATES_MAX)};
    TRY_NULL(build(b, begin, err));
    uint16_t *next = ARENA_ARRAY(arena, uint16_t, (size_t)b->n * pattern->n_columns);
    bool *is_end = ARENA_ARRAY(arena, bool, (size_t)b->n);
    memcpy(next, b->next, sizeof *next * (size_t)b->n * pattern->n_columns);
    memcpy(is_end, b->is_end, sizeof *is_end * (size_t)b->n);
    pattern->next = next;
    pattern->is_end = is_end;
    return pattern;
}

/* ---- public ---- */

const Pattern *pattern_compile(Arena *arena, Str text, Error *err) {
    Arena *scratch = arena_open();
    error_clear(err);
    const Pattern *pattern = compile_in(scratch, arena, text, err);
    arena_free(scratch);
    return pattern;
}

bool pattern_matches(const Pattern *pattern, Str text) {
    uint16_t state = pattern->begin;
    for (size_t i = 0; i < text.size && state != DEAD; i++)
        state = pattern->next[state * pattern->n_columns + pattern->column[(uint8_t)text.at[i]]];
    return pattern->is_end[state];
}
