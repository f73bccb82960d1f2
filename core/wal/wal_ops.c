/* wal_ops.c: the write-ahead log behind the table of logs (commit_log.h). */
#include "wal/wal_state.h"

static struct wal *wal_of(struct commit_log *log)
{
    return SL_CONTAINER_OF(log, struct wal, log);
}

static const struct wal *wal_of_const(const struct commit_log *log)
{
    return SL_CONTAINER_OF(log, const struct wal, log);
}

static sl_err log_submit(struct commit_log *log, struct wal_unit *unit)
{
    return wal_submit(wal_of(log), unit);
}

static sl_err log_read_cached(struct commit_log *log, const struct wal_place *place,
                              void *ret_bytes)
{
    return wal_read_cached(wal_of(log), place, ret_bytes);
}

static sl_err log_read(struct commit_log *log, const struct wal_place *place, void *ret_bytes)
{
    return wal_read(wal_of(log), place, ret_bytes);
}

static bool log_pin(struct commit_log *log, uint64_t segment)
{
    return wal_pin(wal_of(log), segment) != NULL;
}

static void log_unpin(struct commit_log *log, uint64_t segment)
{
    wal_unpin(wal_of(log), segment);
}

static struct sl_file *log_file(struct commit_log *log, uint64_t segment)
{
    return wal_file(wal_of(log), segment);
}

static void log_release(struct commit_log *log, uint64_t segment)
{
    wal_release(wal_of(log), segment);
}

static bool log_segment_status(const struct commit_log *log, uint64_t segment,
                               struct wal_segment_status *ret_status)
{
    return wal_segment_status_get(wal_of_const(log), segment, ret_status);
}

static void log_segment_path(const struct commit_log *log, uint64_t segment,
                             char ret_path[WAL_PATH_BYTES])
{
    wal_segment_path(wal_of_const(log), segment, ret_path);
}

static bool log_rotate(struct commit_log *log)
{
    return wal_rotate(wal_of(log));
}

static void log_status(const struct commit_log *log, struct wal_status *ret_status)
{
    wal_status_get(wal_of_const(log), ret_status);
}

static void log_pressure(const struct commit_log *log, struct wal_pressure *ret_pressure)
{
    wal_pressure_get(wal_of_const(log), ret_pressure);
}

/* A log that finds its disk full also looks at it more often. */
static void log_disk_seen(struct commit_log *log, uint64_t total_bytes, uint64_t available_bytes)
{
    struct wal *wal = wal_of(log);
    if (wal->fenced || wal->closing)
        return;
    wal_disk_judge(wal, total_bytes, available_bytes);
}

static void log_close(struct commit_log *log, void (*closed)(void *arg), void *arg)
{
    wal_close(wal_of(log), closed, arg);
}

static void log_free(struct commit_log *log)
{
    wal_free(wal_of(log));
}

static const struct commit_log_ops wal_ops = {
    .name = "disk",
    .submit = log_submit,
    .read_cached = log_read_cached,
    .read = log_read,
    .pin = log_pin,
    .unpin = log_unpin,
    .file = log_file,
    .release = log_release,
    .segment_status = log_segment_status,
    .segment_path = log_segment_path,
    .rotate = log_rotate,
    .status = log_status,
    .pressure = log_pressure,
    .disk_seen = log_disk_seen,
    .close = log_close,
    .free = log_free,
};

void wal_ops_init(struct wal *wal)
{
    wal->log.ops = &wal_ops;
}

struct commit_log *wal_commit_log(struct wal *wal)
{
    return &wal->log;
}
