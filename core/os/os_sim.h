/* os_sim.h: sl_os by seed on one thread, for tests of storage, groups, stages and reload.
 *
 * Time is virtual and moves to the next timer or job when nothing else can run. Jobs of lanes and
 * helpers run at moments drawn from the seed. The disk keeps, per file, what is durable and the
 * sectors (512 B) written since the last sync; a power cut keeps any subset of those, some torn, in
 * any order; renames, creations and removals not made durable by sl_dir_sync may or may not have
 * happened; a directory is such a name too, and what lies in a lost one is lost. Sockets,
 * descriptors, directory watches and signals are SLUICE_E_UNSUPPORTED. */
#ifndef SL_OS_OS_SIM_H
#define SL_OS_OS_SIM_H

#include "os/os.h"

struct sl_sim_disk; /* survives power cuts; outlives the instances of sl_os made on it */

struct sl_sim_disk *sl_sim_disk_new(uint64_t seed);
struct sl_sim_disk *sl_sim_disk_free(struct sl_sim_disk *disk);
/* `to` becomes what `from` is at this moment, with nothing open and chances of its own: what a
 * power cut now might leave can be looked at while `from` goes on. What `to` held is gone; nothing
 * of it is open. */
void sl_sim_disk_copy(struct sl_sim_disk *to, const struct sl_sim_disk *from, uint64_t seed);
/* After the instance is gone: what was not synced is kept or lost by the seed. */
void sl_sim_disk_power_cut(struct sl_sim_disk *disk);
/* The bytes of a stored file, for tests that flip bits or truncate; NULL when missing. */
uint8_t *sl_sim_disk_bytes(struct sl_sim_disk *disk, const char *path, size_t *ret_size);
/* From now on each read of the file that touches [position, + size) fails with E_IO, as a bad
 * sector does; size 0: it can be read again. What is written there is not readable either. */
void sl_sim_disk_spoil(struct sl_sim_disk *disk, const char *path, uint64_t position,
                       uint64_t size);
uint64_t sl_sim_disk_spoilt_reads(const struct sl_sim_disk *disk); /* that failed so far */
/* Total and free space that sl_disk_space reports and writes obey. */
void sl_sim_disk_set_capacity(struct sl_sim_disk *disk, uint64_t bytes);

struct sl_sim_faults {
    uint64_t
        power_cut_after; /* write, sync, rename, … operations until E_POWER_CUT for all; 0: never */
    uint64_t sync_fails_after;  /* syncs until one fails with E_IO (and loses what it covered); 0:
                                   never */
    uint64_t write_fails_after; /* writes until one fails with E_IO, half done; 0: never */
    /* Calls of files and directories until one fails so: E_DISK_FULL only those that may need room,
     * E_LIMIT those that need a descriptor, others any. A write is half done then, what a sync
     * covered is lost. 0: never. */
    uint64_t call_fails_after;
    sl_err call_error;
    int64_t sync_delay_ns;      /* virtual time a sync takes */
    bool sync_is_a_lie;         /* mutant: sync makes nothing durable */
    const char *no_sync_of;     /* … of files whose path as opened holds this; NULL: of none */
    const char *no_dir_sync_of; /* … of directories whose path ends so */
    bool reads_are_cold; /* no byte of a file is in memory: sl_file_pread_cached would block */
};
sl_err sl_os_sim_new(uint64_t seed, struct sl_sim_disk *disk, const struct sl_sim_faults *faults,
                     struct sl_os **ret_os) SL_MUST_CHECK;
/* Runs one thing that can happen (task, job, timer), by seed; false: nothing is left or the power
 * is off. */
bool sl_os_sim_step(struct sl_os *os);
bool sl_os_sim_power_is_off(struct sl_os *os);
uint64_t sl_os_sim_calls_left(struct sl_os *os);  /* of call_fails_after; 0: one failed */
uint64_t sl_os_sim_asked_bytes(struct sl_os *os); /* by sl_file_ask, of all files */
/* Drops all that is queued without running it (the machine lost power); then sl_os_free works. */
void sl_os_sim_abandon(struct sl_os *os);

#endif
