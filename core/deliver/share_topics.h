/* share_topics.h: the topics that members of a share group read, each once, with who reads it.
 *
 *   members, by id ─► names in their order ─► topics in the order in which they are met first,
 *                                             readers of each in the order of their ids
 *
 * Made in one pass over all names, in time linear in them; the owner drops it when a name or a
 * member goes or comes, and makes it again when it is asked for. One thread. */
#ifndef SL_DELIVER_SHARE_TOPICS_H
#define SL_DELIVER_SHARE_TOPICS_H

#include "base/bytes.h"
#include "base/list.h"

struct share_member;

struct share_topic {
    struct sl_bytes name; /* [borrows the member's] */
    struct share_member **readers;
    uint32_t reader_count;
};

struct share_topics {
    bool is_made;
    uint32_t count;
    uint32_t probe_count;       /* slots that were looked at to make it */
    struct share_topic *topics; /* owned; one block with the readers */
};

/* Nothing when it is made already. Members that read all by themselves are left out. E_NO_MEMORY.
 */
sl_err share_topics_make(struct share_topics *topics, const struct sl_list *members) SL_MUST_CHECK;
void share_topics_drop(struct share_topics *topics);

#endif
