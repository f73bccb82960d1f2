/* streams_fixture.h: topics that are made up, and applications in short: a line a subtopology,
 *
 *   "count reads orders,users writes totals keeps by-key,by-day=6 logs store with orders,by-key"
 *
 * reads: sources. writes: sinks. keeps: repartition topics that it reads, with the number of
 * partitions that the application asks for. logs: changelogs. with: topics that must have one
 * number of partitions; as often as wanted. */
#ifndef TESTS_STREAMS_FIXTURE_H
#define TESTS_STREAMS_FIXTURE_H

#include "deliver/streams_plan.h"

#define STREAMS_FIXTURE_TOPICS 32

struct streams_fixture {
    struct {
        char name[64];
        uint32_t partition_count; /* 0: it is not there */
        uint8_t generation;       /* in its id */
    } topics[STREAMS_FIXTURE_TOPICS];
    uint32_t topic_count;
    uint64_t version;
    struct group_topics source; /* of these topics */
    struct answer_arena arena;  /* of what was parsed */
    char message[STREAMS_MESSAGE_BYTES];
};

void streams_fixture_init(struct streams_fixture *fixture);
void streams_fixture_fini(struct streams_fixture *fixture);
/* 0 partitions: it goes. */
void streams_fixture_topic(struct streams_fixture *fixture, const char *name, uint32_t partitions);
/* Lines end with NULL. Valid until fini. */
const struct sluice_streams_topology *streams_fixture_parse(struct streams_fixture *fixture,
                                                            const char *const *lines);
/* … as the log keeps it; asserted to be good. The caller's to free. */
struct streams_topology *streams_fixture_topology(struct streams_fixture *fixture,
                                                  const char *const *lines);

#define APPLICATION(...)  \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

#endif
