/* quota_book.c: see quota_book.h. */
#include "admit/quota_book.h"

#include "base/bytes.h"
#include "base/siphash.h"

#include <string.h>

/* Nanoseconds a second that one percent stands for. */
#define PERCENT_NS 1e7

struct metered {
    struct chain_link link;
    int32_t kind;
    uint16_t user_size, client_size;
    struct quota_meter meter;
    uint8_t names[]; /* user, client id */
};

struct quota_book {
    atomic_flag locked;
    struct quota_windows windows;
    struct chain_map entries; /* struct quota_entry */
    struct chain_map meters;  /* struct metered */
    struct quota_meter rest;  /* of all that have none, for lack of room */
    _Atomic uint32_t kinds;   /* a bit for each that is limited for anybody */
    uint32_t shapes;          /* a bit for each shape of entity that is there */
    int64_t swept_ms;         /* idle meters were looked for, not oftener than once a window */
    uint8_t hash_key[16];     /* who chooses client ids shall not choose where they lie */
};

static void lock(struct quota_book *book)
{
    while (atomic_flag_test_and_set_explicit(&book->locked, memory_order_acquire)) {
    }
}

static void unlock(struct quota_book *book)
{
    atomic_flag_clear_explicit(&book->locked, memory_order_release);
}

static struct quota_entry *entry_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct quota_entry, link);
}

static struct metered *metered_of(const struct chain_link *link)
{
    return SL_CONTAINER_OF(link, struct metered, link);
}

/* ---- life ---- */

sl_err quota_book_new(const struct quota_windows *windows, const uint8_t hash_key[16],
                      struct quota_book **ret_book)
{
    struct quota_book *book = sl_alloc_zero(1, sizeof(*book));
    if (book == NULL) {
        return SLUICE_E_NO_MEMORY;
    }
    atomic_flag_clear(&book->locked);
    book->windows = *windows;
    memcpy(book->hash_key, hash_key, sizeof(book->hash_key));
    if (chain_map_init(&book->entries) != SLUICE_OK || chain_map_init(&book->meters) != SLUICE_OK) {
        quota_book_free(book);
        return SLUICE_E_NO_MEMORY;
    }
    *ret_book = book;
    return SLUICE_OK;
}

static void free_entry(void *arg, struct chain_link *link)
{
    (void)arg;
    sl_free(entry_of(link));
}

static void drop_meter(void *arg, struct chain_link *link)
{
    struct quota_book *book = arg;
    chain_map_remove(&book->meters, link);
    sl_free(metered_of(link));
}

struct quota_book *quota_book_free(struct quota_book *book)
{
    if (book != NULL) {
        if (book->entries.buckets != NULL) {
            chain_map_each(&book->entries, free_entry, NULL);
        }
        if (book->meters.buckets != NULL) {
            chain_map_each(&book->meters, drop_meter, book);
        }
        chain_map_fini(&book->entries);
        chain_map_fini(&book->meters);
        sl_free(book);
    }
    return NULL;
}

void quota_book_set_windows(struct quota_book *book, const struct quota_windows *windows)
{
    lock(book);
    if (windows->count != book->windows.count || windows->window_ms != book->windows.window_ms) {
        book->windows = *windows;
        chain_map_each(&book->meters, drop_meter, book);
        memset(&book->rest, 0, sizeof(book->rest));
    }
    unlock(book);
}

/* ---- limits ---- */

static bool entry_matches(const struct chain_link *link, const void *entity)
{
    return quota_entity_equal(&entry_of(link)->entity, entity);
}

static struct quota_entry *find(const struct quota_book *book,
                                const struct sluice_quota_entity *entity)
{
    struct chain_link *link =
        chain_map_get(&book->entries, quota_entity_hash(entity), entry_matches, entity);
    return link == NULL ? NULL : entry_of(link);
}

/* Of an entity: its parts' kinds as a number below 32. */
static uint32_t shape_of(const struct sluice_quota_entity *entity)
{
    uint32_t shape = 0;
    for (int i = 0; i < QUOTA_PARTS; i++) {
        shape = shape * 3 + (uint32_t)quota_part_kind(quota_entity_part(entity, i));
    }
    return shape;
}

struct summary {
    uint32_t kinds, shapes;
};

static void sum_up(void *arg, struct chain_link *link)
{
    struct summary *summary = arg;
    const struct quota_entry *entry = entry_of(link);
    summary->shapes |= 1u << shape_of(&entry->entity);
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        summary->kinds |= entry->limits[kind] > 0 ? 1u << kind : 0;
    }
}

static void settle(struct quota_book *book)
{
    struct summary summary = {0, 0};
    chain_map_each(&book->entries, sum_up, &summary);
    book->shapes = summary.shapes;
    atomic_store_explicit(&book->kinds, summary.kinds, memory_order_release);
}

