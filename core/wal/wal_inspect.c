/* wal_inspect.c: wal_scan for eyes: every item of every frame, nothing opened for writing. */
#include "wal/wal_inspect.h"

#include "wal/wal_scan.h"

#include <stdio.h>
#include <string.h>

struct inspection {
    const struct wal_inspect_events *events;
    void *arg;
};

static sl_err on_checkpoint(void *arg, const struct wal_checkpoint_header *checkpoint)
{
    const struct inspection *self = arg;
    return self->events->checkpoint == NULL ? SLUICE_OK
                                            : self->events->checkpoint(self->arg, checkpoint);
}

static sl_err on_frame(void *arg, const struct wal_segment_header *segment, uint64_t position,
                       const struct wal_frame_header *frame)
{
    const struct inspection *self = arg;
    return self->events->frame == NULL ? SLUICE_OK
                                       : self->events->frame(self->arg, segment, position, frame);
}

static sl_err on_item(void *arg, uint64_t lsn, const struct wal_item_view *item,
                      const struct wal_place *place)
{
    const struct inspection *self = arg;
    return self->events->item == NULL ? SLUICE_OK : self->events->item(self->arg, lsn, item, place);
}

static sl_err on_segment(void *arg, const struct wal_scan_segment *segment)
{
    const struct inspection *self = arg;
    const struct wal_inspect_segment view = {&segment->header, segment->file_size,
                                             segment->end_position, segment->last_lsn};
    return self->events->segment == NULL ? SLUICE_OK : self->events->segment(self->arg, &view);
}

sl_err wal_inspect(struct sl_os *os, const char *directory, bool verify_bodies,
                   const struct wal_inspect_events *events, void *arg,
                   struct wal_recovery *ret_report)
{
    static const struct wal_scan_events scan_events = {on_checkpoint, on_segment, on_frame,
                                                       on_item};
    char path[WAL_PATH_MAX];
    struct inspection inspection = {events, arg};
    memset(ret_report, 0, sizeof *ret_report);
    if (strlen(directory) + 64 > sizeof path)
        return SLUICE_E_INVALID;
    snprintf(path, sizeof path, "%s/wal", directory);
    const struct wal_scan_config config = {.os = os,
                                           .directory = path,
                                           .every_body = verify_bodies,
                                           .all_items = true,
                                           .events = &scan_events,
                                           .events_arg = &inspection};
    struct wal_scan scan;
    int64_t begin_ns = sl_os_mono_ns(os);
    sl_err err = wal_scan_run(&config, ret_report, &scan);
    if (err == SLUICE_OK) {
        ret_report->epoch = scan.epoch;
        wal_scan_fini(&scan);
    }
    ret_report->elapsed_ns = sl_os_mono_ns(os) - begin_ns;
    return err;
}
