/* Rules and credentials through their items, as the log gives them back. */
#include "base/bytes.h"
#include "catalog/access_store.h"

#include <criterion/criterion.h>
#include <string.h>

static struct sluice_acl rule_of(const char *name)
{
    return (struct sluice_acl){.resource = SLUICE_ACL_TOPIC,
                               .pattern = SLUICE_PATTERN_LITERAL,
                               .operation = SLUICE_OP_READ,
                               .permission = SLUICE_RULE_ALLOW,
                               .name = sluice_text_of(name),
                               .principal = sluice_text_of("User:a"),
                               .host = sluice_text_of("*")};
}

static void apply_rule(struct access_store *store, const char *name, bool gone)
{
    struct sluice_acl rule = rule_of(name);
    struct sl_bytes payload;
    cr_assert_eq(acl_item_encode(&rule, gone, &payload), SLUICE_OK);
    cr_assert_eq(access_store_apply(store, WAL_ITEM_ACL, ACL_ITEM_VERSION, payload), SLUICE_OK);
    sl_free((void *)(uintptr_t)payload.data);
}

Test(access_store, rules_come_and_go_and_coming_twice_is_once)
{
    struct access_store store;
    cr_assert_eq(access_store_init(&store), SLUICE_OK);
    apply_rule(&store, "a", false);
    apply_rule(&store, "a", false);
    apply_rule(&store, "b", false);
    cr_assert_eq(store.acls.count, 2);
    apply_rule(&store, "a", true);
    apply_rule(&store, "a", true);
    struct sluice_acl gone = rule_of("a");
    struct sluice_acl kept = rule_of("b");
    cr_assert(!access_store_has(&store, &gone));
    cr_assert(access_store_has(&store, &kept));
    access_store_fini(&store);
}

Test(access_store, a_credential_replaces_the_one_of_its_name_and_mechanism)
{
    struct access_store store;
    uint8_t payload[CREDENTIAL_ITEM_BYTES_MAX];
    struct credential credential = {.mechanism = SLUICE_SCRAM_SHA_256,
                                    .salt_size = 16,
                                    .key_size = 32,
                                    .iterations = 4096,
                                    .name = "alice"};
    cr_assert_eq(access_store_init(&store), SLUICE_OK);
    for (int32_t iterations = 4096; iterations <= 8192; iterations *= 2) {
        credential.iterations = iterations;
        size_t size = credential_item_encode(&credential, payload);
        cr_assert_eq(access_store_apply(&store, WAL_ITEM_CREDENTIAL, CREDENTIAL_ITEM_VERSION,
                                        sl_bytes_of(payload, size)),
                     SLUICE_OK);
    }
    cr_assert_eq(store.credentials.count, 1);
    struct sl_bytes alice = sl_bytes_of_text("alice");
    cr_assert_eq(access_store_find(&store, alice, SLUICE_SCRAM_SHA_256)->iterations, 8192);
    cr_assert_null(access_store_find(&store, alice, SLUICE_SCRAM_SHA_512));
    credential.iterations = 0;
    size_t size = credential_item_encode(&credential, payload);
    cr_assert_eq(access_store_apply(&store, WAL_ITEM_CREDENTIAL, CREDENTIAL_ITEM_VERSION,
                                    sl_bytes_of(payload, size)),
                 SLUICE_OK);
    cr_assert_eq(store.credentials.count, 0);
    access_store_fini(&store);
}

Test(access_store, refuses_items_that_cannot_be)
{
    struct access_store store;
    struct sluice_acl rule = rule_of("a");
    struct sl_bytes payload;
    cr_assert_eq(access_store_init(&store), SLUICE_OK);
    cr_assert_eq(acl_item_encode(&rule, false, &payload), SLUICE_OK);
    for (size_t size = 0; size < payload.size; size++) {
        struct sl_bytes cut = {payload.data, size};
        cr_assert_eq(access_store_apply(&store, WAL_ITEM_ACL, ACL_ITEM_VERSION, cut),
                     SLUICE_E_CORRUPT);
        cr_assert_eq(access_store_apply(&store, WAL_ITEM_CREDENTIAL, CREDENTIAL_ITEM_VERSION, cut),
                     SLUICE_E_CORRUPT);
    }
    cr_assert_eq(access_store_apply(&store, WAL_ITEM_ACL, 2, payload), SLUICE_E_NEWER_FORMAT);
    sl_free((void *)(uintptr_t)payload.data);
    access_store_fini(&store);
}
