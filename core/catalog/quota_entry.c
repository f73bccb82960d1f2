/* quota_entry.c: see quota_entry.h. */
#include "catalog/quota_entry.h"

#include "base/hash.h"
#include "base/text.h"
#include "catalog/item_codec.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define FLAG_GONE ((uint8_t)1)
/* A limit of whole bytes may be off by so much, as in Kafka. */
#define WHOLE_TOLERANCE 1e-6

/* ---- kinds ---- */

struct kind_row {
    const char *name;
    double max;
    bool is_whole;
    bool is_of_ip;
};

static const struct kind_row kinds[SLUICE_QUOTA_KINDS + 1] = {
    [SLUICE_QUOTA_PRODUCE] = {"producer_byte_rate", 9.2e18, true, false},
    [SLUICE_QUOTA_FETCH] = {"consumer_byte_rate", 9.2e18, true, false},
    [SLUICE_QUOTA_REQUEST] = {"request_percentage", 1e12, false, false},
    [SLUICE_QUOTA_MUTATIONS] = {"controller_mutation_rate", 1e12, false, false},
    [SLUICE_QUOTA_CONNECTIONS] = {"connection_creation_rate", INT32_MAX, true, true},
};

const char *quota_kind_name(int32_t kind)
{
    return kind >= 1 && kind <= SLUICE_QUOTA_KINDS ? kinds[kind].name : NULL;
}

int32_t quota_kind_of(struct sluice_text key)
{
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        if (sl_bytes_equal(sl_of_text(key), sl_bytes_of_text(kinds[kind].name))) {
            return kind;
        }
    }
    return 0;
}

/* ---- entities ---- */

int quota_part_kind(struct sluice_text part)
{
    return part.data == NULL ? QUOTA_PART_NONE
           : part.size == 0  ? QUOTA_PART_DEFAULT
                             : QUOTA_PART_NAMED;
}

struct sluice_text quota_entity_part(const struct sluice_quota_entity *entity, int part)
{
    return part == QUOTA_USER     ? entity->user
           : part == QUOTA_CLIENT ? entity->client_id
                                  : entity->ip;
}

static void set_part(struct sluice_quota_entity *entity, int part, struct sluice_text text)
{
    struct sluice_text *parts[QUOTA_PARTS] = {&entity->user, &entity->client_id, &entity->ip};
    *parts[part] = text;
}

uint64_t quota_entity_hash(const struct sluice_quota_entity *entity)
{
    uint64_t hash = 0;
    for (int i = 0; i < QUOTA_PARTS; i++) {
        struct sluice_text part = quota_entity_part(entity, i);
        hash = sl_hash64_mix(hash + (uint64_t)quota_part_kind(part));
        hash ^= part.size > 0 ? sl_hash64(part.data, (size_t)part.size) : 0;
    }
    return hash;
}

bool quota_entity_equal(const struct sluice_quota_entity *a, const struct sluice_quota_entity *b)
{
    for (int i = 0; i < QUOTA_PARTS; i++) {
        struct sluice_text left = quota_entity_part(a, i);
        struct sluice_text right = quota_entity_part(b, i);
        if (quota_part_kind(left) != quota_part_kind(right) ||
            !sl_bytes_equal(sl_of_text(left), sl_of_text(right))) {
            return false;
        }
    }
    return true;
}

struct quota_entry *quota_entry_new(const struct sluice_quota_entity *entity)
{
    size_t size = 0;
    for (int i = 0; i < QUOTA_PARTS; i++) {
        size += (size_t)quota_entity_part(entity, i).size;
    }
    struct quota_entry *entry = sl_alloc_zero(1, sizeof(*entry) + size + 1);
    char *at = entry != NULL ? (char *)(entry + 1) : NULL;
    for (int i = 0; entry != NULL && i < QUOTA_PARTS; i++) {
        struct sluice_text part = quota_entity_part(entity, i);
        if (part.data != NULL) {
            sl_bytes_copy((uint8_t *)at, sl_of_text(part));
            set_part(&entry->entity, i, (struct sluice_text){at, part.size});
            at += part.size;
        }
    }
    return entry;
}

bool quota_entry_is_empty(const struct quota_entry *entry)
{
    for (int32_t kind = 1; kind <= SLUICE_QUOTA_KINDS; kind++) {
        if (entry->limits[kind] > 0) {
            return false;
        }
    }
    return true;
}

