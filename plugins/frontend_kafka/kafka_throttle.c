/* kafka_throttle.c: see kafka_throttle.h.
 *
 * request_percentage is of the time that a loop works for a client: reading its requests, the calls
 * of the broker as far as they run at once, encoding its answers. What comes after the answer was
 * made is charged with the next one. Logins are free, as in Kafka. */
#include "kafka_throttle.h"

#define SASL_HANDSHAKE_KEY    17
#define SASL_AUTHENTICATE_KEY 36

static const struct sluice_quota *quota_of(const struct kafka_conn *conn)
{
    return conn->frontend->quota;
}

int32_t kafka_throttle_charge(const struct kafka_call *call, int32_t kind, int64_t amount)
{
    const struct sluice_quota *quota = quota_of(call->conn);
    return quota == NULL || call->conn->closed || amount == 0
               ? 0
               : quota->charge(quota, kafka_call_context(call), kind, amount);
}

int32_t kafka_throttle_owed(const struct kafka_call *call, int32_t kind)
{
    const struct sluice_quota *quota = quota_of(call->conn);
    return quota == NULL ? 0 : quota->owed(quota, kafka_call_context(call), kind);
}

int64_t kafka_throttle_allowance(const struct kafka_call *call, int32_t kind)
{
    const struct sluice_quota *quota = quota_of(call->conn);
    return quota == NULL ? INT64_MAX : quota->allowance(quota, kafka_call_context(call), kind);
}

/* ---- changes of topics ---- */

bool kafka_throttle_mutate(struct kafka_call *call, int64_t partitions, int16_t strict_since)
{
    const struct sluice_quota *quota = quota_of(call->conn);
    bool strict = call->version >= strict_since;
    int32_t wait_ms;

    if (quota == NULL || partitions == 0) {
        return true;
    }
    wait_ms = strict ? kafka_throttle_owed(call, SLUICE_QUOTA_MUTATIONS) : 0;
    if (wait_ms == 0) {
        int32_t after_ms = kafka_throttle_charge(call, SLUICE_QUOTA_MUTATIONS, partitions);
        call->throttle_ms = !strict && after_ms > call->throttle_ms ? after_ms : call->throttle_ms;
        return true;
    }
    call->throttle_ms = wait_ms > call->throttle_ms ? wait_ms : call->throttle_ms;
    return false;
}

static void count_partitions(void *arg, const struct sluice_topic_info *topics, uint32_t count)
{
    int64_t *partitions = arg;
    *partitions = count == 1 && topics->status == SLUICE_OK ? topics->partition_count : 0;
}

/* Nothing is made, so that the answer comes inside the call. */
int64_t kafka_throttle_partitions(struct kafka_call *call, const struct sluice_topic_ref *ref)
{
    const struct sluice_quota *quota = quota_of(call->conn);
    const struct sluice_broker *broker = kafka_call_broker(call);
    int64_t partitions = 0;

    if (quota != NULL &&
        quota->allowance(quota, kafka_call_context(call), SLUICE_QUOTA_MUTATIONS) != INT64_MAX) {
        broker->topics(broker, kafka_call_context(call), ref, 1, false, count_partitions,
                       &partitions);
    }
    return partitions;
}

/* ---- time ---- */

static int64_t clock_ns(const struct kafka_conn *conn)
{
    const struct sluice_quota *quota = quota_of(conn);
    return quota == NULL || conn->closed ? 0 : quota->clock_ns(quota);
}

bool kafka_throttle_begin(struct kafka_conn *conn)
{
    struct kafka_frontend *frontend = conn->frontend;
    int64_t now_ns = frontend->timed == NULL ? clock_ns(conn) : 0;

    if (now_ns == 0) {
        return false;
    }
    frontend->timed = conn;
    frontend->timed_ns = now_ns;
    return true;
}

static void take_time(struct kafka_conn *conn)
{
    struct kafka_frontend *frontend = conn->frontend;
    int64_t now_ns = frontend->timed == conn ? clock_ns(conn) : 0;

    if (now_ns > frontend->timed_ns && frontend->timed == conn) {
        conn->busy_ns += now_ns - frontend->timed_ns;
        frontend->timed_ns = now_ns;
    }
}

void kafka_throttle_end(struct kafka_conn *conn, bool begun)
{
    if (begun) {
        take_time(conn);
        conn->frontend->timed = NULL;
    }
}

static bool is_free(const struct kafka_call *call)
{
    return call->api->key == SASL_HANDSHAKE_KEY || call->api->key == SASL_AUTHENTICATE_KEY;
}

void kafka_throttle_answer(struct kafka_call *call, const void *response)
{
    struct kafka_conn *conn = call->conn;
    ptrdiff_t at = call->api->response->throttle_at;
    int32_t wait_ms = 0;

    take_time(conn);
    if (conn->busy_ns > 0 && !is_free(call)) {
        wait_ms = kafka_throttle_charge(call, SLUICE_QUOTA_REQUEST, conn->busy_ns);
        conn->busy_ns = 0;
    }
    call->throttle_ms = wait_ms > call->throttle_ms ? wait_ms : call->throttle_ms;
    if (call->throttle_ms > 0 && at >= 0) {
        /* Every response is memory of its handler's. */
        memcpy((uint8_t *)(uintptr_t)response + at, &call->throttle_ms, sizeof(int32_t));
    }
}
