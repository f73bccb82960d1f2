/* access_keeper.c: see access_keeper.h. */
#include "broker/access_keeper.h"

#include "base/hash.h"
#include "base/status.h"
#include "broker/sluice_state.h"

#include <stdio.h>
#include <string.h>

struct access_waiter {
    struct access_waiter *next;
    void (*done)(void *arg);
    void *arg;
};

/* ---- the file ---- */

static const char *file_path(const struct access_keeper *keeper)
{
    return keeper->path;
}

/* [blocks] */
static void read_file(struct access_keeper *keeper)
{
    struct sl_os *os = keeper->sluice->os;
    struct sl_file *file = NULL;
    uint8_t *text = NULL;
    size_t size = 0;
    keeper->read = (struct acl_rules){0};
    sl_err err = sl_file_open(os, file_path(keeper), SL_FILE_READ, &file);
    if (err == SLUICE_OK) {
        text = sl_alloc(ACL_FILE_BYTES_MAX + 1u);
        err = text == NULL ? SLUICE_E_NO_MEMORY
                           : sl_file_pread(file, text, ACL_FILE_BYTES_MAX + 1u, 0, &size);
    }
    sl_file_close(file);
    if (err != SLUICE_OK) {
        snprintf(keeper->read_why, sizeof(keeper->read_why), "it cannot be read: %s",
                 sl_status_text(err));
        keeper->read_hash = (uint64_t)err;
    } else {
        keeper->read_hash = sl_hash64(text, size);
        err = acl_file_parse((struct sl_bytes){text, size}, &keeper->read, keeper->read_why);
    }
    sl_free(text);
    keeper->read_err = err;
}

static sl_err take_settings(struct access_keeper *keeper, const struct sl_config *config)
{
    const struct config_list *users = &config->security.super_users;
    const char *path = config->security.acl_file;
    keeper->enabled = config->security.authorization || path[0] != '\0';
    keeper->allow_if_none = config->security.allow_if_no_acl;
    keeper->path = sl_strdup_bytes(path, strlen(path));
    keeper->super_users = sl_alloc_zero(users->count + 1u, sizeof(*keeper->super_users));
    bool ok = keeper->path != NULL && keeper->super_users != NULL;
    for (uint32_t i = 0; ok && i < users->count; i++) {
        keeper->super_users[i] = sl_strdup_bytes(users->items[i], strlen(users->items[i]));
        ok = keeper->super_users[i] != NULL;
        keeper->super_user_count += ok;
    }
    return ok ? SLUICE_OK : SLUICE_E_NO_MEMORY;
}

sl_err access_keeper_init(struct access_keeper *keeper, struct sluice *sluice, char *ret_problem,
                          size_t problem_size)
{
    *keeper = (struct access_keeper){.sluice = sluice};
    sl_err err = take_settings(keeper, sluice->config);
    if (err != SLUICE_OK) {
        return err;
    }
    if (file_path(keeper)[0] == '\0') {
        return SLUICE_OK;
    }
    read_file(keeper);
    if (keeper->read_err != SLUICE_OK) {
        snprintf(ret_problem, problem_size, "security.acl_file %.200s: %s", file_path(keeper),
                 keeper->read_why);
        return keeper->read_err;
    }
    keeper->file = keeper->read;
    keeper->file_hash = keeper->read_hash;
    keeper->read = (struct acl_rules){0};
    return SLUICE_OK;
}

static void read_work(struct sl_job *job)
{
    read_file(SL_CONTAINER_OF(job, struct access_keeper, read_job));
}

static void told_nothing(void *arg)
{
    (void)arg;
}

