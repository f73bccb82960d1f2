/* acl.h: one access rule: immutable, shared by counting references, and its item of the log.
 *
 * Payload of ACL (little-endian, version 1): flags u8 (bit 0: the rule is gone), resource u8,
 * pattern u8, operation u8, permission u8, zero u8, size of the name u16, of the principal u16, of
 * the host u16, name, principal, host. Numbers are those of <sluice/security.h>, which are Kafka's.
 * [any] */
#ifndef SL_CATALOG_ACL_H
#define SL_CATALOG_ACL_H

#include "base/base.h"
#include "catalog/chain_map.h"

#include <sluice/security.h>

#define ACL_ITEM_VERSION        1u
#define ACL_NAME_BYTES_MAX      1023u
#define ACL_PRINCIPAL_BYTES_MAX 1023u
#define ACL_HOST_BYTES_MAX      255u
#define ACL_REASON_BYTES        160u

struct acl {
    struct chain_link link; /* of the store that has it */
    uint32_t refs;
    uint8_t resource, pattern, operation, permission; /* SLUICE_ACL_* … */
    bool from_file;                                   /* cannot be deleted by a client */
    struct sl_bytes name, principal, host;            /* NUL-terminated, behind the struct */
};

/* Whether a client may make it: numbers, sizes, what fits together. E_INVALID with a sentence. */
sl_err acl_check(const struct sluice_acl *rule, char ret_reason[ACL_REASON_BYTES]) SL_MUST_CHECK;
/* A copy with one reference; NULL: no memory. */
struct acl *acl_new(const struct sluice_acl *rule);
struct acl *acl_ref(struct acl *acl);
struct acl *acl_unref(struct acl *acl); /* NULL is fine; returns NULL */
/* A view of it, valid as long as the reference. */
struct sluice_acl acl_view(const struct acl *acl);
/* Whether a filter matches it. */
bool acl_matches(const struct acl *acl, const struct sluice_acl *filter);
/* E_INVALID with a sentence: it is not one. */
sl_err acl_filter_check(const struct sluice_acl *filter,
                        char ret_reason[ACL_REASON_BYTES]) SL_MUST_CHECK;
bool acl_equal(const struct acl *acl, const struct sluice_acl *rule);
uint64_t acl_hash(const struct sluice_acl *rule);

/* [caller frees ret_payload->data] E_NO_MEMORY. */
sl_err acl_item_encode(const struct sluice_acl *rule, bool gone,
                       struct sl_bytes *ret_payload) SL_MUST_CHECK;
/* Views into the payload. E_CORRUPT, E_NEWER_FORMAT. */
sl_err acl_item_decode(uint8_t version, struct sl_bytes payload, struct sluice_acl *ret_rule,
                       bool *ret_gone) SL_MUST_CHECK;

#endif
