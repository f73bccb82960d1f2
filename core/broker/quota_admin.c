/* quota_admin.c: see quota_admin.h. An entity is shown as it is written on the command line:
 * "User:alice", "User:*,Client:app", "Ip:10.0.0.1"; "*" is the default. */
#include "broker/quota_admin.h"

#include "base/bytes.h"
#include "broker/sluice_state.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct quota_call {
    admin_storage_done *done;
    void *done_arg;
    struct sluice_quota_entry entry;
    struct sluice_quota_value values[SLUICE_QUOTA_KINDS];
    char *texts; /* of entity and keys */
};

static void call_free(struct quota_call *call)
{
    sl_free(call->texts);
    sl_free(call);
}

/* ---- list ---- */

#define ENTITY_TEXT_BYTES (QUOTA_PARTS * (QUOTA_NAME_BYTES_MAX + 8u) + 1u)

static void entity_text(const struct sluice_quota_entity *entity, char ret_text[ENTITY_TEXT_BYTES])
{
    static const char *const prefixes[QUOTA_PARTS] = {"User", "Client", "Ip"};
    size_t at = 0;
    ret_text[0] = '\0';
    for (int i = 0; i < QUOTA_PARTS; i++) {
        struct sluice_text part = quota_entity_part(entity, i);
        if (part.data != NULL) {
            bool is_default = part.size == 0;
            int size = snprintf(ret_text + at, ENTITY_TEXT_BYTES - at, "%s%s:%.*s",
                                at > 0 ? "," : "", prefixes[i], is_default ? 1 : (int)part.size,
                                is_default ? "*" : part.data);
            at += (size_t)size;
        }
    }
}

static void listed(void *arg, sluice_status status, const struct sluice_quota_entry *entries,
                   uint32_t count)
{
    struct quota_call *call = arg;
    cJSON *result = cJSON_CreateObject();
    cJSON *quotas = cJSON_AddArrayToObject(result, "quotas");
    for (uint32_t i = 0; i < count; i++) {
        char text[ENTITY_TEXT_BYTES];
        entity_text(&entries[i].entity, text);
        for (uint32_t k = 0; k < entries[i].value_count; k++) {
            cJSON *quota = cJSON_CreateObject();
            cJSON_AddStringToObject(quota, "entity", text);
            cJSON_AddStringToObject(quota, "key", entries[i].values[k].key.data);
            cJSON_AddNumberToObject(quota, "value", entries[i].values[k].value);
            cJSON_AddItemToArray(quotas, quota);
        }
    }
    call->done(call->done_arg, status, "", result);
    call_free(call);
}

/* ---- set ---- */

static void set(void *arg, const struct sluice_quota_result *results, uint32_t count)
{
    struct quota_call *call = arg;
    char detail[QUOTA_REASON_BYTES] = "";
    char text[ENTITY_TEXT_BYTES];
    sl_err err = count == 1 ? results->status : SLUICE_E_NO_MEMORY;
    cJSON *result = NULL;
    if (count == 1) {
        snprintf(detail, sizeof(detail), "%.*s", (int)results->reason.size, results->reason.data);
    }
    if (err == SLUICE_OK) {
        entity_text(&call->entry.entity, text);
        result = cJSON_CreateObject();
        cJSON_AddStringToObject(result, "entity", text);
    }
    call->done(call->done_arg, err, detail, result);
    call_free(call);
}

static struct sluice_text keep(char **at, const char *text)
{
    struct sluice_text kept = {*at, strlen(text)};
    memcpy(*at, text, kept.size + 1);
    *at += kept.size + 1;
    return kept;
}

static void keep_part(char **at, const cJSON *args, const char *name, struct sluice_text *part)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, name));
    if (text != NULL) {
        *part = keep(at, text);
    }
}

/* NULL: fine, else why not. */
static const char *take_limits(struct quota_call *call, char **at, const cJSON *limits)
{
    const cJSON *limit;
    cJSON_ArrayForEach(limit, limits)
    {
        if (!cJSON_IsNumber(limit) || call->entry.value_count == SLUICE_QUOTA_KINDS) {
            return "limits are numbers by the name of a quota";
        }
        call->values[call->entry.value_count++] =
            (struct sluice_quota_value){keep(at, limit->string), limit->valuedouble};
    }
    call->entry.values = call->values;
    return call->entry.value_count > 0 ? NULL : "limits has no quota";
}

static const char *take_args(struct quota_call *call, const cJSON *args)
{
    char *whole = cJSON_PrintUnformatted(args); /* at least as long as all texts in it */
    const char *why = NULL;
    call->texts = whole != NULL ? sl_alloc_zero(1, strlen(whole) + 16) : NULL;
    if (call->texts == NULL) {
        why = "no memory";
    } else {
        char *at = call->texts;
        keep_part(&at, args, "user", &call->entry.entity.user);
        keep_part(&at, args, "client_id", &call->entry.entity.client_id);
        keep_part(&at, args, "ip", &call->entry.entity.ip);
        why = take_limits(call, &at, cJSON_GetObjectItemCaseSensitive(args, "limits"));
    }
    cJSON_free(whole);
    return why;
}

void quota_admin_run(struct admin_socket *admin, const char *command, const cJSON *args,
                     admin_storage_done *done, void *done_arg)
{
    const struct sluice_quota *quota = &admin->quota.table;
    struct quota_call *call = sl_alloc_zero(1, sizeof(*call));
    if (call == NULL) {
        done(done_arg, SLUICE_E_NO_MEMORY, "", NULL);
        return;
    }
    call->done = done;
    call->done_arg = done_arg;
    if (strcmp(command, "quota.list") == 0) {
        quota->describe(quota, &admin->context, listed, call);
        return;
    }
    const char *why = take_args(call, args);
    if (why != NULL) {
        done(done_arg, SLUICE_E_INVALID, why, NULL);
        call_free(call);
        return;
    }
    quota->alter(quota, &admin->context, &call->entry, 1, admin_is_dry(args), set, call);
}
