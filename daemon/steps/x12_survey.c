/* x12_survey.c - see x12_survey.h. */
#include "steps/x12_survey.h"

#include "base/buf.h"
#include "base/own.h"
#include "steps/delivery.h"
#include "transform/date.h"
#include "transform/formats/acknowledgement.h"
#include "transform/formats/batch_answer.h"
#include "transform/formats/x12_rows.h"

#include <errno.h>

enum {
    CHUNK_BYTES = 64 * 1024,
    JSON_BYTES_MAX = 64 * 1024 * 1024,
    PLB_FIRST = 3,
    PLB_LAST = 13,
    PARTY_BYTES = 84,
    BILLING_RUNS_MAX = 100000, /* of a file */
    CLOCKS_APART_HOURS = 6 /* of the United States: from the East to Hawaii in winter 5, in summer 6 */
};
#define US_PER_HOUR (3600 * US_PER_SECOND)

/* What stands around a set. */
typedef struct Group {
    char control[X12_CONTROL_BYTES], sender[PARTY_BYTES], receiver[PARTY_BYTES];
    bool is_dated;
    int64_t made_us, day_over_us;
} Group;

/* Whose payment a remittance tells of: with its source and amount, the same in one that was made again. */
typedef struct Payment {
    char payer_id[PARTY_BYTES], check_number[PARTY_BYTES], check_date[PARTY_BYTES], payee_id[PARTY_BYTES];
} Payment;

/* What stands around a group; times as they are written, YYMMDD and HHMM, which say which interchange is meant. */
typedef struct Interchange {
    char control[X12_CONTROL_BYTES], made[PARTY_BYTES];
    bool is_dated;
    int64_t made_us, day_over_us;
} Interchange;

typedef struct Surveying {
    Arena *arena;
    X12Tally tally;
    X12AckReader acks;
    X12BatchReader batch;
    X12Verdict *sets;
    size_t n_sets, capacity, n_quarantined, n_known, n_interchanges; /* the last: that are acknowledged */
    size_t first_unread; /* number of the first set of a kind that is not read; 0: none */
    X12Misplaced unread; /* the first of the file that stands where it is not read */
    size_t n_other, first_other; /* sets of claims of another version than is read, and the number of the first */
    int64_t refused_segment; /* the first STC that refuses claims without naming one; 0: none */
    int64_t bad_plb_segment; /* of this remittance, whose fiscal period ends on no day; 0: none */
    int64_t provider_number; /* of this remittance's PLB amounts so far */
    char first_fault[X12_SENTENCE_BYTES]; /* of the whole file */
    char set_fault[X12_SENTENCE_BYTES];   /* of the set in hand */
    char last_fault[X12_SENTENCE_BYTES];  /* of the set that just ended */
    const X12Clock *clock;
    X12Written written;
    Interchange interchange;
    Group group;
    Payment payment;
    char reference[PARTY_BYTES]; /* 837: what its sender calls it; 277CA: what that sender called what it answers */
    bool is_billing_wanted;       /* 837: a billing provider's level began, and he is not named yet */
    char billing[PARTY_BYTES];    /* 837: whose the claims are that follow */
    size_t n_billing_runs;        /* of the file */
    Buf billing_json;             /* of this set: each run of claims of one billing provider */
    Buf sets_json, provider_json, acks_json, batches_json, interchanges_json;
} Surveying;

bool x12_feed_from(Unpacker *bytes, char *chunk, size_t size, X12Parser *x12, Error *err) {
    size_t n;
    TRY(unpack_read(bytes, chunk, size, &n, err));
    if (n > 0)
        x12_feed(x12, (Str){chunk, n});
    else
        x12_finish(x12); /* also where a packed file was cut: the envelopes tell that something is missing */
    return true;
}

/* ---- for the ledger ---- */

static void begin_object(Buf *out) { buf_printf(out, out->size > 1 ? ",{" : "{"); }
static void put_name(Buf *out, const char *name) {
    buf_printf(out, "%s\"%s\":", out->data[out->size - 1] == '{' ? "" : ",", name);
}
/* Codes and numbers are ASCII; what is not cannot be compared with anything either. */
static void put_text(Buf *out, const char *name, Str text) {
    char plain[X12_SENTENCE_BYTES + 200];
    size_t n = 0;
    for (; n < text.size && n < sizeof plain - 1; n++)
        plain[n] = text.at[n] >= ' ' && text.at[n] <= '~' ? text.at[n] : '?';
    plain[n] = '\0';
    put_name(out, name);
    buf_put_json(out, plain);
}
static void put_number(Buf *out, const char *name, int64_t number) {
    put_name(out, name);
    buf_printf(out, "%lld", (long long)number);
}
static void put_cents(Buf *out, const char *name, int64_t cents) {
    put_name(out, name);
    buf_printf(out, "\"%lld\"", (long long)cents);
}