/* ---- what may be ---- */

static bool is_v4(struct sl_bytes text)
{
    uint32_t parts = 0;
    uint32_t digits = 0;
    uint32_t value = 0;
    for (size_t i = 0; i <= text.size; i++) {
        if (i == text.size || text.data[i] == '.') {
            if (digits == 0 || digits > 3 || value > 255 || ++parts > 4) {
                return false;
            }
            digits = value = 0;
        } else if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        } else {
            digits++;
            value = SL_MIN(value * 10 + (text.data[i] - '0'), 999u);
        }
    }
    return parts == 4;
}

/* Groups of up to four digits; one gap, or eight of them. */
static bool is_v6(struct sl_bytes text)
{
    uint32_t groups = 0;
    uint32_t digits = 0;
    bool has_gap = false;
    for (size_t i = 0; i < text.size; i++) {
        bool is_gap = text.data[i] == ':' && i > 0 && text.data[i - 1] == ':';
        if (text.data[i] == ':') {
            bool is_alone =
                digits == 0 && !is_gap && (i > 0 || text.size < 2 || text.data[1] != ':');
            if (is_alone || (is_gap && has_gap)) {
                return false;
            }
            has_gap = has_gap || is_gap;
            digits = 0;
        } else if (!isxdigit(text.data[i]) || ++digits > 4) {
            return false;
        } else {
            groups += digits == 1;
        }
    }
    bool ends = digits > 0 || (has_gap && text.data[text.size - 2] == ':');
    return ends && (has_gap ? groups < 8 : groups == 8);
}

static bool is_address(struct sluice_text text)
{
    return is_v4(sl_of_text(text)) || is_v6(sl_of_text(text));
}

static sl_err refuse(char *ret_reason, const char *why)
{
    snprintf(ret_reason, QUOTA_REASON_BYTES, "%s", why);
    return SLUICE_E_INVALID_REQUEST;
}

sl_err quota_entity_check(const struct sluice_quota_entity *entity,
                          char ret_reason[QUOTA_REASON_BYTES])
{
    bool has_ip = entity->ip.data != NULL;
    bool has_client = entity->user.data != NULL || entity->client_id.data != NULL;
    if (!has_ip && !has_client) {
        return refuse(ret_reason, "Invalid empty client quota entity");
    }
    if (has_ip && has_client) {
        return refuse(ret_reason, "Invalid quota entity combination: an ip stands alone");
    }
    for (int i = 0; i < QUOTA_PARTS; i++) {
        struct sluice_text part = quota_entity_part(entity, i);
        if (part.size > QUOTA_NAME_BYTES_MAX ||
            (part.size > 0 && memchr(part.data, 0, (size_t)part.size) != NULL)) {
            return refuse(ret_reason, "A name of the quota entity is too long, or has a zero byte");
        }
    }
    if (entity->ip.size > 0 && !is_address(entity->ip)) {
        return refuse(ret_reason, "The ip of the quota entity is not an address");
    }
    return SLUICE_OK;
}

static const char *kind_nearest(struct sluice_text key)
{
    const char *known[SLUICE_QUOTA_KINDS];
    for (uint32_t i = 0; i < SLUICE_QUOTA_KINDS; i++) {
        known[i] = kinds[i + 1].name;
    }
    return sl_text_nearest(sl_of_text(key), known, SLUICE_QUOTA_KINDS);
}

sl_err quota_value_check(const struct sluice_quota_entity *entity,
                         const struct sluice_quota_value *value,
                         char ret_reason[QUOTA_REASON_BYTES])
{
    int32_t kind = quota_kind_of(value->key);
    if (kind == 0 || kinds[kind].is_of_ip != (entity->ip.data != NULL)) {
        const char *best = kind == 0 ? kind_nearest(value->key) : NULL;
        snprintf(ret_reason, QUOTA_REASON_BYTES, "Invalid configuration key %.*s%s%s%s",
                 (int)SL_MIN(value->key.size, UINT64_C(80)), value->key.data,
                 best != NULL ? "; did you mean " : "", best != NULL ? best : "",
                 best != NULL ? "?" : "");
        return SLUICE_E_INVALID_REQUEST;
    }
    const struct kind_row *row = &kinds[kind];
    if (!isfinite(value->value) || value->value < 0) {
        snprintf(ret_reason, QUOTA_REASON_BYTES, "Quota %s must be greater than 0", row->name);
        return SLUICE_E_INVALID_REQUEST;
    }
    bool is_off = row->is_whole && fabs(value->value - rint(value->value)) > WHOLE_TOLERANCE;
    if (value->value > row->max || is_off) {
        snprintf(ret_reason, QUOTA_REASON_BYTES,
                 "Proposed value for %s cannot be represented as a %s", row->name,
                 row->is_of_ip   ? "int"
                 : row->is_whole ? "long"
                                 : "rate");
        return SLUICE_E_INVALID_REQUEST;
    }
    return SLUICE_OK;
}

