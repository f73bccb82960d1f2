/* conn_stage.c: see conn_stage.h. */
#include "intake/conn_stage.h"

#include "base/ahead.h"
#include "intake/conn.h"

static void serve_all(struct conn_stage *stage)
{
    uint32_t count = stage->received_count;
    for (uint32_t i = 0; i < count; i++) {
        struct conn *conn = stage->received[i];
        conn->received = false;
        conn_serve(conn);
    }
    SL_ASSERT(stage->received_count == count); /* nothing is received while others are served */
    stage->received_count = 0;
}

static void send_all(struct conn_stage *stage)
{
    uint32_t count = stage->unsent_count;
    stage->unsent_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct conn *conn = stage->unsent[i];
        if (conn != NULL) {
            conn->unsent = 0;
            conn_send(conn);
        }
    }
}

static void on_serve(struct sl_task *task)
{
    serve_all(SL_CONTAINER_OF(task, struct conn_stage, serve));
}

static void on_send(struct sl_task *task)
{
    struct conn_stage *stage = SL_CONTAINER_OF(task, struct conn_stage, send);
    send_all(stage);
    stage->answers = chunk_unref(stage->answers);
}

void conn_stage_init(struct conn_stage *stage, struct sl_loop *loop, struct chunk_cache *cache)
{
    stage->cache = cache;
    stage->loop = loop;
    stage->serve = (struct sl_task){.run = on_serve, .priority = SL_PRIORITY_IO};
    stage->send = (struct sl_task){.run = on_send, .priority = SL_PRIORITY_IO};
}

static void post_once(struct conn_stage *stage, struct sl_task *task)
{
    if (task->queued == 0) {
        sl_loop_post(stage->loop, task);
    }
}

void conn_stage_serve_later(struct conn_stage *stage, struct conn *conn)
{
    if (conn->received) {
        return;
    }
    conn->received = true;
    sl_fetch_ahead(conn->state, CONN_STATE_AHEAD);
    stage->received[stage->received_count++] = conn;
    post_once(stage, &stage->serve);
    if (stage->received_count == CONN_STAGE_MAX) {
        serve_all(stage);
    }
}

void conn_stage_send_later(struct conn_stage *stage, struct conn *conn)
{
    if (conn->unsent != 0) {
        return;
    }
    stage->unsent[stage->unsent_count++] = conn;
    conn->unsent = stage->unsent_count;
    post_once(stage, &stage->send);
    if (stage->unsent_count == CONN_STAGE_MAX) {
        send_all(stage);
    }
}

sl_err conn_stage_place(struct conn_stage *stage, size_t size, struct chunk **ret_chunk,
                        uint8_t **ret_place)
{
    if (stage->answers == NULL || stage->answers_used + size > stage->answers->size) {
        struct chunk *chunk = NULL;
        sl_err err = chunk_new(stage->cache, SL_MAX(size, (size_t)CONN_STAGE_CHUNK_BYTES), &chunk);
        if (err != SLUICE_OK) {
            return err;
        }
        chunk_unref(stage->answers);
        stage->answers = chunk;
        stage->answers_used = 0;
    }
    *ret_chunk = chunk_ref(stage->answers);
    *ret_place = stage->answers->data + stage->answers_used;
    stage->answers_used += size;
    post_once(stage, &stage->send);
    return SLUICE_OK;
}

bool conn_stage_extend(struct conn_stage *stage, const uint8_t *end, size_t size,
                       uint8_t **ret_place)
{
    bool fits = stage->answers != NULL && end == stage->answers->data + stage->answers_used &&
                stage->answers_used + size <= stage->answers->size;
    if (fits) {
        *ret_place = stage->answers->data + stage->answers_used;
        stage->answers_used += size;
    }
    return fits;
}

void conn_stage_forget_output(struct conn_stage *stage, struct conn *conn)
{
    if (conn->unsent != 0) {
        stage->unsent[conn->unsent - 1] = NULL;
        conn->unsent = 0;
    }
}
