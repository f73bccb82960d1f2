/* config_answer.h: the broker's configuration entries in Kafka's numbers, and as copies that live
 * as long as a call. */
#ifndef CONFIG_ANSWER_H
#define CONFIG_ANSWER_H

#include "kafka_call.h"

#define KAFKA_CONFIG_SOURCE_TOPIC          1 /* DYNAMIC_TOPIC_CONFIG */
#define KAFKA_CONFIG_SOURCE_BROKER         4 /* STATIC_BROKER_CONFIG */
#define KAFKA_CONFIG_SOURCE_DEFAULT        5 /* DEFAULT_CONFIG */
#define KAFKA_CONFIG_SOURCE_LOGGER         6 /* DYNAMIC_BROKER_LOGGER_CONFIG */
#define KAFKA_CONFIG_SOURCE_CLIENT_METRICS 7 /* CLIENT_METRICS_CONFIG */
#define KAFKA_CONFIG_SOURCE_GROUP          8 /* GROUP_CONFIG */

int32_t kafka_config_resource(int8_t type); /* SLUICE_RESOURCE_*; 0: there is no such type */

int8_t kafka_config_source(int32_t source); /* of SLUICE_CONFIG_SOURCE_*; 0: unknown */
int8_t kafka_config_type(int32_t type);     /* of SLUICE_CONFIG_TYPE_*; 0: unknown */
/* A sensitive value is not shown. */
struct sluice_text kafka_config_value(const struct sluice_config_entry *entry);

#endif
