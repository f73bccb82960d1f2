/* os_sim_disk.h: the simulated disk, as os_sim*.c see it.
 *
 * A file is an inode: its bytes as programs see them (the page cache), and for every sector of 512
 * B written since the last sync the content that the medium still holds (an undo entry). A sync
 * forgets the undo entries; a power cut puts back any subset of them, some halfway. A sync that
 * fails leaves its sectors `lost`: reads still show them, as Linux does after EIO, until the cache
 * is dropped. Names are kept twice, as seen and as durable, with the operations between the two.
 * One thread. */
#ifndef SL_OS_OS_SIM_DISK_H
#define SL_OS_OS_SIM_DISK_H

#include "os/os_sim.h"

#define SIM_SECTOR   512u
#define SIM_PATH_MAX 128u

struct sim_undo {
    uint32_t sector;
    bool lost; /* a sync of it failed: the medium never gets it */
    uint8_t bytes[SIM_SECTOR];
};

struct sim_inode {
    struct sim_inode *next; /* in the disk's list of all, or of free ones */
    uint8_t *bytes;         /* capacity bytes; zero above size */
    size_t size;            /* as seen */
    size_t durable_size;    /* as the medium has it */
    size_t capacity;        /* a multiple of SIM_SECTOR */
    uint32_t *undo_of;      /* per sector: 1 + index in undo; 0: clean */
    struct sim_undo *undo;  /* in the order of first writing */
    uint32_t undo_count;
    uint32_t undo_capacity;
    uint32_t open_count;
    uint64_t
        stamp; /* of what it holds, seen and durable: equal stamps, equal contents; 0: of none */
    uint64_t spoilt_position; /* of the bytes that cannot be read */
    uint64_t spoilt_size;
    bool locked;
    bool marked;            /* by the collector */
    struct sim_inode *twin; /* while the disk is copied */
};

struct sim_name {
    char path[SIM_PATH_MAX];
    struct sim_inode *inode; /* NULL: a directory */
};

struct sim_names {
    struct sim_name *at;
    uint32_t count;
    uint32_t capacity;
};

enum sim_change_kind { SIM_CREATE, SIM_RENAME, SIM_LINK, SIM_REMOVE };

/* A change of names that no sl_dir_sync has made durable yet. */
struct sim_change {
    enum sim_change_kind kind;
    struct sim_inode *inode;
    char path[SIM_PATH_MAX]; /* the new name, or the one that goes */
};

/* `size` bytes of the file from `position` on were looked at. */
typedef void sim_look_fn(void *arg, const struct sim_inode *inode, uint64_t position,
                         uint64_t size);

struct sl_sim_disk {
    uint64_t random;
    uint64_t capacity_bytes;
    uint64_t used_bytes; /* sizes of all inodes that have a name or are open */
    struct sim_inode *inodes;
    struct sim_inode *free_inodes;
    struct sim_names seen;
    struct sim_names durable;
    struct sim_change *changes;
    uint32_t change_count;
    uint32_t change_capacity;
    uint64_t spoilt_reads;
    sim_look_fn *look; /* NULL: nobody asks */
    void *look_arg;
};

uint64_t sim_random_next(uint64_t *state);                                  /* splitmix64 */
struct sim_name *sim_names_find(struct sim_names *names, const char *path); /* or NULL */

sl_err sim_disk_create(struct sl_sim_disk *disk, const char *path, struct sim_inode **ret_inode);
sl_err sim_disk_directory(struct sl_sim_disk *disk, const char *path);
sl_err sim_disk_rename(struct sl_sim_disk *disk, const char *from, const char *to);
/* E_EXISTS */
sl_err sim_disk_link(struct sl_sim_disk *disk, const char *from, const char *to);
uint32_t sim_disk_links(const struct sl_sim_disk *disk, const struct sim_inode *inode);
sl_err sim_disk_remove(struct sl_sim_disk *disk, const char *path);
void sim_disk_sync_names(struct sl_sim_disk *disk, const char *directory);

sl_err sim_inode_write(struct sl_sim_disk *disk, struct sim_inode *inode, const void *data,
                       size_t size, uint64_t position);
sl_err sim_inode_resize(struct sl_sim_disk *disk, struct sim_inode *inode, uint64_t size);
void sim_inode_sync(struct sim_inode *inode);
void sim_inode_sync_failed(struct sim_inode *inode); /* what it covered is lost, silently */
void sim_inode_drop_cache(struct sim_inode *inode, uint64_t position, uint64_t size);

#endif
