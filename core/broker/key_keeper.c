/* key_keeper.c: see key_keeper.h. */
#include "broker/key_keeper.h"

#include "base/hash.h"
#include "broker/sasl_config.h"
#include "broker/sluice_state.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

struct key_waiter {
    struct key_waiter *next;
    key_keeper_done *done;
    void *arg;
};

void key_keeper_init(struct key_keeper *keeper, struct sluice *sluice)
{
    *keeper = (struct key_keeper){.sluice = sluice};
    const struct sl_config *config = sluice->config;
    keeper->token_set = config->security.oauth.jwks_file[0] != '\0';
    if (sluice->token_keys != NULL) {
        snprintf(keeper->token_path, sizeof(keeper->token_path), "%s",
                 keeper->token_set ? config->security.oauth.jwks_file
                                   : config->security.oauth.key_file);
        keeper->token_hash = sluice->token_hash;
    }
}

/* ---- folders ---- */

static void changed(void *arg)
{
    key_keeper_look(arg, NULL, NULL);
}

static void ignore_entry(void *arg, const char *name, bool is_directory)
{
    (void)arg;
    (void)name;
    (void)is_directory;
}

static void watch_folder(struct key_keeper *keeper, const char *path)
{
    char folder[KEY_PATH_BYTES];
    const char *slash = strrchr(path, '/');
    int size = slash == NULL ? 1 : SL_MAX((int)(slash - path), 1);
    if (path[0] == '\0') {
        return;
    }
    snprintf(folder, sizeof(folder), "%.*s", size, slash == NULL ? "." : path);
    for (uint32_t i = 0; i < keeper->folder_count; i++) {
        if (strcmp(keeper->folders[i], folder) == 0) {
            return;
        }
    }
    sl_err err = keeper->folder_count == KEY_FOLDERS_MAX
                     ? SLUICE_E_UNSUPPORTED
                     : sl_watch_new(keeper->sluice->rooms[0].loop, folder, changed, keeper,
                                    &keeper->watches[keeper->folder_count]);
    if (err != SLUICE_OK) {
        sl_log(keeper->sluice->logger, SL_LOG_WARN, "security",
               "changes of keys in this folder are seen at a reload only",
               sl_log_text("folder", folder), sl_log_err(err));
        return;
    }
    memcpy(keeper->folders[keeper->folder_count++], folder, sizeof(folder));
}

/* Of a path that may be a folder itself. */
static void watch_inside(struct key_keeper *keeper, const char *path)
{
    char inside[KEY_PATH_BYTES + 2];
    sl_err err = path[0] == '\0' ? SLUICE_E_NOT_FOUND
                                 : sl_dir_list(keeper->sluice->os, path, ignore_entry, NULL);
    if (err == SLUICE_OK && strlen(path) < KEY_PATH_BYTES - 1) {
        snprintf(inside, sizeof(inside), "%s/", path);
        watch_folder(keeper, inside);
    }
}

void key_keeper_watch(struct key_keeper *keeper, const struct listener *listener)
{
    if (listener->tls != NULL && !keeper->sluice->stopping) {
        watch_folder(keeper, listener->tls->certificate);
        watch_folder(keeper, listener->tls->key);
        watch_folder(keeper, listener->tls->key_password_file);
        watch_folder(keeper, listener->tls->ca);
        watch_folder(keeper, listener->tls->crl);
        watch_inside(keeper, listener->tls->crl);
    }
}

void key_keeper_start(struct key_keeper *keeper)
{
    watch_folder(keeper, keeper->token_path);
}

void key_keeper_stop(struct key_keeper *keeper)
{
    for (uint32_t i = 0; i < keeper->folder_count; i++) {
        keeper->watches[i] = sl_watch_free(keeper->watches[i]);
    }
    keeper->folder_count = 0;
}

/* ---- reading, on a helper ---- */

/* A failure is new when its words are. */
static void note_failure(struct key_update *update, uint64_t before)
{
    update->hash = sl_hash64(update->why, strlen(update->why));
    update->differ = update->hash != before;
    update->read = true;
}

static void read_listener(struct sl_os *os, struct key_update *update)
{
    const struct listener_tls *tls = update->listener->tls;
    const struct tls_settings settings = listener_tls_settings(tls);
    struct tls_files files = {0};
    update->err = tls_files_read(os, &settings, &files, update->why);
    update->differ = update->err == SLUICE_OK && files.hash != tls->files_hash;
    if (update->err == SLUICE_OK && (update->differ || tls->files_failed)) {
        update->read = true;
        update->hash = files.hash;
        update->err =
            tls_context_new(&settings, &files, sl_os_wall_ms(os), &update->context, update->why);
    } else if (update->err != SLUICE_OK) {
        note_failure(update, tls->files_hash);
    }
    tls_files_drop(&files);
}

