/* frontend_set.c: see frontend_set.h.
 *
 *   loop 0: open ─► helper: dlopen, check ─► each room: frontend_new ─► loop 0: listener
 */
#include "broker/frontend_set.h"

#include "broker/sluice_state.h"
#include "broker/tls_config.h"
#include "intake/conn.h"
#include "os/os_library.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#define FRONTEND_PREFIX          "frontend_"
#define URGENT_REQUEST_BYTES_MAX (64u << 10) /* /livez, /readyz, /metrics */

/* One frontend's opening or closing on one room, there and back. */
struct room_call {
    struct sl_task task;
    struct frontend_slot *slot;
    struct loop_room *room;
    sl_err err;
    char reason[512];
};

struct accepted {
    struct sl_task task;
    struct loop_room *room;
    uint32_t slot_index;
    struct listener *listener; /* a reference */
    int descriptor;
    char peer[64];
};

void frontend_set_init(struct frontend_set *set, struct sluice *sluice)
{
    memset(set, 0, sizeof(*set));
    set->sluice = sluice;
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        set->slots[i].set = set;
        set->slots[i].index = i;
    }
}

bool frontend_name_of(const char *path, char ret_name[FRONTEND_NAME_BYTES])
{
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const char *dot = strstr(base, ".so");
    if (strncmp(base, FRONTEND_PREFIX, sizeof(FRONTEND_PREFIX) - 1) != 0 || dot == NULL ||
        dot[3] != '\0') {
        return false;
    }
    base += sizeof(FRONTEND_PREFIX) - 1;
    size_t size = (size_t)(dot - base);
    if (size == 0 || size >= FRONTEND_NAME_BYTES) {
        return false;
    }
    memcpy(ret_name, base, size);
    ret_name[size] = '\0';
    return true;
}

static void settle(struct frontend_set *set)
{
    SL_ASSERT(set->opening_count > 0);
    if (--set->opening_count == 0 && set->settled != NULL) {
        void (*settled)(void *arg) = set->settled;
        set->settled = NULL;
        settled(set->settled_arg);
    }
}

/* ---- accepting ---- */

static struct loop_room *least_loaded(struct sluice *sluice)
{
    struct loop_room *best = &sluice->rooms[0];
    for (uint32_t i = 1; i < sluice->room_count; i++) {
        if (sluice->rooms[i].expected_connections < best->expected_connections) {
            best = &sluice->rooms[i];
        }
    }
    return best;
}

static void arrive(struct sl_task *task)
{
    struct accepted *accepted = SL_CONTAINER_OF(task, struct accepted, task);
    struct room_frontend *slot = &accepted->room->frontends[accepted->slot_index];
    if (slot->frontend == NULL) {
        sl_descriptor_close(accepted->descriptor);
    } else {
        conn_start(&accepted->room->intake, slot->frontend, accepted->listener,
                   accepted->descriptor, accepted->peer);
    }
    listener_unref(accepted->listener);
    sl_free(accepted);
}

static void on_accept(void *arg, int descriptor, const char *peer)
{
    const struct frontend_port *port = arg;
    struct frontend_slot *slot = port->slot;
    struct sluice *sluice = slot->set->sluice;
    struct accepted *accepted = sl_alloc_zero(1, sizeof(*accepted));
    if (accepted == NULL) {
        sl_descriptor_close(descriptor);
        return;
    }
    accepted->room = least_loaded(sluice);
    accepted->room->expected_connections++;
    accepted->slot_index = slot->index;
    accepted->listener = listener_ref(port->listener);
    accepted->descriptor = descriptor;
    snprintf(accepted->peer, sizeof(accepted->peer), "%s", peer);
    accepted->task = (struct sl_task){.run = arrive, .priority = SL_PRIORITY_CONTROL};
    if (accepted->room == &sluice->rooms[0]) {
        arrive(&accepted->task);
    } else {
        sl_loop_post(accepted->room->loop, &accepted->task);
    }
}