/* ---- items ---- */

size_t quota_item_encode(const struct sluice_quota_entity *entity, int32_t kind, double value,
                         uint8_t ret_payload[QUOTA_ITEM_BYTES_MAX])
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    uint8_t *at = item_write_u8(ret_payload, (uint8_t)kind);
    at = item_write_u8(at, value > 0 ? (uint8_t)0 : FLAG_GONE);
    for (int i = 0; i < QUOTA_PARTS; i++) {
        at = item_write_u8(at, (uint8_t)quota_part_kind(quota_entity_part(entity, i)));
    }
    at = item_write_u8(at, 0);
    for (int i = 0; i < QUOTA_PARTS; i++) {
        at = item_write_u16(at, (uint16_t)quota_entity_part(entity, i).size);
    }
    at = item_write_u64(at, value > 0 ? bits : 0);
    for (int i = 0; i < QUOTA_PARTS; i++) {
        at = item_write_bytes(at, sl_of_text(quota_entity_part(entity, i)));
    }
    return (size_t)(at - ret_payload);
}

static bool read_names(struct item_reader *reader, const uint8_t part_kinds[QUOTA_PARTS],
                       const uint16_t sizes[QUOTA_PARTS], struct sluice_quota_entity *ret_entity)
{
    for (int i = 0; i < QUOTA_PARTS; i++) {
        bool is_named = part_kinds[i] == QUOTA_PART_NAMED;
        struct sl_bytes name = item_read_bytes(reader, sizes[i]);
        if (part_kinds[i] > QUOTA_PART_DEFAULT || is_named != (sizes[i] > 0)) {
            return false;
        }
        struct sluice_text text = {part_kinds[i] == QUOTA_PART_NONE ? NULL : "", 0};
        set_part(ret_entity, i,
                 is_named ? (struct sluice_text){(const char *)name.data, name.size} : text);
    }
    return item_read_end(reader);
}

sl_err quota_item_decode(uint8_t version, struct sl_bytes payload,
                         struct sluice_quota_entity *ret_entity, int32_t *ret_kind,
                         double *ret_value)
{
    struct item_reader reader = item_reader_of(payload);
    struct sluice_quota_entity entity = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    uint8_t part_kinds[QUOTA_PARTS];
    uint16_t sizes[QUOTA_PARTS];
    char reason[QUOTA_REASON_BYTES];
    double value;
    if (version != QUOTA_ITEM_VERSION) {
        return SLUICE_E_NEWER_FORMAT;
    }
    uint8_t kind = item_read_u8(&reader);
    uint8_t flags = item_read_u8(&reader);
    for (int i = 0; i < QUOTA_PARTS; i++) {
        part_kinds[i] = item_read_u8(&reader);
    }
    uint8_t zero = item_read_u8(&reader);
    for (int i = 0; i < QUOTA_PARTS; i++) {
        sizes[i] = item_read_u16(&reader);
    }
    uint64_t bits = item_read_u64(&reader);
    memcpy(&value, &bits, sizeof(value));
    bool is_gone = flags == FLAG_GONE;
    if (!read_names(&reader, part_kinds, sizes, &entity) || zero != 0 || flags > FLAG_GONE ||
        quota_kind_name(kind) == NULL || (is_gone ? bits != 0 : !(value > 0))) {
        return SLUICE_E_CORRUPT;
    }
    struct sluice_quota_value checked = {sluice_text_of(quota_kind_name(kind)), value};
    if (quota_entity_check(&entity, reason) != SLUICE_OK ||
        quota_value_check(&entity, &checked, reason) != SLUICE_OK) {
        return SLUICE_E_CORRUPT;
    }
    *ret_entity = entity;
    *ret_kind = kind;
    *ret_value = value;
    return SLUICE_OK;
}
