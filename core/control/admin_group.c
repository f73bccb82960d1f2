/* admin_group.c: group.list, group.describe, group.delete: groups of all kinds.
 *
 * A description asks, one after the other: which kind it is (the list of groups), its members, its
 * offsets, where the partitions begin and end, and the timestamp of the first record that it has
 * not read, which against the clock is its lag in time. */
#include "control/admin_group.h"
#include "base/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_names[] = {"classic", "consumer", "share", "streams"};

const char *admin_group_kind_name(enum group_kind kind)
{
    return kind_names[kind];
}

static bool text_is(struct sluice_text text, const char *word)
{
    return text.size == strlen(word) && memcmp(text.data, word, text.size) == 0;
}

/* ---- list ---- */

static void listed(void *arg, sluice_status status, const struct sluice_group_summary *groups,
                   uint32_t count)
{
    struct admin_request *request = arg;
    if (status != SLUICE_OK) {
        admin_fail(request, status, "");
        return;
    }
    request->result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(request->result, "groups");
    for (uint32_t i = 0; i < count; i++) {
        cJSON *object = cJSON_CreateObject();
        admin_add_text(object, "group", groups[i].group);
        admin_add_text(object, "type", groups[i].type);
        admin_add_text(object, "state", groups[i].state);
        admin_add_text(object, "protocol", groups[i].protocol_type);
        cJSON_AddItemToArray(array, object);
    }
    admin_reply(request);
}

void admin_group_list(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    broker->groups(broker, admin_context(request), listed, request);
}

/* ---- loading ---- */

static void load_free(void *state)
{
    struct group_load *load = state;
    for (uint32_t i = 0; i < load->row_count; i++) {
        sl_free(load->rows[i].topic);
    }
    sl_free(load->rows);
    sl_free(load->queries);
    sl_free(load->ages);
    sl_free(load->entries);
    sl_free(load);
}

struct group_row *admin_group_row_add(struct group_load *load, struct sluice_text topic,
                                      int32_t partition)
{
    if (load->row_count == load->row_room) {
        uint32_t room = load->row_room == 0 ? 64 : 2 * load->row_room;
        struct group_row *rows =
            room > 2 * ADMIN_GROUP_ROWS_MAX ? NULL : sl_alloc_zero(room, sizeof(*rows));
        if (rows == NULL) {
            return NULL;
        }
        if (load->row_count > 0) {
            memcpy(rows, load->rows, load->row_count * sizeof(*rows));
        }
        sl_free(load->rows);
        load->rows = rows;
        load->row_room = room;
    }
    struct group_row *row = &load->rows[load->row_count];
    *row = (struct group_row){.topic = sl_strdup_bytes(topic.data, topic.size),
                              .partition = partition,
                              .offset = -1,
                              .start = -1,
                              .end = -1,
                              .lag = -1,
                              .age_ms = -1};
    if (row->topic == NULL) {
        return NULL;
    }
    load->row_count++;
    return row;
}