/* ---- opening ---- */

static void log_failure(const struct frontend_slot *slot)
{
    sl_log(slot->set->sluice->logger, SL_LOG_ERROR, slot->name, "frontend not opened",
           sl_log_text("module", slot->path), sl_log_text("reason", slot->reason),
           sl_log_err(slot->err));
}

static void close_slot(struct frontend_slot *slot);

/* For who asks without a connection: the admin socket. */
static void note_address(struct sluice *sluice, const struct listener *listener)
{
    struct broker_facts *facts = &sluice->facts;
    struct broker_address address = {.port = listener->port};
    char host[LISTENER_HOST_BYTES];
    uint16_t port = 0;
    bool is_auto =
        listener->host[0] == '\0' && listener_address_split(listener->address, host, &port);
    snprintf(address.listener, sizeof(address.listener), "%s", listener->name);
    snprintf(address.host, sizeof(address.host), "%s", is_auto ? host : listener->host);
    uint32_t at = 0;
    while (at < facts->address_count &&
           strcmp(facts->addresses[at].listener, listener->name) != 0) {
        at++;
    }
    if (at < BROKER_ADDRESSES_MAX) {
        facts->addresses[at] = address;
        facts->address_count = SL_MAX(facts->address_count, at + 1);
    }
}

static void retire(struct frontend_slot *slot)
{
    slot->state = FRONTEND_RETIRING;
    slot->retire_until_ns =
        sl_os_mono_ns(slot->set->sluice->os) + FRONTEND_RETIRE_MS * INT64_C(1000000);
}

/* The open port of another version at this address, which is taken over: no peer finds it closed.
 */
static struct frontend_port *take_port(struct frontend_slot *old, const char *address)
{
    for (uint32_t i = 0; old != NULL && i < FRONTEND_LISTENERS_MAX; i++) {
        struct frontend_port *port = old->ports[i];
        if (port != NULL && strcmp(port->listener->address, address) == 0) {
            old->ports[i] = NULL;
            return port;
        }
    }
    return NULL;
}

static struct frontend_port *free_port(struct frontend_port *port)
{
    if (port != NULL) {
        sl_listener_free(port->socket);
        listener_unref(port->listener);
        sl_free(port);
    }
    return NULL;
}

