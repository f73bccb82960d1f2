/* plugin_command.c: what an operator asks of instances, one command after the other:
 * unload, enable, disable, pause, resume (load and reload are in plugin_load.c, seek and forget in
 * plugin_position.c).
 *
 *   command ─► order, in line ─► begun ─► file read, switch durable, parts told … ─► outcome
 *
 * What is to outlive the broker is durable before it is done: a file is renamed into place after
 * its sync, a switch is in shard 0's log. On shard 0's loop. */
#include "plugin/plugin_state.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const words[] = {
#define COMMAND_WORD(name, word, doc) word,
    PLUGIN_COMMAND_TABLE(COMMAND_WORD)
#undef COMMAND_WORD
};

const char *plugin_command_word(int32_t kind)
{
    return words[kind];
}

/* ---- the line of orders ---- */

static void order_free(struct plugin_order *order)
{
    sl_list_remove(&order->link);
    sl_free((void *)(uintptr_t)order->command.name);
    sl_free((void *)(uintptr_t)order->command.who);
    sl_free((void *)(uintptr_t)order->command.topic);
    sl_free((void *)(uintptr_t)order->command.bytes.data);
    plugin_positions_free(order->positions);
    sl_free(order);
}

struct plugin_order *order_current(const struct plugin_manager *manager)
{
    struct sl_link *first = manager->order_begun ? sl_list_first(&manager->orders) : NULL;
    return first == NULL ? NULL : SL_CONTAINER_OF(first, struct plugin_order, link);
}

static void begin_next(struct sl_task *task);