/* ---- envelopes and payments ---- */

bool x12_instant(const X12Clock *clock, Str stamp, int64_t *ret_us) {
    CivilTime civil;
    if (!civil_parse_iso(stamp, &civil))
        return false;
    *ret_us = zone_to_instant(clock->zone, civil_to_us(&civil));
    return true;
}

/* False: there is no such time. */
static bool date_made(const Surveying *s, Str stamp, int64_t *ret_made_us, int64_t *ret_day_over_us) {
    CivilTime civil;
    if (!civil_parse_iso(stamp, &civil))
        return false;
    int64_t next_day_us = (date_to_days(civil.date) + 1) * US_PER_DAY;
    *ret_made_us = zone_to_instant(s->clock->zone, civil_to_us(&civil));
    *ret_day_over_us = zone_to_instant(s->clock->zone, next_day_us) + CLOCKS_APART_HOURS * US_PER_HOUR;
    return true;
}

static void begin_group(Surveying *s, const X12Segment *gs) {
    Group *group = &s->group;
    *group = (Group){.is_dated = false};
    x12_copy(group->control, sizeof group->control, x12_element(gs, 6));
    x12_copy(group->sender, sizeof group->sender, x12_element(gs, 2));
    x12_copy(group->receiver, sizeof group->receiver, x12_element(gs, 3));
    char stamp[X12_STAMP_BYTES];
    group->is_dated = x12_stamp(gs, stamp) && date_made(s, str_of(stamp), &group->made_us, &group->day_over_us);
}

/* ISA09 has two digits of the year: nobody sent claims in this format before 2000. */
static void begin_interchange(Surveying *s, const X12Segment *isa) {
    Interchange *interchange = &s->interchange;
    Str day = x12_element(isa, 9), time = x12_element(isa, 10);
    char stamp[X12_STAMP_BYTES];
    *interchange = (Interchange){.is_dated = false};
    x12_copy(interchange->control, sizeof interchange->control, x12_element(isa, 13));
    snprintf(interchange->made, sizeof interchange->made, "%.*s %.*s", STR_ARG(day), STR_ARG(time));
    if (day.size != 6 || time.size < 4)
        return;
    snprintf(stamp, sizeof stamp, "20%.2s-%.2s-%.2s %.2s:%.2s:00", day.at, day.at + 2, day.at + 4, time.at, time.at + 2);
    interchange->is_dated = date_made(s, str_of(stamp), &interchange->made_us, &interchange->day_over_us);
}

static X12Usage usage_of(Str code) {
    static const char *const CODES[] = {[X12_PRODUCTION] = "P", [X12_INFORMATION] = "I", [X12_TEST] = "T"};
    for (X12Usage usage = X12_TEST; usage > X12_USAGE_UNKNOWN; usage--)
        if (str_equal(code, str_of(CODES[usage])))
            return usage;
    return X12_USAGE_UNKNOWN;
}

static void note_written(Surveying *s, const X12Segment *isa) {
    if (isa->place.interchange == 1)
        s->written = (X12Written){.element = isa->element, .component = isa->component, .repetition = isa->repetition,
                                  .terminator = isa->terminator};
    X12Usage usage = usage_of(x12_element(isa, 15));
    s->written.usage = usage > s->written.usage ? usage : s->written.usage;
}

/* Noughts alone are no number: payers write them where nothing was paid. */
static bool is_check_number(Str text) {
    for (size_t i = 0; i < text.size; i++)
        if (text.at[i] != '0')
            return true;
    return false;
}

static void take_trn(Payment *payment, const X12Segment *trn) {
    if (is_check_number(x12_element(trn, 2)))
        x12_copy(payment->check_number, sizeof payment->check_number, x12_element(trn, 2));
    x12_copy(payment->payer_id, sizeof payment->payer_id, x12_element(trn, 3));
}