sl_err quota_book_apply(struct quota_book *book, uint8_t version, struct sl_bytes payload)
{
    struct sluice_quota_entity entity;
    int32_t kind = 0;
    double value = 0;
    sl_err err = quota_item_decode(version, payload, &entity, &kind, &value);
    if (err != SLUICE_OK) {
        return err;
    }
    struct quota_entry *known = find(book, &entity);
    struct quota_entry *made = known == NULL && value > 0 ? quota_entry_new(&entity) : NULL;
    struct quota_entry *entry = known != NULL ? known : made;
    if (entry == NULL) {
        return value > 0 ? SLUICE_E_NO_MEMORY : SLUICE_OK;
    }
    lock(book);
    entry->limits[kind] = value;
    if (made != NULL) {
        chain_map_put(&book->entries, &made->link, quota_entity_hash(&made->entity));
    }
    if (quota_entry_is_empty(entry)) {
        chain_map_remove(&book->entries, &entry->link);
        sl_free(entry);
    }
    settle(book);
    unlock(book);
    return SLUICE_OK;
}

uint32_t quota_book_count(const struct quota_book *book)
{
    return book->entries.count;
}

uint32_t quota_book_visit(const struct quota_book *book, uint32_t bucket, uint32_t count,
                          void (*visit)(void *arg, struct chain_link *link), void *arg)
{
    return chain_map_visit(&book->entries, bucket, count, visit, arg);
}

bool quota_book_limits(const struct quota_book *book, int32_t kind)
{
    return (atomic_load_explicit(&book->kinds, memory_order_acquire) & 1u << kind) != 0;
}

/* ---- which one holds ---- */

static struct sluice_text text_of(struct sl_bytes bytes)
{
    return (struct sluice_text){bytes.size > 0 ? (const char *)bytes.data : "", bytes.size};
}

struct holding {
    double limit;                    /* 0: none */
    struct sl_bytes user, client_id; /* what is counted together */
};

/* Shapes in their order: what stands for user and for client id. */
static const struct {
    int user, client;
} order[] = {
    {QUOTA_PART_NAMED, QUOTA_PART_NAMED},     {QUOTA_PART_NAMED, QUOTA_PART_DEFAULT},
    {QUOTA_PART_NAMED, QUOTA_PART_NONE},      {QUOTA_PART_DEFAULT, QUOTA_PART_NAMED},
    {QUOTA_PART_DEFAULT, QUOTA_PART_DEFAULT}, {QUOTA_PART_DEFAULT, QUOTA_PART_NONE},
    {QUOTA_PART_NONE, QUOTA_PART_NAMED},      {QUOTA_PART_NONE, QUOTA_PART_DEFAULT},
};

static bool make_part(int kind, struct sl_bytes name, struct sluice_text *ret_part)
{
    static const struct sluice_text none = {NULL, 0};
    static const struct sluice_text all = {"", 0};
    *ret_part = kind == QUOTA_PART_NONE ? none : kind == QUOTA_PART_DEFAULT ? all : text_of(name);
    return kind == QUOTA_PART_NONE || name.size > 0; /* who has no name has no default either */
}

static double limit_of(const struct quota_book *book, const struct sluice_quota_entity *entity,
                       int32_t kind)
{
    const struct quota_entry *entry =
        (book->shapes & 1u << shape_of(entity)) != 0 ? find(book, entity) : NULL;
    return entry != NULL ? entry->limits[kind] : 0;
}

static struct holding find_address_limit(const struct quota_book *book, struct sl_bytes ip,
                                         int32_t kind)
{
    struct sluice_quota_entity entity = {{NULL, 0}, {NULL, 0}, text_of(ip)};
    struct holding holding = {.limit = limit_of(book, &entity, kind), .user = ip};
    if (holding.limit <= 0) {
        entity.ip = (struct sluice_text){"", 0};
        holding.limit = limit_of(book, &entity, kind);
    }
    return holding;
}

static struct holding find_limit(const struct quota_book *book, const struct quota_user *user,
                                 int32_t kind)
{
    if (kind == SLUICE_QUOTA_CONNECTIONS) {
        return find_address_limit(book, user->ip, kind);
    }
    for (size_t i = 0; i < SL_COUNT_OF(order); i++) {
        struct sluice_quota_entity entity = {.ip = {NULL, 0}};
        if (!make_part(order[i].user, user->user, &entity.user) ||
            !make_part(order[i].client, user->client_id, &entity.client_id)) {
            continue;
        }
        double limit = limit_of(book, &entity, kind);
        if (limit > 0) {
            static const struct sl_bytes none = {NULL, 0};
            return (struct holding){limit, order[i].user != QUOTA_PART_NONE ? user->user : none,
                                    order[i].client != QUOTA_PART_NONE ? user->client_id : none};
        }
    }
    return (struct holding){.limit = 0};
}

/* ---- who used what ---- */

struct meter_key {
    int32_t kind;
    struct sl_bytes user, client_id;
};