static void begin_later(struct plugin_manager *manager)
{
    if (!manager->order_begun && !manager->brakes.under_way &&
        !sl_list_is_empty(&manager->orders) && manager->order_task.queued == 0) {
        manager->order_task = (struct sl_task){.run = begin_next, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(manager->loop, &manager->order_task);
    }
}

void orders_go_on(struct plugin_manager *manager)
{
    begin_later(manager);
}

static void answer(struct plugin_order *order, const struct plugin_outcome *outcome)
{
    struct plugin_manager *manager = order->manager;
    enum sl_log_level level = outcome->err == SLUICE_OK ? SL_LOG_INFO : SL_LOG_WARN;
    sl_log(manager->config.logger, level, "plugins", "command",
           sl_log_text("command", words[order->command.kind]),
           sl_log_text("name", order->command.name), sl_log_text("by", order->command.who),
           sl_log_text("outcome", outcome->text), sl_log_err(outcome->err));
    order->done(order->arg, outcome);
    order_free(order);
}

/* changed: not taken from order, so that a command that found it so already can say that. */
static void end_with(struct plugin_order *order, sl_err err, bool changed)
{
    struct plugin_manager *manager = order->manager;
    struct plugin_outcome outcome = {.err = err, .text = order->text, .changed = changed};
    plugin_positions_outcome(order->positions, &outcome);
    manager->order_begun = false;
    answer(order, &outcome);
    manager_save_brakes(manager);
    reload_begin(manager);
    begin_later(manager);
    manager_progress(manager);
}

static void SL_PRINTF(2, 0) set_text(struct plugin_order *order, const char *format, va_list args)
{
    vsnprintf(order->text, sizeof(order->text), format, args);
}

void order_end(struct plugin_order *order, sl_err err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(order, format, args);
    va_end(args);
    end_with(order, err, err == SLUICE_OK);
}

/* It was so before. */
static void SL_PRINTF(2, 3) order_end_same(struct plugin_order *order, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    set_text(order, format, args);
    va_end(args);
    end_with(order, SLUICE_OK, false);
}

bool order_tried(struct plugin_order *order, const char *format, ...)
{
    va_list args;
    if (!order->command.dry_run) {
        return false;
    }
    va_start(args, format);
    set_text(order, format, args);
    va_end(args);
    end_with(order, SLUICE_OK, false);
    return true;
}

static const char *text_copy(const char *text)
{
    return text == NULL ? NULL : sl_strdup_bytes(text, strlen(text));
}

static struct plugin_order *order_new(struct plugin_manager *manager,
                                      const struct plugin_command *command)
{
    struct plugin_order *order = sl_alloc_zero(1, sizeof(*order));
    uint8_t *bytes = sl_alloc(command->bytes.size + 1);
    if (order == NULL || bytes == NULL) {
        sl_free(order);
        sl_free(bytes);
        return NULL;
    }
    sl_bytes_copy(bytes, command->bytes);
    order->manager = manager;
    order->command = *command;
    order->command.bytes.data = bytes;
    order->command.name = text_copy(command->name);
    order->command.who = text_copy(command->who);
    order->command.topic = text_copy(command->topic);
    sl_link_init(&order->link);
    if (order->command.name == NULL || order->command.who == NULL ||
        (command->topic != NULL && order->command.topic == NULL)) {
        order_free(order);
        return NULL;
    }
    return order;
}

void plugin_manager_command(struct plugin_manager *manager, const struct plugin_command *command,
                            plugin_command_done *done, void *arg)
{
    uint32_t count = 0;
    SL_LIST_EACH(&manager->orders, link)
    {
        count++;
    }
    bool is_full = count >= PLUGIN_COMMANDS_MAX;
    struct plugin_order *order = manager->stopping || is_full ? NULL : order_new(manager, command);
    if (order == NULL) {
        struct plugin_outcome outcome = {.err = manager->stopping ? SLUICE_E_STOPPING
                                                : is_full         ? SLUICE_E_BUSY
                                                                  : SLUICE_E_NO_MEMORY,
                                         .text = is_full ? "too many commands wait" : ""};
        done(arg, &outcome);
        return;
    }
    order->done = done;
    order->arg = arg;
    sl_list_push_back(&manager->orders, &order->link);
    begin_later(manager);
}

void orders_stop(struct plugin_manager *manager)
{
    struct plugin_order *current = order_current(manager);
    SL_LIST_EACH_SAFE(&manager->orders, link)
    {
        struct plugin_order *order = SL_CONTAINER_OF(link, struct plugin_order, link);
        if (order != current || order->file[0] != '\0') {
            struct plugin_outcome outcome = {.err = SLUICE_E_STOPPING, .text = ""};
            manager->order_begun = manager->order_begun && order != current;
            answer(order, &outcome);
        }
    }
}

/* ---- names ---- */

void order_end_unknown(struct plugin_order *order)
{
    const char *known[PLUGIN_INSTANCES_MAX];
    uint32_t count = 0;
    SL_LIST_EACH(&order->manager->instances, link)
    {
        known[count++] = SL_CONTAINER_OF(link, struct plugin_instance, link)->name;
    }
    const char *best = sl_text_nearest(sl_bytes_of_text(order->command.name), known, count);
    order_end(order, SLUICE_E_NOT_FOUND, "no instance is called \"%.64s\"%s%s%s",
              order->command.name, best != NULL ? "; did you mean " : "; see sluice plugin list",
              best != NULL ? best : "", best != NULL ? "?" : "");
}

const struct plugin_switch *manager_switch(const struct plugin_manager *manager, const char *name)
{
    return switch_store_find(&manager->config.set->shards[0]->switches, name);
}

static uint32_t flags_of(const struct plugin_order *order)
{
    const struct plugin_switch *is = manager_switch(order->manager, order->command.name);
    return is == NULL ? 0 : is->flags;
}

static bool is_gate(const struct plugin_instance *instance)
{
    return instance->attachment != NULL && instance->attachment->is.on == SLUICE_ON_PRODUCE;
}

static const char *gate_note(const struct plugin_instance *instance)
{
    return is_gate(instance) ? "; it is a gate: records would be written unchecked (asks for --yes)"
                             : "";
}

/* A gate that goes lets records through unchecked: not by accident. True: the order has ended. */
static bool end_unconfirmed(struct plugin_order *order, const struct plugin_instance *instance)
{
    if (order->command.confirmed || !is_gate(instance)) {
        return false;
    }
    char inputs[PLUGIN_TEXT_BYTES];
    plugin_attachment_inputs_text(&instance->attachment->is, inputs, sizeof(inputs));
    order_end(order, SLUICE_E_UNCONFIRMED,
              "%s is a gate: without it records for %s are written unchecked", instance->name,
              inputs);
    return true;
}

/* ---- switches ---- */

static void switched(struct commit *commit, sl_err err)
{
    struct plugin_order *order = SL_CONTAINER_OF(commit, struct plugin_order, commit);
    struct shard *shard = order->manager->config.set->shards[0];
    if (err == SLUICE_OK) {
        struct sl_bytes payload = {order->payload, order->payload_size};
        err = switch_store_apply(&shard->switches, SWITCH_ITEM_VERSION, payload);
        if (err != SLUICE_OK) { /* it is durable: what is in memory is behind it */
            shard_refuse(shard, err);
        }
    }
    if (err != SLUICE_OK) {
        order_end(order, err, "the switch did not become durable: %s", sl_status_text(err));
    } else {
        order->next(order);
    }
}

void order_switch(struct plugin_order *order, uint32_t flags, order_fn *next)
{
    struct shard *shard = order->manager->config.set->shards[0];
    struct plugin_switch is = {.time_ms = sl_os_wall_ms(order->manager->config.os), .flags = flags};
    if (flags != 0 && !switch_store_takes(&shard->switches, order->command.name)) {
        order_end(order, SLUICE_E_LIMIT, "%u instances are switched already; forget some",
                  SWITCH_COUNT_MAX);
        return;
    }
    snprintf(is.name, sizeof(is.name), "%s", order->command.name);
    snprintf(is.who, sizeof(is.who), "%s", order->command.who);
    order->payload_size = switch_item_encode(&is, order->payload);
    order->next = next;
    order->item = (struct wal_item){.kind = WAL_ITEM_PLUGIN_SWITCH,
                                    .version = SWITCH_ITEM_VERSION,
                                    .payload = {order->payload, order->payload_size}};
    order->commit = (struct commit){
        .shard = shard, .items = &order->item, .extra_count = 1, .reserve = true, .done = switched};
    sl_err err = shard->status != SLUICE_OK ? shard->status : commit_submit(&order->commit);
    if (err != SLUICE_OK) {
        order_end(order, err, "the log does not take the switch: %s", sl_status_text(err));
    }
}

/* ---- files and loads ---- */

bool order_wants(const struct plugin_manager *manager, const char *file, const char *instance)
{
    const struct plugin_order *order = order_current(manager);
    return order != NULL && strcmp(order->file, file) == 0 &&
           (order->loads_all || strcmp(order->command.name, instance) == 0);
}

void order_load_began(struct plugin_instance *instance)
{
    struct plugin_order *order = order_current(instance->manager);
    if (order != NULL && !instance->awaited &&
        order_wants(instance->manager, instance->file, instance->name)) {
        instance->awaited = true;
        order->awaited_count++;
    }
}

static void end_if_loaded(struct plugin_order *order)
{
    if (!order->file_taken || order->awaited_count > 0) {
        return;
    }
    if (order->err != SLUICE_OK) {
        end_with(order, order->err, false);
    } else if (order->text[0] == '\0') {
        order_end_same(order, "%s makes nothing that runs", order->file);
    } else {
        end_with(order, SLUICE_OK, true);
    }
}

void order_load_ended(struct plugin_instance *instance, sl_err err, const char *text)
{
    struct plugin_order *order = order_current(instance->manager);
    reload_load_ended(instance, err, text);
    if (!instance->awaited) {
        return;
    }
    instance->awaited = false;
    if (order == NULL) {
        return;
    }
    SL_ASSERT(order->awaited_count > 0);
    order->awaited_count--;
    if (order->err == SLUICE_OK) { /* the first failure is what is told */
        order->err = err;
        char version[64];
        snprintf(version, sizeof(version), "%s",
                 instance->active != NULL ? instance->active->hash_text : "");
        snprintf(order->text, sizeof(order->text),
                 err == SLUICE_OK ? "%s runs version %s" : "%s: %s", instance->name,
                 err == SLUICE_OK ? version : text);
        if (err == SLUICE_OK) {
            instance_shadow_say(instance, order->text, sizeof(order->text));
        }
    }
    end_if_loaded(order);
}

void order_file_taken(struct plugin_manager *manager, const struct plugin_file *file, bool found)
{
    struct plugin_order *order = order_current(manager);
    reload_file_taken(manager, file->name, found);
    if (order == NULL || order->file_taken || strcmp(order->file, file->name) != 0) {
        return;
    }
    order->file_taken = true;
    if (!found) {
        order_end(order, SLUICE_E_NOT_FOUND, "%s is not in %s", file->name,
                  manager->settings.is.plugins_dir);
    } else if (file->reason[0] != '\0' && order->awaited_count == 0 && order->text[0] == '\0') {
        order_end(order, SLUICE_E_PLUGIN_LOAD, "%s", file->reason);
    } else if (file->frontend_open) {
        order_end(order, SLUICE_OK, "%s is a frontend: new connections go to it once it is open",
                  file->name);
    } else {
        end_if_loaded(order);
    }
}

void order_want_file(struct plugin_order *order, const char *file)
{
    if (order->manager->stopping) { /* nobody looks at files any more */
        order_end(order, SLUICE_E_STOPPING, "%s is read at the next start", file);
        return;
    }
    snprintf(order->file, sizeof(order->file), "%s", file);
    if (!manager_want_file(order->manager, order->file)) {
        order->file[0] = '\0';
        order_end(order, SLUICE_E_NO_MEMORY, "out of memory");
    }
}

/* ---- the commands ---- */

static void rest(struct plugin_order *order, struct plugin_instance *instance,
                 enum instance_state state)
{
    order->instance = instance;
    instance_rest(instance, state);
}

static void unload(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    if (instance == NULL) {
        order_end_unknown(order);
    } else if (instance->state == INSTANCE_UNLOADED || instance->state == INSTANCE_DISABLED) {
        order_end_same(order, "%s is not loaded", instance->name);
    } else if (!end_unconfirmed(order, instance) &&
               !order_tried(order, "%s would be unloaded%s", instance->name, gate_note(instance))) {
        rest(order, instance, INSTANCE_UNLOADED);
    }
}

static void disabled(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    if (instance == NULL) { /* its file went meanwhile */
        order_end(order, SLUICE_OK, "%s is disabled", order->command.name);
    } else if (instance->state == INSTANCE_UNLOADED) {
        instance->state = INSTANCE_DISABLED;
        order_end(order, SLUICE_OK, "%s is disabled", instance->name);
    } else {
        rest(order, instance, INSTANCE_DISABLED);
    }
}

static void disable(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    uint32_t flags = flags_of(order);
    if ((flags & SWITCH_DISABLED) != 0) {
        order_end_same(order, "%s is disabled already", order->command.name);
    } else if (instance == NULL) {
        order_end_unknown(order);
    } else if (!end_unconfirmed(order, instance) &&
               !order_tried(order, "%s would be disabled%s", instance->name, gate_note(instance))) {
        order_switch(order, flags | SWITCH_DISABLED, disabled);
    }
}

static void enabled(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    if (instance == NULL) {
        order_end(order, SLUICE_OK, "%s is enabled; its file is not there", order->command.name);
        return;
    }
    if (instance->state == INSTANCE_DISABLED) {
        instance->state = INSTANCE_UNLOADED;
    }
    order_want_file(order, instance->file);
}

static void enable(struct plugin_order *order)
{
    uint32_t flags = flags_of(order);
    if ((flags & SWITCH_DISABLED) != 0) {
        if (!order_tried(order, "%s would be enabled and loaded", order->command.name)) {
            order_switch(order, flags & ~SWITCH_DISABLED, enabled);
        }
    } else if (instance_find(order->manager, order->command.name) != NULL) {
        order_end_same(order, "%s is not disabled", order->command.name);
    } else {
        order_end_unknown(order);
    }
}

void order_rested(struct plugin_instance *instance)
{
    struct plugin_order *order = order_current(instance->manager);
    if (order != NULL && order->instance == instance) {
        order->instance = NULL;
        order_end(order, SLUICE_OK, "%s is %s; its positions are kept", instance->name,
                  instance->state == INSTANCE_DISABLED ? "disabled" : "unloaded");
    }
}

void order_instance_gone(struct plugin_instance *instance)
{
    struct plugin_order *order = order_current(instance->manager);
    reload_instance_gone(instance);
    if (order != NULL && order->instance == instance) {
        order->instance = NULL;
        order_end(order, instance->manager->stopping ? SLUICE_E_STOPPING : SLUICE_OK,
                  "%s ended, since its file went", instance->name);
    }
}

static void pause_told(struct plugin_order *order)
{
    order_end(order, SLUICE_OK, "%s is paused", order->command.name);
}

static void resume_told(struct plugin_order *order)
{
    order_end(order, SLUICE_OK, "%s goes on where it stopped", order->command.name);
}

static void pause_switched(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    bool held = order->command.kind == PLUGIN_COMMAND_PAUSE;
    if (instance != NULL) {
        instance->paused = held;
        order->instance = instance;
    }
    order_hold(order, held, held ? pause_told : resume_told);
}

static void pause_or_resume(struct plugin_order *order)
{
    struct plugin_instance *instance = instance_find(order->manager, order->command.name);
    bool held = order->command.kind == PLUGIN_COMMAND_PAUSE;
    uint32_t flags = flags_of(order);
    uint32_t wanted = held ? flags | SWITCH_PAUSED : flags & ~(SWITCH_PAUSED | SWITCH_STOPPED);
    bool released =
        !held && instance != NULL && !order->command.dry_run && instance_release_brake(instance);
    if (instance == NULL && flags == 0) {
        order_end_unknown(order);
    } else if (held && instance != NULL && is_gate(instance)) {
        order_end(order, SLUICE_E_UNSUPPORTED,
                  "%s is a gate: paused, it would stop producers or let records through unchecked; "
                  "disable it instead",
                  instance->name);
    } else if (released && flags == wanted) { /* it had paused by itself */
        resume_told(order);
    } else if (flags == wanted) {
        order_end_same(order, held ? "%s is paused already" : "%s is not paused",
                       order->command.name);
    } else if (!order_tried(order, held ? "%s would be paused" : "%s would go on where it stopped",
                            order->command.name)) {
        order_switch(order, wanted, pause_switched);
    }
}

static order_fn *const table[PLUGIN_COMMAND_COUNT] = {
    [PLUGIN_COMMAND_LOAD] = order_load,        [PLUGIN_COMMAND_RELOAD] = order_reload,
    [PLUGIN_COMMAND_UNLOAD] = unload,          [PLUGIN_COMMAND_ENABLE] = enable,
    [PLUGIN_COMMAND_DISABLE] = disable,        [PLUGIN_COMMAND_PAUSE] = pause_or_resume,
    [PLUGIN_COMMAND_RESUME] = pause_or_resume, [PLUGIN_COMMAND_SEEK] = order_seek,
    [PLUGIN_COMMAND_FORGET] = order_forget,
};

static void begin_next(struct sl_task *task)
{
    struct plugin_manager *manager = SL_CONTAINER_OF(task, struct plugin_manager, order_task);
    struct sl_link *first = sl_list_first(&manager->orders);
    bool reloads = manager->reconfigure != NULL && !manager->stopping;
    if (manager->order_begun || first == NULL || reloads || manager->brakes.under_way) {
        return; /* it goes on when that has ended */
    }
    struct plugin_order *order = SL_CONTAINER_OF(first, struct plugin_order, link);
    const struct plugin_instance *instance = instance_find(manager, order->command.name);
    manager->order_begun = true;
    if (manager->stopping) {
        order_end(order, SLUICE_E_STOPPING, "%s", "");
    } else if (manager->config.set->shards[0]->status != SLUICE_OK || !manager->first_scan_done) {
        order_end(order, SLUICE_E_BUSY, "the broker is starting, or its log refuses");
    } else if (instance != NULL && instance->state == INSTANCE_DRAINING) {
        order_end(order, SLUICE_E_BUSY, "%s is ending, since its file went", instance->name);
    } else {
        table[order->command.kind](order);
    }
}