static int by_place(const void *left, const void *right)
{
    const struct group_row *a = left;
    const struct group_row *b = right;
    int order = strcmp(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

static void ends_found(void *arg, const struct sluice_offset_answer *answers, uint32_t count)
{
    struct group_load *load = arg;
    for (uint32_t i = 0; i + 1 < count; i += 2) {
        struct group_row *row = &load->rows[i / 2];
        if (answers[i].status == SLUICE_OK && answers[i + 1].status == SLUICE_OK) {
            row->start = answers[i].offset;
            row->end = answers[i + 1].offset;
            if (row->offset >= 0 && row->lag < 0) {
                row->lag = SL_MAX(row->end - SL_MAX(row->offset, row->start), INT64_C(0));
            }
        }
    }
    load->loaded(load);
}

void admin_group_ends(struct group_load *load)
{
    const struct sluice_broker *broker = admin_broker(load->request);
    if (load->row_count == 0) {
        load->loaded(load);
        return;
    }
    qsort(load->rows, load->row_count, sizeof(*load->rows), by_place);
    load->queries = sl_alloc_zero((size_t)load->row_count * 2, sizeof(*load->queries));
    if (load->queries == NULL) {
        admin_fail(load->request, SLUICE_E_NO_MEMORY, "");
        return;
    }
    for (uint32_t i = 0; i < 2 * load->row_count; i++) {
        load->queries[i] = (struct sluice_offset_query){
            .topic = {.name = sluice_text_of(load->rows[i / 2].topic)},
            .partition = load->rows[i / 2].partition,
            .leader_epoch = -1,
            .timestamp = i % 2 == 0 ? SLUICE_TIME_EARLIEST : SLUICE_TIME_LATEST};
    }
    broker->offsets(broker, admin_context(load->request), SLUICE_ISOLATION_UNCOMMITTED,
                    load->queries, 2 * load->row_count, ends_found, load);
}

/* Offsets are there; E_GROUP_NOT_FOUND says that there are none yet. */
static bool offsets_failed(struct group_load *load, sl_err status)
{
    if (status == SLUICE_OK || status == SLUICE_E_GROUP_NOT_FOUND) {
        return false;
    }
    admin_fail(load->request, status, load->group);
    return true;
}

static void offsets_fetched(void *arg, sluice_status status,
                            const struct sluice_offset_fetched *offsets, uint32_t count)
{
    struct group_load *load = arg;
    if (offsets_failed(load, status)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct group_row *row = NULL;
        if (offsets[i].status != SLUICE_OK || offsets[i].offset < 0) {
            continue;
        }
        row = admin_group_row_add(load, offsets[i].topic, offsets[i].partition);
        if (row == NULL) {
            admin_fail(load->request, SLUICE_E_NO_MEMORY, load->group);
            return;
        }
        row->offset = offsets[i].offset;
    }
    admin_group_ends(load);
}

static void share_offsets_fetched(void *arg, sluice_status status,
                                  const struct sluice_share_offset *offsets, uint32_t count)
{
    struct group_load *load = arg;
    if (offsets_failed(load, status)) {
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct group_row *row = NULL;
        if (offsets[i].status != SLUICE_OK || offsets[i].start < 0) {
            continue;
        }
        row = admin_group_row_add(load, offsets[i].topic.name, offsets[i].partition);
        if (row == NULL) {
            admin_fail(load->request, SLUICE_E_NO_MEMORY, load->group);
            return;
        }
        row->offset = offsets[i].start;
        row->lag = offsets[i].lag;
    }
    admin_group_ends(load);
}

static void offsets_ask(struct group_load *load)
{
    const struct sluice_broker *broker = admin_broker(load->request);
    load->fetch = (struct sluice_offset_fetch){
        .size = sizeof(load->fetch), .group = sluice_text_of(load->group), .member_epoch = -1};
    load->commit.size = sizeof(load->commit);
    if (load->kind == GROUP_KIND_SHARE) {
        broker->share_offsets(broker, admin_context(load->request), &load->fetch,
                              share_offsets_fetched, load);
    } else {
        broker->offset_fetch(broker, admin_context(load->request), &load->fetch, offsets_fetched,
                             load);
    }
}

static void kind_found(void *arg, sluice_status status, const struct sluice_group_summary *groups,
                       uint32_t count)
{
    struct group_load *load = arg;
    bool found = false;
    for (uint32_t i = 0; status == SLUICE_OK && i < count && !found; i++) {
        found = text_is(groups[i].group, load->group);
        for (uint32_t k = 0; found && k < SL_COUNT_OF(kind_names); k++) {
            if (text_is(groups[i].type, kind_names[k])) {
                load->kind = (enum group_kind)k;
            }
        }
    }
    if (!found) {
        admin_fail(load->request, status == SLUICE_OK ? SLUICE_E_GROUP_NOT_FOUND : status,
                   load->group);
        return;
    }
    load->request->result = cJSON_CreateObject();
    cJSON_AddStringToObject(load->request->result, "group", load->group);
    cJSON_AddStringToObject(load->request->result, "type", kind_names[load->kind]);
    admin_group_members(load, offsets_ask);
}

bool admin_group_load(struct admin_request *request, group_loaded_fn *loaded,
                      struct group_load **ret_load)
{
    const char *group = admin_arg_text(request, "group");
    if (group == NULL) {
        admin_fail(request, SLUICE_E_INVALID, "\"group\" is missing");
        return false;
    }
    struct group_load *load = sl_alloc_zero(1, sizeof(*load));
    if (load == NULL) {
        admin_fail(request, SLUICE_E_NO_MEMORY, "");
        return false;
    }
    *load =
        (struct group_load){.request = request, .loaded = loaded, .group = group, .partition = -1};
    request->state = load;
    request->release = load_free;
    *ret_load = load;
    return true;
}

static void load_start(struct group_load *load)
{
    const struct sluice_broker *broker = admin_broker(load->request);
    broker->groups(broker, admin_context(load->request), kind_found, load);
}

/* ---- describe ---- */

static void described(struct group_load *load)
{
    struct admin_request *request = load->request;
    cJSON *array = cJSON_AddArrayToObject(request->result, "partitions");
    int64_t total = 0, oldest = -1;
    for (uint32_t i = 0; i < load->row_count; i++) {
        const struct group_row *row = &load->rows[i];
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "topic", row->topic);
        cJSON_AddNumberToObject(object, "partition", row->partition);
        admin_add_int64(object, "offset", row->offset);
        admin_add_int64(object, "start", row->start);
        admin_add_int64(object, "end", row->end);
        admin_add_int64(object, "lag", row->lag);
        admin_add_int64(object, "lag_ms", row->age_ms);
        cJSON_AddItemToArray(array, object);
        total += SL_MAX(row->lag, INT64_C(0));
        oldest = SL_MAX(oldest, row->age_ms);
    }
    admin_add_int64(request->result, "lag", total);
    admin_add_int64(request->result, "lag_ms", oldest);
    admin_reply(request);
}

static void describe_loaded(struct group_load *load)
{
    admin_group_ages(load, described);
}

void admin_group_describe(struct admin_request *request)
{
    struct group_load *load = NULL;
    if (admin_group_load(request, describe_loaded, &load)) {
        load_start(load);
    }
}

/* ---- delete ---- */

static void deleted(void *arg, sluice_status status)
{
    struct admin_request *request = arg;
    const char *group = admin_arg_text(request, "group");
    if (status != SLUICE_OK) {
        admin_fail(request, status, group);
        return;
    }
    request->result = cJSON_CreateObject();
    cJSON_AddStringToObject(request->result, "group", group);
    cJSON_AddStringToObject(request->result, "text", "deleted");
    admin_reply(request);
}

static void deletable(struct group_load *load)
{
    char text[160];
    struct admin_request *request = load->request;
    if (load->member_count > 0) {
        snprintf(text, sizeof(text), "%u of them; stop them first", load->member_count);
        admin_fail(request, SLUICE_E_GROUP_NOT_EMPTY, text);
        return;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(request->result, "members");
    cJSON_AddNumberToObject(request->result, "offsets", load->row_count);
    snprintf(text, sizeof(text), "the group and its %u offsets go", load->row_count);
    cJSON_AddStringToObject(request->result, "text", text);
    admin_reply(request);
}

void admin_group_delete(struct admin_request *request)
{
    const struct sluice_broker *broker = admin_broker(request);
    const char *group = admin_arg_text(request, "group");
    if (group == NULL) {
        admin_fail(request, SLUICE_E_INVALID, "\"group\" is missing");
        return;
    }
    if (request->dry_run) {
        struct group_load *load = NULL;
        if (admin_group_load(request, deletable, &load)) {
            load_start(load);
        }
        return;
    }
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(request->args, "confirmed"))) {
        admin_fail(request, SLUICE_E_UNCONFIRMED, "the group and all its offsets go");
        return;
    }
    broker->group_delete(broker, admin_context(request), sluice_text_of(group), deleted, request);
}

