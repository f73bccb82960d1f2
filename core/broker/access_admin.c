/* access_admin.c: see access_admin.h. Rules are shown as security.acl_file writes them. */
#include "broker/access_admin.h"

#include "admit/acl_file.h"
#include "base/bytes.h"
#include "broker/quota_admin.h"
#include "broker/sluice_state.h"
#include "control/base64.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct access_call {
    struct access_call *next;
    admin_storage_done *done;
    void *done_arg;
    bool removes, dry_run;
    char why[320]; /* it is not taken */
    struct sluice_acl rule;
    char *texts; /* of the rule, or the user's name */
    struct sluice_user_change changes[2];
    uint8_t salt[CREDENTIAL_SALT_BYTES_MAX + 3];
    uint8_t salted[CREDENTIAL_KEY_BYTES_MAX + 3];
};

static const char *text_of(const cJSON *args, const char *name, const char *fallback)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(args, name));
    return text != NULL ? text : fallback;
}

static void add_text(cJSON *object, const char *name, struct sluice_text text)
{
    char *copy = sl_strdup_bytes(text.data, (size_t)text.size);
    cJSON_AddStringToObject(object, name, copy != NULL ? copy : "");
    sl_free(copy);
}

static cJSON *rule_json(const struct sluice_acl *rule)
{
    char resource[ACL_NAME_BYTES_MAX + 32];
    const char *operation = acl_operation_name(rule->operation);
    const char *kind = acl_resource_name(rule->resource);
    cJSON *object = cJSON_CreateObject();
    add_text(object, "principal", rule->principal);
    cJSON_AddStringToObject(object, "operation", operation != NULL ? operation : "?");
    snprintf(resource, sizeof(resource), "%s:%.*s%s", kind != NULL ? kind : "?",
             (int)rule->name.size, rule->name.data,
             rule->pattern == SLUICE_PATTERN_PREFIXED ? "*" : "");
    cJSON_AddStringToObject(object, "resource", resource);
    add_text(object, "host", rule->host);
    cJSON_AddBoolToObject(object, "allow", rule->permission == SLUICE_RULE_ALLOW);
    return object;
}

/* ---- list ---- */

static void listed(void *arg, sluice_status status, const struct sluice_acl *acls, uint32_t count)
{
    struct access_call *call = arg;
    cJSON *result = cJSON_CreateObject();
    cJSON *rules = cJSON_AddArrayToObject(result, "rules");
    for (uint32_t i = 0; i < count; i++) {
        cJSON_AddItemToArray(rules, rule_json(&acls[i]));
    }
    call->done(call->done_arg, status, "", result);
    sl_free(call);
}

static void list(struct admin_socket *admin, struct access_call *call)
{
    static const struct sluice_acl any = {.resource = SLUICE_ACL_ANY,
                                          .pattern = SLUICE_PATTERN_ANY,
                                          .operation = SLUICE_OP_ANY,
                                          .permission = SLUICE_RULE_ANY};
    const struct sluice_security *security = &admin->security.table;
    security->acls_describe(security, &admin->context, &any, listed, call);
}

/* ---- add and remove ---- */

static void changed(void *arg, const struct sluice_acl_result *results, uint32_t count)
{
    struct access_call *call = arg;
    sl_err err = count == 1 ? results->status : SLUICE_E_NO_MEMORY;
    cJSON *result = err == SLUICE_OK ? rule_json(&call->rule) : NULL;
    char detail[ACL_REASON_BYTES] = "";
    if (count == 1) {
        snprintf(detail, sizeof(detail), "%.*s", (int)results->reason.size, results->reason.data);
    }
    if (err == SLUICE_OK && call->removes && results->acl_count == 0) {
        err = SLUICE_E_UNKNOWN_RESOURCE;
        snprintf(detail, sizeof(detail), "there is no such rule; see sluice acl list");
    }
    call->done(call->done_arg, err, detail, result);
    sl_free(call->texts);
    sl_free(call);
}

static struct sluice_text keep(char **at, const char *text, size_t size)
{
    struct sluice_text kept = {*at, size};
    memcpy(*at, text, size);
    *at += size;
    return kept;
}

