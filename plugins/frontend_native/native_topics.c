/* native_topics.c: see native_topics.h. */
#include "native_frontend.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUCKETS 64u

/* FNV-1a */
static uint32_t hash_of(struct sluice_text name)
{
    uint32_t hash = 2166136261u;
    for (uint64_t i = 0; i < name.size; i++) {
        hash = (hash ^ (uint8_t)name.data[i]) * 16777619u;
    }
    return hash;
}

static struct native_topic **bucket_of(const struct native_topics *topics, struct sluice_text name)
{
    return &topics->buckets[hash_of(name) & (topics->bucket_count - 1)];
}

struct native_topic *native_topics_find(const struct native_topics *topics, struct sluice_text name)
{
    struct native_topic *topic = topics->bucket_count == 0 ? NULL : *bucket_of(topics, name);
    while (topic != NULL && (topic->name.size != name.size ||
                             memcmp(topic->name.data, name.data, (size_t)name.size) != 0)) {
        topic = topic->next;
    }
    return topic;
}

void native_topic_ref(struct native_topic *topic)
{
    topic->refs++;
}

void native_topic_unref(struct native_topic *topic)
{
    if (--topic->refs == 0) {
        free(topic);
    }
}

void native_topics_fini(struct native_topics *topics)
{
    for (uint32_t i = 0; i < topics->bucket_count; i++) {
        while (topics->buckets[i] != NULL) {
            struct native_topic *topic = topics->buckets[i];
            topics->buckets[i] = topic->next;
            native_topic_unref(topic);
        }
    }
    free(topics->buckets);
    *topics = (struct native_topics){0};
}

static bool grow(struct native_topics *topics)
{
    uint32_t count = topics->bucket_count == 0 ? FIRST_BUCKETS : topics->bucket_count * 2;
    struct native_topic **buckets;
    if (topics->count < topics->bucket_count) {
        return true;
    }
    buckets = calloc(count, sizeof(*buckets));
    if (buckets == NULL) {
        return topics->bucket_count > 0; /* chains get longer */
    }
    struct native_topics bigger = {.buckets = buckets, .bucket_count = count};
    for (uint32_t i = 0; i < topics->bucket_count; i++) {
        while (topics->buckets[i] != NULL) {
            struct native_topic *topic = topics->buckets[i];
            struct native_topic **into = bucket_of(&bigger, topic->name);
            topics->buckets[i] = topic->next;
            topic->next = *into;
            *into = topic;
        }
    }
    free(topics->buckets);
    topics->buckets = buckets;
    topics->bucket_count = count;
    return true;
}

static struct native_topic *add(struct native_topics *topics, const struct sluice_topic_seen *seen)
{
    struct native_topic *topic =
        grow(topics) ? calloc(1, sizeof(*topic) + (size_t)seen->name.size + 1) : NULL;
    if (topic == NULL) {
        return NULL;
    }
    memcpy(topic + 1, seen->name.data, (size_t)seen->name.size);
    topic->name = (struct sluice_text){(const char *)(topic + 1), seen->name.size};
    topic->id = seen->id;
    topic->refs = 1;
    struct native_topic **bucket = bucket_of(topics, topic->name);
    topic->next = *bucket;
    *bucket = topic;
    topics->count++;
    return topic;
}

/* Another topic of that name has taken its place: the old one is not seen in this round. */
static struct native_topic *find_same(const struct native_topics *topics,
                                      const struct sluice_topic_seen *seen)
{
    struct native_topic *topic = native_topics_find(topics, seen->name);
    while (topic != NULL && (topic->name.size != seen->name.size ||
                             memcmp(&topic->id, &seen->id, sizeof(topic->id)) != 0)) {
        topic = topic->next;
    }
    return topic;
}

static void on_seen(void *arg, const struct sluice_topic_seen *seen)
{
    struct native_topics *topics = arg;
    struct native_topic *topic = find_same(topics, seen);
    topic = topic != NULL ? topic : add(topics, seen);
    if (topic == NULL) {
        topics->failed = true;
        return;
    }
    topic->partition_count = seen->partition_count;
    topic->round = topics->round;
}

static void sweep(struct native_frontend *frontend)
{
    struct native_topics *topics = &frontend->topics;
    for (uint32_t i = 0; i < topics->bucket_count; i++) {
        struct native_topic **at = &topics->buckets[i];
        while (*at != NULL) {
            struct native_topic *topic = *at;
            if (topic->round == topics->round) {
                at = &topic->next;
                continue;
            }
            *at = topic->next;
            topics->count--;
            native_subs_topic_went(frontend, topic);
            native_topic_unref(topic);
        }
    }
}

static void tell(struct native_frontend *frontend)
{
    struct native_topics *topics = &frontend->topics;
    for (uint32_t i = 0; i < topics->bucket_count; i++) {
        for (struct native_topic *topic = topics->buckets[i]; topic != NULL; topic = topic->next) {
            uint32_t first = topic->told_count;
            topic->told_count = topic->partition_count;
            if (first < topic->partition_count) {
                native_subs_topic_came(frontend, topic, first);
            }
        }
    }
}

void native_topics_refresh(struct native_frontend *frontend)
{
    const struct sluice_broker *broker = frontend->broker;
    struct native_topics *topics = &frontend->topics;
    uint64_t known = topics->failed || topics->bucket_count == 0 ? 0 : topics->version;
    uint32_t round = topics->round;
    bool failed = topics->failed;
    topics->round++;
    topics->failed = false;
    uint64_t version = broker->topics_seen(broker, known, on_seen, topics);
    if (version == known) {
        topics->round = round;
        topics->failed = failed;
        return;
    }
    topics->version = version;
    if (!topics->failed) {
        sweep(frontend);
    }
    tell(frontend);
}