/* By number, else by name; TRN03 goes before the payer's name. */
static void take_n1(Payment *payment, const X12Segment *n1) {
    Str id = x12_element(n1, 4).size > 0 ? x12_element(n1, 4) : x12_element(n1, 2), role = x12_element(n1, 1);
    if (str_equal(role, STR("PR")) && !payment->payer_id[0])
        x12_copy(payment->payer_id, sizeof payment->payer_id, id);
    if (str_equal(role, STR("PE")))
        x12_copy(payment->payee_id, sizeof payment->payee_id, id);
}

static void begin_set(Surveying *s) {
    s->payment = (Payment){.payer_id = ""};
    s->reference[0] = '\0';
    s->is_billing_wanted = false;
    s->billing[0] = '\0';
    buf_clear(&s->billing_json);
    buf_put_byte(&s->billing_json, '[');
    s->provider_number = s->bad_plb_segment = 0;
}

static void take_payment(Surveying *s, const X12Segment *segment) {
    Payment *payment = &s->payment;
    if (x12_is(segment, "ST"))
        begin_set(s);
    else if (x12_is(segment, "BPR"))
        x12_copy(payment->check_date, sizeof payment->check_date, x12_element(segment, 16));
    else if (x12_is(segment, "TRN") && !payment->check_number[0])
        take_trn(payment, segment);
    else if (x12_is(segment, "N1"))
        take_n1(payment, segment);
}

/* Claims of as many runs as that in one file are not told apart by whose they are. */
static void begin_billing(Surveying *s, const X12Segment *segment, Str provider) {
    s->is_billing_wanted = false;
    if (str_equal(provider, str_of(s->billing)) || s->n_billing_runs == BILLING_RUNS_MAX)
        return;
    x12_copy(s->billing, sizeof s->billing, provider);
    begin_object(&s->billing_json);
    put_number(&s->billing_json, "first_segment", segment->place.segment);
    put_text(&s->billing_json, "provider_id", str_of(s->billing));
    buf_printf(&s->billing_json, "}");
    s->n_billing_runs++;
}

/* Other payers' billing providers (loop 2330G) are named within claims. */
static void take_billing(Surveying *s, const X12Segment *segment) {
    if (x12_is(segment, "HL") && str_equal(x12_element(segment, 3), STR("20")))
        s->is_billing_wanted = true;
    else if (s->is_billing_wanted && x12_is(segment, "NM1") && str_equal(x12_element(segment, 1), STR("85")))
        begin_billing(s, segment, x12_element(segment, 9));
    else if (s->is_billing_wanted && x12_is(segment, "CLM"))
        begin_billing(s, segment, STR(""));
}

static void take_sent(Surveying *s, const X12Segment *segment) {
    if (x12_is(segment, "BHT"))
        x12_copy(s->reference, sizeof s->reference, x12_element(segment, 3));
    take_billing(s, segment);
}

static void note_batch(Surveying *s, const X12BatchAnswer *answer) {
    Buf *out = &s->batches_json;
    if (answer->is_refusal && (s->refused_segment == 0 || answer->place.segment < s->refused_segment))
        s->refused_segment = answer->place.segment;
    begin_object(out);
    put_number(out, "set_number", answer->place.transaction);
    put_number(out, "segment", answer->place.segment);
    put_text(out, "reference", str_of(answer->reference));
    if (answer->is_of_provider)
        put_text(out, "provider_id", str_of(answer->provider));
    if (answer->is_said) {
        put_text(out, "code", str_of(answer->code));
        put_text(out, "acknowledgement", answer->is_refusal ? STR("Rejected") : STR("Accepted"));
    }
    buf_printf(out, "}");
}

static void take_answered(Surveying *s, const X12Segment *segment) {
    X12BatchAnswer answers[X12_BATCH_ANSWERS_MAX];
    size_t n = x12_batch_take(&s->batch, segment, answers);
    for (size_t i = 0; i < n; i++)
        note_batch(s, &answers[i]);
    if (s->batch.receiver.reference[0])
        x12_copy(s->reference, sizeof s->reference, str_of(s->batch.receiver.reference));
}

static void take_reference(Surveying *s, const X12Segment *segment) {
    const X12Totals *set = &s->tally.totals;
    if (strcmp(set->kind, "837") == 0)
        take_sent(s, segment);
    if (strcmp(set->kind, "277") == 0 && !x12_is_inquiry(str_of(set->version)))
        take_answered(s, segment);
}

