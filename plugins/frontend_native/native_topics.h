/* native_topics.h: the topics that there are, as an instance knows them.
 *
 * A copy of names, ids and numbers of partitions, brought up to date when the catalog has another
 * version: at a request that needs it, and by tick while there are subscriptions. It is the
 * frontend's own view: whoever shows a topic to a user asks first whether it may. [loop] */
#ifndef FRONTEND_NATIVE_NATIVE_TOPICS_H
#define FRONTEND_NATIVE_NATIVE_TOPICS_H

#include <sluice/types.h>

struct native_frontend;

struct native_topic {
    struct native_topic *next; /* in its bucket */
    struct sluice_text name;   /* behind the struct */
    struct sluice_uuid id;
    uint32_t refs; /* one while it is in the table, one a source */
    uint32_t partition_count;
    uint32_t told_count; /* of them, subscriptions were told */
    uint32_t round;      /* of the refresh that saw it last */
};

struct native_topics {
    struct native_topic **buckets;
    uint32_t bucket_count; /* a power of two; 0: never refreshed */
    uint32_t count;
    uint32_t round;
    uint64_t version;
    bool failed; /* memory was short: the next refresh begins anew */
};

void native_topics_fini(struct native_topics *topics);
/* Tells the subscriptions of what came and went. */
void native_topics_refresh(struct native_frontend *frontend);
/* NULL: there is none. Borrowed until the next refresh. */
struct native_topic *native_topics_find(const struct native_topics *topics,
                                        struct sluice_text name);
void native_topic_ref(struct native_topic *topic);
void native_topic_unref(struct native_topic *topic);

#endif
