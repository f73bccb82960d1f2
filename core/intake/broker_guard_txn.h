/* broker_guard_txn.h: the calls of transactions, for who may make them (broker_guard.h): to write
 * as a transactional id, to the topics it names, for the groups whose offsets it commits. [loop] */
#ifndef SL_INTAKE_BROKER_GUARD_TXN_H
#define SL_INTAKE_BROKER_GUARD_TXN_H

#include "intake/broker_guard.h"

/* Fills in the calls. */
void broker_guard_txn_init(struct sluice_broker *table);
/* Whether the principal may write as this transactional id. */
bool broker_guard_may_write_as(struct broker_guard *guard, const struct sluice_context *context,
                               struct sluice_text id);

#endif
