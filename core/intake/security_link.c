/* security_link.c: see security_link.h. */
#include "intake/security_link.h"

#include "auth/scram.h"
#include "base/bytes.h"
#include "intake/conn.h"
#include "shard/access.h"

#include <stdio.h>
#include <string.h>

static struct security_link *of(const struct sluice_security *security)
{
    return security->data;
}

static bool may_cluster(struct security_link *link, const struct sluice_context *context,
                        int32_t operation)
{
    return link->trusted || broker_guard_allows(link->guard, context, operation, SLUICE_ACL_CLUSTER,
                                                sluice_text_of(SLUICE_CLUSTER_NAME));
}

static bool on_authorize(const struct sluice_security *security,
                         const struct sluice_context *context, int32_t operation, int32_t resource,
                         struct sluice_text name)
{
    struct security_link *link = of(security);
    return link->trusted || broker_guard_allows(link->guard, context, operation, resource, name);
}

static uint32_t on_operations(const struct sluice_security *security,
                              const struct sluice_context *context, int32_t resource,
                              struct sluice_text name)
{
    struct policy_action action = broker_guard_action(context, SLUICE_OP_DESCRIBE, resource, name);
    return policy_operations(of(security)->guard->policy, &action);
}

/* ---- changes of rules ---- */

/* One acls_create or acls_delete. */
struct acls_call {
    struct sluice_acl_result *results;
    char (*reasons)[ACL_REASON_BYTES]; /* by result */
    uint32_t count;
    struct wal_item *items; /* until they are given away */
    uint32_t item_count;
    struct acl **held;        /* references to what is deleted, for the answer */
    struct sluice_acl *views; /* of those */
    uint32_t held_count;
    sluice_acl_results_done *done;
    void *arg;
};

static void acls_call_free(struct acls_call *call)
{
    for (uint32_t i = 0; call->items != NULL && i < call->item_count; i++) {
        sl_free((void *)(uintptr_t)call->items[i].payload.data);
    }
    for (uint32_t i = 0; i < call->held_count; i++) {
        acl_unref(call->held[i]);
    }
    sl_free(call->items);
    sl_free(call->held);
    sl_free(call->views);
    sl_free(call->results);
    sl_free(call->reasons);
    sl_free(call);
}

static struct acls_call *acls_call_new(uint32_t count, uint32_t rules,
                                       sluice_acl_results_done *done, void *arg)
{
    struct acls_call *call = sl_alloc_zero(1, sizeof(*call));
    if (call == NULL) {
        return NULL;
    }
    call->count = count;
    call->done = done;
    call->arg = arg;
    call->results = sl_alloc_zero(count + 1u, sizeof(*call->results));
    call->reasons = sl_alloc_zero(count + 1u, sizeof(*call->reasons));
    call->items = sl_alloc_zero(rules + 1u, sizeof(*call->items));
    call->held = sl_alloc_zero(rules + 1u, sizeof(struct acl *));
    call->views = sl_alloc_zero(rules + 1u, sizeof(*call->views));
    if (call->results == NULL || call->reasons == NULL || call->items == NULL ||
        call->held == NULL || call->views == NULL) {
        acls_call_free(call);
        return NULL;
    }
    return call;
}

static void acls_answer(struct acls_call *call)
{
    for (uint32_t i = 0; i < call->count; i++) {
        call->results[i].reason = sluice_text_of(call->reasons[i]);
    }
    call->done(call->arg, call->results, call->count);
    acls_call_free(call);
}

static void acls_changed(void *arg, sl_err err)
{
    struct acls_call *call = arg;
    for (uint32_t i = 0; err != SLUICE_OK && i < call->count; i++) {
        if (call->results[i].status == SLUICE_OK) {
            call->results[i] = (struct sluice_acl_result){.status = err};
        }
    }
    acls_answer(call);
}