static void read_tokens(struct key_keeper *keeper, struct key_update *update)
{
    update->err = sasl_config_read_keys(keeper->sluice->os, keeper->token_path, keeper->token_set,
                                        &update->keys, &update->hash, update->why);
    update->differ = update->hash != keeper->token_hash;
    update->read = update->differ || keeper->token_failed;
    if (update->err != SLUICE_OK && update->hash == 0) {
        note_failure(update, keeper->token_hash);
    }
}

static void work(struct sl_job *job)
{
    struct key_keeper *keeper = SL_CONTAINER_OF(job, struct key_keeper, job);
    for (uint32_t i = 0; i < keeper->update_count; i++) {
        struct key_update *update = &keeper->updates[i];
        if (update->listener != NULL) {
            read_listener(keeper->sluice->os, update);
        } else {
            read_tokens(keeper, update);
        }
    }
}

/* ---- taking ---- */

static const char *outcome_of(const struct key_update *update)
{
    return update->err != SLUICE_OK ? "failed: what was in force stays"
           : update->read           ? "reloaded"
                                    : "unchanged";
}

static const char *name_of(const struct key_update *update)
{
    return update->listener != NULL ? update->listener->name : "tokens";
}

static void tell(const struct key_keeper *keeper, const struct key_update *update)
{
    struct sl_logger *logger = keeper->sluice->logger;
    if (update->err != SLUICE_OK) {
        sl_log(logger, SL_LOG_ERROR, "security",
               update->listener != NULL
                   ? "the certificate is not reloaded: the one before stays in force"
                   : "the keys of tokens are not reloaded: those before stay in force",
               sl_log_text("listener", name_of(update)), sl_log_text("reason", update->why));
    } else if (update->listener != NULL) {
        const struct tls_about *about = tls_context_about(update->context);
        int64_t left_ms = about->not_after_ms - sl_os_wall_ms(keeper->sluice->os);
        sl_log(logger, SL_LOG_INFO, "security", "certificate reloaded",
               sl_log_text("listener", name_of(update)), sl_log_text("subject", about->subject),
               sl_log_i64("days_left", left_ms / 86400000));
    } else {
        sl_log(logger, SL_LOG_INFO, "security", "keys of tokens reloaded",
               sl_log_u64("keys", jwt_keys_count(update->keys)));
    }
}

/* What is new is in force; the update holds what was before. */
static void take(struct key_keeper *keeper, struct key_update *update)
{
    struct listener_tls *tls = update->listener != NULL ? update->listener->tls : NULL;
    bool ok = update->err == SLUICE_OK;
    if (!update->read) {
        return;
    }
    if (tls != NULL) {
        tls->files_hash = update->hash;
        tls->files_failed = !ok;
        if (ok) {
            update->context = __atomic_exchange_n(&tls->context, update->context, __ATOMIC_ACQ_REL);
        }
    } else {
        keeper->token_hash = update->hash;
        keeper->token_failed = !ok;
        if (ok) {
            update->keys =
                __atomic_exchange_n(&keeper->sluice->token_keys, update->keys, __ATOMIC_ACQ_REL);
        }
    }
}

static cJSON *report_of(const struct key_keeper *keeper)
{
    cJSON *array = cJSON_CreateArray();
    for (uint32_t i = 0; i < keeper->update_count; i++) {
        const struct key_update *update = &keeper->updates[i];
        cJSON *entry = cJSON_CreateObject();
        cJSON_AddStringToObject(entry, "listener", name_of(update));
        cJSON_AddStringToObject(entry, "outcome", outcome_of(update));
        if (update->err != SLUICE_OK) {
            cJSON_AddStringToObject(entry, "reason", update->why);
        }
        cJSON_AddItemToArray(array, entry);
    }
    return array;
}

/* ---- to every loop ---- */

static void run(struct key_keeper *keeper);

static void drop_waiting(struct key_keeper *keeper)
{
    while (keeper->waiting != NULL) {
        struct key_waiter *waiter = keeper->waiting;
        keeper->waiting = waiter->next;
        waiter->done(waiter->arg, NULL);
        sl_free(waiter);
    }
}

