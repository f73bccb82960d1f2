/* share_store.h: the windows of all groups that share streams of one shard, by group, topic and
 * partition, with the wheel of their locks, and the groups' configuration.
 *
 * What is durable of it comes and goes through share_store_apply (recovery) and
 * share_store_snapshot (checkpoints); the live windows are changed where the records are
 * (shard/shares.h), which writes down what it changes. A group is here while it has streams or a
 * configuration. One thread. */
#ifndef SL_DELIVER_SHARE_STORE_H
#define SL_DELIVER_SHARE_STORE_H

#include "base/list.h"
#include "catalog/chain_map.h"
#include "deliver/share_config.h"
#include "deliver/share_count.h"
#include "deliver/share_item.h"

#define SHARE_STREAMS_MAX     1000000u /* of a shard; E_LIMIT */
#define SHARE_WHEEL_SLOTS     512u
#define SHARE_WHEEL_SLOT_MS   100
#define SHARE_STATE_BYTES_MAX (1u << 20) /* of an item */

struct share_owner_group {
    struct chain_link by_name;
    struct sl_link in_ring; /* of all groups; or of those that are gone */
    int64_t counts[SHARE_COUNT_COUNT];
    int64_t told[SHARE_COUNT_COUNT]; /* of them, by whoever publishes */
    struct sl_list streams;
    struct share_settings settings;
    sl_err letters_err;   /* why its dead letters cannot be written; SLUICE_OK: they can */
    struct sl_bytes name; /* the bytes follow the struct */
};

struct share_stream {
    struct chain_link by_key;
    struct share_owner_group *group;
    struct sl_link in_group;
    struct sl_link in_wheel;  /* waits for its window's due_ms, or a moment before */
    struct sl_link in_doomed; /* has records that are to become dead letters, now or later */
    struct sl_list waiters;   /* of whoever delivers */
    struct sl_uuid topic;
    uint32_t partition;
    uint32_t refs; /* whoever points here; freed with the last, when it is removed */
    bool removed;
    bool fetching; /* somebody reads for it: one at a time, so that nothing is read twice */
    bool checked;  /* since the start: looked at against its log and its group's limits */
    bool burying;  /* dead letters of it are under way */
    uint32_t counted_in_flight, counted_doomed; /* in its group's counts */
    struct share_window window;
};

struct share_store {
    struct chain_map groups;
    struct chain_map streams;
    uint32_t stream_count;
    struct sl_list slots[SHARE_WHEEL_SLOTS];
    int64_t turned_ms;          /* slots before it are empty */
    struct sl_list doomed;      /* streams that have dead letters to write … */
    struct sl_list undelivered; /* … and those whose letters could not be written: they are tried
                                   again at retry_ms */
    int64_t retry_ms;
    int64_t backoff_ms;
    uint32_t burials;    /* under way */
    struct sl_list ring; /* all groups; whoever publishes what they count turns it */
    struct sl_list gone; /* groups that were removed and have something to tell; owned */
};

sl_err share_store_init(struct share_store *store) SL_MUST_CHECK;
void share_store_fini(struct share_store *store);

struct share_owner_group *share_store_group(const struct share_store *store, struct sl_bytes name);
/* The defaults where the group is not here. */
struct share_settings share_store_settings(const struct share_store *store, struct sl_bytes name);
/* The group's whole configuration: what is set, by apply's rules. E_NO_MEMORY. */
sl_err share_store_configure(struct share_store *store, struct sl_bytes name,
                             const struct share_settings *settings) SL_MUST_CHECK;
/* A SHARE_CONFIG payload. E_NO_MEMORY. */
sl_err share_config_encode(struct sl_bytes group, const struct share_settings *settings,
                           struct sl_buffer *payload) SL_MUST_CHECK;

struct share_stream *share_store_find(const struct share_store *store, struct sl_bytes group,
                                      const struct sl_uuid *topic, uint32_t partition);
/* Not there yet. E_LIMIT, E_NO_MEMORY. */
sl_err share_store_add(struct share_store *store, struct sl_bytes group,
                       const struct sl_uuid *topic, uint32_t partition, int64_t start,
                       struct share_stream **ret_stream) SL_MUST_CHECK;
void share_stream_ref(struct share_stream *stream);
void share_stream_unref(struct share_stream *stream);
/* topic NULL: all of the group, and the group's configuration with them. */
void share_store_forget(struct share_store *store, struct sl_bytes group,
                        const struct sl_uuid *topic);
void share_store_forget_topic(struct share_store *store, const struct sl_uuid *topic);

/* Records that the group is not done with; end: of the stream. */
int64_t share_stream_lag(const struct share_stream *stream, int64_t end);
static inline void share_stream_count(struct share_stream *stream, enum share_count what,
                                      int64_t count)
{
    if (stream->group != NULL) {
        stream->group->counts[what] += count;
    }
}

/* After any change of the window: its place in the wheel, and among those that have dead letters to
 * write; what its group counts. */
void share_store_arm(struct share_store *store, struct share_stream *stream);
/* When to look again; INT64_MAX: nothing waits. May be early. */
int64_t share_store_due_ms(const struct share_store *store);
/* A stream whose window is due; it is out of the wheel. NULL: no more. */
struct share_stream *share_store_due(struct share_store *store, int64_t now_ms);

/* SHARE_STATE, SHARE_FORGET, SHARE_CONFIG. E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. */
sl_err share_store_apply(struct share_store *store, uint16_t kind, uint8_t version,
                         struct sl_bytes payload) SL_MUST_CHECK;
typedef sl_err share_add_fn(void *arg, uint16_t kind, uint8_t version, struct sl_bytes payload);
/* About `count` streams from *at on (begin with 0), then the groups' configurations; UINT32_MAX:
 * that was all. */
sl_err share_store_snapshot(const struct share_store *store, uint32_t *at, uint32_t count,
                            share_add_fn *add, void *add_arg) SL_MUST_CHECK;
/* The whole window as a SHARE_STATE payload at the end of the buffer. */
sl_err share_stream_encode(const struct share_stream *stream,
                           struct sl_buffer *payload) SL_MUST_CHECK;

#endif
