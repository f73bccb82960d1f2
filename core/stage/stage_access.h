/* stage_access.h: what access rules say of a plugin that acts as Plugin:<name>.
 *
 * Its rights are the topics that the configuration gives it; a rule cannot give more, and one that
 * denies takes them away while it is there: a stage waits, a gate refuses, and a record that it
 * emits to a denied topic is rejected (authorizer.h). [loop] */
#ifndef SL_STAGE_STAGE_ACCESS_H
#define SL_STAGE_STAGE_ACCESS_H

#include "stage/stage_output.h"

/* Whether a rule in force on the shard's loop denies `operation` (SLUICE_OP_*) on the topic. */
bool stage_access_denies(const struct output_rules *rules, int32_t operation,
                         struct sl_bytes topic);

#endif