static void refuse_all(uint32_t count, sluice_status status, sluice_acl_results_done *done,
                       void *arg)
{
    struct sluice_acl_result *results = sl_alloc_zero(count + 1u, sizeof(*results));
    for (uint32_t i = 0; results != NULL && i < count; i++) {
        results[i].status = status;
        if (status == SLUICE_E_SECURITY_DISABLED) {
            results[i].reason = sluice_text_of("no authorizer is configured on the broker");
        }
    }
    done(arg, results, results == NULL ? 0 : count);
    sl_free(results);
}

/* Why the caller may not change rules at all; OK: it may. */
static sluice_status check_alter(struct security_link *link, const struct sluice_context *context)
{
    if (!link->guard->policy->enabled && !link->trusted) {
        return SLUICE_E_SECURITY_DISABLED;
    }
    return may_cluster(link, context, SLUICE_OP_ALTER) ? SLUICE_OK : SLUICE_E_CLUSTER_AUTHORIZATION;
}

static sl_err add_item(struct acls_call *call, const struct sluice_acl *rule, bool gone)
{
    struct sl_bytes payload;
    sl_err err = acl_item_encode(rule, gone, &payload);
    if (err == SLUICE_OK) {
        call->items[call->item_count++] = (struct wal_item){
            .kind = WAL_ITEM_ACL, .version = ACL_ITEM_VERSION, .payload = payload};
    }
    return err;
}

static void commit(struct security_link *link, struct acls_call *call)
{
    struct wal_item *items = call->items;
    uint32_t count = call->item_count;
    call->items = NULL;
    if (count == 0) {
        sl_free(items);
        acls_answer(call);
    } else {
        access_change_start(link->home, items, count, acls_changed, call);
    }
}

static void on_acls_create(const struct sluice_security *security,
                           const struct sluice_context *context, const struct sluice_acl *acls,
                           uint32_t count, bool validate_only, sluice_acl_results_done *done,
                           void *arg)
{
    struct security_link *link = of(security);
    sluice_status status = check_alter(link, context);
    struct acls_call *call = status == SLUICE_OK && count <= ACCESS_ITEMS_MAX
                                 ? acls_call_new(count, count, done, arg)
                                 : NULL;
    if (call == NULL) {
        status = status != SLUICE_OK        ? status
                 : count > ACCESS_ITEMS_MAX ? SLUICE_E_POLICY
                                            : SLUICE_E_NO_MEMORY;
        refuse_all(count, status, done, arg);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        sl_err err = acl_check(&acls[i], call->reasons[i]);
        err = err == SLUICE_OK ? add_item(call, &acls[i], false) : SLUICE_E_INVALID_REQUEST;
        call->results[i].status = err;
    }
    if (validate_only) {
        acls_answer(call);
    } else {
        commit(link, call);
    }
}

/* ---- deleting ---- */

static bool is_held(const struct acls_call *call, const struct acl *acl)
{
    for (uint32_t i = 0; i < call->held_count; i++) {
        if (call->held[i] == acl) {
            return true;
        }
    }
    return false;
}

/* The rules that one filter deletes. What another filter deletes already is told by both. */
static sl_err take_matches(struct acls_call *call, const struct policy *policy,
                           const struct sluice_acl *filter, struct sluice_acl_result *result)
{
    uint32_t first = call->held_count;
    sl_err err = SLUICE_OK;
    for (uint32_t i = 0; i < policy_rule_count(policy) && err == SLUICE_OK; i++) {
        struct acl *acl = (struct acl *)(uintptr_t)policy_rule_at(policy, i);
        if (acl->from_file || !acl_matches(acl, filter) || is_held(call, acl)) {
            continue;
        }
        if (call->held_count == ACCESS_ITEMS_MAX) {
            return SLUICE_E_POLICY;
        }
        struct sluice_acl view = acl_view(acl);
        err = add_item(call, &view, true);
        if (err == SLUICE_OK) {
            call->views[call->held_count] = view;
            call->held[call->held_count++] = acl_ref(acl);
        }
    }
    result->acls = &call->views[first];
    result->acl_count = call->held_count - first;
    return err;
}

