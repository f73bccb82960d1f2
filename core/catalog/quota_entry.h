/* quota_entry.h: whose use is limited, and how much of what: Kafka's client quotas as data.
 *
 * An entity is a user, a client id, both, or an address; each named, or "default": all that have
 * none of their own. What may be said of it is the table of keys below, as in Kafka's
 * ClientQuotaControlManager.
 *
 * Payload of a QUOTA item (little-endian, version 1): key u8, flags u8 (bit 0: it is gone, its
 * value is 0), then of user, client id and address its kind u8 (0 not part of the entity, 1 named,
 * 2 default), zero u8, their sizes u16 (0 unless named), value u64 (IEEE 754), the names. [any] */
#ifndef SL_CATALOG_QUOTA_ENTRY_H
#define SL_CATALOG_QUOTA_ENTRY_H

#include "catalog/chain_map.h"

#include <sluice/quota.h>

#define QUOTA_ITEM_VERSION   1u
#define QUOTA_NAME_BYTES_MAX 1023u
#define QUOTA_ITEM_BYTES_MAX (20u + QUOTA_PARTS * QUOTA_NAME_BYTES_MAX)
#define QUOTA_ENTITIES_MAX   10000u
#define QUOTA_REASON_BYTES   160u

/* The parts of an entity, in the order of struct sluice_quota_entity. */
enum { QUOTA_USER, QUOTA_CLIENT, QUOTA_IP, QUOTA_PARTS };
enum { QUOTA_PART_NONE, QUOTA_PART_NAMED, QUOTA_PART_DEFAULT };

/* The kinds (SLUICE_QUOTA_*) with the name that configures them. */
const char *quota_kind_name(int32_t kind);     /* NULL: there is none */
int32_t quota_kind_of(struct sluice_text key); /* 0: there is none */

/* The limits of one entity; texts lie behind it. */
struct quota_entry {
    struct chain_link link;
    struct sluice_quota_entity entity;
    double limits[SLUICE_QUOTA_KINDS + 1]; /* by kind; 0: none */
};

/* No limit is set. On the heap, with a copy of the texts. NULL: no memory. */
struct quota_entry *quota_entry_new(const struct sluice_quota_entity *entity);
bool quota_entry_is_empty(const struct quota_entry *entry);
uint64_t quota_entity_hash(const struct sluice_quota_entity *entity);
bool quota_entity_equal(const struct sluice_quota_entity *a, const struct sluice_quota_entity *b);
int quota_part_kind(struct sluice_text part); /* QUOTA_PART_* */
/* By QUOTA_USER …; the entity's member. */
struct sluice_text quota_entity_part(const struct sluice_quota_entity *entity, int part);

/* Whether there can be such an entity; whether it can have such a limit (value 0: none any more).
 * E_INVALID_REQUEST, E_CONFIG_VALUE … with a sentence. */
sl_err quota_entity_check(const struct sluice_quota_entity *entity,
                          char ret_reason[QUOTA_REASON_BYTES]) SL_MUST_CHECK;
sl_err quota_value_check(const struct sluice_quota_entity *entity,
                         const struct sluice_quota_value *value,
                         char ret_reason[QUOTA_REASON_BYTES]) SL_MUST_CHECK;

size_t quota_item_encode(const struct sluice_quota_entity *entity, int32_t kind, double value,
                         uint8_t ret_payload[QUOTA_ITEM_BYTES_MAX]);
/* Views into the payload. E_NEWER_FORMAT, E_CORRUPT. */
sl_err quota_item_decode(uint8_t version, struct sl_bytes payload,
                         struct sluice_quota_entity *ret_entity, int32_t *ret_kind,
                         double *ret_value) SL_MUST_CHECK;

#endif
