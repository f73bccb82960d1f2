/* native_quota.c: quotas of users and clients (<sluice/quota.h>) where the server pushes.
 *
 *   PUBLISH, REPLY ─► counted as it is taken ─► beyond: the connection is not read for so long
 *   MESSAGES       ─► counted as they are sent ─► beyond: nothing is pushed for so long
 *   time of a loop ─► counted with the input and the fetches that took it ─► as with PUBLISH
 *   topics made and deleted ─► counted when done ─► beyond: ERROR 1609
 *
 * The client hears of it once, when it begins, in a THROTTLED frame. What is owed is asked for
 * before each push too: others of the same user may have used it up. So what is sent beyond a quota
 * is a frame of each connection at most. */
#include "native_frontend.h"

#define INPUT_IS_NOT_READ 0u /* of THROTTLED */
#define NOTHING_IS_PUSHED 1u

static int64_t now_ms(const struct native_conn *conn)
{
    const struct sluice_frontend_host *io = conn->frontend->io;
    return io->now_ms(io);
}

static void tell(struct native_conn *conn, uint32_t what, int32_t wait_ms)
{
    struct native_writer *writer = native_conn_frame(conn, NATIVE_THROTTLED, 0, 0);
    native_write_u32(writer, what);
    native_write_u32(writer, (uint32_t)wait_ms);
    native_conn_send(conn);
}

/* ---- waiting ---- */

void native_quota_forget(struct native_conn *conn)
{
    if (conn->throttled_at == NULL) {
        return;
    }
    *conn->throttled_at = conn->next_throttled;
    if (conn->next_throttled != NULL) {
        conn->next_throttled->throttled_at = conn->throttled_at;
    }
    conn->throttled_at = NULL;
}

static void link_to(struct native_conn *conn, struct native_conn **list)
{
    conn->next_throttled = *list;
    conn->throttled_at = list;
    if (conn->next_throttled != NULL) {
        conn->next_throttled->throttled_at = &conn->next_throttled;
    }
    *list = conn;
}

/* The tick looks at it from then on. */
static void wait_until(struct native_conn *conn, int64_t until_ms)
{
    if (conn->throttled_at == NULL) {
        link_to(conn, &conn->frontend->throttled);
    }
    native_tick_at(conn->frontend, until_ms);
}

static bool is_muted(const struct native_conn *conn)
{
    return conn->wait == NATIVE_WAIT_QUOTA;
}

/* Goes on with what is over, and waits for what is not. */
static void try_again(struct native_conn *conn, int64_t at_ms)
{
    native_conn_ref(conn);
    if (is_muted(conn) && conn->muted_until_ms <= at_ms) {
        native_conn_go(conn);
    }
    if (conn->is_held && conn->held_until_ms <= at_ms) {
        conn->is_held = false;
        native_conn_resume(conn);
    }
    if (!conn->closed && is_muted(conn)) {
        wait_until(conn, conn->muted_until_ms);
    }
    if (!conn->closed && conn->is_held) {
        wait_until(conn, conn->held_until_ms);
    }
    native_conn_unref(conn);
}

void native_quota_tick(struct native_frontend *frontend, int64_t at_ms)
{
    struct native_conn *list = frontend->throttled; /* any of them may be closed meanwhile */
    frontend->throttled = NULL;
    if (list != NULL) {
        list->throttled_at = &list;
    }
    while (list != NULL) {
        struct native_conn *conn = list;
        native_quota_forget(conn);
        try_again(conn, at_ms);
    }
}

/* ---- what the client does ---- */

static void mute(struct native_conn *conn, int32_t wait_ms)
{
    if (conn->wait != NATIVE_WAIT_NONE || !native_conn_is_open(conn)) {
        return; /* it owes the time, and waits for it with what it sends next */
    }
    tell(conn, INPUT_IS_NOT_READ, wait_ms);
    conn->muted_until_ms = now_ms(conn) + wait_ms;
    native_conn_wait(conn, NATIVE_WAIT_QUOTA);
    if (is_muted(conn)) {
        wait_until(conn, conn->muted_until_ms);
    }
}

void native_quota_charge(struct native_conn *conn, int32_t kind, int64_t amount)
{
    const struct sluice_quota *quota = conn->frontend->quota;
    int32_t wait_ms = quota == NULL || conn->closed || amount <= 0
                          ? 0
                          : quota->charge(quota, &conn->context, kind, amount);
    if (wait_ms > 0) {
        mute(conn, wait_ms);
    }
}

/* ---- what is pushed ---- */

static void hold(struct native_conn *conn, int32_t wait_ms)
{
    conn->held_until_ms = now_ms(conn) + wait_ms;
    conn->is_held = true;
    if (native_conn_is_open(conn)) {
        tell(conn, NOTHING_IS_PUSHED, wait_ms);
    }
    if (!conn->closed) {
        wait_until(conn, conn->held_until_ms);
    }
}

bool native_quota_holds(struct native_conn *conn)
{
    const struct sluice_quota *quota = conn->frontend->quota;
    if (quota == NULL || conn->closed) {
        return false;
    }
    if (conn->is_held) { /* until the tick says otherwise */
        return true;
    }
    int32_t wait_ms = quota->owed(quota, &conn->context, SLUICE_QUOTA_FETCH);
    if (wait_ms > 0) {
        hold(conn, wait_ms);
    }
    return wait_ms > 0;
}

void native_quota_sent(struct native_conn *conn, size_t bytes)
{
    const struct sluice_quota *quota = conn->frontend->quota;
    int32_t wait_ms =
        quota == NULL || conn->closed
            ? 0
            : quota->charge(quota, &conn->context, SLUICE_QUOTA_FETCH, (int64_t)bytes);
    if (wait_ms > 0 && !conn->is_held) {
        hold(conn, wait_ms);
    }
}

uint64_t native_quota_allows(const struct native_conn *conn)
{
    const struct sluice_quota *quota = conn->frontend->quota;
    return quota == NULL ? UINT64_MAX
                         : (uint64_t)quota->allowance(quota, &conn->context, SLUICE_QUOTA_FETCH);
}

/* ---- topics ---- */

bool native_quota_allows_topics(const struct native_conn *conn)
{
    const struct sluice_quota *quota = conn->frontend->quota;
    return quota == NULL || quota->owed(quota, &conn->context, SLUICE_QUOTA_MUTATIONS) == 0;
}

void native_quota_topics(struct native_conn *conn, int32_t partitions)
{
    const struct sluice_quota *quota = conn->frontend->quota;
    if (quota != NULL && !conn->closed && partitions > 0) {
        (void)quota->charge(quota, &conn->context, SLUICE_QUOTA_MUTATIONS, partitions);
    }
}

/* ---- time ---- */

int64_t native_quota_begin(const struct native_conn *conn)
{
    struct native_frontend *frontend = conn->frontend;
    const struct sluice_quota *quota = frontend->quota;
    int64_t at_ns =
        quota == NULL || conn->closed || frontend->is_timed ? 0 : quota->clock_ns(quota);
    frontend->is_timed = frontend->is_timed || at_ns > 0;
    return at_ns;
}

void native_quota_end(struct native_conn *conn, int64_t begun_ns)
{
    struct native_frontend *frontend = conn->frontend;
    if (begun_ns == 0) {
        return;
    }
    frontend->is_timed = false;
    if (!conn->closed && conn->greeted && (!conn->needs_login || conn->logged_in)) {
        native_quota_charge(conn, SLUICE_QUOTA_REQUEST,
                            frontend->quota->clock_ns(frontend->quota) - begun_ns);
    }
}