static sl_err make_port(struct frontend_slot *slot, struct listener *listener,
                        struct frontend_port **ret_port)
{
    struct frontend_port *port = sl_alloc_zero(1, sizeof(*port));
    if (port == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    sl_err err = sl_listener_new(slot->set->sluice->rooms[0].loop, listener->address,
                                 listener->mode, on_accept, port, &port->socket);
    if (err != SLUICE_OK) {
        sl_free(port);
        return err;
    }
    port->listener = listener_ref(listener);
    *ret_port = port;
    return SLUICE_OK;
}

/* Why it cannot be listened on, and which key is to be changed. */
static void tell_address(struct frontend_slot *slot, uint32_t index, sl_err err)
{
    const struct listener *listener = slot->listeners.listeners[index];
    const char *name = index == 0 ? "" : listener->name;
    const char *between = index == 0 ? "" : ".listeners.";
    if (listener->is_local && err != SLUICE_E_ADDRESS_IN_USE) {
        snprintf(slot->reason, sizeof(slot->reason),
                 "cannot make the socket %s; choose another %s.unix in a folder that is there and "
                 "that this user may write to",
                 listener->address, slot->name);
    } else {
        snprintf(slot->reason, sizeof(slot->reason),
                 "cannot listen on %s; choose another %s%s%s.%s, or stop what uses the address",
                 listener->address, slot->name, listener->is_local ? "" : between,
                 listener->is_local ? "" : name, listener->is_local ? "unix" : "listen");
    }
}

static sl_err open_port(struct frontend_slot *slot, uint32_t index, struct frontend_slot *old)
{
    struct listener *listener = slot->listeners.listeners[index];
    struct frontend_port *port = take_port(old, listener->address);
    sl_err err = port != NULL ? SLUICE_OK : make_port(slot, listener, &port);
    if (err != SLUICE_OK) {
        tell_address(slot, index, err);
        return err;
    }
    listener_ref(listener);
    listener_unref(port->listener);
    port->listener = listener;
    port->slot = slot;
    slot->ports[index] = port;
    return SLUICE_OK;
}

static void close_ports(struct frontend_slot *slot)
{
    for (uint32_t i = 0; i < FRONTEND_LISTENERS_MAX; i++) {
        slot->ports[i] = free_port(slot->ports[i]);
    }
}

/* Clients may come from now on. */
static void tell_port(struct frontend_slot *slot, const struct frontend_port *port)
{
    struct listener *listener = port->listener;
    uint16_t number = sl_listener_port(port->socket);
    if (!listener->is_local) { /* has no address for clients elsewhere */
        listener_bound(listener, number);
        note_address(slot->set->sluice, listener);
    }
    key_keeper_watch(&slot->set->sluice->keys, listener);
    sl_log(slot->set->sluice->logger, SL_LOG_INFO, slot->name, "frontend listening",
           sl_log_text("listener", listener->name), sl_log_text("address", listener->address),
           sl_log_u64("port", number), sl_log_text("module", slot->path),
           sl_log_text("version", slot->descriptor->version));
}

static void listen_now(struct frontend_slot *slot)
{
    struct frontend_slot *old = slot->replaces;
    bool replaces = old != NULL && old->state == FRONTEND_LISTENING;
    slot->replaces = NULL;
    slot->err = SLUICE_OK;
    for (uint32_t i = 0; i < slot->listeners.count && slot->err == SLUICE_OK; i++) {
        slot->err = open_port(slot, i, replaces ? old : NULL);
    }
    if (slot->err != SLUICE_OK) {
        log_failure(slot);
        close_slot(slot);
        return;
    }
    slot->state = FRONTEND_LISTENING;
    if (replaces) {
        close_ports(old);
        slot->close_wanted = slot->close_wanted || old->close_wanted;
        retire(old);
    }
    for (uint32_t i = 0; i < slot->listeners.count; i++) {
        tell_port(slot, slot->ports[i]);
    }
    if (slot->close_wanted) {
        close_slot(slot);
    }
}

static void opened_in_room(struct sl_task *task)
{
    struct room_call *call = SL_CONTAINER_OF(task, struct room_call, task);
    struct frontend_slot *slot = call->slot;
    if (call->err != SLUICE_OK) {
        slot->err = call->err;
        snprintf(slot->reason, sizeof(slot->reason), "%s", call->reason);
    }
    sl_free(call);
    if (--slot->pending_rooms > 0) {
        return;
    }
    if (slot->err != SLUICE_OK) {
        log_failure(slot);
        close_slot(slot);
    } else if (slot->set->sluice->stopping) {
        close_slot(slot);
    } else {
        listen_now(slot);
    }
    settle(slot->set);
}

static void open_in_room(struct sl_task *task)
{
    struct room_call *call = SL_CONTAINER_OF(task, struct room_call, task);
    struct frontend_slot *slot = call->slot;
    struct room_frontend *place = &call->room->frontends[slot->index];
    struct frontend_config config = {
        .name = slot->name,
        .config_json = slot->config_json,
        .request_bytes_max = slot->request_bytes_max,
        .urgent = slot->urgent,
        .listener = slot->listeners.count > 0 ? slot->listeners.listeners[0] : NULL,
    };
    call->err = frontend_new(&call->room->intake, slot->descriptor, &config, &place->frontend,
                             call->reason, sizeof(call->reason));
    place->descriptor = call->err == SLUICE_OK ? slot->descriptor : NULL;
    call->task = (struct sl_task){.run = opened_in_room, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(call->room->sluice->rooms[0].loop, &call->task);
}

/* Runs `run` in every room; each posts its end back to loop 0. */
static void in_every_room(struct frontend_slot *slot, void (*run)(struct sl_task *task))
{
    struct sluice *sluice = slot->set->sluice;
    slot->pending_rooms = sluice->room_count;
    for (uint32_t i = 0; i < sluice->room_count; i++) {
        struct room_call *call = sl_alloc_zero(1, sizeof(*call));
        SL_ASSERT(call != NULL);
        call->slot = slot;
        call->room = &sluice->rooms[i];
        call->task = (struct sl_task){.run = run, .priority = SL_PRIORITY_CONTROL};
        sl_loop_post(call->room->loop, &call->task);
    }
}

static void make_free(struct frontend_slot *slot)
{
    listener_list_drop(&slot->listeners);
    slot->state = FRONTEND_FREE;
}

static void load_work(struct sl_job *job)
{
    struct frontend_slot *slot = SL_CONTAINER_OF(job, struct frontend_slot, job);
    const void *symbol = NULL;
    slot->err = sl_library_load(slot->path, SLUICE_PLUGIN_SYMBOL, &symbol, slot->reason,
                                sizeof(slot->reason));
    if (slot->err == SLUICE_OK) {
        slot->err = frontend_check(symbol, slot->reason, sizeof(slot->reason));
    }
    for (uint32_t i = 0; i < slot->listeners.count && slot->err == SLUICE_OK; i++) {
        slot->err = tls_config_load(slot->set->sluice->os, slot->listeners.listeners[i],
                                    slot->reason, sizeof(slot->reason));
    }
    slot->descriptor = slot->err == SLUICE_OK ? symbol : NULL;
}

static void load_done(struct sl_job *job)
{
    struct frontend_slot *slot = SL_CONTAINER_OF(job, struct frontend_slot, job);
    if (slot->err != SLUICE_OK) {
        log_failure(slot);
        slot->replaces = NULL;
        make_free(slot);
        settle(slot->set);
        return;
    }
    if (slot->set->sluice->stopping) {
        make_free(slot);
        settle(slot->set);
        return;
    }
    slot->state = FRONTEND_OPENING;
    in_every_room(slot, open_in_room);
}

/* Cut to fit; `from` may lie in the set itself. */
static void copy_text(char *into, size_t room, const char *from)
{
    size_t size = SL_MIN(strlen(from), room - 1);
    memmove(into, from, size);
    into[size] = '\0';
}

/* plugins.instances.frontend_line, or .line, for frontend_line.so. */
static const struct config_instance *instance_of(const struct sl_config *config, const char *name)
{
    for (uint32_t i = 0; i < config->plugins.instance_count; i++) {
        const char *of = config->plugins.instances[i].name;
        if (strncmp(of, FRONTEND_PREFIX, sizeof(FRONTEND_PREFIX) - 1) == 0) {
            of += sizeof(FRONTEND_PREFIX) - 1;
        }
        if (strcmp(of, name) == 0) {
            return &config->plugins.instances[i];
        }
    }
    return NULL;
}

/* The one that Sluice does not ship has all of its configuration in plugins.instances. */
static bool take_instance_config(struct frontend_slot *slot)
{
    const struct sl_config *config = slot->set->sluice->config;
    const struct config_instance *instance = instance_of(config, slot->name);
    const char *text = instance != NULL ? instance->config_json : "";
    cJSON *object = cJSON_Parse(text);
    bool ok = false;
    if (cJSON_GetObjectItemCaseSensitive(object, "listen") == NULL) {
        char name[FRONTEND_NAME_BYTES]; /* the compiler sees that the slot has both */
        copy_text(name, sizeof(name), slot->name);
        snprintf(slot->reason, sizeof(slot->reason),
                 "it has no address; say plugins.instances.%s%s.config.listen: 127.0.0.1:9393, or "
                 "another",
                 FRONTEND_PREFIX, name);
    } else if (strlen(text) >= sizeof(slot->config_json)) {
        snprintf(slot->reason, sizeof(slot->reason),
                 "its configuration has %zu bytes, above the bound of %zu", strlen(text),
                 sizeof(slot->config_json) - 1);
    } else {
        ok = listener_config_take_instance(slot->name, object, &slot->listeners, slot->reason,
                                           sizeof(slot->reason)) == SLUICE_OK;
        copy_text(slot->config_json, sizeof(slot->config_json), text);
        slot->request_bytes_max = (size_t)config->core.frame_bytes_max + 4;
    }
    cJSON_Delete(object);
    return ok;
}

static void take_native_config(struct frontend_slot *slot)
{
    const struct sl_config *config = slot->set->sluice->config;
    snprintf(slot->config_json, sizeof(slot->config_json),
             "{\"listen\":\"%s\",\"frame_bytes_max\":%lld,\"subscriptions_max\":%lld,"
             "\"sources_max\":%lld,\"publishes_max\":%lld,\"output_bytes_max\":%lld,"
             "\"keys_max\":%lld,\"heartbeat_ms\":%lld}",
             slot->listeners.listeners[0]->address, (long long)config->native.frame_bytes_max,
             (long long)config->native.subscriptions_max, (long long)config->native.sources_max,
             (long long)config->native.publishes_max, (long long)config->native.output_bytes_max,
             (long long)config->native.keys_max, (long long)config->native.heartbeat_ms);
}

static bool take_http_config(struct frontend_slot *slot)
{
    const struct config_list *origins = &slot->set->sluice->config->http.websocket.origins;
    char joined[FRONTEND_VALUE_BYTES] = "";
    size_t size = 0;
    for (uint32_t i = 0; i < origins->count && size < sizeof(joined); i++) {
        size += (size_t)snprintf(joined + size, sizeof(joined) - size, "%s%s", i == 0 ? "" : " ",
                                 origins->items[i]);
    }
    cJSON *object = cJSON_CreateObject();
    cJSON *websocket = cJSON_AddObjectToObject(object, "websocket");
    cJSON_AddStringToObject(object, "listen", slot->listeners.listeners[0]->address);
    cJSON_AddStringToObject(websocket, "origins", joined);
    bool ok = size < sizeof(joined) &&
              cJSON_PrintPreallocated(object, slot->config_json, sizeof(slot->config_json), false);
    if (!ok) {
        snprintf(slot->reason, sizeof(slot->reason),
                 "http.websocket.origins has more than %zu bytes in all", sizeof(joined) - 1);
    }
    cJSON_Delete(object);
    return ok;
}

static bool take_config(struct frontend_slot *slot)
{
    const struct sl_config *config = slot->set->sluice->config;
    /* It serves nothing but health and metrics; what it hands over is not its own any more. */
    slot->urgent = strcmp(slot->name, "http") == 0;
    listener_config_take(slot->set->sluice, slot->name, &slot->listeners);
    if (slot->listeners.count == 0) {
        return take_instance_config(slot);
    }
    slot->request_bytes_max =
        slot->urgent ? URGENT_REQUEST_BYTES_MAX : (size_t)config->core.frame_bytes_max + 4;
    if (slot->urgent) {
        return take_http_config(slot);
    }
    if (strcmp(slot->name, "native") == 0) {
        take_native_config(slot);
        return true;
    }
    snprintf(slot->config_json, sizeof(slot->config_json),
             "{\"listen\":\"%s\",\"request_bytes_max\":%lld,\"connections_idle_ms\":%lld,"
             "\"fetch_session_slots\":%lld,\"groups\":%s,\"legacy\":%s}",
             slot->listeners.listeners[0]->address, (long long)config->kafka.request_bytes_max,
             (long long)config->kafka.connections_idle_ms,
             (long long)config->kafka.fetch_session_slots, config->kafka.groups ? "true" : "false",
             config->kafka.legacy ? "true" : "false");
    return true;
}

static struct frontend_slot *find(struct frontend_set *set, const char *name)
{
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        struct frontend_slot *slot = &set->slots[i];
        bool counts = slot->state != FRONTEND_FREE && slot->state != FRONTEND_RETIRING &&
                      slot->replaces == NULL;
        if (counts && strcmp(slot->name, name) == 0) {
            return slot;
        }
    }
    return NULL;
}

static struct frontend_slot *find_free(struct frontend_set *set)
{
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        if (set->slots[i].state == FRONTEND_FREE) {
            return &set->slots[i];
        }
    }
    return NULL;
}

