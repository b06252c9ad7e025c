#include "test.h"

#include "base/own.h"
#include "transform/hash.h"

#include <openssl/evp.h>
#include <xxhash.h>

static const Field TEXTS[] = {{.name = "a"}, {.name = "b"}, {.name = "c"}, {.name = "d"}, {.name = "e"}};

static void sha256(const void *bytes, size_t size, uint8_t ret_digest[32]) {
    assert_int_equal(EVP_Digest(bytes, size, ret_digest, NULL, EVP_sha256(), NULL), 1);
}

static size_t put_long(char *to, Str bytes, size_t told_size) {
    uint8_t digest[32];
    sha256(bytes.at, bytes.size, digest);
    size_t used = (size_t)sprintf(to, "%zu#", told_size);
    for (int i = 0; i < 32; i++)
        used += (size_t)sprintf(to + used, "%02x", digest[i]);
    return used;
}

/* The definition, spelled out: the whole input in one piece, the digest from another interface. */
static int64_t reference_hash(const Str *fields, size_t n) {
    CLEANUP(mem_drop) char *text = calloc(1, 1 << 20);
    size_t used = 0;
    for (size_t i = 0; i < n; i++) {
        if (!fields[i].at) {
            text[used++] = '-';
            continue;
        }
        if (fields[i].size > 8192) {
            used += put_long(text + used, fields[i], fields[i].size);
            continue;
        }
        used += (size_t)sprintf(text + used, "%zu:", fields[i].size);
        memcpy(text + used, fields[i].at, fields[i].size);
        used += fields[i].size;
    }
    uint8_t digest[32];
    sha256(text, used, digest);
    uint64_t value = 0;
    for (int i = 0; i < 8; i++)
        value = value << 8 | digest[i];
    return (int64_t)value;
}

static void source_hash_is_the_definition_for_rows_of_any_length(void **state) {
    (void)state;
    CLEANUP(mem_drop) char *long_text = malloc(9000);
    memset(long_text, 'x', 9000);
    for (size_t size = 0; size <= 9000; size += size < 20 || size / 100 == 81 ? 1 : 37) {
        Str fields[] = {STR("HOSP1-000001"), STR_NULL, {long_text, size}, STR(""), {long_text, 9000 - size}};
        assert_int_equal(hash_source(TEXTS, fields, 5), reference_hash(fields, 5));
    }
    /* SELECT CONV(LEFT(SHA2('3:abc-', 256), 16), 16, -10) */
    Str known[] = {STR("abc"), STR_NULL};
    assert_int_equal(hash_source(TEXTS, known, 2), reference_hash(known, 2));
}

/* A server hashes long bytes as they are: it cannot write their digits. */
static void long_bytes_are_hashed_as_bytes(void **state) {
    (void)state;
    static const Field BYTES[] = {{.name = "a", .kind = FIELD_BINARY}, {.name = "b"}};
    CLEANUP(mem_drop) uint8_t *bytes = malloc(20000);
    CLEANUP(mem_drop) char *digits = malloc(40001), *whole = malloc(1000);
    for (size_t i = 0; i < 20000; i++) {
        bytes[i] = (uint8_t)(i * 7);
        sprintf(digits + 2 * i, i % 2 ? "%02X" : "%02x", bytes[i]);
    }
    for (size_t size = 4096; size <= 20000; size += 4081) {
        Str fields[] = {{digits, 2 * size}, STR("x")};
        uint8_t digest[32];
        size_t used = size > 4096 ? put_long(whole, (Str){(char *)bytes, size}, 2 * size) : 0;
        used += (size_t)sprintf(whole + used, "1:x");
        sha256(whole, used, digest);
        int64_t expected = 0;
        for (int i = 0; i < 8; i++)
            expected = (int64_t)((uint64_t)expected << 8 | digest[i]);
        if (size == 4096)
            expected = reference_hash(fields, 2);
        assert_int_equal(hash_source(BYTES, fields, 2), expected);
    }
}

static void null_empty_and_moved_borders_differ(void **state) {
    (void)state;
    Str rows[][2] = {{STR_NULL, STR("a")}, {STR(""), STR("a")}, {STR("a"), STR("")},
                     {STR("a"), STR_NULL}, {STR("-"), STR("a")}, {STR("1:"), STR("a")}};
    for (size_t i = 0; i < 6; i++)
        for (size_t j = i + 1; j < 6; j++)
            assert_int_not_equal(hash_source(TEXTS, rows[i], 2), hash_source(TEXTS, rows[j], 2));
}

typedef struct Patient {
    Value values[ENTITY_COLUMNS_MAX];
    Record record;
} Patient;

static void patient_init(Patient *patient) {
    memset(patient, 0, sizeof *patient);
    patient->record.entity = entity_find(STR("patients"));
    patient->record.values = patient->values;
}

static void patient_set(Patient *patient, const char *column, Value value) {
    patient->values[entity_column(patient->record.entity, str_of(column))] = value;
}

static bool hashes_differ(const Patient *a, const Patient *b) {
    uint8_t one[16], two[16];
    hash_record(&a->record, one);
    hash_record(&b->record, two);
    return memcmp(one, two, 16) != 0;
}