/* ---- seek ---- */

/* "start", "end", "+n" behind the start, "-n" before the end, "n", "@ms". */
static bool place_take(const char *text, struct group_load *load)
{
    load->place = text[0];
    load->number = 0;
    if (strcmp(text, "start") == 0 || strcmp(text, "end") == 0) {
        return true;
    }
    if (text[0] >= '0' && text[0] <= '9') {
        load->place = '=';
        return admin_int_parse(text, &load->number);
    }
    return (text[0] == '+' || text[0] == '-' || text[0] == '@') &&
           admin_int_parse(text + 1, &load->number) && load->number >= 0;
}

void admin_group_seek(struct admin_request *request)
{
    struct group_load *load = NULL;
    if (!admin_group_load(request, admin_group_seek_loaded, &load)) {
        return;
    }
    const char *to = admin_arg_text(request, "to");
    load->topic = admin_arg_text(request, "topic");
    if (to == NULL || !place_take(to, load)) {
        admin_fail(request, SLUICE_E_INVALID,
                   "\"to\" is start, end, +N behind the start, -N before the end, an offset, or @ "
                   "and milliseconds since 1970");
    } else if (!admin_arg_int(request, "partition", 0, INT32_MAX, -1, &load->partition) ||
               (load->partition >= 0 && load->topic == NULL)) {
        admin_fail(request, SLUICE_E_INVALID, "\"partition\" is a number, beside \"topic\"");
    } else {
        load_start(load);
    }
}
