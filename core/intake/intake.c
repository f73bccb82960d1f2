/* intake.c: the connections of one loop, by token (frontend.h). A token is generation and slot, so
 * that a stale one finds nothing. */
#include "intake/conn.h"

#define SLOT_NONE UINT32_MAX

/* A task: memory has become free, or nobody is exempt though somebody waits. */
static void relieved(void *arg)
{
    struct intake *intake = arg;
    while (intake->stalled != NULL && !chunk_cache_is_over(intake->cache)) {
        conn_relieve(intake->stalled, false);
    }
    if (intake->stalled != NULL && intake->exempt == NULL) {
        conn_relieve(intake->stalled, true);
    }
}

sl_err intake_init(struct intake *intake, struct sl_os *os, struct sl_loop *loop,
                   struct sl_logger *logger, struct chunk_cache *cache,
                   const struct sluice_broker *broker, uint32_t connections_max,
                   size_t decompressed_bytes_max)
{
    struct intake_slot *slots = sl_alloc_zero(connections_max, sizeof(*slots));
    if (slots == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    for (uint32_t i = 0; i < connections_max; i++) {
        slots[i].generation = 1;
        slots[i].next_free = i + 1 < connections_max ? i + 1 : SLOT_NONE;
    }
    *intake = (struct intake){.os = os,
                              .loop = loop,
                              .logger = logger,
                              .cache = cache,
                              .broker = broker,
                              .slots = slots,
                              .slot_count = connections_max};
    intake->stalled_end = &intake->stalled;
    conn_stage_init(&intake->stage, loop, cache);
    frontend_records_init(&intake->records, os, decompressed_bytes_max);
    login_desk_init(&intake->logins, os, loop);
    frontend_message_set_init(&intake->message_sets, decompressed_bytes_max);
    chunk_cache_on_relief(cache, relieved, intake);
    return SLUICE_OK;
}

void intake_fini(struct intake *intake)
{
    SL_ASSERT(intake->connection_count == 0 && login_desk_is_idle(&intake->logins));
    frontend_records_fini(&intake->records);
    sl_free(intake->slots);
    sl_free(intake->tls_scratch);
    intake->slots = NULL;
}

sl_err intake_slot_take(struct intake *intake, struct conn *conn, uint64_t *ret_token)
{
    uint32_t index = intake->first_free;
    if (index == SLOT_NONE || intake->slot_count == 0) {
        return SLUICE_E_TOO_MANY_CONNECTIONS;
    }
    struct intake_slot *slot = &intake->slots[index];
    intake->first_free = slot->next_free;
    slot->conn = conn;
    intake->connection_count++;
    *ret_token = (uint64_t)slot->generation << 32 | index;
    return SLUICE_OK;
}

void intake_slot_give(struct intake *intake, uint64_t token)
{
    SL_ASSERT(intake_find(intake, token) != NULL);
    uint32_t index = (uint32_t)token;
    struct intake_slot *slot = &intake->slots[index];
    slot->conn = NULL;
    slot->generation = slot->generation == UINT32_MAX ? 1 : slot->generation + 1;
    slot->next_free = intake->first_free;
    intake->first_free = index;
    intake->connection_count--;
}

struct conn *intake_find(struct intake *intake, uint64_t token)
{
    uint32_t index = (uint32_t)token;
    if (index >= intake->slot_count || intake->slots[index].generation != token >> 32) {
        return NULL;
    }
    return intake->slots[index].conn;
}

void intake_tick(struct intake *intake)
{
    int64_t now_ms = sl_loop_now_ns(intake->loop) / 1000000;
    for (uint32_t i = 0; i < intake->slot_count; i++) {
        if (intake->slots[i].conn != NULL) {
            conn_tick(intake->slots[i].conn, now_ms);
        }
    }
}

void intake_abort(struct intake *intake)
{
    for (uint32_t i = 0; i < intake->slot_count && intake->connection_count > 0; i++) {
        if (intake->slots[i].conn != NULL) {
            conn_abort(intake->slots[i].conn);
        }
    }
}

bool intake_is_empty(const struct intake *intake)
{
    return intake->connection_count == 0 && intake->draining == NULL &&
           login_desk_is_idle(&intake->logins);
}

void intake_set_tokens(struct intake *intake, struct chunk *const *chunks, uint32_t count)
{
    intake->tokens = chunks;
    intake->token_count = count;
}