static void on_acls_delete(const struct sluice_security *security,
                           const struct sluice_context *context, const struct sluice_acl *filters,
                           uint32_t count, bool validate_only, sluice_acl_results_done *done,
                           void *arg)
{
    struct security_link *link = of(security);
    const struct policy *policy = link->guard->policy;
    sluice_status status = check_alter(link, context);
    uint32_t rules = SL_MIN(policy_rule_count(policy), ACCESS_ITEMS_MAX);
    struct acls_call *call = status == SLUICE_OK ? acls_call_new(count, rules, done, arg) : NULL;
    if (call == NULL) {
        refuse_all(count, status != SLUICE_OK ? status : SLUICE_E_NO_MEMORY, done, arg);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        sl_err err = acl_filter_check(&filters[i], call->reasons[i]);
        err = err == SLUICE_OK ? take_matches(call, policy, &filters[i], &call->results[i])
                               : SLUICE_E_INVALID_REQUEST;
        call->results[i].status = err;
    }
    if (validate_only) {
        acls_answer(call);
    } else {
        commit(link, call);
    }
}

/* ---- describing ---- */

static void on_acls_describe(const struct sluice_security *security,
                             const struct sluice_context *context, const struct sluice_acl *filter,
                             sluice_acls_done *done, void *arg)
{
    struct security_link *link = of(security);
    struct policy *policy = link->guard->policy;
    char ignored[ACL_REASON_BYTES];
    sluice_status status =
        !policy->enabled && !link->trusted                ? SLUICE_E_SECURITY_DISABLED
        : !may_cluster(link, context, SLUICE_OP_DESCRIBE) ? SLUICE_E_CLUSTER_AUTHORIZATION
        : acl_filter_check(filter, ignored) != SLUICE_OK  ? SLUICE_E_INVALID_REQUEST
                                                          : SLUICE_OK;
    struct sluice_acl *views =
        status == SLUICE_OK ? sl_alloc_zero(policy_rule_count(policy) + 1u, sizeof(*views)) : NULL;
    uint32_t count = 0;
    if (status == SLUICE_OK && views == NULL) {
        status = SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; status == SLUICE_OK && i < policy_rule_count(policy); i++) {
        if (acl_matches(policy_rule_at(policy, i), filter)) {
            views[count++] = acl_view(policy_rule_at(policy, i));
        }
    }
    policy_ref(policy); /* done may change the rules */
    done(arg, status, views, count);
    policy_unref(policy);
    sl_free(views);
}

/* ---- authentication ---- */

/* NULL: it is gone, or not one of this loop. */
static struct conn *conn_of(struct security_link *link, const struct sluice_context *context)
{
    return link->intake == NULL ? NULL : intake_find(link->intake, context->connection);
}

static uint32_t on_mechanisms(const struct sluice_security *security,
                              const struct sluice_context *context,
                              struct sluice_text ret_names[SLUICE_MECHANISMS_MAX])
{
    const struct conn *conn = conn_of(of(security), context);
    uint32_t count = 0;
    if (conn == NULL || conn->listener == NULL) {
        return 0;
    }
    for (uint32_t i = 1; i < SASL_MECHANISM_COUNT; i++) {
        if ((conn->listener->sasl.mechanisms & (1u << i)) != 0) {
            ret_names[count++] = sluice_text_of(sasl_mechanism_name(i));
        }
    }
    return count;
}

static void login_put_off(void *arg)
{
    struct conn *conn = arg;
    struct listener *listener = conn->listener;
    listener_gate_refused(&listener->gate, LISTENER_LOGINS_FULL, conn->intake->logger,
                          listener->name, conn->peer, conn_now_ms(conn));
}

