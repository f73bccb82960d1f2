/* wal_fixture.h: a log on a simulated disk, with what it applied and acknowledged written down. */
#ifndef WAL_FIXTURE_H
#define WAL_FIXTURE_H

#include "os/os_sim.h"
#include "wal/wal.h"
#include "wal/wal_salvage.h"

#define FIXTURE_UNITS_MAX 512u
#define FIXTURE_ITEMS_MAX 1024u
#define FIXTURE_SEGMENT   65536u
#define FIXTURE_DIRECTORY "/shard-0"
#define FIXTURE_LOG       FIXTURE_DIRECTORY "/wal"

struct fixture_unit {
    struct wal_unit unit;
    struct wal_item item;
    struct sl_iovec pieces[2];
    uint64_t number; /* its payload */
    sl_err err;
    bool ended;
    uint32_t end_order; /* 1: the first that ended */
};

struct fixture_item {
    uint64_t lsn;
    uint64_t number;
    struct wal_place place;
    uint16_t kind;
};

struct fixture {
    struct sl_sim_disk *disk;
    struct sl_sim_faults faults;
    struct wal_limits limits;
    struct sl_uuid cluster;
    uint32_t shard;
    struct sl_os *os;
    struct sl_loop *loop;
    struct wal *wal;
    struct wal_recovery recovery;
    struct fixture_unit units[FIXTURE_UNITS_MAX];
    uint32_t unit_count;
    uint32_t ended_count;
    struct fixture_item applied[FIXTURE_ITEMS_MAX]; /* by the last recovery */
    uint32_t applied_count;
    uint64_t snapshot_number; /* emitted as a STAGE_POSITION item; 0: none */
    uint32_t snapshots;       /* begun */
    uint32_t more_slices;     /* that a snapshot takes beyond its first */
    uint32_t slices_left;     /* of the one under way */
    uint32_t recovered_count;
    uint32_t sealed_count;
    sl_err recovered_result; /* of the owner, at the end of recovery */
    uint32_t fenced;
    bool is_closed;
};

struct fixture *fixture_new(void); /* with limits that suit small tests; nothing is open */
void fixture_free(struct fixture *fixture);
/* Opens; asserts nothing. On failure the instance is gone again. */
sl_err fixture_open(struct fixture *fixture);
/* Opens and asserts that it went well. */
void fixture_start(struct fixture *fixture);
/* Until nothing is left to happen, or for a long time (a full disk is looked at for ever). */
void fixture_settle(struct fixture *fixture);
void fixture_close(struct fixture *fixture); /* in order */
void fixture_kill(struct fixture *fixture);  /* at once; what was written stays */
void fixture_power_cut(struct fixture *fixture);

/* A unit with one item whose payload is its number (1, 2, …); body_size 0: without a body. */
struct fixture_unit *fixture_unit_new(struct fixture *fixture, uint16_t kind, uint32_t body_size);
sl_err fixture_submit(struct fixture *fixture, struct fixture_unit *unit);
/* Makes one durable alone: a frame of its own. */
struct fixture_unit *fixture_commit(struct fixture *fixture, uint16_t kind, uint32_t body_size);
/* Bytes of a file of the log, by its name. */
uint8_t *fixture_bytes(struct fixture *fixture, const char *name, size_t *ret_size);
uint32_t fixture_spares(struct fixture *fixture); /* files that are one */
bool fixture_applied(const struct fixture *fixture, uint16_t kind, uint64_t number);

/* What a salvage told that it lost: how often, and the last time. */
struct fixture_loss {
    uint32_t calls;
    uint64_t first_lsn;
    uint64_t last_lsn;
    char where[WAL_PATH_BYTES + 128];
};
/* Salvages the fixture's log, which is not open, into `out` (NULL: only tells), and keeps what is
 * sure. */
sl_err fixture_salvage(struct sl_os *os, const char *out, struct fixture_loss *ret_loss,
                       struct wal_salvage_report *ret_report);

#endif
