/* cli_tap_reader.h: a sample of the records that come into topics by a pattern, for tap and top.
 * Internal.
 *
 * It asks where the partitions end, and reads from each that grew as many records as its share of
 * the rate allows: the newest. What lies between is left out and counted, so that it costs the
 * broker a question and a few small reads, however much flows. */
#ifndef SL_CLI_CLI_TAP_READER_H
#define SL_CLI_CLI_TAP_READER_H

#include "cli/cli_watch.h"

#define TAP_PATTERNS_MAX   16u
#define TAP_TOPICS_MAX     500u
#define TAP_PARTITIONS_MAX 5000u
#define TAP_RATE_MAX       1000
#define TAP_POLL_MS        150

struct tap_part {
    char *topic; /* owned */
    int32_t partition;
    bool is_there;
    int64_t at, end;
};

struct tap {
    struct cli_link *link;
    const char *patterns[TAP_PATTERNS_MAX];
    uint32_t pattern_count;
    int64_t rate;           /* records per second at most */
    double tokens;          /* records that may be shown now */
    int64_t polled_ms;      /* monotonic; 0: never */
    int64_t listed_ms;      /* likewise */
    cJSON *topics;          /* owned: the names that match */
    uint32_t left_topics;   /* that match beyond the bound */
    struct tap_part *parts; /* owned */
    uint32_t part_count;
    uint32_t hint;  /* where the next one of an answer probably is */
    bool has_begun; /* a partition that is new from now on is read from its beginning */
    int64_t shown, left_out;
};

/* record: borrowed, as in the answer of consume. False: no more are wanted. */
typedef bool tap_record_fn(void *arg, const char *topic, int32_t partition, cJSON *record);

/* patterns: borrowed. */
void tap_init(struct tap *tap, struct cli_link *link, const char *const *patterns,
              uint32_t pattern_count, int64_t rate);
void tap_fini(struct tap *tap);
/* One round; call it every TAP_POLL_MS. CLI_OK, or as cli_call. */
int tap_poll(struct tap *tap, tap_record_fn *record, void *arg);
/* "*", "?" and [sets]; internal topics only when the pattern begins with "__". */
bool tap_matches(const char *pattern, const char *topic);

#endif
