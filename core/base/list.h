/* list.h: intrusive doubly linked list. A link lives in the object that is listed; nothing
 * allocates.
 *
 * A link that is in no list points at itself, so that sl_list_remove may be called twice. One
 * thread. */
#ifndef SL_BASE_LIST_H
#define SL_BASE_LIST_H

#include "base/base.h"

struct sl_link {
    struct sl_link *prev; /* itself when in no list */
    struct sl_link *next;
};

struct sl_list {
    struct sl_link head; /* of the ring; in it prev is the last and next the first */
};

static inline void sl_link_init(struct sl_link *link)
{
    link->prev = link->next = link;
}

static inline bool sl_link_is_listed(const struct sl_link *link)
{
    return link->next != link;
}

static inline void sl_list_init(struct sl_list *list)
{
    sl_link_init(&list->head);
}

static inline bool sl_list_is_empty(const struct sl_list *list)
{
    return !sl_link_is_listed(&list->head);
}

/* Puts link (initialised, in no list) before `place`, which is in a list. */
static inline void sl_list_insert_before(struct sl_link *place, struct sl_link *link)
{
    SL_ASSERT(!sl_link_is_listed(link));
    link->prev = place->prev;
    link->next = place;
    place->prev->next = link;
    place->prev = link;
}

static inline void sl_list_push_back(struct sl_list *list, struct sl_link *link)
{
    sl_list_insert_before(&list->head, link);
}

static inline void sl_list_push_front(struct sl_list *list, struct sl_link *link)
{
    sl_list_insert_before(list->head.next, link);
}

/* Out of whatever list it is in; in none: nothing happens. */
static inline void sl_list_remove(struct sl_link *link)
{
    link->prev->next = link->next;
    link->next->prev = link->prev;
    sl_link_init(link);
}

/* The first link, or NULL. */
static inline struct sl_link *sl_list_first(const struct sl_list *list)
{
    return sl_list_is_empty(list) ? NULL : list->head.next;
}

static inline struct sl_link *sl_list_last(const struct sl_list *list)
{
    return sl_list_is_empty(list) ? NULL : list->head.prev;
}

/* The link after `link`, or NULL at the end. */
static inline struct sl_link *sl_list_next(const struct sl_list *list, const struct sl_link *link)
{
    return link->next == &list->head ? NULL : link->next;
}

/* Removes and returns the first link, or NULL. */
static inline struct sl_link *sl_list_pop_front(struct sl_list *list)
{
    struct sl_link *first = sl_list_first(list);
    if (first)
        sl_list_remove(first);
    return first;
}

/* All of `from` behind what is in `to`; `from` is empty afterwards. */
static inline void sl_list_append_all(struct sl_list *to, struct sl_list *from)
{
    if (sl_list_is_empty(from))
        return;
    from->head.next->prev = to->head.prev;
    to->head.prev->next = from->head.next;
    from->head.prev->next = &to->head;
    to->head.prev = from->head.prev;
    sl_list_init(from);
}

/* Walks the list; the body must not remove `link` (SL_LIST_EACH_SAFE may). */
#define SL_LIST_EACH(list, link) \
    for (struct sl_link *link = (list)->head.next; link != &(list)->head; link = link->next)

#define SL_LIST_EACH_SAFE(list, link)                                         \
    for (struct sl_link *link = (list)->head.next, *link##_next = link->next; \
         link != &(list)->head; link = link##_next, link##_next = link->next)

#endif
