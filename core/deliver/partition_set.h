/* partition_set.h: a sorted set of partitions of topics by id, each with the epoch in which its
 * member got it: what a member of a group owns, gives back, or shall own.
 *
 * Sorted by topic id, then partition; 24 bytes each. Who adds out of order sorts before looking.
 * Groups of any kind that the broker assigns (KIP-848, KIP-932, KIP-1071) use it. One thread. */
#ifndef SL_DELIVER_PARTITION_SET_H
#define SL_DELIVER_PARTITION_SET_H

#include "base/base.h"

#include <sluice/types.h>

struct partition_entry {
    struct sl_uuid topic;
    uint32_t partition;
    int32_t epoch; /* of the member when it got it; 0 where nobody asks */
};

struct partition_set {
    struct partition_entry *entries; /* owned */
    uint32_t count;
    uint32_t capacity;
};

void partition_set_fini(struct partition_set *set); /* empty again */
/* Appends. E_NO_MEMORY: nothing changed. */
sl_err partition_set_add(struct partition_set *set, const struct sl_uuid *topic, uint32_t partition,
                         int32_t epoch) SL_MUST_CHECK;
/* Room for so many in all. E_NO_MEMORY. */
sl_err partition_set_reserve(struct partition_set *set, uint32_t count) SL_MUST_CHECK;
void partition_set_sort(struct partition_set *set); /* of two equal ones one stays */
int partition_entry_compare(const struct partition_entry *a, const struct partition_entry *b);
/* Sorted set; or NULL. */
const struct partition_entry *partition_set_find(const struct partition_set *set,
                                                 const struct sl_uuid *topic, uint32_t partition);
/* Both sorted. Epochs are looked at only with_epochs. */
bool partition_set_equal(const struct partition_set *a, const struct partition_set *b,
                         bool with_epochs);
/* All of a are in b; both sorted. */
bool partition_set_within(const struct partition_set *a, const struct partition_set *b);
bool partition_set_meets(const struct partition_set *a, const struct partition_set *b);
/* Walks two sorted sets at once, at i of a and j of b. <0: only a has it, 0: both, >0: only b. */
int partition_set_walk(const struct partition_set *a, uint32_t i, const struct partition_set *b,
                       uint32_t j);
/* Takes out of *set what is in `held`; both sorted. True: something was. */
bool partition_set_subtract(struct partition_set *set, const struct partition_set *held);
sl_err partition_set_copy(struct partition_set *set,
                          const struct partition_set *from) SL_MUST_CHECK; /* E_NO_MEMORY */
/* *to gets what *from has, *from is empty then; what *to had is freed. */
void partition_set_take(struct partition_set *to, struct partition_set *from);

#endif