static void read_done(struct sl_job *job)
{
    struct access_keeper *keeper = SL_CONTAINER_OF(job, struct access_keeper, read_job);
    struct sl_logger *logger = keeper->sluice->logger;
    bool is_new = keeper->read_hash != keeper->file_hash;
    keeper->reading = false;
    keeper->file_hash = keeper->read_hash;
    shard_request_end(keeper->sluice->shards.shards[0]);
    if (is_new && keeper->read_err == SLUICE_OK && !keeper->sluice->stopping) {
        sl_log(logger, SL_LOG_INFO, "security", "access rules reloaded",
               sl_log_text("file", file_path(keeper)), sl_log_u64("rules", keeper->read.count));
        acl_rules_fini(&keeper->file);
        keeper->file = keeper->read;
        keeper->read = (struct acl_rules){0};
        access_keeper_publish(keeper, told_nothing, NULL);
    } else if (is_new && keeper->read_err != SLUICE_OK) {
        sl_log(logger, SL_LOG_ERROR, "security",
               "the access rules are not reloaded: those before stay in force",
               sl_log_text("file", file_path(keeper)), sl_log_text("reason", keeper->read_why));
    }
    acl_rules_fini(&keeper->read);
    if (keeper->read_again) {
        keeper->read_again = false;
        access_keeper_look(keeper);
    }
}

void access_keeper_look(struct access_keeper *keeper)
{
    struct sluice *sluice = keeper->sluice;
    if (file_path(keeper)[0] == '\0' || sluice->stopping) {
        return;
    }
    if (keeper->reading) {
        keeper->read_again = true;
        return;
    }
    keeper->reading = true;
    shard_request_begin(sluice->shards.shards[0]);
    keeper->read_job = (struct sl_job){.work = read_work, .done = read_done};
    keeper->read_job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(sluice->os, sluice->rooms[0].loop, &keeper->read_job);
}

static void file_changed(void *arg)
{
    access_keeper_look(arg);
}

void access_keeper_start(struct access_keeper *keeper)
{
    char folder[FRONTEND_PATH_BYTES];
    const char *path = file_path(keeper);
    const char *slash = strrchr(path, '/');
    if (path[0] == '\0') {
        return;
    }
    int size = slash == NULL ? 1 : SL_MAX((int)(slash - path), 1);
    snprintf(folder, sizeof(folder), "%.*s", size, slash == NULL ? "." : path);
    sl_err err =
        sl_watch_new(keeper->sluice->rooms[0].loop, folder, file_changed, keeper, &keeper->watch);
    if (err != SLUICE_OK) {
        sl_log(keeper->sluice->logger, SL_LOG_WARN, "security",
               "changes of the access rules are seen at a reload only", sl_log_text("file", path),
               sl_log_err(err));
    }
}

void access_keeper_stop(struct access_keeper *keeper)
{
    keeper->watch = sl_watch_free(keeper->watch);
}

/* ---- making a policy ---- */

static void collect(void *arg, struct acl *acl)
{
    struct access_keeper *keeper = arg;
    keeper->rules[keeper->rule_count++] = acl_ref(acl);
}