static bool is_answer(const char *kind) { return strcmp(kind, "837") != 0; }

static void note_billing(Surveying *s) {
    if (s->billing_json.size <= 1 || s->n_billing_runs == BILLING_RUNS_MAX)
        return;
    put_name(&s->sets_json, "billing_providers");
    buf_put_str(&s->sets_json, buf_str(&s->billing_json));
    buf_put_byte(&s->sets_json, ']');
}

static void note_envelope(Surveying *s, const X12Totals *totals) {
    Buf *out = &s->sets_json;
    const Group *group = &s->group;
    put_text(out, "group_control", str_of(group->control));
    put_text(out, "sender", str_of(group->sender));
    put_text(out, "receiver", str_of(group->receiver));
    put_text(out, "interchange_control", str_of(s->interchange.control));
    put_text(out, "interchange_made", str_of(s->interchange.made));
    if (s->reference[0])
        put_text(out, "reference", str_of(s->reference));
    note_billing(s);
    if (group->is_dated)
        put_number(out, "made_us", group->made_us);
    if (group->is_dated && is_answer(totals->kind) && !s->clock->is_declared)
        put_number(out, "ordered_us", group->day_over_us);
}

static void note_payment(Surveying *s, const X12Totals *totals) {
    Buf *out = &s->sets_json;
    const Payment *payment = &s->payment;
    if (strcmp(totals->kind, "835") != 0 || !payment->check_number[0])
        return;
    put_text(out, "payer_id", str_of(payment->payer_id));
    put_text(out, "check_number", str_of(payment->check_number));
    put_text(out, "check_date", str_of(payment->check_date));
    put_text(out, "payee_id", str_of(payment->payee_id));
}

static void note_set(Surveying *s, const X12Totals *totals, int64_t last_segment, const X12Verdict *verdict) {
    Buf *out = &s->sets_json;
    begin_object(out);
    put_number(out, "set_number", totals->place.transaction);
    put_text(out, "kind", str_of(totals->kind));
    put_text(out, "version", str_of(totals->version));
    note_envelope(s, totals);
    note_payment(s, totals);
    put_text(out, "set_control", str_of(totals->control));
    put_number(out, "first_segment", totals->place.segment);
    put_number(out, "last_segment", last_segment);
    put_number(out, "claims", totals->claims);
    put_number(out, "service_lines", totals->lines);
    put_number(out, "reversals", totals->reversals);
    put_cents(out, "charged", totals->charged);
    put_cents(out, "paid", totals->paid);
    put_cents(out, "provider_adjusted", totals->plb);
    put_cents(out, "check_amount", totals->check);
    put_number(out, "lines_out_of_balance", totals->lines_out_of_balance);
    put_number(out, "claims_out_of_balance", totals->claims_out_of_balance);
    put_number(out, "claims_whose_line_charges_differ", totals->claims_whose_line_charges_differ);
    put_cents(out, "difference", strcmp(totals->kind, "835") == 0 ? x12_difference(totals) : 0);
    if (verdict->reason)
        put_text(out, "reason", str_of(verdict->reason));
    buf_printf(out, "}");
}

static void note_provider(Surveying *s, const X12Segment *plb) {
    Buf *out = &s->provider_json;
    char day[X12_DAY_BYTES] = "";
    if (x12_element(plb, 2).size > 0 && !x12_day(x12_element(plb, 2), day) && s->bad_plb_segment == 0)
        s->bad_plb_segment = plb->place.segment;
    for (size_t i = PLB_FIRST; i <= PLB_LAST && i < plb->n_elements; i += 2) {
        int64_t cents;
        Str reason = x12_element(plb, i), code = x12_component(plb, reason, 0);
        if (!x12_cents(x12_element(plb, i + 1), &cents) || code.size == 0)
            continue;
        begin_object(out);
        put_number(out, "set_number", plb->place.transaction);
        put_number(out, "segment", plb->place.segment);
        put_number(out, "position", (int64_t)(i - PLB_FIRST) / 2 + 1);
        put_text(out, "provider_id", x12_element(plb, 1));
        put_text(out, "fiscal_period_end", str_of(day));
        put_text(out, "reason_code", code);
        put_text(out, "reference", x12_component(plb, reason, 1));
        put_cents(out, "amount", cents);
        put_number(out, "number", ++s->provider_number);
        buf_printf(out, "}");
    }
}

