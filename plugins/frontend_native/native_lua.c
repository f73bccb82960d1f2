/* native_lua.c: see native_lua.h. */
#include "native_lua.h"

#include "native_share.h"

#include <stdlib.h>
#include <string.h>

#define LUA      "lua:"
#define LUA_SIZE (sizeof(LUA) - 1)

static const struct sluice_filter_host *filters_of(const struct native_conn *conn)
{
    return conn->frontend->filters;
}

bool native_lua_is(struct sluice_text filter)
{
    return filter.size >= LUA_SIZE && memcmp(filter.data, LUA, LUA_SIZE) == 0;
}

/* ---- SUBSCRIBE waits for the compiler ---- */

struct native_lua_wait {
    struct native_conn *conn;
    bool is_told;
    struct native_lua_opened opened;
};

static void keep_reason(struct native_lua_opened *opened, sluice_status status,
                        struct sluice_text reason)
{
    size_t size =
        reason.size < sizeof(opened->reason) ? (size_t)reason.size : sizeof(opened->reason) - 1;
    opened->status = status;
    if (size > 0) {
        memcpy(opened->reason, reason.data, size);
    }
    opened->reason[size] = '\0';
}

static void told(void *arg, sluice_status status, struct sluice_text reason)
{
    struct native_lua_wait *wait = arg;
    wait->is_told = true;
    keep_reason(&wait->opened, status, reason);
    if (wait->conn->wait == NATIVE_WAIT_FILTER) {
        native_conn_go(wait->conn);
    }
}

void native_lua_forget(struct native_conn *conn)
{
    struct native_lua_wait *wait = conn->lua;
    conn->lua = NULL;
    if (wait != NULL) {
        if (wait->opened.filter != NULL) {
            filters_of(conn)->close(filters_of(conn), wait->opened.filter);
        }
        free(wait);
    }
}

static void take_wait(struct native_conn *conn, struct native_lua_opened *ret_opened)
{
    struct native_lua_wait *wait = conn->lua;
    *ret_opened = wait->opened;
    if (wait->opened.status == SLUICE_OK) {
        wait->opened.filter = NULL; /* the taker's */
    } else {
        ret_opened->filter = NULL;
    }
    native_lua_forget(conn);
}

bool native_lua_open(struct native_conn *conn, struct sluice_text filter,
                     struct native_lua_opened *ret_opened)
{
    const struct sluice_filter_host *filters = filters_of(conn);
    struct sluice_text text = {filter.data + LUA_SIZE, filter.size - LUA_SIZE};
    struct sluice_text reason = {"", 0};
    *ret_opened = (struct native_lua_opened){0};
    if (conn->lua != NULL) {
        if (conn->lua->is_told) {
            take_wait(conn, ret_opened);
            return true;
        }
        native_conn_wait(conn, NATIVE_WAIT_FILTER);
        return false;
    }
    if (filters == NULL) {
        keep_reason(ret_opened, SLUICE_E_UNSUPPORTED,
                    sluice_text_of("filters in Lua are not offered by this host"));
        return true;
    }
    conn->lua = calloc(1, sizeof(*conn->lua));
    if (conn->lua == NULL) {
        keep_reason(ret_opened, SLUICE_E_NO_MEMORY, reason);
        return true;
    }
    conn->lua->conn = conn;
    sluice_status status = filters->open(filters, &conn->context, text, told, conn->lua,
                                         &conn->lua->opened.filter, &reason);
    if (status != SLUICE_OK) {
        conn->lua->opened.filter = NULL;
        keep_reason(&conn->lua->opened, status, reason);
        conn->lua->is_told = true;
    }
    if (conn->lua->is_told) {
        take_wait(conn, ret_opened);
        return true;
    }
    native_conn_wait(conn, NATIVE_WAIT_FILTER);
    return false;
}

