/* control_wire.h: what host library and worker program say to each other beside the rings.
 *
 * A SEQPACKET socket carries one bounded message per packet: control_head, then the body of its
 * kind, then the texts whose sizes the body names. START carries the descriptors of the boot block
 * and the module; CONFINED and READY may carry a seccomp listener. What the worker sends is
 * hostile; nothing that the host decides rests on it but whether the worker is useful.
 *
 *   host                          worker
 *   START (boot, module)   ->
 *                          <-     HELLO        confined but for the filter: what is in force
 *                          <-     CONFINED     stage-1 filter is on (its listener); dlopen follows
 *                          <-     LOADED       create, init and activate are done
 *   PROCEED                ->                  (the host has let go of the first listener)
 *                          <-     READY        stage-2 filter is on (its listener), attachment
 *                          <-     FAILED       instead of any of these, then exit
 *   RECONFIGURE, DRAIN     ->
 *                          <-     RECONFIGURED, DRAINED, LOG */
#ifndef SANDBOX_CONTROL_WIRE_H
#define SANDBOX_CONTROL_WIRE_H

#include <sandbox/sandbox.h>
#include <sluice/processor.h>

#define CONTROL_VERSION       1u
#define CONTROL_SIZE_MAX      (SANDBOX_CONFIG_SIZE_MAX + 64u)
#define CONTROL_FROM_SIZE_MAX (40u << 10) /* of what a worker sends */

/* Numbers of the descriptors in a worker, besides 0, 1, 2 on /dev/null. */
#define WORKER_FD_CONTROL 3
#define WORKER_FD_EVENT   4 /* eventfd towards the host */
#define WORKER_FD_INPUT   5
#define WORKER_FD_OUTPUT  6
#define WORKER_FD_BOOT    7 /* from START */
#define WORKER_FD_MODULE  8
/* Resources come behind the module and move to numbers that the filter knows as writable. */
#define WORKER_FD_RESOURCE      32
#define WORKER_FD_RESOURCE_MASK (~(SANDBOX_RESOURCES_MAX - 1u))
#define CONTROL_DESCRIPTORS_MAX (2u + SANDBOX_RESOURCES_MAX)

#define CONTROL_START        1u
#define CONTROL_PROCEED      2u
#define CONTROL_RECONFIGURE  3u /* body: the JSON text */
#define CONTROL_DRAIN        4u
#define CONTROL_HELLO        65u
#define CONTROL_CONFINED     66u
#define CONTROL_LOADED       67u
#define CONTROL_READY        68u
#define CONTROL_FAILED       69u
#define CONTROL_LOG          70u
#define CONTROL_RECONFIGURED 71u
#define CONTROL_DRAINED      72u

struct control_head {
    uint16_t version;
    uint16_t kind;
    uint32_t size; /* of the whole message */
};
struct control_hello {
    int32_t landlock_abi;
    uint32_t uid;
    uint32_t ids_dropped;
    uint32_t capabilities_dropped;
    uint32_t spaces;
    int32_t spaces_error;
};
struct control_ready {
    uint32_t on;
    uint32_t deadline_ms;
    uint32_t text_count; /* id, version, name, input, output, on_error, extra outputs … */
    uint32_t wants_state;
    uint32_t rehearsal_digest;
    int64_t state_version;
    uint32_t state_import_count;
    uint32_t reserved;
    int64_t state_imports[SLUICE_STATE_IMPORTS_MAX];
    /* text_count times u32 size, then the texts */
};
#define CONTROL_READY_TEXTS    6u
#define CONTROL_READY_TEXT_MAX 512u
/* FAILED, LOG, RECONFIGURED, DRAINED: a number and a text. */
struct control_note {
    int32_t status; /* or level of a LOG */
    uint32_t kind;  /* FAILED: SANDBOX_CAUSE_REFUSED or _SETUP; LOG: lines lost */
    uint32_t text_size;
    uint32_t reserved;
};

/* ---- the boot block: a sealed memfd ---- */
#define BOOT_MAGIC          0x53425434u
#define BOOT_FILTER_STAGE_1 0u
#define BOOT_FILTER_STAGE_2 1u
#define BOOT_FILTER_COUNT   2u

struct boot_span {
    uint32_t at;
    uint32_t size;
};
struct boot_wire {
    uint32_t magic;
    uint32_t size;
    uint32_t host_pid;
    int32_t cpu;
    struct sandbox_limits limits;
    struct channel_geometry geometry;
    uint32_t uid; /* wanted when the worker starts as root */
    uint32_t has_script;
    uint32_t outputs_any;
    uint32_t output_count;
    struct boot_span instance;
    struct boot_span config;
    struct boot_span script_name;
    struct boot_span script;
    struct boot_span rehearsal; /* steps, see sandbox_spawn */
    uint64_t rehearsal_seed;
    struct boot_span broker_config;
    uint32_t has_broker_config;
    uint32_t write_metrics;
    struct boot_span filters[BOOT_FILTER_COUNT];      /* default: ask the listener */
    struct boot_span kill_filters[BOOT_FILTER_COUNT]; /* default: kill the process */
    uint32_t listener;                                /* 0: use kill_filters at once */
    struct boot_span outputs[SANDBOX_OUTPUTS_MAX];
    uint32_t resource_count;
    uint32_t resource_kinds[SANDBOX_RESOURCES_MAX];
    int32_t resource_descriptors[SANDBOX_RESOURCES_MAX]; /* WORKER_FD_RESOURCE and on, or -1 */
    struct boot_span resources[SANDBOX_RESOURCES_MAX];   /* names */
};

#endif
