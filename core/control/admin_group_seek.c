/* admin_group_seek.c: group.seek: a group without members goes on from other offsets.
 *
 * Which partitions: those it has offsets of; with "topic" all of that topic. Where to: asked of the
 * broker for times, else counted from where the partition begins and ends, and kept within it. */
#include "base/status.h"
#include "control/admin_group.h"

#include <stdlib.h>
#include <string.h>

static void row_json(cJSON *array, const struct group_row *row)
{
    cJSON *object = cJSON_CreateObject();
    cJSON_AddStringToObject(object, "topic", row->topic);
    cJSON_AddNumberToObject(object, "partition", row->partition);
    admin_add_int64(object, "before", row->offset);
    admin_add_int64(object, "after", row->target);
    if (row->err != SLUICE_OK) {
        cJSON_AddStringToObject(object, "error", sl_status_text(row->err));
    }
    cJSON_AddItemToArray(array, object);
}

static void seek_end(struct group_load *load, sl_err err)
{
    struct admin_request *request = load->request;
    cJSON_DeleteItemFromObjectCaseSensitive(request->result, "members");
    cJSON_AddBoolToObject(request->result, "dry_run", request->dry_run);
    cJSON *array = cJSON_AddArrayToObject(request->result, "partitions");
    for (uint32_t i = 0; i < load->row_count; i++) {
        row_json(array, &load->rows[i]);
        err = err != SLUICE_OK ? err : load->rows[i].err;
    }
    if (err != SLUICE_OK) {
        admin_fail(request, err, load->group);
    } else {
        admin_reply(request);
    }
}

static void committed(void *arg, sluice_status status, const sluice_status *statuses,
                      uint32_t count)
{
    struct group_load *load = arg;
    for (uint32_t i = 0; status == SLUICE_OK && i < count && i < load->row_count; i++) {
        load->rows[i].err = statuses[i];
    }
    seek_end(load, status);
}

static void targets_commit(struct group_load *load)
{
    const struct sluice_broker *broker = admin_broker(load->request);
    const struct sluice_context *context = admin_context(load->request);
    if (load->request->dry_run) {
        seek_end(load, SLUICE_OK);
        return;
    }
    load->entries = sl_alloc_zero(load->row_count, sizeof(*load->entries));
    if (load->entries == NULL) {
        seek_end(load, SLUICE_E_NO_MEMORY);
        return;
    }
    for (uint32_t i = 0; i < load->row_count; i++) {
        load->entries[i] = (struct sluice_offset_commit_entry){
            .topic = {.name = sluice_text_of(load->rows[i].topic)},
            .partition = load->rows[i].partition,
            .leader_epoch = -1,
            .offset = load->rows[i].target,
            .metadata = sluice_text_of("")};
    }
    if (load->kind == GROUP_KIND_SHARE) {
        broker->share_offsets_alter(broker, context, sluice_text_of(load->group), load->entries,
                                    load->row_count, committed, load);
        return;
    }
    load->commit = (struct sluice_offset_commit){.size = sizeof(load->commit),
                                                 .entry_count = load->row_count,
                                                 .identity = {.size = sizeof(load->commit.identity),
                                                              .generation = -1,
                                                              .group = sluice_text_of(load->group),
                                                              .member = sluice_text_of("")},
                                                 .entries = load->entries};
    broker->offset_commit(broker, context, &load->commit, committed, load);
}

/* ---- where to ---- */

static int64_t target_of(const struct group_load *load, const struct group_row *row)
{
    int64_t within = SL_MIN(load->number, row->end - row->start);
    switch (load->place) {
    case 's':
        return row->start;
    case '+':
        return row->start + within;
    case '-':
        return row->end - within;
    case '=':
        return SL_MIN(SL_MAX(load->number, row->start), row->end);
    default: /* the end; a time is asked for */
        return row->end;
    }
}

