/* admin_group_members.c: the members of a group of any kind, in the same words: id, client_id,
 * host, and what is assigned to them. Of Streams applications these are tasks, by subtopology. */
#include "control/admin_group.h"
#include "deliver/consumer_protocol.h"

#include <string.h>

/* Where to go on; it is one word of the load that is not used before. */
struct member_asking {
    struct group_load *load;
    void (*next)(struct group_load *load);
    cJSON *members; /* in the result */
};

static cJSON *member_new(struct sluice_text id, struct sluice_text client_id,
                         struct sluice_text host)
{
    cJSON *object = cJSON_CreateObject();
    admin_add_text(object, "id", id);
    admin_add_text(object, "client_id", client_id);
    admin_add_text(object, "host", host);
    return object;
}

/* The numbers of a topic (or a subtopology), which are one object of "assigned". */
static void assigned_add(cJSON *assigned, const char *what, struct sluice_text name,
                         int32_t partition)
{
    cJSON *last = assigned->child == NULL ? NULL : assigned->child->prev; /* cJSON: the tail */
    const char *known = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(last, what));
    if (known == NULL || strlen(known) != name.size || memcmp(known, name.data, name.size) != 0) {
        last = cJSON_CreateObject();
        admin_add_text(last, what, name);
        cJSON_AddArrayToObject(last, "partitions");
        cJSON_AddItemToArray(assigned, last);
    }
    cJSON_AddItemToArray(cJSON_GetObjectItemCaseSensitive(last, "partitions"),
                         cJSON_CreateNumber(partition));
}

/* False: it failed, the request is gone. */
static bool group_take(struct member_asking *asking, sl_err status, struct sluice_text state,
                       uint32_t count)
{
    struct group_load *load = asking->load;
    if (status != SLUICE_OK) {
        sl_free(asking);
        admin_fail(load->request, status, load->group);
        return false;
    }
    admin_add_text(load->request->result, "state", state);
    asking->members = cJSON_AddArrayToObject(load->request->result, "members");
    load->member_count = count;
    return true;
}

static void asking_end(struct member_asking *asking)
{
    struct group_load *load = asking->load;
    void (*next)(struct group_load * load) = asking->next;
    sl_free(asking);
    next(load);
}

/* What the leader gave a member is its own business unless it is the consumers' protocol. */
static void classic_assigned(cJSON *object, const struct sluice_group_info *info,
                             const struct sluice_group_member_info *member)
{
    struct consumer_metadata metadata = {0};
    struct sl_bytes bytes = {member->assignment.data, member->assignment.size};
    cJSON *assigned = cJSON_AddArrayToObject(object, "assigned");
    bool known =
        info->protocol_type.size == sizeof(CONSUMER_PROTOCOL_TYPE) - 1 &&
        memcmp(info->protocol_type.data, CONSUMER_PROTOCOL_TYPE, info->protocol_type.size) == 0;
    if (known && bytes.size > 0 && consumer_assignment_read(bytes, &metadata) == SLUICE_OK) {
        for (uint32_t i = 0; i < metadata.partition_count; i++) {
            assigned_add(assigned, "topic", metadata.partitions[i].topic,
                         (int32_t)metadata.partitions[i].partition);
        }
    }
    consumer_metadata_fini(&metadata);
}

static void classic_described(void *arg, const struct sluice_group_info *info)
{
    struct member_asking *asking = arg;
    if (!group_take(asking, info->status, info->state, info->member_count)) {
        return;
    }
    admin_add_text(asking->load->request->result, "assignor", info->protocol);
    for (uint32_t i = 0; i < info->member_count; i++) {
        const struct sluice_group_member_info *member = &info->members[i];
        cJSON *object = member_new(member->id, member->client_id, member->client_host);
        if (member->instance.data != NULL) {
            admin_add_text(object, "instance", member->instance);
        }
        classic_assigned(object, info, member);
        cJSON_AddItemToArray(asking->members, object);
    }
    asking_end(asking);
}