static void record_hash_sees_attributes_and_flags_only(void **state) {
    (void)state;
    Patient plain, other;
    patient_init(&plain);
    patient_init(&other);
    patient_set(&other, "first_name", value_text(STR("Rick")));
    assert_true(hashes_differ(&plain, &other));
    patient_init(&other);
    patient_set(&other, "birth_date", value_number(0));
    assert_true(hashes_differ(&plain, &other));
    patient_init(&other);
    other.record.flags = UINT64_C(1) << FLAG_PHONE_INVALID;
    assert_true(hashes_differ(&plain, &other));
    static const char *const LEFT_OUT[] = {"patient_key", "version", "payer_key", "batch_id", "is_current"};
    for (size_t i = 0; i < sizeof LEFT_OUT / sizeof *LEFT_OUT; i++) {
        patient_init(&other);
        patient_set(&other, LEFT_OUT[i], value_number(7));
        assert_false(hashes_differ(&plain, &other));
    }
    patient_init(&other);
    patient_set(&other, "source_patient_id", value_text(STR("X")));
    patient_set(&other, "source_modified_at", value_number(7));
    other.record.flags = UINT64_C(1) << FLAG_TIME_INFERRED;
    assert_false(hashes_differ(&plain, &other));
}

static void the_place_of_a_text_counts(void **state) {
    (void)state;
    Patient one, two;
    patient_init(&one);
    patient_init(&two);
    patient_set(&one, "first_name", value_text(STR("Kim")));
    patient_set(&two, "last_name", value_text(STR("Kim")));
    assert_true(hashes_differ(&one, &two));
}

/* The definition, spelled out: the whole input in one piece. */
static void reference_record_hash(const Record *record, char *input, uint8_t ret_hash[16]) {
    size_t used = 0;
    for (int i = 0; i < record->entity->n_columns; i++) {
        const Value *value = &record->values[i];
        bool is_text = record->entity->columns[i].type == TYPE_TEXT;
        if (!column_is_hashed(&record->entity->columns[i]))
            continue;
        input[used++] = (char)value->is_set;
        uint64_t number = is_text ? value->size : (uint64_t)value->number;
        for (int shift = 56; value->is_set && shift >= 0; shift -= 8)
            input[used++] = (char)(number >> shift);
        Str text = is_text ? value_str(*value) : STR("");
        memcpy(input + used, text.at ? text.at : "", text.size);
        used += text.size;
    }
    for (int shift = 56; shift >= 0; shift -= 8)
        input[used++] = (char)(record->flags >> shift);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(input, used));
    memcpy(ret_hash, canonical.digest, 16);
}

static void record_hash_is_the_definition_for_records_of_any_length(void **state) {
    (void)state;
    enum { MOST = 9000, ROOM = 7628 /* for texts, in the buffer of hash.c */ };
    CLEANUP(mem_drop) char *text = malloc(MOST), *input = malloc(20000);
    for (size_t i = 0; i < MOST; i++)
        text[i] = (char)(i * 31);
    for (size_t size = 0; size < MOST; size += size < 40 || (size > ROOM - 200 && size < ROOM + 100) ? 1 : 41) {
        Patient patient;
        uint8_t expected[16], found[16];
        patient_init(&patient);
        patient.record.flags = size * 3 & ~(UINT64_C(1) << FLAG_TIME_INFERRED);
        patient_set(&patient, "first_name", value_text((Str){text, size % 50}));
        patient_set(&patient, "middle_name", value_text(STR("")));
        patient_set(&patient, "birth_date", value_number(-(int64_t)size));
        patient_set(&patient, "address", value_text((Str){text, size}));
        patient_set(&patient, "city", value_text((Str){text, MOST - size}));
        reference_record_hash(&patient.record, input, expected);
        hash_record(&patient.record, found);
        assert_memory_equal(found, expected, 16);
    }
}

/* A record longer than the buffer takes the streaming way; both ways are one function of the bytes. */
static void a_long_record_hashes_every_byte(void **state) {
    (void)state;
    CLEANUP(mem_drop) char *text = malloc(10000);
    memset(text, 'x', 10000);
    for (size_t size = 7500; size < 8300; size++) {
        Patient one, two;
        patient_init(&one);
        patient_init(&two);
        patient_set(&one, "address", value_text((Str){text, size}));
        patient_set(&two, "address", value_text((Str){text, size + 1}));
        assert_true(hashes_differ(&one, &two));
        assert_false(hashes_differ(&one, &one));
    }
    Patient first, last;
    patient_init(&first);
    patient_init(&last);
    CLEANUP(mem_drop) char *changed = malloc(10000);
    memcpy(changed, text, 10000);
    changed[9999] = 'y';
    patient_set(&first, "address", value_text((Str){text, 10000}));
    patient_set(&last, "address", value_text((Str){changed, 10000}));
    assert_true(hashes_differ(&first, &last));
}

/* Stored hashes outlive the program: the value for a known record must never move by accident. */
static void record_hash_of_a_known_department_stays(void **state) {
    (void)state;
    Value values[ENTITY_COLUMNS_MAX] = {0};
    Record record = {.entity = entity_find(STR("departments")), .values = values};
    values[entity_column(record.entity, STR("name"))] = value_text(STR("Cardiology"));
    uint8_t hash[16];
    hash_record(&record, hash);
    char hex[33];
    for (int i = 0; i < 16; i++)
        sprintf(hex + 2 * i, "%02x", hash[i]);
    assert_string_equal(hex, "8ca818562e0e52c5c91cd6f28439f724");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(source_hash_is_the_definition_for_rows_of_any_length),
        cmocka_unit_test(long_bytes_are_hashed_as_bytes),
        cmocka_unit_test(null_empty_and_moved_borders_differ),
        cmocka_unit_test(record_hash_sees_attributes_and_flags_only),
        cmocka_unit_test(the_place_of_a_text_counts),
        cmocka_unit_test(record_hash_is_the_definition_for_records_of_any_length),
        cmocka_unit_test(a_long_record_hashes_every_byte),
        cmocka_unit_test(record_hash_of_a_known_department_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
