/* frontend_message_set.h: the extension "sluice.message_set/1": older formats of records for
 * frontends (<sluice/message_set.h>). */
#ifndef SL_INTAKE_FRONTEND_MESSAGE_SET_H
#define SL_INTAKE_FRONTEND_MESSAGE_SET_H

#include "base/base.h"

#include <sluice/message_set.h>

/* Without a state of its own: any thread may convert. */
struct frontend_message_set {
    struct sluice_message_set_host host;
    size_t expanded_bytes_max;
};

/* expanded_bytes_max: of one batch or wrapper, and of what is made of a set. */
void frontend_message_set_init(struct frontend_message_set *sets, size_t expanded_bytes_max);

#endif
