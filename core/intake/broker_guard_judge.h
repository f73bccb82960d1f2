/* broker_guard_judge.h: calls on several things, of which a part may be refused.
 *
 *   entries ─► judged ─► all may: the call goes on as it is
 *                    └─► some may not: those that may go on; their results and the refusals come
 *                        back in the order asked for
 *
 * A kind says what entries and results are, who may, and how a refusal looks; what is left to the
 * call is to pass on what may and to answer with the results of all. [loop] */
#ifndef SL_INTAKE_BROKER_GUARD_JUDGE_H
#define SL_INTAKE_BROKER_GUARD_JUDGE_H

#include "intake/broker_guard.h"

/* Whether the operation may be done with what an entry names, at the kind's place in it. */
typedef bool guard_may_fn(struct broker_guard *guard, const struct sluice_context *context,
                          const void *named, int32_t operation);
/* Fills in the result, which is zero, of an entry that is refused. */
typedef void guard_refuse_fn(void *result, const void *entry);

struct guard_kind {
    size_t entry_size;
    size_t result_size;
    size_t named; /* offset in an entry of what the judgement is about */
    guard_may_fn *may;
    int32_t operation;
    guard_refuse_fn *refuse;
};

/* A call of which a part is refused. */
struct guarded {
    struct broker_guard *guard;
    const struct guard_kind *kind;
    uint32_t count;
    uint32_t allowed_count;
    uint32_t *places;    /* of the allowed ones in the request */
    bool *denied;        /* by place in the request */
    void *entries;       /* the allowed ones */
    void *results;       /* all, in the order asked for */
    const void *request; /* the caller's entries */
    union {
        sluice_produce_done *produce;
        sluice_fetch_done *fetch;
        sluice_offsets_done *offsets;
        sluice_topics_done *topics;
        sluice_topic_results_done *topic_results;
        sluice_records_deleted_done *records_deleted;
        sluice_statuses_done *statuses;
        sluice_offset_fetched_done *offset_fetched;
        sluice_groups_done *groups;
        sluice_epoch_ends_done *epoch_ends;
        sluice_consumer_group_info_done *consumer_group;
        sluice_streams_group_info_done *streams_group;
        sluice_share_fetched_done *share_fetched;
        sluice_share_offsets_done *share_offsets;
    } done;
    void *arg;
    union {
        struct sluice_offset_commit commit;
        struct sluice_offset_fetch fetch;
        struct sluice_share_fetch share;
    } copy; /* of a request that lives until done */
    struct sluice_context context;
};

enum guard_verdict {
    GUARD_ALL,      /* may: the call goes on as it is, nothing was made */
    GUARD_SOME,     /* the allowed entries go on */
    GUARD_NONE,     /* nothing goes on, the refusals are to be answered */
    GUARD_NO_MEMORY /* nothing was made */
};

/* Judges the entries; *ret_guarded where some are refused, the caller's to give done to and to
 * answer with guarded_merge and guarded_free. */
enum guard_verdict guarded_judge(struct broker_guard *guard, const struct sluice_context *context,
                                 const struct guard_kind *kind, const void *entries, uint32_t count,
                                 void *arg, struct guarded **ret_guarded);
/* For what is judged when it is there: who asks is kept. NULL: no memory. */
struct guarded *guarded_later(struct broker_guard *guard, const struct sluice_context *context,
                              void *arg);
/* The results that came, to their places; and the refusals. For calls whose status says whether
 * there are any. */
void guarded_merge(struct guarded *guarded, const void *results, uint32_t count);
/* The same for those without: returns how many results to answer with. None, where what went on was
 * not answered, as the broker had no memory: a result that is not there must not look like one. */
uint32_t guarded_merge_all(struct guarded *guarded, const void *results,
                           uint32_t count) SL_MUST_CHECK;
void guarded_free(struct guarded *guarded);

/* A change of topics: what of it goes on, and who is answered. */
struct guard_change {
    const void *entries;
    uint32_t count;
    sluice_topic_results_done *done;
    void *arg;
};

/* Leaves in the change what may go on. False: that is nothing, and it is answered. */
bool guard_change_judge(struct broker_guard *guard, const struct sluice_context *context,
                        const struct guard_kind *kind, struct guard_change *change);

/* ---- what is asked often ---- */

struct broker_guard *broker_guard_of(const struct sluice_broker *broker);
bool broker_guard_may_cluster(struct broker_guard *guard, const struct sluice_context *context,
                              int32_t operation);
bool broker_guard_may_group(struct broker_guard *guard, const struct sluice_context *context,
                            int32_t operation, struct sluice_text group);
/* named: a struct sluice_topic_ref. A topic that is named by an id nobody knows is the broker's to
 * answer. */
guard_may_fn broker_guard_may_topic;
/* named: a struct sluice_text, a topic's name. */
guard_may_fn broker_guard_may_topic_name;
/* As broker_guard_allows, but not counted: a part of a larger question. */
bool broker_guard_knows(struct broker_guard *guard, const struct sluice_context *context,
                        int32_t operation, int32_t resource, struct sluice_text name);

/* ---- the areas: each fills in its calls ---- */

void broker_guard_records_init(struct sluice_broker *table);
void broker_guard_topics_init(struct sluice_broker *table);
void broker_guard_configs_init(struct sluice_broker *table);
void broker_guard_groups_init(struct sluice_broker *table);
void broker_guard_offsets_init(struct sluice_broker *table);
void broker_guard_cluster_init(struct sluice_broker *table);
void broker_guard_consumers_init(struct sluice_broker *table);
void broker_guard_shares_init(struct sluice_broker *table);
void broker_guard_streams_init(struct sluice_broker *table);

#endif
