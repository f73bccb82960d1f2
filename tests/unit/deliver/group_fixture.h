/* group_fixture.h: a coordinator in virtual time, and calls that remember their answers. */
#ifndef SL_TEST_GROUP_FIXTURE_H
#define SL_TEST_GROUP_FIXTURE_H

#include "deliver/group_coordinator.h"

#define CALL_MEMBERS_MAX 64

/* One join or sync and what it was answered. */
struct group_call {
    int answers; /* must end as 1 */
    sluice_status status;
    int32_t generation;
    bool skip_assignment;
    uint32_t member_count;
    char member[300];
    char leader[300];
    char protocol[64];
    char members[CALL_MEMBERS_MAX][300];
    char metadata[CALL_MEMBERS_MAX][32];
    char assignment[64];
};

/* A client: who it is, and what it last called. */
struct group_client {
    char id[300];          /* empty: unknown yet */
    const char *instance;  /* NULL: dynamic */
    const char *protocols; /* "range" or "range,sticky" */
    const char *metadata;
    int32_t session_ms;
    int32_t rebalance_ms;
    int32_t generation;
    bool require_member_id;
    bool skip;
    struct group_call call;
};

struct group_fixture {
    struct group_coordinator *coordinator;
    const char *group;
    int64_t now_ms;
};

/* Kafka's limits; initial delay as given. */
void group_fixture_init(struct group_fixture *fixture, int32_t initial_delay_ms);
void group_fixture_fini(struct group_fixture *fixture);
/* Time passes; every deadline on the way is met in order. */
void group_fixture_pass(struct group_fixture *fixture, int64_t time_ms);

struct group_client group_client_make(const char *instance);
void group_client_join(struct group_fixture *fixture, struct group_client *client);
/* "member=assignment" pairs come from plan(member, text) for a leader; NULL: none. */
void group_client_sync(struct group_fixture *fixture, struct group_client *client,
                       const struct group_call *joined);
sluice_status group_client_beat(struct group_fixture *fixture, const struct group_client *client);
sluice_status group_client_leave(struct group_fixture *fixture, const struct group_client *client);
sluice_status group_client_commit(struct group_fixture *fixture, const struct group_client *client);
/* Joins (with the id round when required) and takes over id and generation. */
void group_client_enter(struct group_fixture *fixture, struct group_client *client);
/* Two members in a stable group, the first one leads. */
void group_fixture_stable(struct group_fixture *fixture, struct group_client *a,
                          struct group_client *b);
int32_t group_fixture_state(const struct group_fixture *fixture);

void group_call_joined(void *arg, const struct sluice_group_joined *joined);
void group_call_synced(void *arg, const struct sluice_group_synced *synced);
void group_text_copy(char *to, size_t size, struct sluice_text text);

#endif
