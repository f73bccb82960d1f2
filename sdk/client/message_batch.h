/* message_batch.h: what the rest of the library sees of a batch. */
#ifndef SLUICE_CLIENT_MESSAGE_BATCH_H
#define SLUICE_CLIENT_MESSAGE_BATCH_H

#include <sluice/client.h>

/* Its records as they stand in a frame. Borrowed. */
struct sluice_bytes message_batch_records(const struct sluice_message_batch *batch);

#endif