static void open_slot(struct frontend_set *set, const char *name, const char *path,
                      struct frontend_slot *replaces)
{
    struct frontend_slot *slot = find_free(set);
    if (slot == NULL) {
        sl_log(set->sluice->logger, SL_LOG_ERROR, name, "frontend not opened: too many are",
               sl_log_u64("at_most", FRONTEND_SET_MAX));
        return;
    }
    copy_text(slot->name, sizeof(slot->name), name);
    copy_text(slot->path, sizeof(slot->path), path);
    slot->err = SLUICE_E_PLUGIN_CONFIG;
    slot->close_wanted = false;
    slot->descriptor = NULL;
    slot->replaces = replaces;
    slot->counting = 0;
    if (!take_config(slot)) {
        log_failure(slot);
        return;
    }
    slot->err = SLUICE_OK;
    slot->state = FRONTEND_LOADING;
    set->opening_count++;
    slot->job = (struct sl_job){.work = load_work, .done = load_done};
    slot->job.task.priority = SL_PRIORITY_CONTROL;
    sl_helpers_submit(set->sluice->os, set->sluice->rooms[0].loop, &slot->job);
}

void frontend_set_open(struct frontend_set *set, const char *name, const char *path)
{
    struct frontend_slot *slot = find(set, name);
    if (slot != NULL) {
        slot->close_wanted = false;
    } else {
        open_slot(set, name, path, NULL);
    }
}

