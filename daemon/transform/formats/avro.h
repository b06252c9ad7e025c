/* avro.h - rows as an Avro object container file (Apache Avro 1.11 specification, "Object Container
 * Files" and "Logical Types"), written as a stream.
 *
 * Knows what BigQuery loads: nullable scalars as a union with null, arrays of strings, and the
 * logical types decimal (on bytes), date and timestamp-micros. No reader, no nested records.
 * A row is put column by column in the order of the columns, then ended; blocks go to the sink as
 * they fill. Putting another kind than the column's is a bug and fails the next avro_end_row().
 * The same rows with the same `sync` give the same bytes. One thread at a time. */
#pragma once
#include "base/buf.h"
#include "base/error.h"

typedef enum AvroKind {
    AVRO_LONG,
    AVRO_BOOL,
    AVRO_STRING,
    AVRO_DATE,         /* days since 1970-01-01 */
    AVRO_TIMESTAMP_US, /* microseconds since 1970-01-01T00:00:00Z */
    AVRO_DECIMAL,      /* a whole number of the smallest unit, 10^-scale */
    AVRO_STRINGS       /* array<string>; NULL is written as the empty array */
} AvroKind;

typedef struct AvroColumn {
    const char *name; /* a letter or "_", then letters, digits, "_" */
    AvroKind kind;
    bool nullable;
    int precision, scale; /* of AVRO_DECIMAL */
} AvroColumn;

typedef enum AvroCodec { AVRO_CODEC_NULL, AVRO_CODEC_DEFLATE } AvroCodec;

enum { AVRO_SYNC_BYTES = 16 };

/* Takes the next bytes of the file; false with an error ends the writing. */
typedef bool AvroSink(void *context, Str bytes, Error *err);

typedef struct AvroSpec {
    const char *record;        /* name of the record type */
    const AvroColumn *columns; /* borrowed until avro_free() */
    int n_columns;
    AvroCodec codec;
    uint8_t sync[AVRO_SYNC_BYTES]; /* must not occur in the data but by chance: any 16 random bytes */
    size_t block_bytes;            /* a block is closed when its rows reach this; 0: 64 KiB */
    AvroSink *sink;
    void *sink_context;
} AvroSpec;

typedef struct AvroWriter AvroWriter;

/* Writes the file's header to the sink. */
AvroWriter *avro_open(const AvroSpec *spec, Error *err);
void avro_free(AvroWriter *writer);
static inline void avro_drop(AvroWriter **owner) {
    if (*owner)
        avro_free(*owner);
}

void avro_put_null(AvroWriter *writer);
/* AVRO_LONG, AVRO_DATE, AVRO_TIMESTAMP_US, AVRO_BOOL (0 or 1) and AVRO_DECIMAL. */
void avro_put_number(AvroWriter *writer, int64_t value);
void avro_put_string(AvroWriter *writer, Str text);
void avro_put_strings(AvroWriter *writer, const Str *texts, size_t n);
bool avro_end_row(AvroWriter *writer, Error *err);
/* Writes the last block; nothing may be put afterwards. */
bool avro_finish(AvroWriter *writer, Error *err);