/* The rule of the arguments, with texts of its own. NULL: fine, else why not. */
static const char *take_rule(struct access_call *call, const cJSON *args)
{
    const char *principal = text_of(args, "principal", "");
    const char *operation = text_of(args, "operation", "");
    const char *resource = text_of(args, "resource", "");
    const char *host = text_of(args, "host", "*");
    struct sluice_acl rule = {.operation = acl_operation_number(operation)};
    rule.permission = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(args, "deny"))
                          ? SLUICE_RULE_DENY
                          : SLUICE_RULE_ALLOW;
    if (rule.operation == 0) {
        const char *best = acl_operation_nearest(operation);
        if (best != NULL) {
            snprintf(call->why, sizeof(call->why),
                     "the operation \"%.40s\" is not known; did you mean %s?", operation, best);
            return call->why;
        }
        return "the operation is Read, Write, Create, Delete, Alter, Describe, ClusterAction, "
               "DescribeConfigs, AlterConfigs, IdempotentWrite or All";
    }
    if (!acl_resource_parse(resource, &rule)) {
        const char *best = acl_resource_nearest(resource);
        if (best != NULL && rule.resource == 0) {
            snprintf(call->why, sizeof(call->why),
                     "the resource \"%.80s\" is not known; did you mean %s:%.80s?", resource, best,
                     resource + SL_MIN(strcspn(resource, ":") + 1, strlen(resource)));
            return call->why;
        }
        return "the resource is Topic:NAME, Group:NAME, TransactionalId:NAME or Cluster; a NAME "
               "that ends in * is a prefix";
    }
    char *at = call->texts =
        sl_alloc(strlen(principal) + (size_t)rule.name.size + strlen(host) + 1);
    if (at == NULL) {
        return "no memory";
    }
    rule.principal = keep(&at, principal, strlen(principal));
    rule.name = keep(&at, rule.name.data, (size_t)rule.name.size);
    rule.host = keep(&at, host, strlen(host));
    call->rule = rule;
    return NULL;
}

static void change(struct admin_socket *admin, struct access_call *call, const cJSON *args)
{
    const struct sluice_security *security = &admin->security.table;
    const char *why = take_rule(call, args);
    if (why != NULL) {
        call->done(call->done_arg, SLUICE_E_INVALID, why, NULL);
        sl_free(call->texts);
        sl_free(call);
    } else if (call->removes) {
        security->acls_delete(security, &admin->context, &call->rule, 1, call->dry_run, changed,
                              call);
    } else {
        security->acls_create(security, &admin->context, &call->rule, 1, call->dry_run, changed,
                              call);
    }
}

/* ---- users ---- */

static void users_listed(void *arg, sluice_status status, const struct sluice_user *users,
                         uint32_t count)
{
    struct access_call *call = arg;
    cJSON *result = cJSON_CreateObject();
    cJSON *array = cJSON_AddArrayToObject(result, "users");
    for (uint32_t i = 0; i < count; i++) {
        cJSON *user = cJSON_CreateObject();
        add_text(user, "name", users[i].name);
        cJSON_AddStringToObject(user, "mechanism",
                                users[i].mechanism == SLUICE_SCRAM_SHA_512 ? "SCRAM-SHA-512"
                                                                           : "SCRAM-SHA-256");
        cJSON_AddNumberToObject(user, "iterations", users[i].iterations);
        cJSON_AddItemToArray(array, user);
    }
    call->done(call->done_arg, status, "", result);
    sl_free(call);
}

static void user_changed(void *arg, const struct sluice_user_result *results, uint32_t count)
{
    struct access_call *call = arg;
    sl_err err = count == 0 ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    char detail[ACL_REASON_BYTES] = "";
    uint32_t gone = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool absent = call->removes && results[i].status == SLUICE_E_UNKNOWN_RESOURCE;
        gone += results[i].status == SLUICE_OK;
        if (results[i].status != SLUICE_OK && !absent) {
            err = results[i].status;
            snprintf(detail, sizeof(detail), "%.*s", (int)results[i].reason.size,
                     results[i].reason.data);
        }
    }
    if (err == SLUICE_OK && gone == 0) {
        err = SLUICE_E_UNKNOWN_RESOURCE;
        snprintf(detail, sizeof(detail), "there is no such user; see sluice user list");
    }
    cJSON *result = cJSON_CreateObject();
    add_text(result, "name", call->changes[0].name);
    call->done(call->done_arg, err, detail, result);
    explicit_bzero(call->salted, sizeof(call->salted));
    sl_free(call->texts);
    sl_free(call);
}