sluice_status native_lua_take(struct native_sub *sub, struct sluice_text filter,
                              const struct native_lua_opened *opened)
{
    size_t size = (size_t)(filter.size - LUA_SIZE);
    sub->lua = opened->filter;
    sub->lua_text.data = NULL;
    char *text = malloc(size + 1);
    if (text == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    memcpy(text, filter.data + LUA_SIZE, size);
    sub->lua_text = (struct sluice_text){text, size};
    return SLUICE_OK;
}

void native_lua_leave(struct native_sub *sub)
{
    if (sub->lua != NULL) {
        filters_of(sub->conn)->close(filters_of(sub->conn), sub->lua);
        sub->lua = NULL;
    }
    free((void *)(uintptr_t)sub->lua_text.data);
    sub->lua_text = (struct sluice_text){NULL, 0};
}

/* ---- a batch of a source ---- */

static void account(const struct native_source *source, size_t before, size_t after)
{
    struct native_frontend *frontend = source->sub->conn->frontend;
    if (source->sub->share == NULL) {
        frontend->held_bytes = frontend->held_bytes - before + after;
    } else if (before == 0) {
        source->sub->share->judged_count++;
    } else {
        source->sub->share->judged_count--;
    }
}

void native_lua_drop(struct native_source *source)
{
    const struct sluice_filter_host *filters = filters_of(source->sub->conn);
    struct native_held *judged = source->judged;
    if (source->lua != NULL) {
        filters->close(filters, source->lua);
        source->lua = NULL;
    }
    if (judged != NULL) {
        source->judged = NULL;
        account(source, judged->size, 0);
        native_held_free(judged);
        if (source->sub->share != NULL && !source->sub->ended) { /* its others go on */
            native_share_wake_at(source->sub->share, &source->sub->share->retry_ms, 0);
        }
    }
}

sluice_status native_lua_add(struct native_source *source, const struct sluice_record *record,
                             uint16_t deliveries, struct native_writer *writer)
{
    const struct sluice_filter_host *filters = filters_of(source->sub->conn);
    struct sluice_text reason;
    sluice_status status = SLUICE_OK;
    if (source->lua == NULL) {
        status = filters->open(filters, &source->sub->conn->context, source->sub->lua_text, NULL,
                               NULL, &source->lua, &reason);
        source->lua = status == SLUICE_OK ? source->lua : NULL;
    }
    status = status == SLUICE_OK ? filters->add(filters, source->lua, record) : status;
    if (status == SLUICE_OK) {
        native_record_write(writer, record, deliveries);
    }
    return status;
}

/* Of an ephemeral subscription: the source goes on with what is held. */
static void keep_held(struct native_source *source, struct native_held *held)
{
    source->looks = held->size == 0;
    if (held->size > 0) {
        native_source_hold(source, held);
    } else {
        native_held_free(held);
    }
    native_source_pump(source);
}

static void end_with(struct native_sub *sub, sluice_status status, struct sluice_text reason)
{
    struct native_lua_opened why = {0};
    keep_reason(&why, status, reason);
    native_sub_end(sub, status, why.reason);
}

static void judged(void *arg, sluice_status status, struct sluice_text reason,
                   const uint8_t *passes, const uint8_t *raised, uint32_t count)
{
    struct native_source *source = arg;
    struct native_sub *sub = source->sub;
    struct native_held *held = source->judged;
    struct native_left_out left_out = {.raised = raised};
    (void)count;
    native_source_ref(source);
    native_sub_ref(sub);
    if (status != SLUICE_OK) {
        end_with(sub, status, reason); /* which drops what was judged */
    } else {
        size_t size = held->size;
        source->judged = NULL;
        native_held_keep(held, passes, sub->share != NULL ? &left_out : NULL);
        account(source, size, held->size);
        if (sub->share == NULL) {
            keep_held(source, held);
        } else {
            native_ack_runs(source, &left_out.unfit, SLUICE_SHARE_ACCEPT);
            native_ack_runs(source, &left_out.failed, SLUICE_SHARE_REJECT);
            native_share_hold(sub->share, held);
        }
    }
    native_runs_fini(&left_out.unfit);
    native_runs_fini(&left_out.failed);
    native_sub_unref(sub);
    native_source_unref(source);
}

void native_lua_judge(struct native_source *source, struct native_writer *writer, int64_t until_ms)
{
    const struct sluice_filter_host *filters = filters_of(source->sub->conn);
    struct native_held *held = native_held_new(source, writer);
    struct sluice_text reason = {"", 0};
    if (held == NULL) {
        native_sub_end(source->sub, SLUICE_E_NO_MEMORY, "");
        return;
    }
    held->until_ms = until_ms;
    source->judged = held;
    account(source, 0, held->size);
    sluice_status status = filters->judge(filters, source->lua, source->topic->name,
                                          source->partition, judged, source, &reason);
    if (status != SLUICE_OK) {
        end_with(source->sub, status, reason);
    }
}