void frontend_set_replace(struct frontend_set *set, const char *name, const char *path)
{
    struct frontend_slot *old = find(set, name);
    bool serves = old != NULL && old->state == FRONTEND_LISTENING;
    open_slot(set, name, path, serves ? old : NULL);
}

/* ---- retiring ---- */

static void counted_in_room(struct sl_task *task)
{
    struct room_call *call = SL_CONTAINER_OF(task, struct room_call, task);
    struct frontend_slot *slot = call->slot;
    struct sluice *sluice = slot->set->sluice;
    slot->counting += (uint32_t)call->err;
    sl_free(call);
    if (--slot->pending_rooms > 0) {
        return;
    }
    slot->connection_count = slot->counting;
    bool late = sl_os_mono_ns(sluice->os) >= slot->retire_until_ns;
    if (slot->connection_count == 0 || late || slot->close_wanted) {
        sl_log(sluice->logger, SL_LOG_INFO, slot->name, "old version of the frontend closed",
               sl_log_text("module", slot->path),
               sl_log_u64("connections_cut", slot->connection_count));
        close_slot(slot);
    }
}

static void count_in_room(struct sl_task *task)
{
    struct room_call *call = SL_CONTAINER_OF(task, struct room_call, task);
    const struct room_frontend *place = &call->room->frontends[call->slot->index];
    call->err = place->frontend != NULL ? (sl_err)place->frontend->connection_count : 0;
    call->task = (struct sl_task){.run = counted_in_room, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(call->room->sluice->rooms[0].loop, &call->task);
}

void frontend_set_beat(struct frontend_set *set)
{
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        struct frontend_slot *slot = &set->slots[i];
        if (slot->state == FRONTEND_RETIRING && slot->pending_rooms == 0) {
            slot->counting = 0;
            in_every_room(slot, count_in_room);
        }
    }
}