/* References to all rules. */
static sl_err collect_all(struct access_keeper *keeper)
{
    const struct access_store *store = &keeper->sluice->shards.shards[0]->access;
    keeper->rule_count = 0;
    keeper->rules =
        sl_alloc_zero((size_t)store->acls.count + keeper->file.count + 1, sizeof(struct acl *));
    if (keeper->rules == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    access_store_each_acl(store, collect, keeper);
    for (uint32_t i = 0; i < keeper->file.count; i++) {
        collect(keeper, keeper->file.rules[i]);
    }
    return SLUICE_OK;
}

/* [helper, or before the loops run] */
static void make_policy(struct access_keeper *keeper)
{
    keeper->err =
        policy_new(keeper->rules, keeper->rule_count, (const char *const *)keeper->super_users,
                   keeper->super_user_count, keeper->enabled, keeper->allow_if_none, &keeper->made);
    sl_free(keeper->rules);
    keeper->rules = NULL;
}

sl_err access_keeper_open(struct access_keeper *keeper)
{
    sl_err err = collect_all(keeper);
    if (err == SLUICE_OK) {
        make_policy(keeper);
        err = keeper->err;
    }
    if (err == SLUICE_OK) {
        keeper->policy = keeper->made;
    }
    return err;
}

void access_keeper_fini(struct access_keeper *keeper)
{
    keeper->policy = policy_unref(keeper->policy);
    acl_rules_fini(&keeper->file);
    for (uint32_t i = 0; i < keeper->super_user_count; i++) {
        sl_free(keeper->super_users[i]);
    }
    sl_free(keeper->super_users);
    sl_free(keeper->path);
}

/* ---- to every loop ---- */

static void publish_begin(struct access_keeper *keeper);

static void tell_served(struct access_keeper *keeper)
{
    struct access_waiter *waiter = keeper->served;
    keeper->served = NULL;
    keeper->publishing = false;
    shard_request_end(keeper->sluice->shards.shards[0]);
    while (waiter != NULL) {
        struct access_waiter *next = waiter->next;
        waiter->done(waiter->arg);
        sl_free(waiter);
        waiter = next;
    }
    if (keeper->waiting != NULL && !keeper->publishing) {
        publish_begin(keeper);
    }
}

struct room_rules {
    struct sl_task task;
    struct access_keeper *keeper;
    struct loop_room *room;
    struct policy *policy;
};

static void room_took(struct sl_task *task)
{
    struct room_rules *rules = SL_CONTAINER_OF(task, struct room_rules, task);
    struct access_keeper *keeper = rules->keeper;
    sl_free(rules);
    if (--keeper->pending_rooms == 0) {
        tell_served(keeper);
    }
}

static void room_take(struct sl_task *task)
{
    struct room_rules *rules = SL_CONTAINER_OF(task, struct room_rules, task);
    struct loop_room *room = rules->room;
    for (uint32_t i = 0; i < room->shard_count; i++) {
        room->shards[i]->policy = rules->policy;
    }
    broker_guard_set_policy(&room->guard, rules->policy);
    rules->task = (struct sl_task){.run = room_took, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(rules->keeper->sluice->rooms[0].loop, &rules->task);
}

static void spread(struct access_keeper *keeper)
{
    struct sluice *sluice = keeper->sluice;
    keeper->pending_rooms = sluice->room_count;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct room_rules *rules = sl_alloc_zero(1, sizeof(*rules));
        SL_ASSERT(rules != NULL);
        *rules = (struct room_rules){
            .keeper = keeper, .room = &sluice->rooms[i], .policy = policy_ref(keeper->policy)};
        rules->task = (struct sl_task){.run = room_take, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(sluice->rooms[i].loop, &rules->task);
    }
}

static void make_work(struct sl_job *job)
{
    make_policy(SL_CONTAINER_OF(job, struct access_keeper, job));
}

static void make_done(struct sl_job *job)
{
    struct access_keeper *keeper = SL_CONTAINER_OF(job, struct access_keeper, job);
    if (keeper->err != SLUICE_OK) {
        sl_log(keeper->sluice->logger, SL_LOG_ERROR, "security",
               "the new access rules are not in force", sl_log_err(keeper->err));
        tell_served(keeper);
        return;
    }
    policy_unref(keeper->policy);
    keeper->policy = keeper->made;
    spread(keeper);
}

static void publish_begin(struct access_keeper *keeper)
{
    keeper->publishing = true;
    keeper->served = keeper->waiting;
    keeper->waiting = NULL;
    shard_request_begin(keeper->sluice->shards.shards[0]);
    keeper->err = collect_all(keeper);
    keeper->job = (struct sl_job){.work = make_work, .done = make_done};
    keeper->job.task.priority = SL_PRIORITY_CONTROL;
    if (keeper->err != SLUICE_OK) {
        make_done(&keeper->job);
        return;
    }
    sl_helpers_submit(keeper->sluice->os, keeper->sluice->rooms[0].loop, &keeper->job);
}

void access_keeper_publish(void *arg, void (*done)(void *done_arg), void *done_arg)
{
    struct access_keeper *keeper = arg;
    struct access_waiter *waiter = sl_alloc_zero(1, sizeof(*waiter));
    SL_ASSERT(waiter != NULL);
    *waiter = (struct access_waiter){.done = done, .arg = done_arg, .next = keeper->waiting};
    keeper->waiting = waiter;
    if (!keeper->publishing) {
        publish_begin(keeper);
    }
}
