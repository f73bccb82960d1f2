/* conn_tell.c: see conn_tell.h. The note is copied; it goes to the loop and its outcome comes back.
 */
#include "intake/conn_tell.h"

#include "intake/conn.h"

#include <string.h>

struct conn_tell {
    struct shard_call call;
    struct shard *home;
    uint64_t connection;
    sluice_status_done *done;
    void *arg;
    sluice_status status;
    size_t size;
    uint8_t note[];
};

static bool takes_notes(const struct conn *conn)
{
    return FRONTEND_HAS(conn->frontend->ops, conn_told) && !conn->dead && !conn->closing &&
           conn->state != NULL;
}

static void tell_run(struct shard_call *call)
{
    struct conn_tell *tell = SL_CONTAINER_OF(call, struct conn_tell, call);
    struct intake *intake = call->target->intake;
    struct conn *conn = intake == NULL ? NULL : intake_find(intake, tell->connection);
    tell->status = SLUICE_E_NOT_FOUND;
    if (conn != NULL && takes_notes(conn)) {
        tell->status = conn->frontend->ops->conn_told(
            conn->frontend->self, conn->state, (struct sluice_bytes){tell->note, tell->size});
    }
    shard_call_reply(call);
}

static void tell_replied(struct shard_call *call)
{
    struct conn_tell *tell = SL_CONTAINER_OF(call, struct conn_tell, call);
    struct shard *home = tell->home;
    tell->done(tell->arg, tell->status);
    sl_free(tell);
    shard_request_end(home);
}

void conn_tell_start(struct shard *home, uint32_t loop, uint64_t connection,
                     struct sluice_bytes note, sluice_status_done *done, void *arg)
{
    struct conn_tell *tell =
        loop >= home->set->count ? NULL : sl_alloc_zero(1, sizeof(*tell) + (size_t)note.size);
    if (tell == NULL) {
        done(arg, loop >= home->set->count ? SLUICE_E_NOT_FOUND : SLUICE_E_NO_MEMORY);
        return;
    }
    tell->home = home;
    tell->connection = connection;
    tell->done = done;
    tell->arg = arg;
    tell->size = (size_t)note.size;
    if (note.size > 0) {
        memcpy(tell->note, note.data, tell->size);
    }
    tell->call.run = tell_run;
    tell->call.reply = tell_replied;
    shard_request_begin(home);
    shard_call_start(&tell->call, home->set->shards[loop], home->loop, SL_PRIORITY_IO);
}