/* The members of a change; the password never comes here, only what SCRAM makes of it. */
static const char *take_user(struct access_call *call, const cJSON *args)
{
    const char *name = text_of(args, "name", "");
    bool is_512 = strcmp(text_of(args, "mechanism", "SCRAM-SHA-256"), "SCRAM-SHA-512") == 0;
    const cJSON *iterations = cJSON_GetObjectItemCaseSensitive(args, "iterations");
    char *at = call->texts = sl_alloc(strlen(name) + 1);
    if (at == NULL) {
        return "no memory";
    }
    for (uint32_t i = 0; i < 2; i++) {
        call->changes[i] = (struct sluice_user_change){
            .mechanism = i == 0 ? SLUICE_SCRAM_SHA_256 : SLUICE_SCRAM_SHA_512,
            .name = i == 0 ? keep(&at, name, strlen(name)) : call->changes[0].name};
    }
    if (call->removes) {
        return NULL;
    }
    struct sl_bytes salt = sl_bytes_of_text(text_of(args, "salt", ""));
    struct sl_bytes salted = sl_bytes_of_text(text_of(args, "salted_password", ""));
    size_t salt_size = 0;
    size_t salted_size = 0;
    if (!cJSON_IsNumber(iterations) || salt.size / 4 * 3 > sizeof(call->salt) ||
        salted.size / 4 * 3 > sizeof(call->salted) ||
        base64_decode((const char *)salt.data, salt.size, call->salt, &salt_size) != SLUICE_OK ||
        base64_decode((const char *)salted.data, salted.size, call->salted, &salted_size) !=
            SLUICE_OK) {
        return "iterations is a number, salt and salted_password are base64";
    }
    call->changes[0].mechanism = is_512 ? SLUICE_SCRAM_SHA_512 : SLUICE_SCRAM_SHA_256;
    call->changes[0].iterations = iterations->valueint;
    call->changes[0].salt = (struct sluice_bytes){call->salt, salt_size};
    call->changes[0].salted_password = (struct sluice_bytes){call->salted, salted_size};
    return NULL;
}

static void run_users(struct admin_socket *admin, struct access_call *call, const char *command,
                      const cJSON *args)
{
    const struct sluice_security *security = &admin->security.table;
    if (strcmp(command, "user.list") == 0) {
        security->users_describe(security, &admin->context, NULL, 0, users_listed, call);
        return;
    }
    const char *why = take_user(call, args);
    if (why != NULL) {
        call->done(call->done_arg, SLUICE_E_INVALID, why, NULL);
        sl_free(call->texts);
        sl_free(call);
        return;
    }
    security->users_alter(security, &admin->context, call->changes, call->removes ? 2 : 1,
                          call->dry_run, user_changed, call);
}

void access_admin_run(void *arg, const char *command, const cJSON *args, admin_storage_done *done,
                      void *done_arg)
{
    struct admin_socket *admin = arg;
    if (strncmp(command, "quota.", 6) == 0) {
        quota_admin_run(admin, command, args, done, done_arg);
        return;
    }
    struct access_call *call = sl_alloc_zero(1, sizeof(*call));
    if (call == NULL) {
        done(done_arg, SLUICE_E_NO_MEMORY, "", NULL);
        return;
    }
    call->done = done;
    call->done_arg = done_arg;
    call->removes = strstr(command, ".remove") != NULL;
    call->dry_run = admin_is_dry(args);
    if (strncmp(command, "user.", 5) == 0) {
        run_users(admin, call, command, args);
    } else if (strcmp(command, "acl.list") == 0) {
        list(admin, call);
    } else {
        change(admin, call, args);
    }
}
