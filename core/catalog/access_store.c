/* access_store.c: see access_store.h. */
#include "catalog/access_store.h"

#include "base/hash.h"
#include "catalog/item_codec.h"

#include <string.h>

static struct acl *acl_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct acl, link);
}

static struct credential *credential_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct credential, link);
}

struct credential_key {
    struct sl_bytes name;
    int32_t mechanism;
};

static bool acl_link_matches(const struct chain_link *link, const void *rule)
{
    return acl_equal(acl_of(link), rule);
}

static bool credential_link_matches(const struct chain_link *link, const void *arg)
{
    const struct credential_key *key = arg;
    const struct credential *credential = credential_of(link);
    return credential->mechanism == key->mechanism &&
           sl_bytes_equal(sl_bytes_of_text(credential->name), key->name);
}

static uint64_t credential_hash(const struct credential_key *key)
{
    return sl_hash64(key->name.data, key->name.size) + (uint64_t)key->mechanism;
}

sl_err access_store_init(struct access_store *store)
{
    sl_err err = chain_map_init(&store->acls);
    if (err == SLUICE_OK && (err = chain_map_init(&store->credentials)) != SLUICE_OK) {
        chain_map_fini(&store->acls);
    }
    return err;
}

static void free_acl(void *arg, struct chain_link *link)
{
    (void)arg;
    acl_unref(acl_of(link));
}

static void free_credential(void *arg, struct chain_link *link)
{
    (void)arg;
    struct credential *credential = credential_of(link);
    explicit_bzero(credential, sizeof(*credential));
    sl_free(credential);
}

void access_store_fini(struct access_store *store)
{
    chain_map_each(&store->acls, free_acl, NULL);
    chain_map_each(&store->credentials, free_credential, NULL);
    chain_map_fini(&store->acls);
    chain_map_fini(&store->credentials);
}

/* ---- rules ---- */

static struct chain_link *find_acl(const struct access_store *store, const struct sluice_acl *rule)
{
    return chain_map_get(&store->acls, acl_hash(rule), acl_link_matches, rule);
}

bool access_store_has(const struct access_store *store, const struct sluice_acl *rule)
{
    return find_acl(store, rule) != NULL;
}

