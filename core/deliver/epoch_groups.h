/* epoch_groups.h: what groups whose members the broker assigns have in common (KIP-848's and
 * KIP-1071's): groups by name, members by group and id, epochs, deadlines, and what of it is to be
 * written down. Private to the room.
 *
 * A kind of groups embeds `struct epoch_group`, `struct epoch_member` and `struct epoch_groups` as
 * the first member of its own structs, and gives a table of what differs. What changes is marked:
 * groups and members hang in lists of what is dirty, and what is gone waits as an item until the
 * caller has all of it in a unit of the log. One thread. */
#ifndef SL_DELIVER_EPOCH_GROUPS_H
#define SL_DELIVER_EPOCH_GROUPS_H

#include "base/buffer.h"
#include "base/bytes.h"
#include "catalog/chain_map.h"
#include "deliver/consumer_groups.h"
#include "deliver/due_heap.h"

/* Numbers are stored: never reused. */
#define MEMBER_STABLE     0
#define MEMBER_UNREVOKED  1 /* gives partitions back, at its old epoch */
#define MEMBER_UNRELEASED 2 /* waits for partitions that others have */

struct epoch_group;
struct epoch_groups;

/* Whether a text of a request is there, and has nothing in it but blanks. */
bool epoch_text_is_blank(struct sluice_text text);

struct epoch_member {
    struct chain_link by_id; /* in the groups' map */
    struct due_node due;
    struct epoch_group *group;
    struct epoch_member *previous, *next; /* in order of joining */
    struct epoch_member *dirty_previous, *dirty_next;
    struct sl_bytes id; /* owned, as all that follow; data NULL: none */
    struct sl_bytes rack;
    struct sl_bytes client_id;
    struct sl_bytes client_host;
    int32_t rebalance_timeout_ms; /* -1: not told yet */
    int32_t epoch;
    int32_t previous_epoch;
    uint8_t state;  /* MEMBER_* */
    bool is_listed; /* in the list of what is dirty */
    bool is_dirty;  /* what it said of itself */
    bool is_moved;  /* its assignment */
    int64_t session_deadline_ms;
    int64_t rebalance_deadline_ms; /* of giving back */
};

struct epoch_group {
    struct chain_link by_name;
    struct epoch_group *dirty_previous, *dirty_next;
    struct sl_bytes name; /* owned */
    struct epoch_member *first, *last;
    uint32_t member_count;
    int32_t epoch;
    int32_t assignment_epoch;
    uint64_t topics_hash;    /* of what the members read, as it was when the epoch rose */
    uint64_t topics_version; /* looked at with this version of the topics */
    int64_t empty_since_ms;
    bool is_dirty;
};

/* Where items go: `add` with what is in `scratch`. */
struct epoch_items {
    struct epoch_groups *groups;
    consumer_groups_add_fn *add;
    void *arg;
    bool is_whole; /* everything; else what is marked */
};

/* What differs between kinds of groups. */
struct epoch_kind {
    uint16_t group_item, member_item; /* kinds that say that one is gone, too */
    uint8_t version;                  /* of the items */
    /* What a kind has beyond the common part, which is freed behind it with the block. group_fini
     * NULL: nothing. */
    void (*group_fini)(struct epoch_groups *groups, struct epoch_group *group);
    void (*member_fini)(struct epoch_groups *groups, struct epoch_member *member);
    /* Into an empty buffer: that it is gone. */
    sl_err (*group_gone)(const struct epoch_group *group, struct sl_buffer *ret_payload);
    sl_err (*member_gone)(const struct epoch_member *member, struct sl_buffer *ret_payload);
    /* epoch_item_add for each item. */
    sl_err (*group_items)(const struct epoch_items *items, const struct epoch_group *group);
    sl_err (*member_items)(const struct epoch_items *items, const struct epoch_member *member);
    /* It is about to go, and is not counted any more. NULL: nothing to do. */
    void (*member_left)(struct epoch_groups *groups, struct epoch_member *member);
    int64_t (*earliest_ms)(const struct epoch_member *member); /* of its deadlines */
    void (*member_start)(struct epoch_groups *groups, struct epoch_member *member); /* sets them */
    sl_err (*member_fence)(struct epoch_groups *groups, struct epoch_member *member);
};

struct epoch_groups {
    const struct epoch_kind *kind;
    struct group_topics topics;
    struct chain_map groups;  /* by name */
    struct chain_map members; /* by group and id */
    struct due_heap due;
    struct epoch_group *dirty_groups;
    struct epoch_member *dirty_members;
    struct epoch_gone *gone, **gone_end;
    struct sl_buffer scratch; /* of encoding */
    int64_t now_ms;           /* of the call under way */
    uint64_t rebalance_count, expired_count;
};