static void consumer_described(void *arg, const struct sluice_consumer_group_info *info)
{
    struct member_asking *asking = arg;
    if (!group_take(asking, info->status, info->state, info->member_count)) {
        return;
    }
    admin_add_text(asking->load->request->result, "assignor", info->assignor);
    cJSON_AddNumberToObject(asking->load->request->result, "epoch", info->epoch);
    for (uint32_t i = 0; i < info->member_count; i++) {
        const struct sluice_consumer_member_info *member = &info->members[i];
        cJSON *object = member_new(member->id, member->client_id, member->client_host);
        cJSON *assigned = cJSON_AddArrayToObject(object, "assigned");
        if (member->instance.data != NULL) {
            admin_add_text(object, "instance", member->instance);
        }
        for (uint32_t k = 0; k < member->assigned_count; k++) {
            assigned_add(assigned, "topic", member->assigned[k].name,
                         member->assigned[k].partition);
        }
        cJSON_AddNumberToObject(object, "epoch", member->epoch);
        cJSON_AddItemToArray(asking->members, object);
    }
    asking_end(asking);
}

static void share_described(void *arg, const struct sluice_share_group *info)
{
    struct member_asking *asking = arg;
    if (!group_take(asking, info->status, info->state, info->member_count)) {
        return;
    }
    cJSON_AddNumberToObject(asking->load->request->result, "epoch", info->epoch);
    for (uint32_t i = 0; i < info->member_count; i++) {
        const struct sluice_share_member *member = &info->members[i];
        cJSON *object = member_new(member->id, member->client_id, member->client_host);
        cJSON *assigned = cJSON_AddArrayToObject(object, "assigned");
        for (uint32_t k = 0; k < member->assignment_count; k++) {
            const struct sluice_share_assignment *given = &member->assignments[k];
            for (uint32_t p = 0; p < given->count; p++) {
                assigned_add(assigned, "topic", given->name, given->partitions[p]);
            }
        }
        cJSON_AddNumberToObject(object, "epoch", member->epoch);
        cJSON_AddItemToArray(asking->members, object);
    }
    asking_end(asking);
}

static void tasks_add(cJSON *object, const char *name, const struct sluice_streams_tasks *tasks,
                      uint32_t count)
{
    cJSON *array = cJSON_AddArrayToObject(object, name);
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < tasks[i].count; k++) {
            assigned_add(array, "subtopology", tasks[i].subtopology, tasks[i].partitions[k]);
        }
    }
}

static void streams_described(void *arg, const struct sluice_streams_group_info *info)
{
    struct member_asking *asking = arg;
    if (!group_take(asking, info->status, info->state, info->member_count)) {
        return;
    }
    cJSON_AddNumberToObject(asking->load->request->result, "epoch", info->epoch);
    for (uint32_t i = 0; i < info->member_count; i++) {
        const struct sluice_streams_member_info *member = &info->members[i];
        const struct sluice_streams_assignment *given = &member->assigned;
        cJSON *object = member_new(member->id, member->client_id, member->client_host);
        tasks_add(object, "assigned", given->active, given->active_count);
        tasks_add(object, "standby", given->standby, given->standby_count);
        cJSON_AddNumberToObject(object, "epoch", member->epoch);
        cJSON_AddItemToArray(asking->members, object);
    }
    asking_end(asking);
}

void admin_group_members(struct group_load *load, void (*next)(struct group_load *load))
{
    const struct sluice_broker *broker = admin_broker(load->request);
    const struct sluice_context *context = admin_context(load->request);
    struct sluice_text group = sluice_text_of(load->group);
    struct member_asking *asking = sl_alloc_zero(1, sizeof(*asking));
    if (asking == NULL) {
        admin_fail(load->request, SLUICE_E_NO_MEMORY, load->group);
        return;
    }
    *asking = (struct member_asking){.load = load, .next = next};
    switch (load->kind) {
    case GROUP_KIND_CLASSIC:
        broker->group_describe(broker, context, group, classic_described, asking);
        break;
    case GROUP_KIND_CONSUMER:
        broker->consumer_group_describe(broker, context, group, consumer_described, asking);
        break;
    case GROUP_KIND_SHARE:
        broker->share_describe(broker, context, group, share_described, asking);
        break;
    case GROUP_KIND_STREAMS:
        broker->streams_group_describe(broker, context, group, streams_described, asking);
        break;
    }
}
