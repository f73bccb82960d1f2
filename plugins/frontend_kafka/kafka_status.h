/* kafka_status.h: outcomes of the broker as Kafka's error codes, from the one table in status.h.
 * [any] */
#ifndef KAFKA_STATUS_H
#define KAFKA_STATUS_H

#include "kafka_codec.h"

/* Codes without a row in the table: they are the protocol's own affair. */
#define KAFKA_TRANSACTIONAL_ID_AUTHORIZATION_FAILED 53
#define KAFKA_LEADER_NOT_AVAILABLE                  5
/* What a slot of a response says until the broker has answered it; a done with fewer results than
 * were asked for had no memory for them. UNKNOWN_SERVER_ERROR. */
#define KAFKA_NO_ANSWER (-1)

/* The kafka column; -1 (UNKNOWN_SERVER_ERROR) for a status that is not in the table. */
int16_t kafka_status_code(sluice_status status);
/* The table's sentence. */
const char *kafka_status_text(sluice_status status);

#endif