static sluice_status on_auth_start(const struct sluice_security *security,
                                   const struct sluice_context *context,
                                   struct sluice_text mechanism)
{
    struct security_link *link = of(security);
    struct conn *conn = conn_of(link, context);
    if (conn == NULL || conn->listener == NULL) {
        return conn == NULL ? SLUICE_E_CANCELLED : SLUICE_E_UNSUPPORTED_MECHANISM;
    }
    const struct sasl_peer peer = {.home = link->home,
                                   .desk = &conn->intake->logins,
                                   .settings = &conn->listener->sasl,
                                   .put_off = login_put_off,
                                   .arg = conn};
    return sasl_session_start(&conn->sasl, &peer, mechanism);
}

static void on_auth_step(const struct sluice_security *security,
                         const struct sluice_context *context, struct sluice_bytes message,
                         sluice_auth_done *done, void *arg)
{
    struct conn *conn = conn_of(of(security), context);
    sasl_session_step(conn != NULL ? conn->sasl : NULL, message, done, arg);
}

/* ---- users ---- */

struct users_call {
    struct security_link *link;
    struct sluice_text *names; /* asked for; count 0: all */
    uint32_t name_count;
    struct sluice_user_result *results;
    char (*reasons)[ACL_REASON_BYTES];
    const struct sluice_user_change *changes; /* the caller's, until done */
    bool validate_only;
    uint32_t count;
    struct wal_item *items;
    uint32_t item_count;
    union {
        sluice_users_done *described;
        sluice_user_results_done *altered;
    } done;
    void *arg;
};

static bool is_named(const struct users_call *call, const char *name)
{
    struct sl_bytes bytes = sl_bytes_of_text(name);
    for (uint32_t i = 0; i < call->name_count; i++) {
        if (sl_bytes_equal(sl_of_text(call->names[i]), bytes)) {
            return true;
        }
    }
    return call->name_count == 0;
}

static bool is_there(const struct sluice_user *users, uint32_t count, struct sluice_text name)
{
    for (uint32_t i = 0; i < count; i++) {
        if (sl_bytes_equal(sl_of_text(users[i].name), sl_of_text(name))) {
            return true;
        }
    }
    return false;
}

static void users_listed(void *arg, sl_err err, const struct credential *credentials,
                         uint32_t count)
{
    struct users_call *call = arg;
    struct sluice_user *users = sl_alloc_zero((size_t)count + call->name_count + 1, sizeof(*users));
    uint32_t made = 0;
    err = users == NULL ? SLUICE_E_NO_MEMORY : err;
    for (uint32_t i = 0; err == SLUICE_OK && i < count; i++) {
        if (is_named(call, credentials[i].name)) {
            users[made++] = (struct sluice_user){.mechanism = credentials[i].mechanism,
                                                 .iterations = credentials[i].iterations,
                                                 .name = sluice_text_of(credentials[i].name)};
        }
    }
    uint32_t known = made;
    for (uint32_t i = 0; err == SLUICE_OK && i < call->name_count; i++) {
        if (!is_there(users, known, call->names[i])) {
            users[made++] =
                (struct sluice_user){.status = SLUICE_E_UNKNOWN_RESOURCE, .name = call->names[i]};
        }
    }
    call->done.described(call->arg, err, users, err == SLUICE_OK ? made : 0);
    sl_free(users);
    sl_free(call);
}

static void on_users_describe(const struct sluice_security *security,
                              const struct sluice_context *context, const struct sluice_text *names,
                              uint32_t count, sluice_users_done *done, void *arg)
{
    struct security_link *link = of(security);
    struct users_call *call = NULL;
    sluice_status status =
        may_cluster(link, context, SLUICE_OP_DESCRIBE) ? SLUICE_OK : SLUICE_E_CLUSTER_AUTHORIZATION;
    if (status == SLUICE_OK) {
        call = sl_alloc_zero(1, sizeof(*call));
        status = call == NULL ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    }
    if (status != SLUICE_OK) {
        done(arg, status, NULL, 0);
        return;
    }
    call->names = (struct sluice_text *)(uintptr_t)names; /* borrowed until done */
    call->name_count = count;
    call->done.described = done;
    call->arg = arg;
    access_list_start(link->home, users_listed, call);
}