/* Without a record from that time on it goes to the end. */
static void times_found(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct group_load *load = arg;
    for (uint32_t i = 0; i < count && i < load->row_count; i++) {
        struct group_row *row = &load->rows[i];
        bool found = answers[i].status == SLUICE_OK && answers[i].offset >= 0;
        row->target = found ? answers[i].offset : row->end;
        if (answers[i].status != SLUICE_OK) {
            seek_end(load, answers[i].status);
            return;
        }
    }
    targets_commit(load);
}

static void targets_find(struct group_load *load)
{
    const struct sluice_broker *broker = admin_broker(load->request);
    for (uint32_t i = 0; i < load->row_count; i++) {
        struct group_row *row = &load->rows[i];
        if (row->start < 0) {
            admin_fail(load->request, SLUICE_E_UNKNOWN_TOPIC, row->topic);
            return;
        }
        row->target = target_of(load, row);
        load->queries[i] =
            (struct sluice_offset_query){.topic = {.name = sluice_text_of(row->topic)},
                                         .partition = row->partition,
                                         .leader_epoch = -1,
                                         .timestamp = load->number};
    }
    if (load->place == '@') {
        broker->offsets(broker, admin_context(load->request), SLUICE_ISOLATION_UNCOMMITTED,
                        load->queries, load->row_count, times_found, load);
    } else {
        targets_commit(load);
    }
}

/* ---- which partitions ---- */

/* Rows of other topics go. */
static void rows_choose(struct group_load *load)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < load->row_count; i++) {
        struct group_row *row = &load->rows[i];
        bool wanted = (load->topic == NULL || strcmp(load->topic, row->topic) == 0) &&
                      (load->partition < 0 || load->partition == row->partition);
        if (wanted) {
            load->rows[kept++] = *row;
        } else {
            sl_free(row->topic);
        }
    }
    load->row_count = kept;
}

static bool has_row(const struct group_load *load, uint32_t count, int32_t partition)
{
    for (uint32_t i = 0; i < count; i++) {
        if (load->rows[i].partition == partition) {
            return true;
        }
    }
    return false;
}

/* Partitions of the topic that the group has no offset of yet. */
static void topic_found(void *arg, const struct sluice_topic_info *topic, uint32_t count)
{
    struct group_load *load = arg;
    uint32_t had = load->row_count;
    SL_ASSERT(count == 1);
    if (topic->status != SLUICE_OK) {
        admin_fail(load->request, topic->status, load->topic);
        return;
    }
    for (uint32_t i = 0; i < topic->partition_count; i++) {
        int32_t number = topic->partitions[i].partition;
        bool wanted =
            (load->partition < 0 || load->partition == number) && !has_row(load, had, number);
        if (wanted && admin_group_row_add(load, sluice_text_of(load->topic), number) == NULL) {
            admin_fail(load->request, SLUICE_E_NO_MEMORY, load->group);
            return;
        }
    }
    if (load->row_count == 0) {
        admin_fail(load->request, SLUICE_E_UNKNOWN_TOPIC, "the topic has no such partition");
        return;
    }
    sl_free(load->queries);
    load->queries = NULL;
    load->loaded = targets_find;
    admin_group_ends(load);
}

void admin_group_seek_loaded(struct group_load *load)
{
    const struct sluice_broker *broker = admin_broker(load->request);
    struct sluice_topic_ref topic = {.name = sluice_text_of(load->topic)};
    if (load->member_count > 0) {
        char text[96];
        snprintf(text, sizeof(text), "%u of them; stop them first", load->member_count);
        admin_fail(load->request, SLUICE_E_GROUP_NOT_EMPTY, text);
        return;
    }
    rows_choose(load);
    if (load->topic != NULL) {
        load->request->topic = topic;
        broker->topics(broker, admin_context(load->request), &load->request->topic, 1, false,
                       topic_found, load);
    } else if (load->row_count == 0) {
        admin_fail(load->request, SLUICE_E_INVALID,
                   "the group has no offsets yet; name a topic to begin with");
    } else {
        targets_find(load);
    }
}
