/* json_same.h: whether two texts say the same in JSON (RFC 8259): order of members, spaces and the
 * way a string is escaped do not matter; numbers are compared by their digits, so that 2^53 + 1 is
 * not 2^53. [any] */
#ifndef SL_WORKBENCH_JSON_SAME_H
#define SL_WORKBENCH_JSON_SAME_H

#include "base/base.h"

#define JSON_SAME_DEPTH_MAX 64u

/* False also when one of them is no JSON, or nests deeper than JSON_SAME_DEPTH_MAX. */
bool json_same(struct sl_bytes a, struct sl_bytes b);

#endif