/* ---- what serves ---- */

static void show_slot(const struct frontend_slot *slot, int64_t now_ns, cJSON *array)
{
    bool retires = slot->state == FRONTEND_RETIRING;
    int64_t left_ns = SL_MAX(slot->retire_until_ns - now_ns, INT64_C(0));
    cJSON *entry = cJSON_CreateObject();
    cJSON_AddStringToObject(entry, "version", slot->descriptor->version);
    cJSON_AddStringToObject(entry, "state", retires ? "old version, draining" : "listening");
    cJSON_AddStringToObject(entry, "address", slot->listeners.listeners[0]->address);
    cJSON_AddStringToObject(entry, "module", slot->path);
    if (retires) {
        cJSON_AddNumberToObject(entry, "connections", slot->connection_count);
        cJSON_AddNumberToObject(entry, "closes_in_seconds", (double)(left_ns / 1000000000));
    }
    cJSON_AddItemToArray(array, entry);
}

void frontend_set_show(const struct frontend_set *set, const char *file, struct cJSON *object)
{
    char name[FRONTEND_NAME_BYTES];
    if (object == NULL || !frontend_name_of(file, name)) {
        return;
    }
    cJSON *array = cJSON_AddArrayToObject(object, "serving");
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        const struct frontend_slot *slot = &set->slots[i];
        if ((slot->state == FRONTEND_LISTENING || slot->state == FRONTEND_RETIRING) &&
            strcmp(slot->name, name) == 0) {
            show_slot(slot, sl_os_mono_ns(set->sluice->os), array);
        }
    }
}