/* scratch_bytes_max: of one item. E_NO_MEMORY. */
sl_err epoch_groups_init(struct epoch_groups *groups, const struct epoch_kind *kind,
                         const struct group_topics *topics, size_t scratch_bytes_max) SL_MUST_CHECK;
void epoch_groups_fini(struct epoch_groups *groups);

/* ---- groups ---- */

struct epoch_group *epoch_group_get(const struct epoch_groups *groups,
                                    struct sl_bytes name); /* or NULL */
struct epoch_group *epoch_group_find(const struct epoch_groups *groups, struct sluice_text name);
/* [takes group: zeroed, from sl_alloc_zero, or NULL] E_NO_MEMORY: it is freed. */
sl_err epoch_group_add(struct epoch_groups *groups, struct epoch_group *group,
                       struct sl_bytes name) SL_MUST_CHECK;
/* With members: they go, too. E_NO_MEMORY: nothing changed. */
sl_err epoch_group_remove(struct epoch_groups *groups, struct epoch_group *group) SL_MUST_CHECK;
void epoch_group_mark(struct epoch_groups *groups, struct epoch_group *group);
void epoch_group_raise(struct epoch_groups *groups, struct epoch_group *group);
bool epoch_group_has_members(const struct epoch_groups *groups, struct sluice_text name);
int64_t epoch_group_idle_ms(const struct epoch_groups *groups, struct sluice_text name,
                            int64_t now_ms); /* as consumer_group_idle_ms */
sluice_status epoch_group_delete(struct epoch_groups *groups, struct sluice_text name);

/* What becomes of each entry of a commit whose sender is judged with `status`: that is returned. */
sluice_status epoch_group_commit_entries(const struct sluice_offset_commit *request,
                                         sluice_status status, uint64_t metadata_bytes_max,
                                         sluice_status *ret_statuses);

/* ---- members ---- */

struct epoch_member *epoch_member_get(const struct epoch_groups *groups,
                                      const struct epoch_group *group,
                                      struct sl_bytes id); /* or NULL */
/* [takes member: as epoch_group_add] It is the last of the group, without deadlines. */
sl_err epoch_member_add(struct epoch_groups *groups, struct epoch_group *group,
                        struct epoch_member *member, struct sl_bytes id) SL_MUST_CHECK;
/* E_NO_MEMORY: nothing changed, as in the next. */
sl_err epoch_member_remove(struct epoch_groups *groups, struct epoch_member *member) SL_MUST_CHECK;
sl_err epoch_member_rename(struct epoch_groups *groups, struct epoch_member *member,
                           struct sl_bytes id) SL_MUST_CHECK;
void epoch_member_mark(struct epoch_groups *groups, struct epoch_member *member);
void epoch_member_moved(struct epoch_groups *groups, struct epoch_member *member);
/* Looks at its deadlines no later than the earliest. */
void epoch_member_schedule(struct epoch_groups *groups, struct epoch_member *member);

/* ---- time ---- */

/* The interval that members are told: the one asked for, or a third of the session timeout where
 * that is not longer than it. A change of one of the two must agree with the other, but a group may
 * have set one of them, and the broker's other one be reloaded. [any] */
int32_t epoch_heartbeat_ms(int32_t interval_ms, int32_t session_timeout_ms);

void epoch_groups_start(struct epoch_groups *groups, int64_t now_ms);
void epoch_groups_tick(struct epoch_groups *groups, int64_t now_ms);

/* ---- the log ---- */

/* The item in `scratch`. */
sl_err epoch_item_add(const struct epoch_items *items, uint16_t item) SL_MUST_CHECK;
bool epoch_groups_is_dirty(const struct epoch_groups *groups);
/* What is gone comes first: a member may have come back under its id. Then groups: a member's item
 * is nothing without its group's. */
sl_err epoch_groups_dirty(struct epoch_groups *groups, consumer_groups_add_fn *add,
                          void *add_arg) SL_MUST_CHECK;
void epoch_groups_clean(struct epoch_groups *groups);
sl_err epoch_groups_snapshot(struct epoch_groups *groups, struct consumer_groups_walk *at,
                             uint32_t count, consumer_groups_add_fn *add, void *add_arg,
                             bool *ret_done) SL_MUST_CHECK;

/* ---- what is shown ---- */

void epoch_groups_status_get(const struct epoch_groups *groups,
                             struct group_coordinator_status *ret_status);
bool epoch_member_is_reconciled(const struct epoch_member *member);
/* "Empty", "Assigning", "Reconciling" or "Stable". */
const char *epoch_group_state(const struct epoch_group *group);

/* ---- texts ---- */

void epoch_text_fini(struct sl_bytes *text);
/* Sets *ret_changed where the text is another one. E_NO_MEMORY. */
sl_err epoch_text_set(struct sl_bytes *text, struct sl_bytes value,
                      bool *ret_changed) SL_MUST_CHECK;

#endif