static sl_err apply_acl(struct access_store *store, uint8_t version, struct sl_bytes payload)
{
    struct sluice_acl rule;
    bool gone = false;
    sl_err err = acl_item_decode(version, payload, &rule, &gone);
    if (err != SLUICE_OK) {
        return err;
    }
    struct chain_link *link = find_acl(store, &rule);
    if (gone && link != NULL) {
        chain_map_remove(&store->acls, link);
        acl_unref(acl_of(link));
    } else if (!gone && link == NULL) {
        struct acl *acl = acl_new(&rule);
        if (acl == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        chain_map_put(&store->acls, &acl->link, acl_hash(&rule));
    }
    return SLUICE_OK;
}

struct acl_each {
    void (*visit)(void *arg, struct acl *acl);
    void *arg;
};

static void visit_acl(void *arg, struct chain_link *link)
{
    const struct acl_each *each = arg;
    each->visit(each->arg, acl_of(link));
}

void access_store_each_acl(const struct access_store *store,
                           void (*visit)(void *arg, struct acl *acl), void *arg)
{
    struct acl_each each = {visit, arg};
    chain_map_each(&store->acls, visit_acl, &each);
}

/* ---- credentials ---- */

size_t credential_item_encode(const struct credential *credential,
                              uint8_t ret_payload[CREDENTIAL_ITEM_BYTES_MAX])
{
    struct sl_bytes name = sl_bytes_of_text(credential->name);
    bool gone = credential->iterations == 0;
    uint8_t salt_size = gone ? 0 : credential->salt_size;
    uint8_t key_size = gone ? 0 : credential->key_size;
    uint8_t *at = item_write_u8(ret_payload, credential->mechanism);
    at = item_write_u8(at, 0);
    at = item_write_u32(at, (uint32_t)credential->iterations);
    at = item_write_u16(at, (uint16_t)name.size);
    at = item_write_u8(at, salt_size);
    at = item_write_u8(at, key_size);
    at = item_write_bytes(at, name);
    at = item_write_bytes(at, (struct sl_bytes){credential->salt, salt_size});
    at = item_write_bytes(at, (struct sl_bytes){credential->stored_key, key_size});
    at = item_write_bytes(at, (struct sl_bytes){credential->server_key, key_size});
    return (size_t)(at - ret_payload);
}

static bool is_sound(const struct credential *credential)
{
    if (credential_key_bytes(credential->mechanism) == 0) {
        return false;
    }
    if (credential->iterations == 0) {
        return credential->salt_size == 0 && credential->key_size == 0;
    }
    return credential->iterations > 0 && credential->salt_size > 0 &&
           credential->key_size == credential_key_bytes(credential->mechanism);
}

sl_err credential_item_decode(uint8_t version, struct sl_bytes payload,
                              struct credential *ret_credential)
{
    struct item_reader reader = item_reader_of(payload);
    struct credential read = {0};
    if (version != CREDENTIAL_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    read.mechanism = item_read_u8(&reader);
    uint8_t zero = item_read_u8(&reader);
    read.iterations = (int32_t)item_read_u32(&reader);
    uint16_t name_size = item_read_u16(&reader);
    read.salt_size = item_read_u8(&reader);
    read.key_size = item_read_u8(&reader);
    if (name_size == 0 || name_size > CREDENTIAL_NAME_BYTES_MAX ||
        read.salt_size > CREDENTIAL_SALT_BYTES_MAX || read.key_size > CREDENTIAL_KEY_BYTES_MAX) {
        return SLUICE_E_CORRUPT;
    }
    struct sl_bytes name = item_read_bytes(&reader, name_size);
    sl_bytes_copy(read.salt, item_read_bytes(&reader, read.salt_size));
    sl_bytes_copy(read.stored_key, item_read_bytes(&reader, read.key_size));
    sl_bytes_copy(read.server_key, item_read_bytes(&reader, read.key_size));
    bool ok = item_read_end(&reader) && zero == 0 && memchr(name.data, 0, name.size) == NULL;
    if (!ok || !is_sound(&read)) {
        return SLUICE_E_CORRUPT;
    }
    sl_bytes_copy(read.name, name);
    *ret_credential = read;
    return SLUICE_OK;
}

static struct credential *find_credential(const struct access_store *store, struct sl_bytes name,
                                          int32_t mechanism)
{
    struct credential_key key = {name, mechanism};
    struct chain_link *link =
        chain_map_get(&store->credentials, credential_hash(&key), credential_link_matches, &key);
    return link == NULL ? NULL : credential_of(link);
}

const struct credential *access_store_find(const struct access_store *store, struct sl_bytes name,
                                           int32_t mechanism)
{
    return find_credential(store, name, mechanism);
}

static sl_err apply_credential(struct access_store *store, uint8_t version, struct sl_bytes payload)
{
    struct credential read;
    sl_err err = credential_item_decode(version, payload, &read);
    if (err != SLUICE_OK) {
        return err;
    }
    struct credential_key key = {sl_bytes_of_text(read.name), read.mechanism};
    struct credential *known = find_credential(store, key.name, key.mechanism);
    if (known != NULL) {
        chain_map_remove(&store->credentials, &known->link);
        free_credential(NULL, &known->link);
    }
    if (read.iterations > 0) {
        struct credential *credential = sl_alloc(sizeof(*credential));
        if (credential == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        *credential = read;
        chain_map_put(&store->credentials, &credential->link, credential_hash(&key));
    }
    explicit_bzero(&read, sizeof(read));
    return SLUICE_OK;
}

struct credential_each {
    void (*visit)(void *arg, const struct credential *credential);
    void *arg;
};

static void visit_credential(void *arg, struct chain_link *link)
{
    const struct credential_each *each = arg;
    each->visit(each->arg, credential_of(link));
}

void access_store_each_credential(const struct access_store *store,
                                  void (*visit)(void *arg, const struct credential *credential),
                                  void *arg)
{
    struct credential_each each = {visit, arg};
    chain_map_each(&store->credentials, visit_credential, &each);
}

sl_err access_store_apply(struct access_store *store, uint16_t kind, uint8_t version,
                          struct sl_bytes payload)
{
    return kind == WAL_ITEM_ACL ? apply_acl(store, version, payload)
                                : apply_credential(store, version, payload);
}