static void note_acknowledgement(Surveying *s, const X12Acknowledgement *ack) {
    Buf *out = &s->acks_json;
    begin_object(out);
    put_number(out, "set_number", ack->place.transaction);
    put_number(out, "segment", ack->place.segment);
    put_text(out, "group_control", str_of(ack->group_control));
    put_text(out, "set_control", str_of(ack->set_control));
    put_text(out, "code", str_of(ack->code));
    put_text(out, "acknowledgement", str_of(ack->word));
    buf_printf(out, "}");
}

static void note_interchange(Surveying *s, const X12Segment *segment, const X12InterchangeAck *ack) {
    Buf *out = &s->interchanges_json;
    const Interchange *says = &s->interchange;
    char made[PARTY_BYTES];
    snprintf(made, sizeof made, "%.*s %.*s", STR_ARG(ack->date), STR_ARG(ack->time));
    begin_object(out);
    put_number(out, "segment", segment->place.segment);
    put_text(out, "interchange_control", ack->control);
    put_text(out, "interchange_made", str_of(made));
    put_text(out, "code", ack->code);
    put_text(out, "note_code", ack->note);
    put_text(out, "acknowledgement", str_of(ack->word));
    if (says->is_dated)
        put_number(out, "answered_us", s->clock->is_declared ? says->made_us : says->day_over_us);
    buf_printf(out, "}");
    s->n_interchanges++;
}

/* ---- verdicts ---- */

static const char *money(Arena *arena, int64_t cents) {
    int64_t whole = cents < 0 ? -cents : cents;
    return arena_printf(arena, "%lld.%02lld", (long long)(whole / 100), (long long)(whole % 100));
}

const char *x12_bad_date(Arena *arena, int64_t segment) {
    return arena_printf(arena, "segment %lld: a date or time that no calendar or clock has", (long long)segment);
}

const char *x12_bad_amount(Arena *arena, const X12BadAmount *bad) {
    return arena_printf(arena, "segment %lld: %s%02d %s", (long long)bad->segment, bad->name, bad->element, bad->what);
}

static const char *why_unbalanced(const Surveying *s, const X12Totals *totals) {
    int64_t difference = x12_difference(totals);
    if (totals->unreadable_amounts > 0)
        return arena_printf(s->arena, "%s; %lld amounts of the remittance cannot be read, so it does not add up",
                            x12_bad_amount(s->arena, &totals->bad_amount), (long long)totals->unreadable_amounts);
    if (totals->lines_out_of_balance + totals->claims_out_of_balance > 0)
        return arena_printf(s->arena, "%lld service lines and %lld claims of the remittance do not add up, the first "
                            "(segment %lld) by %s; its transaction differs by %s",
                            (long long)totals->lines_out_of_balance, (long long)totals->claims_out_of_balance,
                            (long long)totals->first_segment, money(s->arena, totals->first_difference),
                            money(s->arena, difference));
    return arena_printf(s->arena, "the remittance's claims less its provider adjustments are %s %s its payment",
                        money(s->arena, difference), difference > 0 ? "above" : "below");
}

static X12Verdict judge(const Surveying *s, const X12Totals *totals) {
    if (!totals->is_complete)
        return (X12Verdict){RULE_X12_ENVELOPE, s->last_fault[0] ? arena_string(s->arena, str_of(s->last_fault))
                                                            : "the transaction set has no SE"};
    const X12Misplaced *misplaced = &totals->misplaced;
    if (misplaced->segment)
        return (X12Verdict){RULE_X12_ORDER, arena_printf(s->arena, "segment %lld: a segment %s stands outside %s, so nobody knows whose "
                            "its amounts are", (long long)misplaced->segment, misplaced->name, misplaced->outside)};
    if (totals->is_too_large)
        return (X12Verdict){RULE_X12_AMOUNT, "the transaction set's amounts add up to more than 1,000,000,000,000,000.00"};
    if (s->bad_plb_segment)
        return (X12Verdict){RULE_X12_DATE, x12_bad_date(s->arena, s->bad_plb_segment)};
    if (strcmp(totals->kind, "835") == 0 && !x12_is_balanced(totals))
        return (X12Verdict){RULE_REMITTANCE_UNBALANCED, why_unbalanced(s, totals)};
    return (X12Verdict){NULL, NULL};
}