static void users_call_free(struct users_call *call)
{
    for (uint32_t i = 0; call->items != NULL && i < call->item_count; i++) {
        sl_free((void *)(uintptr_t)call->items[i].payload.data);
    }
    sl_free(call->items);
    sl_free(call->results);
    sl_free(call->reasons);
    sl_free(call);
}

static void users_answer(struct users_call *call)
{
    for (uint32_t i = 0; i < call->count; i++) {
        call->results[i].reason = sluice_text_of(call->reasons[i]);
    }
    call->done.altered(call->arg, call->results, call->count);
    users_call_free(call);
}

static void users_changed(void *arg, sl_err err)
{
    struct users_call *call = arg;
    for (uint32_t i = 0; err != SLUICE_OK && i < call->count; i++) {
        call->results[i].status =
            call->results[i].status == SLUICE_OK ? err : call->results[i].status;
    }
    users_answer(call);
}

/* What is wrong with the change; OK: nothing. */
static sluice_status check_change(const struct sluice_user_change *change, char *ret_reason)
{
    uint32_t key_bytes = credential_key_bytes(change->mechanism);
    const char *why = NULL;
    sluice_status status = SLUICE_E_UNACCEPTABLE_CREDENTIAL;
    if (key_bytes == 0) {
        status = SLUICE_E_UNSUPPORTED_MECHANISM;
        why = "Unknown SCRAM mechanism";
    } else if (change->name.size == 0 || change->name.size > CREDENTIAL_NAME_BYTES_MAX ||
               memchr(change->name.data, 0, (size_t)change->name.size) != NULL) {
        why = "Username must not be empty";
    } else if (change->iterations == 0) {
        status = SLUICE_OK;
    } else if (change->iterations < CREDENTIAL_ITERATIONS_MIN) {
        why = "Too few iterations";
    } else if (change->iterations > CREDENTIAL_ITERATIONS_MAX) {
        why = "Too many iterations";
    } else if (change->salt.size == 0 || change->salt.size > CREDENTIAL_SALT_BYTES_MAX ||
               change->salted_password.size != key_bytes) {
        why = "The salt or the salted password has not the size that it must have";
    } else {
        status = SLUICE_OK;
    }
    snprintf(ret_reason, ACL_REASON_BYTES, "%s", why != NULL ? why : "");
    return status;
}

static sl_err add_change(struct users_call *call, const struct sluice_user_change *change)
{
    struct credential credential = {.mechanism = (uint8_t)change->mechanism,
                                    .iterations = change->iterations};
    sl_err err = SLUICE_OK;
    sl_bytes_copy(credential.name, sl_of_text(change->name));
    if (change->iterations > 0) {
        credential.salt_size = (uint8_t)change->salt.size;
        credential.key_size = (uint8_t)credential_key_bytes(change->mechanism);
        memcpy(credential.salt, change->salt.data, credential.salt_size);
        err = scram_keys(scram_digest(change->mechanism), change->salted_password.data,
                         credential.stored_key, credential.server_key);
    }
    uint8_t *payload = err == SLUICE_OK ? sl_alloc(CREDENTIAL_ITEM_BYTES_MAX) : NULL;
    if (payload == NULL) {
        return err != SLUICE_OK ? err : SLUICE_E_NO_MEMORY;
    }
    size_t size = credential_item_encode(&credential, payload);
    call->items[call->item_count++] = (struct wal_item){.kind = WAL_ITEM_CREDENTIAL,
                                                        .version = CREDENTIAL_ITEM_VERSION,
                                                        .payload = {payload, size}};
    explicit_bzero(&credential, sizeof(credential));
    return SLUICE_OK;
}