static void end_run(struct key_keeper *keeper)
{
    struct key_waiter *waiter = keeper->served;
    keeper->served = NULL;
    while (waiter != NULL) {
        struct key_waiter *next = waiter->next;
        waiter->done(waiter->arg, report_of(keeper));
        sl_free(waiter);
        waiter = next;
    }
    for (uint32_t i = 0; i < keeper->update_count; i++) {
        tls_context_unref(keeper->updates[i].context);
        jwt_keys_unref(keeper->updates[i].keys);
        listener_unref(keeper->updates[i].listener);
    }
    keeper->update_count = 0;
    keeper->running = false;
    shard_request_end(keeper->sluice->shards.shards[0]);
    if (keeper->sluice->stopping) {
        drop_waiting(keeper);
    } else if (keeper->again || keeper->waiting != NULL) {
        run(keeper);
    }
}

struct room_turn {
    struct sl_task task;
    struct key_keeper *keeper;
};

static void turned_home(struct sl_task *task)
{
    struct room_turn *turn = SL_CONTAINER_OF(task, struct room_turn, task);
    struct key_keeper *keeper = turn->keeper;
    sl_free(turn);
    if (--keeper->pending_rooms == 0) {
        end_run(keeper);
    }
}

/* Who looked at what was before has done with it: that lasts no longer than a turn. */
static void turned(struct sl_task *task)
{
    struct room_turn *turn = SL_CONTAINER_OF(task, struct room_turn, task);
    turn->task = (struct sl_task){.run = turned_home, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(turn->keeper->sluice->rooms[0].loop, &turn->task);
}

static void work_done(struct sl_job *job)
{
    struct key_keeper *keeper = SL_CONTAINER_OF(job, struct key_keeper, job);
    struct sluice *sluice = keeper->sluice;
    for (uint32_t i = 0; i < keeper->update_count; i++) {
        struct key_update *update = &keeper->updates[i];
        bool asked = keeper->served != NULL;
        if (update->read && (update->differ || asked || update->err == SLUICE_OK)) {
            tell(keeper, update);
        }
        take(keeper, update);
    }
    keeper->pending_rooms = sluice->room_count;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct room_turn *turn = sl_alloc_zero(1, sizeof(*turn));
        SL_ASSERT(turn != NULL);
        turn->keeper = keeper;
        turn->task = (struct sl_task){.run = turned, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(sluice->rooms[i].loop, &turn->task);
    }
}

/* ---- beginning ---- */

static void collect(struct key_keeper *keeper, const struct listener_list *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        struct listener *listener = list->listeners[i];
        bool known = listener->tls == NULL || keeper->update_count == KEY_LISTENERS_MAX;
        for (uint32_t k = 0; k < keeper->update_count; k++) {
            known = known || keeper->updates[k].listener == listener;
        }
        if (!known) {
            keeper->updates[keeper->update_count++] =
                (struct key_update){.listener = listener_ref(listener)};
        }
    }
}

static void run(struct key_keeper *keeper)
{
    struct sluice *sluice = keeper->sluice;
    keeper->running = true;
    keeper->again = false;
    keeper->served = keeper->waiting;
    keeper->waiting = NULL;
    for (size_t i = 0; i < SL_COUNT_OF(sluice->listeners); i++) {
        collect(keeper, &sluice->listeners[i]);
    }
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        if (sluice->frontends.slots[i].state == FRONTEND_LISTENING) {
            collect(keeper, &sluice->frontends.slots[i].listeners);
        }
    }
    if (keeper->token_path[0] != '\0') {
        keeper->updates[keeper->update_count++] = (struct key_update){0};
    }
    shard_request_begin(sluice->shards.shards[0]);
    keeper->job = (struct sl_job){.work = work, .done = work_done};
    keeper->job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(sluice->os, sluice->rooms[0].loop, &keeper->job);
}

void key_keeper_look(struct key_keeper *keeper, key_keeper_done *done, void *arg)
{
    struct key_waiter *waiter = NULL;
    bool nothing = keeper->folder_count == 0 && keeper->token_path[0] == '\0';
    if (done != NULL && !keeper->sluice->stopping && !nothing) {
        waiter = sl_alloc_zero(1, sizeof(*waiter));
    }
    if (done != NULL && waiter == NULL) {
        done(arg, NULL);
        return;
    }
    if (waiter != NULL) {
        *waiter = (struct key_waiter){keeper->waiting, done, arg};
        keeper->waiting = waiter;
    }
    if (keeper->running) {
        keeper->again = true;
    } else if (!keeper->sluice->stopping) {
        run(keeper);
    }
}
