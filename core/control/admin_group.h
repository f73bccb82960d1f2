/* admin_group.h: a group of any kind, asked of the broker for the commands group.describe and
 * group.seek. Internal to admin_group*.c. */
#ifndef SL_CONTROL_ADMIN_GROUP_H
#define SL_CONTROL_ADMIN_GROUP_H

#include "control/admin_request.h"

#define ADMIN_GROUP_AGES_MAX 256u    /* partitions whose first unread record is looked at */
#define ADMIN_GROUP_ROWS_MAX 100000u /* partitions that a group may stand in */

enum group_kind { GROUP_KIND_CLASSIC, GROUP_KIND_CONSUMER, GROUP_KIND_SHARE, GROUP_KIND_STREAMS };

/* Where the group is in one partition. */
struct group_row {
    char *topic; /* owned */
    int32_t partition;
    int32_t reserved;
    int64_t offset;     /* that it reads next; -1: none committed */
    int64_t start, end; /* of the partition; -1: not known */
    int64_t lag;        /* records, or offsets that they had; -1: not known */
    int64_t age_ms;     /* of the first record that it has not read; -1: not known */
    int64_t target;     /* of a seek */
    sl_err err;         /* of the seek */
};

struct group_load;
/* Everything about the group is there; on an error the request was failed and this is not called.
 */
typedef void group_loaded_fn(struct group_load *load);

/* State of a request; request->result is the object of the group, with its members. */
struct group_load {
    struct admin_request *request;
    group_loaded_fn *loaded;
    const char *group; /* borrows from the request */
    enum group_kind kind;
    uint32_t member_count;
    struct group_row *rows; /* owned; by topic and partition */
    uint32_t row_count, row_room;
    struct sluice_offset_query *queries; /* owned; two a row: start, end */
    struct group_age *ages;              /* owned; of describe */
    struct sluice_offset_fetch fetch;    /* the broker borrows it until it answers */
    uint32_t pending;
    /* of seek */
    const char *topic; /* only this one; NULL: all that the group stands in */
    int64_t partition; /* only this one; -1: all */
    char place;        /* 's'tart, 'e'nd, '+', '-', '=', '@' */
    int64_t number;
    struct sluice_offset_commit commit;
    struct sluice_offset_commit_entry *entries; /* owned */
};

/* Begins with the argument "group". False: the request was failed. The load is the request's state.
 */
bool admin_group_load(struct admin_request *request, group_loaded_fn *loaded,
                      struct group_load **ret_load);
/* Goes on once load->rows are there: sorts them and asks where their partitions begin and end. */
void admin_group_ends(struct group_load *load);
/* NULL: no memory, or too many. topic: copied. */
struct group_row *admin_group_row_add(struct group_load *load, struct sluice_text topic,
                                      int32_t partition);
/* Asks for the members, by kind; then `next`. */
void admin_group_members(struct group_load *load, void (*next)(struct group_load *load));
const char *admin_group_kind_name(enum group_kind kind);
/* Age of the first unread record of each row, then `next`. */
void admin_group_ages(struct group_load *load, void (*next)(struct group_load *load));
/* Of seek: the group is loaded (admin_group_seek.c). */
group_loaded_fn admin_group_seek_loaded;

#endif
