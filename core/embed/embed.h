/* embed.h: what the files of this room share. */
#ifndef SL_EMBED_EMBED_H
#define SL_EMBED_EMBED_H

#include "broker/sluice.h"

#include <sluice/embed.h>
#include <stdatomic.h>

enum embed_state { EMBED_MADE, EMBED_STARTING, EMBED_RUNNING, EMBED_STOPPING, EMBED_ENDED };

struct publication;

struct sluice_embed {
    struct sl_os *os;
    struct sl_logger *logger;
    struct sluice *sluice;
    struct config_report report;
    void (*log)(void *arg, const char *line, uint64_t size);
    void (*ready)(void *arg);
    void *arg;
    _Atomic int state; /* enum embed_state */
    atomic_bool stop_posted;
    struct sl_task stop_task;
    struct publication *_Atomic queue; /* on their way to loop 0, the newest first */
    atomic_bool drain_posted;
    struct sl_task drain_task;
    atomic_uint publishers;    /* calls of publish that may still put one there */
    atomic_uint pending_count; /* under way */
    atomic_ullong pending_bytes;
};

void embed_publish_init(struct sluice_embed *embed);
/* Ends what is queued with this status. [loop 0, or after it] */
void embed_publish_fail(struct sluice_embed *embed, sl_err status);

#endif
