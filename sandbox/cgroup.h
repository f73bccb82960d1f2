/* cgroup.h: kernel bounds of a whole worker process where a cgroup can be had: version 2 when it is
 * delegated to the broker, version 1 where the broker is in a group of its own, or none. Private.
 *
 * They stand behind the worker's rlimits and the host's pacing, never instead of them: memory with
 * shared pages and tables, one task, half a processor at most for what runs past its pace. */
#ifndef SANDBOX_CGROUP_H
#define SANDBOX_CGROUP_H

#include <sandbox/sandbox.h>
#include <sys/types.h>

#define CGROUP_MEMORY 0u
#define CGROUP_CPU    1u
#define CGROUP_TASKS  2u
#define CGROUP_KINDS  3u
#define CGROUP_PATH   512u

/* Where groups of workers are made, by controller; immutable after open. */
struct cgroup_room {
    uint32_t versions[CGROUP_KINDS]; /* SANDBOX_CGROUP_* */
    char paths[CGROUP_KINDS][CGROUP_PATH];
};
/* The groups of one worker. */
struct cgroup {
    uint32_t memory; /* SANDBOX_CGROUP_* that holds */
    uint32_t cpu;
    uint32_t tasks;
    char paths[CGROUP_KINDS][CGROUP_PATH]; /* "" : none */
};

/* Looks what there is, once a process; removes groups that dead brokers left. proc: "/proc/self",
 * or a folder with its files cgroup and mountinfo; NULL: none is wanted. [blocks briefly] */
void cgroup_room_open(struct cgroup_room *room, const char *proc);
/* Best effort: what could not be set says NONE. shared_bytes: the channel's. [blocks briefly] */
void cgroup_make(const struct cgroup_room *room, pid_t pid, const struct sandbox_limits *limits,
                 uint64_t shared_bytes, struct cgroup *ret_cgroup);
/* The kernel killed in this group for want of memory. */
bool cgroup_out_of_memory(const struct cgroup *cgroup);
void cgroup_remove(struct cgroup *cgroup); /* after the process is reaped */

#endif
