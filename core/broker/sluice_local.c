/* sluice_local.c: batches of the program that hosts the broker. A call under way holds the end of
 * its loop, as a connection's does. [loop 0] */
#include "broker/sluice_state.h"

#include "base/status.h"

struct local_call {
    struct sluice *sluice;
    sluice_produce_done *done;
    void *arg;
};

static void produced(void *arg, const struct sluice_produce_result *results, uint32_t count,
                     int32_t throttle_ms)
{
    struct local_call call = *(struct local_call *)arg;
    sl_free(arg);
    call.done(call.arg, results, count, throttle_ms);
    shard_request_end(call.sluice->shards.shards[0]);
}

sl_err sluice_produce_local(struct sluice *sluice, const struct sluice_produce *request,
                            sluice_produce_done *done, void *arg)
{
    const struct sluice_context context = {.size = sizeof(context),
                                           .principal = sluice_text_of("User:host"),
                                           .listener = sluice_text_of("embed"),
                                           .client_id = sluice_text_of("host"),
                                           .client_host = sluice_text_of("local")};
    struct local_call *call = sl_alloc(sizeof(*call));
    if (call == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    if (sluice->local.table.produce == NULL) {
        broker_link_init(&sluice->local, sluice->rooms[0].shards[0], NULL, &sluice->facts);
        sluice->local.flow = &sluice->rooms[0].flow;
    }
    *call = (struct local_call){sluice, done, arg};
    shard_request_begin(sluice->shards.shards[0]);
    sluice->local.table.produce(&sluice->local.table, &context, request, produced, call);
    return SLUICE_OK;
}

void sluice_local_fini(struct sluice *sluice)
{
    if (sluice->local.table.produce != NULL) {
        broker_link_fini(&sluice->local);
    }
}