/* ---- closing ---- */

static void closed_in_room(struct sl_task *task)
{
    struct room_call *call = SL_CONTAINER_OF(task, struct room_call, task);
    struct frontend_slot *slot = call->slot;
    sl_free(call);
    if (--slot->pending_rooms == 0) {
        make_free(slot);
    }
}

static void close_in_room(struct sl_task *task)
{
    struct room_call *call = SL_CONTAINER_OF(task, struct room_call, task);
    struct room_frontend *place = &call->room->frontends[call->slot->index];
    if (place->frontend != NULL) {
        frontend_drain(place->frontend);
        place->frontend = NULL;
        place->descriptor = NULL;
    }
    call->task = (struct sl_task){.run = closed_in_room, .priority = SL_PRIORITY_CONTROL};
    sl_loop_post(call->room->sluice->rooms[0].loop, &call->task);
}

static void close_slot(struct frontend_slot *slot)
{
    close_ports(slot);
    slot->replaces = NULL;
    slot->state = FRONTEND_CLOSING;
    in_every_room(slot, close_in_room);
}

void frontend_set_close(struct frontend_set *set, const char *name)
{
    struct frontend_slot *slot = find(set, name);
    if (slot == NULL || slot->state == FRONTEND_CLOSING) {
        return;
    }
    if (slot->state != FRONTEND_LISTENING) {
        slot->close_wanted = true;
        return;
    }
    sl_log(set->sluice->logger, SL_LOG_INFO, slot->name, "frontend closed",
           sl_log_text("address", slot->listeners.listeners[0]->address));
    close_slot(slot);
}

void frontend_set_close_all(struct frontend_set *set)
{
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        bool retires = set->slots[i].state == FRONTEND_RETIRING && set->slots[i].pending_rooms == 0;
        if (set->slots[i].state == FRONTEND_LISTENING || retires) {
            close_slot(&set->slots[i]);
        } else if (set->slots[i].state != FRONTEND_FREE) {
            set->slots[i].close_wanted = true;
        }
    }
}

bool frontend_set_is_quiet(const struct frontend_set *set)
{
    for (uint32_t i = 0; i < FRONTEND_SET_MAX; i++) {
        if (set->slots[i].state != FRONTEND_FREE) {
            return false;
        }
    }
    return true;
}