static bool is_known_kind(const char *kind) {
    static const char *const KNOWN[] = {"835", "837", "277", "999", "997"};
    for (size_t i = 0; i < sizeof KNOWN / sizeof *KNOWN; i++)
        if (strcmp(KNOWN[i], kind) == 0)
            return true;
    return false;
}

/* The guides that are read are 005010's; what is older, or to come, has much the same segments, but codes of its own. */
static bool is_other_version(const X12Totals *totals) {
    static const char READ[] = "005010", *const CLAIMS[] = {"835", "837", "277"};
    bool is_of_claims = false;
    for (size_t i = 0; i < sizeof CLAIMS / sizeof *CLAIMS; i++)
        is_of_claims |= strcmp(totals->kind, CLAIMS[i]) == 0;
    return is_of_claims && totals->version[0] && strncmp(totals->version, READ, sizeof READ - 1) != 0;
}

static bool end_set(Surveying *s, const X12Totals *totals, int64_t last_segment, Error *err) {
    if (s->n_sets == X12_SETS_MAX)
        return error_set(err, STATE_DATA, "the file has more than %d transaction sets; send it in parts", X12_SETS_MAX);
    if (s->n_sets == s->capacity) {
        X12Verdict *grown = ARENA_ARRAY(s->arena, X12Verdict, s->capacity * 2 + 64);
        if (s->n_sets)
            memcpy(grown, s->sets, s->n_sets * sizeof *grown);
        s->sets = grown;
        s->capacity = s->capacity * 2 + 64;
    }
    X12Verdict verdict = judge(s, totals);
    bool is_known = verdict.is_known = is_known_kind(totals->kind);
    s->sets[s->n_sets++] = verdict;
    s->n_quarantined += verdict.rule && is_known;
    s->n_known += is_known;
    if (!is_known && s->first_unread == 0)
        s->first_unread = s->n_sets;
    if (s->unread.segment == 0)
        s->unread = totals->unread;
    bool is_other = is_other_version(totals);
    s->n_other += is_other;
    if (is_other && s->first_other == 0)
        s->first_other = s->n_sets;
    note_set(s, totals, last_segment, &verdict);
    return true;
}

static void take_fault(Surveying *s, const X12Fault *fault) {
    x12_tally_fault(&s->tally, fault);
    if (fault->cost == X12_TRANSACTION && !s->set_fault[0])
        x12_fault_text(fault, s->set_fault);
    if (fault->cost == X12_FILE && !s->first_fault[0])
        x12_fault_text(fault, s->first_fault);
}

static bool take_segment(Surveying *s, const X12Segment *segment, Error *err) {
    X12Totals totals;
    X12Acknowledgement ack;
    X12InterchangeAck of_interchange;
    bool is_begin = x12_is(segment, "ST"), is_ended = x12_tally_take(&s->tally, segment, &totals);
    if (is_ended) {
        memcpy(s->last_fault, s->set_fault, sizeof s->last_fault);
        TRY(end_set(s, &totals, segment->place.segment - !x12_is(segment, "SE"), err));
    }
    if (is_begin || is_ended)
        s->set_fault[0] = '\0';
    if (x12_is(segment, "ISA")) {
        note_written(s, segment);
        begin_interchange(s, segment);
    }
    if (x12_leaves_group(segment))
        s->group = (Group){.is_dated = false};
    if (x12_is(segment, "GS"))
        begin_group(s, segment);
    if (x12_interchange_ack(segment, &of_interchange))
        note_interchange(s, segment, &of_interchange);
    take_payment(s, segment);
    take_reference(s, segment);
    if (x12_is(segment, "PLB") && strcmp(s->tally.totals.kind, "835") == 0)
        note_provider(s, segment);
    if (x12_ack_take(&s->acks, segment, &ack) && ack.is_of_claims)
        note_acknowledgement(s, &ack);
    return true;
}

static bool read_all(Unpacker *bytes, Surveying *s, Error *err) {
    CLEANUP(x12_drop) X12Parser *x12 = x12_open(&(X12Options){0});
    CLEANUP(mem_drop) char *chunk = malloc(CHUNK_BYTES);
    X12Segment segment = {0};
    X12Fault fault;
    X12Totals totals;
    if (!chunk)
        return error_set_errno(err, ENOMEM, "cannot read a claims file");
    for (X12Status status; (status = x12_next(x12, &segment, &fault)) != X12_END;) {
        if (status == X12_MORE)
            TRY(x12_feed_from(bytes, chunk, CHUNK_BYTES, x12, err));
        else if (status == X12_FAULT)
            take_fault(s, &fault);
        else
            TRY(take_segment(s, &segment, err));
    }
    s->written.has_mark = x12_has_mark(x12);
    memcpy(s->last_fault, s->set_fault, sizeof s->last_fault);
    return !x12_tally_finish(&s->tally, &totals) || end_set(s, &totals, INT64_MAX, err);
}

