/* group_fixture.c: see group_fixture.h. */
#include "group_fixture.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

void group_fixture_init(struct group_fixture *fixture, int32_t initial_delay_ms)
{
    struct group_config config = {.limits = {.initial_delay_ms = initial_delay_ms}, .seed = {7, 9}};
    fixture->now_ms = 1000;
    fixture->group = "g";
    fixture->coordinator = group_coordinator_new(&config, fixture->now_ms);
    cr_assert_not_null(fixture->coordinator);
}

void group_fixture_fini(struct group_fixture *fixture)
{
    fixture->coordinator = group_coordinator_free(fixture->coordinator);
}

void group_fixture_pass(struct group_fixture *fixture, int64_t time_ms)
{
    int64_t end_ms = fixture->now_ms + time_ms;
    int64_t next_ms;
    while ((next_ms = group_coordinator_next_deadline_ms(fixture->coordinator)) <= end_ms) {
        fixture->now_ms = next_ms > fixture->now_ms ? next_ms : fixture->now_ms;
        group_coordinator_tick(fixture->coordinator, fixture->now_ms);
    }
    fixture->now_ms = end_ms;
}

void group_text_copy(char *to, size_t size, struct sluice_text text)
{
    cr_assert_lt(text.size, size);
    if (text.size != 0)
        memcpy(to, text.data, text.size);
    to[text.size] = '\0';
}

void group_call_joined(void *arg, const struct sluice_group_joined *joined)
{
    struct group_call *call = arg;
    call->answers++;
    call->status = joined->status;
    call->generation = joined->generation;
    call->skip_assignment = joined->skip_assignment;
    call->member_count = joined->member_count;
    group_text_copy(call->member, sizeof call->member, joined->member);
    group_text_copy(call->leader, sizeof call->leader, joined->leader);
    group_text_copy(call->protocol, sizeof call->protocol, joined->protocol);
    cr_assert_leq(joined->member_count, CALL_MEMBERS_MAX);
    for (uint32_t i = 0; i < joined->member_count; i++) {
        const struct sluice_bytes *metadata = &joined->members[i].metadata;
        group_text_copy(call->members[i], sizeof call->members[i], joined->members[i].id);
        group_text_copy(call->metadata[i], sizeof call->metadata[i],
                        (struct sluice_text){(const char *)metadata->data, metadata->size});
    }
}

void group_call_synced(void *arg, const struct sluice_group_synced *synced)
{
    struct group_call *call = arg;
    call->answers++;
    call->status = synced->status;
    cr_assert_not_null(synced->assignment.data);
    group_text_copy(
        call->assignment, sizeof call->assignment,
        (struct sluice_text){(const char *)synced->assignment.data, synced->assignment.size});
}

struct group_client group_client_make(const char *instance)
{
    return (struct group_client){
        .instance = instance,
        .protocols = "range",
        .metadata = "topics",
        .session_ms = 10000,
        .rebalance_ms = 60000,
        .generation = -1,
    };
}

void group_client_join(struct group_fixture *fixture, struct group_client *client)
{
    struct sluice_group_protocol protocols[4] = {0};
    uint32_t count = 0;
    for (const char *at = client->protocols; *at != '\0'; count++) {
        size_t size = strcspn(at, ",");
        struct sluice_text metadata = sluice_text_of(client->metadata);
        protocols[count].name = (struct sluice_text){at, size};
        protocols[count].metadata =
            (struct sluice_bytes){(const uint8_t *)metadata.data, metadata.size};
        at += size + (at[size] == ',');
    }
    struct sluice_group_join request = {
        .size = sizeof request,
        .session_timeout_ms = client->session_ms,
        .rebalance_timeout_ms = client->rebalance_ms,
        .protocol_count = count,
        .group = sluice_text_of(fixture->group),
        .member = sluice_text_of(client->id),
        .instance = sluice_text_of(client->instance),
        .protocol_type = sluice_text_of("consumer"),
        .protocols = protocols,
        .require_member_id = client->require_member_id,
        .supports_skip_assignment = client->skip,
    };
    client->call = (struct group_call){0};
    struct group_caller who = {sluice_text_of("test"), sluice_text_of("/127.0.0.1"), {"", 0}};
    group_join(fixture->coordinator, &request, &who, fixture->now_ms, group_call_joined,
               &client->call);
}