static bool removes(const struct credential *credentials, uint32_t count,
                    const struct sluice_user_change *change)
{
    for (uint32_t i = 0; i < count; i++) {
        if (credentials[i].mechanism == change->mechanism &&
            sl_bytes_equal(sl_bytes_of_text(credentials[i].name), sl_of_text(change->name))) {
            return true;
        }
    }
    return false;
}

/* What is there is known: now the changes. */
static void users_known(void *arg, sl_err err, const struct credential *credentials, uint32_t count)
{
    struct users_call *call = arg;
    for (uint32_t i = 0; i < call->count; i++) {
        const struct sluice_user_change *change = &call->changes[i];
        sluice_status status = err != SLUICE_OK ? err : check_change(change, call->reasons[i]);
        if (status == SLUICE_OK && change->iterations == 0 &&
            !removes(credentials, count, change)) {
            status = SLUICE_E_UNKNOWN_RESOURCE;
            snprintf(call->reasons[i], ACL_REASON_BYTES,
                     "Attempt to delete a user credential that does not exist");
        }
        status = status == SLUICE_OK ? add_change(call, change) : status;
        call->results[i].status = status;
        call->results[i].name = change->name;
    }
    if (call->validate_only) {
        users_answer(call);
        return;
    }
    struct wal_item *items = call->items;
    uint32_t item_count = call->item_count;
    call->items = NULL;
    if (item_count == 0) {
        sl_free(items);
        users_answer(call);
    } else {
        access_change_start(call->link->home, items, item_count, users_changed, call);
    }
}

static void on_users_alter(const struct sluice_security *security,
                           const struct sluice_context *context,
                           const struct sluice_user_change *changes, uint32_t count,
                           bool validate_only, sluice_user_results_done *done, void *arg)
{
    struct security_link *link = of(security);
    struct users_call *call = count <= ACCESS_ITEMS_MAX ? sl_alloc_zero(1, sizeof(*call)) : NULL;
    if (call == NULL) {
        done(arg, NULL, 0);
        return;
    }
    *call = (struct users_call){.link = link,
                                .changes = changes,
                                .count = count,
                                .validate_only = validate_only,
                                .arg = arg};
    call->done.altered = done;
    call->results = sl_alloc_zero(count + 1u, sizeof(*call->results));
    call->reasons = sl_alloc_zero(count + 1u, sizeof(*call->reasons));
    call->items = sl_alloc_zero(count + 1u, sizeof(*call->items));
    if (call->results == NULL || call->reasons == NULL || call->items == NULL) {
        users_call_free(call);
        done(arg, NULL, 0);
        return;
    }
    if (!may_cluster(link, context, SLUICE_OP_ALTER)) {
        for (uint32_t i = 0; i < count; i++) {
            call->results[i] = (struct sluice_user_result){.status = SLUICE_E_CLUSTER_AUTHORIZATION,
                                                           .name = changes[i].name};
        }
        users_answer(call);
        return;
    }
    access_list_start(link->home, users_known, call);
}

void security_link_init(struct security_link *link, struct broker_guard *guard,
                        struct intake *intake, bool trusted)
{
    *link = (struct security_link){
        .guard = guard, .home = guard->home, .intake = intake, .trusted = trusted};
    link->table = (struct sluice_security){
        .size = sizeof(struct sluice_security),
        .data = link,
        .authorize = on_authorize,
        .operations = on_operations,
        .acls_create = on_acls_create,
        .acls_delete = on_acls_delete,
        .acls_describe = on_acls_describe,
        .mechanisms = on_mechanisms,
        .auth_start = on_auth_start,
        .auth_step = on_auth_step,
        .users_describe = on_users_describe,
        .users_alter = on_users_alter,
    };
}
