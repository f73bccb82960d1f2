/* stage_redrive.h: dead letters of one partition go back to the stage that rejected them, or those
 * of groups that share streams to the partition that they came from, or either to another topic;
 * once each.
 *
 *   letters ─► not marked, chosen by the filter ─► as they were ─► worker ─► verdicts ─► outputs ─┐
 *                                                └─► home, or --to TOPIC ─────────────► copies ───┤
 *                          marks (redrive_marks.h) ◄── one commit unit: outputs, marks ◄──────────┘
 *
 * It is a stage task of its own that reads the dead-letter topic: what fails before the commit is
 * done again, what is committed never. A record keeps its topic, partition and offset for the
 * plugin; one that fails again becomes a new dead letter, with sluice.redrives raised, behind the
 * end of this redrive. A commit is of one shard: a letter of a group whose partition lies on
 * another one is left, and counted. On the loop of the partition's shard. */
#ifndef SL_STAGE_STAGE_REDRIVE_H
#define SL_STAGE_STAGE_REDRIVE_H

#include "record/dead_letter.h"
#include "stage/stage_task.h"

#define REDRIVE_TOO_SCATTERED                                                                    \
    "the letters chosen lie in too many pieces (10000 in a partition): hand back those between " \
    "them too, or wait until retention has removed some"

/* What to hand back; the same for all partitions. [borrowed until closed] */
struct redrive_order {
    struct dead_letter_filter filter;
    int64_t offset;     /* this one alone; -1: all */
    struct sl_bytes to; /* a topic; empty: where they came from */
    bool of_groups;     /* there is no stage: where they came from is a partition */
    _Atomic bool stop;  /* set by anyone: it ends at the next step */
};
/* Written by the loops of the partitions, read by any. */
struct redrive_counts {
    _Atomic uint64_t seen;    /* letters looked at, of those there were at the start */
    _Atomic uint64_t done;    /* handed back */
    _Atomic uint64_t failed;  /* of these, dead letters again */
    _Atomic uint64_t orphans; /* chosen, but their topic is gone, or they do not say where from */
    _Atomic uint64_t distant; /* chosen, but where they came from lies on another shard */
    _Atomic uint64_t bare;    /* chosen, but they hold no record */
};

/* Whose dead letters are called `name`: a stage's, or those that groups write to the topic of that
 * name, which is open to them (errors.deadletterqueue.group.enable). NULL: nobody's. */
struct topic *stage_redrive_letters(const struct catalog *catalog, const char *name,
                                    bool *ret_of_groups);

/* It came to its end, or cannot go on: text says why. The owner closes the task. [a turn of the
 * loop] */
typedef void redrive_finished_fn(void *arg, sl_err err, const char *text);

/* config: of the stage; without a port when order->to is set. ret_total: letters that it will look
 * at. E_NO_MEMORY, E_LIMIT. */
sl_err stage_redrive_open(const struct stage_config *config, struct partition *letters,
                          const struct redrive_order *order, struct redrive_counts *counts,
                          redrive_finished_fn *finished, void *finished_arg, int64_t *ret_total,
                          struct stage_task **ret_task) SL_MUST_CHECK;

#endif