static bool meter_matches(const struct chain_link *link, const void *arg)
{
    const struct metered *metered = metered_of(link);
    const struct meter_key *key = arg;
    return metered->kind == key->kind &&
           sl_bytes_equal(sl_bytes_of(metered->names, metered->user_size), key->user) &&
           sl_bytes_equal(sl_bytes_of(metered->names + metered->user_size, metered->client_size),
                          key->client_id);
}

static uint64_t meter_hash(const struct quota_book *book, const struct meter_key *key)
{
    uint64_t user = sl_siphash128(book->hash_key, key->user.data, key->user.size).low;
    uint64_t client = sl_siphash128(book->hash_key, key->client_id.data, key->client_id.size).high;
    return user + client + (uint64_t)key->kind;
}

struct sweep {
    struct quota_book *book;
    int64_t now_ms;
};

static void drop_idle(void *arg, struct chain_link *link)
{
    const struct sweep *sweep = arg;
    if (quota_meter_is_idle(&metered_of(link)->meter, &sweep->book->windows, sweep->now_ms)) {
        drop_meter(sweep->book, link);
    }
}

static struct metered *make_meter(struct quota_book *book, const struct meter_key *key,
                                  int64_t now_ms)
{
    struct sweep sweep = {book, now_ms};
    if (book->meters.count >= QUOTA_METERS_MAX &&
        now_ms - book->swept_ms >= book->windows.window_ms) {
        book->swept_ms = now_ms;
        chain_map_each(&book->meters, drop_idle, &sweep);
    }
    if (book->meters.count >= QUOTA_METERS_MAX || key->user.size > UINT16_MAX ||
        key->client_id.size > UINT16_MAX) {
        return NULL;
    }
    struct metered *metered =
        sl_alloc_zero(1, sizeof(*metered) + key->user.size + key->client_id.size);
    if (metered != NULL) {
        metered->kind = key->kind;
        metered->user_size = (uint16_t)key->user.size;
        metered->client_size = (uint16_t)key->client_id.size;
        sl_bytes_copy(metered->names, key->user);
        sl_bytes_copy(metered->names + key->user.size, key->client_id);
        chain_map_put(&book->meters, &metered->link, meter_hash(book, key));
    }
    return metered;
}

static struct quota_meter *meter_of(struct quota_book *book, const struct holding *holding,
                                    int32_t kind, int64_t now_ms)
{
    struct meter_key key = {kind, holding->user, holding->client_id};
    struct chain_link *link =
        chain_map_get(&book->meters, meter_hash(book, &key), meter_matches, &key);
    struct metered *metered = link != NULL ? metered_of(link) : make_meter(book, &key, now_ms);
    return metered != NULL ? &metered->meter : &book->rest;
}

static int32_t count(struct quota_book *book, const struct quota_user *user, int32_t kind,
                     int64_t amount, int64_t now_ms)
{
    struct holding holding = find_limit(book, user, kind);
    if (holding.limit <= 0) {
        return 0;
    }
    const struct quota_windows *windows = &book->windows;
    struct quota_meter *meter = meter_of(book, &holding, kind, now_ms);
    if (kind == SLUICE_QUOTA_MUTATIONS) {
        quota_bucket_take(meter, windows, now_ms, holding.limit, amount);
        return quota_bucket_wait_ms(meter, windows, now_ms, holding.limit);
    }
    double limit = kind == SLUICE_QUOTA_REQUEST ? holding.limit * PERCENT_NS : holding.limit;
    quota_meter_add(meter, windows, now_ms, amount);
    int32_t wait_ms = quota_meter_wait_ms(meter, windows, now_ms, limit);
    /* A request that was long is not followed by a longer pause, as in Kafka. */
    return kind == SLUICE_QUOTA_REQUEST ? (int32_t)SL_MIN((int64_t)wait_ms, windows->window_ms)
                                        : wait_ms;
}

int32_t quota_book_charge(struct quota_book *book, const struct quota_user *user, int32_t kind,
                          int64_t amount, int64_t now_ms)
{
    if (!quota_book_limits(book, kind)) {
        return 0;
    }
    lock(book);
    int32_t wait_ms = count(book, user, kind, amount, now_ms);
    unlock(book);
    return wait_ms;
}

int32_t quota_book_owed(struct quota_book *book, const struct quota_user *user, int32_t kind,
                        int64_t now_ms)
{
    return quota_book_charge(book, user, kind, 0, now_ms);
}

int64_t quota_book_allowance(struct quota_book *book, const struct quota_user *user, int32_t kind)
{
    if (!quota_book_limits(book, kind)) {
        return INT64_MAX;
    }
    lock(book);
    struct holding holding = find_limit(book, user, kind);
    int64_t allowance =
        holding.limit > 0 ? quota_windows_allow(&book->windows, holding.limit) : INT64_MAX;
    unlock(book);
    return allowance;
}
