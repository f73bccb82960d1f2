/* share_topics.c: see share_topics.h. */
#include "deliver/share_topics.h"

#include "base/hash.h"
#include "deliver/share_members.h"

/* A name that a member said. */
struct reading {
    struct share_member *member;
    uint32_t topic; /* NO_TOPIC: it said so before */
};

#define NO_TOPIC UINT32_MAX

struct making {
    struct share_topics *topics;
    uint32_t *slots; /* open addressing: number of a topic + 1 */
    uint32_t mask;
    struct reading *readings;
    uint32_t count;
};

static uint32_t count_names(const struct sl_list *members)
{
    uint32_t count = 0;
    for (struct sl_link *link = members->head.next; link != &members->head; link = link->next) {
        const struct share_member *member = SL_CONTAINER_OF(link, struct share_member, link);
        count += member->reads_all ? 0 : member->topic_count;
    }
    return count;
}

static uint32_t topic_number(struct making *making, struct sl_bytes name)
{
    struct share_topics *topics = making->topics;
    uint32_t at = (uint32_t)sl_hash64(name.data, name.size) & making->mask;
    for (;; at = (at + 1) & making->mask) {
        topics->probe_count++;
        if (making->slots[at] == 0) {
            topics->topics[topics->count] = (struct share_topic){.name = name};
            making->slots[at] = ++topics->count;
        }
        if (sl_bytes_equal(topics->topics[making->slots[at] - 1].name, name)) {
            return making->slots[at] - 1;
        }
    }
}

/* Readers of a topic are counted as they come: the last that counted is in `last`. */
static void read_names(struct making *making, struct share_member *member,
                       const struct share_member **last)
{
    for (uint32_t i = 0; i < member->topic_count; i++) {
        uint32_t topic = topic_number(making, member->topics[i]);
        bool is_new = last[topic] != member;
        last[topic] = member;
        making->topics->topics[topic].reader_count += is_new;
        making->readings[making->count++] =
            (struct reading){.member = member, .topic = is_new ? topic : NO_TOPIC};
    }
}

static void place_readers(struct making *making, struct share_member **readers)
{
    struct share_topics *topics = making->topics;
    for (uint32_t t = 0; t < topics->count; t++) {
        topics->topics[t].readers = readers;
        readers += topics->topics[t].reader_count;
        topics->topics[t].reader_count = 0;
    }
    for (uint32_t i = 0; i < making->count; i++) {
        const struct reading *reading = &making->readings[i];
        if (reading->topic != NO_TOPIC) {
            struct share_topic *topic = &topics->topics[reading->topic];
            topic->readers[topic->reader_count++] = reading->member;
        }
    }
}

sl_err share_topics_make(struct share_topics *topics, const struct sl_list *members)
{
    if (topics->is_made) {
        return SLUICE_OK;
    }
    uint32_t names = count_names(members), size = 2;
    while (size < 2 * names) {
        size *= 2;
    }
    *topics = (struct share_topics){0};
    struct making making = {.topics = topics, .mask = size - 1};
    size_t each = sizeof(*topics->topics) + sizeof(*topics->topics->readers);
    topics->topics = sl_alloc_zero(names + 1u, each);
    making.slots = sl_alloc_zero(size, sizeof(*making.slots));
    making.readings = sl_alloc_zero(names + 1u, sizeof(*making.readings));
    const struct share_member **last = sl_alloc_zero(names + 1u, sizeof(*last));
    topics->is_made =
        topics->topics != NULL && making.slots != NULL && making.readings != NULL && last != NULL;
    for (struct sl_link *link = members->head.next; topics->is_made && link != &members->head;
         link = link->next) {
        struct share_member *member = SL_CONTAINER_OF(link, struct share_member, link);
        if (!member->reads_all) {
            read_names(&making, member, last);
        }
    }
    if (topics->is_made) {
        place_readers(&making, (struct share_member **)(topics->topics + names + 1u));
    } else {
        share_topics_drop(topics);
    }
    sl_free(making.slots);
    sl_free(making.readings);
    sl_free(last);
    return topics->is_made ? SLUICE_OK : SLUICE_E_NO_MEMORY;
}

void share_topics_drop(struct share_topics *topics)
{
    sl_free(topics->topics);
    *topics = (struct share_topics){0};
}
