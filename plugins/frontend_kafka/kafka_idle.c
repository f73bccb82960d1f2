/* kafka_idle.c: silent connections are closed after connections.max.idle.ms, as Kafka's brokers do.
 *
 * Connections stand in the order of their last input, so that only the oldest is looked at. A busy
 * one moves once in a 64th of the time, as each move touches three others: that much later than
 * said may a silent one be closed. One that waits for an answer (a long poll, a rebalance) or is
 * throttled is not silent. The bytes of a request that is not complete yet are not seen here: a
 * request that takes longer than the whole time to arrive counts as silence. [loop] */
#include "kafka_frontend.h"

/* What the order may be behind. */
static int64_t slack_ms(const struct kafka_frontend *frontend)
{
    return (frontend->idle_ms > 0 ? frontend->idle_ms : KAFKA_IDLE_MS) / 64;
}

static void unlink_conn(struct kafka_conn *conn)
{
    struct kafka_frontend *frontend = conn->frontend;
    *(conn->newer != NULL ? &conn->newer->older : &frontend->newest) = conn->older;
    *(conn->older != NULL ? &conn->older->newer : &frontend->oldest) = conn->newer;
    conn->newer = conn->older = NULL;
    conn->watched = false;
}

static void link_newest(struct kafka_conn *conn, int64_t now_ms)
{
    struct kafka_frontend *frontend = conn->frontend;
    conn->used_ms = conn->moved_ms = now_ms;
    conn->watched = true;
    conn->newer = NULL;
    conn->older = frontend->newest;
    *(conn->older != NULL ? &conn->older->newer : &frontend->oldest) = conn;
    frontend->newest = conn;
}

void kafka_idle_watch(struct kafka_conn *conn)
{
    struct kafka_frontend *frontend = conn->frontend;
    link_newest(conn, frontend->io->now_ms(frontend->io));
}

void kafka_idle_touch(struct kafka_conn *conn)
{
    int64_t now_ms = conn->frontend->io->now_ms(conn->frontend->io);

    conn->used_ms = now_ms;
    if (conn->watched && now_ms - conn->moved_ms >= slack_ms(conn->frontend)) {
        unlink_conn(conn);
        link_newest(conn, now_ms);
    }
}

void kafka_idle_forget(struct kafka_conn *conn)
{
    if (conn->watched) {
        unlink_conn(conn);
    }
}

int64_t kafka_idle_due_ms(const struct kafka_frontend *frontend)
{
    return frontend->idle_ms == 0 || frontend->oldest == NULL
               ? INT64_MAX
               : frontend->oldest->moved_ms + frontend->idle_ms + slack_ms(frontend);
}

void kafka_idle_expire(struct kafka_frontend *frontend, int64_t now_ms)
{
    while (kafka_idle_due_ms(frontend) <= now_ms) {
        struct kafka_conn *conn = frontend->oldest;
        /* The configured time may have been another when it moved. */
        bool is_used = conn->used_ms + frontend->idle_ms > now_ms;
        unlink_conn(conn);
        if (is_used || conn->call_count > 0 || conn->muted) {
            link_newest(conn, now_ms);
        } else if (kafka_conn_is_open(conn)) {
            conn->closing = true;
            frontend->io->conn_close(frontend->io, conn->context.connection);
        }
    }
}
