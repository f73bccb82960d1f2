/* dead_letter.h: a record that a stage could not process, as it stands in __sluice_dlq.<stage>:
 * key, value, time and headers of its own, and behind them these headers, all texts:
 *
 *   sluice.reason     why, in a sentence
 *   sluice.instance   the stage
 *   sluice.version    of the plugin
 *   sluice.topic, sluice.partition, sluice.offset   where it came from
 *   sluice.redrives   how often it was handed back and failed again; absent: never
 *
 * Those of groups that share streams (KIP-1191, shard/share_letter.h) are read too:
 * __dlq.errors.message is the reason, .group the instance; .topic, .partition and .offset as above.
 *
 * A filter chooses among them, for `sluice dlq show` and `redrive`. Pure data. [any] */
#ifndef SL_RECORD_DEAD_LETTER_H
#define SL_RECORD_DEAD_LETTER_H

#include "record/batch_builder.h"

#define DEAD_LETTER_HEADERS       7u
#define DEAD_LETTER_HEADER_PREFIX "sluice."

struct dead_letter_origin {
    struct sl_bytes reason;
    struct sl_bytes instance;
    struct sl_bytes version;
    struct sl_bytes topic;
    uint32_t partition;
    int64_t offset;
    uint32_t redrives;
};
/* What the headers' values point at. */
struct dead_letter_texts {
    char partition[16];
    char offset[24];
    char redrives[16];
};
/* Fills headers, which point into origin and texts; returns how many. */
uint32_t dead_letter_headers(const struct dead_letter_origin *origin,
                             struct dead_letter_texts *texts,
                             struct header_view ret_headers[DEAD_LETTER_HEADERS]);

/* One read back; views into the record. */
struct dead_letter {
    struct dead_letter_origin origin;
    uint32_t own_headers; /* of the record before it failed: the first ones */
    bool whole;           /* topic, partition and offset were there */
    bool of_group;        /* that shares streams; else of a stage */
    bool is_bare;         /* no key, no value and no header of its own: it only says where from */
};
void dead_letter_read(const struct record_view *record, struct dead_letter *ret_letter);

/* ---- filters ---- */

#define DEAD_LETTER_FILTERS_MAX 16u
#define DEAD_LETTER_FILTER_HELP                                                                   \
    "FIELD=VALUE (equal) or FIELD~VALUE (contains); FIELD is reason, version, topic, partition, " \
    "key, value or header.NAME"

enum dead_letter_field {
    DEAD_LETTER_REASON,
    DEAD_LETTER_VERSION,
    DEAD_LETTER_TOPIC,
    DEAD_LETTER_PARTITION,
    DEAD_LETTER_KEY,
    DEAD_LETTER_VALUE,
    DEAD_LETTER_HEADER,
};
struct dead_letter_term {
    enum dead_letter_field field;
    struct sl_bytes header; /* name */
    struct sl_bytes value;
    bool contains;
};
/* All terms must match; none: everything does. Views into the texts that were parsed. */
struct dead_letter_filter {
    struct dead_letter_term terms[DEAD_LETTER_FILTERS_MAX];
    uint32_t count;
};
/* Adds "reason~SIGSEGV". E_INVALID: not of that form; E_LIMIT: too many. */
sl_err dead_letter_filter_add(struct dead_letter_filter *filter,
                              struct sl_bytes text) SL_MUST_CHECK;
bool dead_letter_matches(const struct dead_letter_filter *filter, const struct record_view *record,
                         const struct dead_letter *letter);

#endif
