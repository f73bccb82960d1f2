/* access_store.h: access rules and credentials of users, fed from shard 0's log.
 *
 * Nothing changes but through access_store_apply, with the payload of an ACL or CREDENTIAL item:
 * after it became durable, and at recovery. One thread.
 *
 * Payload of CREDENTIAL (little-endian, version 1): mechanism u8 (1: SCRAM-SHA-256, 2:
 * SCRAM-SHA-512), zero u8, iterations u32 (0: the credential is gone, and with it all that follows
 * the name), size of the name u16, of the salt u8, of each key u8, name, salt, stored key, server
 * key (RFC 5802). No password is ever stored. */
#ifndef SL_CATALOG_ACCESS_STORE_H
#define SL_CATALOG_ACCESS_STORE_H

#include "catalog/acl.h"
#include "wal/item.h"

#define CREDENTIAL_ITEM_VERSION   1u
#define CREDENTIAL_NAME_BYTES_MAX 255u
#define CREDENTIAL_SALT_BYTES_MAX 128u
#define CREDENTIAL_KEY_BYTES_MAX  64u
#define CREDENTIAL_ITERATIONS_MIN 4096
#define CREDENTIAL_ITERATIONS_MAX 16384 /* as in Kafka */
#define CREDENTIAL_ITEM_BYTES_MAX \
    (10u + CREDENTIAL_NAME_BYTES_MAX + CREDENTIAL_SALT_BYTES_MAX + 2 * CREDENTIAL_KEY_BYTES_MAX)
#define ACCESS_ACLS_MAX  100000u
#define ACCESS_USERS_MAX 100000u /* credentials */

/* Bytes of the mechanism's keys; 0: no such mechanism. */
static inline uint32_t credential_key_bytes(int32_t mechanism)
{
    return mechanism == SLUICE_SCRAM_SHA_256 ? 32u : mechanism == SLUICE_SCRAM_SHA_512 ? 64u : 0u;
}

struct credential {
    struct chain_link link; /* the store's */
    uint8_t mechanism;      /* SLUICE_SCRAM_* */
    uint8_t salt_size;
    uint8_t key_size;
    int32_t iterations; /* 0: gone */
    char name[CREDENTIAL_NAME_BYTES_MAX + 1u];
    uint8_t salt[CREDENTIAL_SALT_BYTES_MAX];
    uint8_t stored_key[CREDENTIAL_KEY_BYTES_MAX];
    uint8_t server_key[CREDENTIAL_KEY_BYTES_MAX];
};

struct access_store {
    struct chain_map acls;        /* struct acl */
    struct chain_map credentials; /* struct credential */
};

sl_err access_store_init(struct access_store *store) SL_MUST_CHECK;
void access_store_fini(struct access_store *store); /* also of a zeroed one */
/* E_CORRUPT, E_NEWER_FORMAT, E_NO_MEMORY. What is there already, or gone, changes nothing. */
sl_err access_store_apply(struct access_store *store, uint16_t kind, uint8_t version,
                          struct sl_bytes payload) SL_MUST_CHECK;
bool access_store_has(const struct access_store *store, const struct sluice_acl *rule);
/* NULL: none. Valid until the next apply. */
const struct credential *access_store_find(const struct access_store *store, struct sl_bytes name,
                                           int32_t mechanism);
/* All of them, in no order. */
void access_store_each_acl(const struct access_store *store,
                           void (*visit)(void *arg, struct acl *acl), void *arg);
void access_store_each_credential(const struct access_store *store,
                                  void (*visit)(void *arg, const struct credential *credential),
                                  void *arg);

size_t credential_item_encode(const struct credential *credential,
                              uint8_t ret_payload[CREDENTIAL_ITEM_BYTES_MAX]);
sl_err credential_item_decode(uint8_t version, struct sl_bytes payload,
                              struct credential *ret_credential) SL_MUST_CHECK;

#endif