void group_client_sync(struct group_fixture *fixture, struct group_client *client,
                       const struct group_call *joined)
{
    struct sluice_group_assignment assignments[CALL_MEMBERS_MAX];
    char texts[CALL_MEMBERS_MAX][64];
    uint32_t count = joined == NULL ? 0 : joined->member_count;
    for (uint32_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof texts[i], "%d-%.40s", joined->generation,
                 joined->members[i] + strlen(joined->members[i]) - 12);
        struct sluice_text text = sluice_text_of(texts[i]);
        assignments[i].member = sluice_text_of(joined->members[i]);
        assignments[i].assignment = (struct sluice_bytes){(const uint8_t *)text.data, text.size};
    }
    struct sluice_group_sync request = {
        .size = sizeof request,
        .generation = client->generation,
        .group = sluice_text_of(fixture->group),
        .member = sluice_text_of(client->id),
        .instance = sluice_text_of(client->instance),
        .assignment_count = count,
        .assignments = assignments,
    };
    struct group_call saved = client->call;
    client->call = (struct group_call){.generation = saved.generation};
    group_sync(fixture->coordinator, &request, fixture->now_ms, group_call_synced, &client->call);
}

static struct sluice_group_identity identity_of(const struct group_fixture *fixture,
                                                const struct group_client *client)
{
    return (struct sluice_group_identity){
        .size = sizeof(struct sluice_group_identity),
        .generation = client->generation,
        .group = sluice_text_of(fixture->group),
        .member = sluice_text_of(client->id),
        .instance = sluice_text_of(client->instance),
    };
}

sluice_status group_client_beat(struct group_fixture *fixture, const struct group_client *client)
{
    struct sluice_group_identity identity = identity_of(fixture, client);
    return group_heartbeat(fixture->coordinator, &identity, fixture->now_ms);
}

sluice_status group_client_leave(struct group_fixture *fixture, const struct group_client *client)
{
    struct sluice_group_leave_entry entry = {.member = sluice_text_of(client->id),
                                             .instance = sluice_text_of(client->instance)};
    struct sluice_group_leave request = {.size = sizeof request,
                                         .entry_count = 1,
                                         .group = sluice_text_of(fixture->group),
                                         .entries = &entry};
    sluice_status status = -1;
    sluice_status whole = group_leave(fixture->coordinator, &request, fixture->now_ms, &status);
    return whole != SLUICE_OK ? whole : status;
}

sluice_status group_client_commit(struct group_fixture *fixture, const struct group_client *client)
{
    struct sluice_offset_commit_entry entry = {.offset = 5, .metadata = sluice_text_of("m")};
    struct sluice_offset_commit request = {.size = sizeof request,
                                           .entry_count = 1,
                                           .identity = identity_of(fixture, client),
                                           .entries = &entry};
    sluice_status status = -1;
    sluice_status whole =
        group_commit_check(fixture->coordinator, &request, fixture->now_ms, &status);
    cr_assert_eq(whole, status);
    return whole;
}

void group_client_enter(struct group_fixture *fixture, struct group_client *client)
{
    group_client_join(fixture, client);
    if (client->call.status == SLUICE_E_MEMBER_ID_REQUIRED) {
        snprintf(client->id, sizeof client->id, "%s", client->call.member);
        group_client_join(fixture, client);
    }
    if (client->call.answers == 1 && client->call.status == SLUICE_OK) {
        snprintf(client->id, sizeof client->id, "%s", client->call.member);
        client->generation = client->call.generation;
    }
}

void group_fixture_stable(struct group_fixture *fixture, struct group_client *a,
                          struct group_client *b)
{
    group_client_enter(fixture, a);
    group_client_join(fixture, b);
    group_client_enter(fixture, a);
    cr_assert_eq(b->call.answers, 1);
    snprintf(b->id, sizeof b->id, "%s", b->call.member);
    b->generation = b->call.generation;
    struct group_call joined = a->call;
    group_client_sync(fixture, b, NULL);
    group_client_sync(fixture, a, &joined);
    cr_assert_eq(group_fixture_state(fixture), GROUP_STABLE);
    cr_assert_eq(a->call.status, SLUICE_OK);
    cr_assert_eq(b->call.status, SLUICE_OK);
}

int32_t group_fixture_state(const struct group_fixture *fixture)
{
    return group_coordinator_view(fixture->coordinator, sluice_text_of(fixture->group)).state;
}
