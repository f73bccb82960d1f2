/* offset_item.h: the payloads of OFFSET_* items, decoded; offset_store.h describes the bytes.
 * Private. */
#ifndef SL_DELIVER_OFFSET_ITEM_H
#define SL_DELIVER_OFFSET_ITEM_H

#include "deliver/offset_store.h"

/* Views into the payload. E_CORRUPT; E_NEWER_FORMAT for a kind of forgetting that is not known.
 * [any] */
sl_err offset_item_commit(struct sl_bytes payload, struct offset_commit *ret_commit) SL_MUST_CHECK;
sl_err offset_item_forget(struct sl_bytes payload, struct offset_forget *ret_forget) SL_MUST_CHECK;

#endif