/* Of a file whose sets are all as they should be; NULL: nothing is left to say. */
static const char *notice_of(const Surveying *s) {
    if (s->first_unread)
        return arena_printf(s->arena, "%zu of %zu transaction sets are none of 835, 837, 277 and 999 and were not read; the first is "
                            "number %zu", s->n_sets - s->n_known, s->n_sets, s->first_unread);
    if (s->refused_segment)
        return arena_printf(s->arena, "segment %lld: all claims of a set, or of a provider in it, are refused and none is named; see in "
                            "gold.claim_acknowledgements which, mend them and send them again", (long long)s->refused_segment);
    if (s->unread.segment)
        return arena_printf(s->arena, "segment %lld: a segment %s stands outside %s, and was not read", (long long)s->unread.segment,
                            s->unread.name, s->unread.outside);
    if (s->first_other)
        return arena_printf(s->arena, "%zu of %zu transaction sets are of another version than 005010 and were read as if of that; the "
                            "first is number %zu", s->n_other, s->n_sets, s->first_other);
    return NULL;
}

static const char *warning_of(const Surveying *s) {
    if (s->first_fault[0])
        return arena_string(s->arena, str_of(s->first_fault));
    if (s->n_quarantined == 0)
        return notice_of(s);
    size_t first = 0;
    while (!s->sets[first].rule || !s->sets[first].is_known)
        first++;
    return arena_printf(s->arena, "%zu of %zu transaction sets went to quarantine; number %zu: %s", s->n_quarantined,
                        s->n_sets, first + 1, s->sets[first].reason);
}

static const char *finish_json(Surveying *s, Buf *json, Error *err) {
    buf_printf(json, "]");
    if (!buf_overflowed(json))
        return arena_string(s->arena, buf_str(json));
    error_set(err, STATE_DATA, "the file's transaction sets are more than can be noted; send it in parts");
    return NULL;
}

static bool fill_survey(Surveying *s, X12Survey *ret_survey, Error *err) {
    bool is_empty = s->n_known == 0 && s->n_interchanges == 0;
    if (is_empty && s->first_fault[0])
        return error_set(err, STATE_DATA, "%s", s->first_fault);
    if (is_empty)
        return error_set(err, STATE_DATA, "the file holds no transaction set 835, 837, 277 or 999 and no TA1 that names "
                         "an interchange; send one of these, or ask the payer for it");
    *ret_survey = (X12Survey){
        .sets = s->sets, .n_sets = s->n_sets, .n_quarantined = s->n_quarantined, .written = s->written,
        .warning = warning_of(s),
        .sets_json = finish_json(s, &s->sets_json, err),
        .provider_json = finish_json(s, &s->provider_json, err),
        .acknowledgements_json = finish_json(s, &s->acks_json, err),
        .batches_json = finish_json(s, &s->batches_json, err),
        .interchanges_json = finish_json(s, &s->interchanges_json, err),
    };
    return ret_survey->sets_json && ret_survey->provider_json && ret_survey->acknowledgements_json &&
           ret_survey->batches_json && ret_survey->interchanges_json;
}

static void surveying_done(Surveying *s) {
    buf_done(&s->billing_json);
    buf_done(&s->sets_json);
    buf_done(&s->provider_json);
    buf_done(&s->acks_json);
    buf_done(&s->batches_json);
    buf_done(&s->interchanges_json);
}

bool x12_survey(Unpacker *bytes, const X12Clock *clock, Arena *arena, X12Survey *ret_survey, Error *err) {
    CLEANUP(surveying_done) Surveying s = {.arena = arena, .clock = clock};
    Buf *lists[] = {&s.sets_json, &s.provider_json, &s.acks_json, &s.batches_json, &s.interchanges_json};
    buf_init(&s.billing_json, JSON_BYTES_MAX);
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        buf_init(lists[i], JSON_BYTES_MAX);
        buf_put_byte(lists[i], '[');
    }
    TRY(read_all(bytes, &s, err));
    return fill_survey(&s, ret_survey, err);
}
