/* admin_value.c: arguments and results of admin commands: 64-bit numbers as strings, bytes as text
 * or base64. */
#include "control/admin_request.h"
#include "control/base64.h"

#include <inttypes.h>
#include <string.h>

void admin_move_all(cJSON *to, cJSON *from)
{
    while (from != NULL && from->child != NULL) {
        cJSON_AddItemToArray(to, cJSON_DetachItemViaPointer(from, from->child));
    }
    cJSON_Delete(from);
}

const char *admin_arg_text(const struct admin_request *request, const char *name)
{
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(request->args, name));
}

bool admin_int_parse(const char *text, int64_t *ret_value)
{
    bool negative = *text == '-';
    int64_t value = 0;
    text += negative;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9' || __builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, *text - '0', &value)) {
            return false;
        }
    }
    *ret_value = negative ? -value : value;
    return true;
}

/* Doubles hold whole numbers up to 2^53 exactly. */
static bool json_int(const cJSON *item, int64_t *ret_value)
{
    if (cJSON_IsString(item)) {
        return admin_int_parse(item->valuestring, ret_value);
    }
    if (!cJSON_IsNumber(item) || item->valuedouble < -9007199254740992.0 ||
        item->valuedouble > 9007199254740992.0) {
        return false;
    }
    *ret_value = (int64_t)item->valuedouble;
    return (double)*ret_value >= item->valuedouble && (double)*ret_value <= item->valuedouble;
}

bool admin_arg_int(const struct admin_request *request, const char *name, int64_t min, int64_t max,
                   int64_t fallback, int64_t *ret_value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(request->args, name);
    int64_t value = fallback;
    if (item != NULL && (!json_int(item, &value) || value < min || value > max)) {
        return false;
    }
    *ret_value = value;
    return true;
}

bool admin_topic_take(struct admin_request *request)
{
    const char *name = admin_arg_text(request, "topic");
    if (name == NULL || name[0] == '\0') {
        admin_fail(request, SLUICE_E_INVALID, "\"topic\" is missing");
        return false;
    }
    request->topic.name = sluice_text_of(name);
    return true;
}

void admin_add_int64(cJSON *object, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    cJSON_AddStringToObject(object, key, text);
}

void admin_add_uint64(cJSON *object, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, value);
    cJSON_AddStringToObject(object, key, text);
}

void admin_add_text(cJSON *object, const char *key, struct sluice_text text)
{
    char *copy = sl_strdup_bytes(text.data, text.size);
    cJSON_AddStringToObject(object, key, copy == NULL ? "" : copy);
    sl_free(copy);
}

/* Bytes of the sequence that `at` begins, 0: malformed. */
static size_t utf8_sequence(const uint8_t *at, size_t left)
{
    static const struct {
        uint8_t mask, lead, size;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 1},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; i < SL_COUNT_OF(forms); i++) {
        if ((at[0] & forms[i].mask) != forms[i].lead) {
            continue;
        }
        uint32_t code = at[0] & (uint8_t)~forms[i].mask;
        if (left < forms[i].size) {
            return 0;
        }
        for (size_t j = 1; j < forms[i].size; j++) {
            if ((at[j] & 0xc0) != 0x80) {
                return 0;
            }
            code = code << 6 | (at[j] & 0x3fu);
        }
        bool fits = code >= forms[i].least && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
        return fits ? forms[i].size : 0;
    }
    return 0;
}

bool admin_is_text(struct sl_bytes bytes)
{
    for (size_t i = 0; i < bytes.size;) {
        size_t size = utf8_sequence(bytes.data + i, bytes.size - i);
        if (size == 0) {
            return false;
        }
        i += size;
    }
    return true;
}

static void base64_add(cJSON *object, const char *key, struct sl_bytes bytes)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_base64", key);
    char *text = sl_alloc(base64_size(bytes.size) + 1);
    if (text != NULL) {
        base64_encode(bytes, text);
        cJSON_AddStringToObject(object, name, text);
    }
    sl_free(text);
}

void admin_add_bytes(cJSON *object, const char *key, struct sl_bytes bytes)
{
    if (admin_is_text(bytes)) {
        admin_add_text(object, key, (struct sluice_text){(const char *)bytes.data, bytes.size});
    } else {
        base64_add(object, key, bytes);
    }
}

sl_err admin_get_bytes(const cJSON *object, const char *key, struct sl_bytes *ret_bytes,
                       bool *ret_is_null, uint8_t **ret_owned)
{
    char name[64];
    snprintf(name, sizeof(name), "%s_base64", key);
    const cJSON *plain = cJSON_GetObjectItemCaseSensitive(object, key);
    const cJSON *coded = cJSON_GetObjectItemCaseSensitive(object, name);
    *ret_owned = NULL;
    *ret_is_null = false;
    if (cJSON_IsString(coded)) {
        size_t text_size = strlen(coded->valuestring);
        size_t size = 0;
        uint8_t *memory = sl_alloc(text_size + 1);
        if (memory == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
        sl_err err = base64_decode(coded->valuestring, text_size, memory, &size);
        if (err != SLUICE_OK) {
            sl_free(memory);
            return err;
        }
        *ret_owned = memory;
        *ret_bytes = (struct sl_bytes){memory, size};
        return SLUICE_OK;
    }
    if (cJSON_IsString(plain)) {
        *ret_bytes =
            (struct sl_bytes){(const uint8_t *)plain->valuestring, strlen(plain->valuestring)};
        return SLUICE_OK;
    }
    bool absent = (plain == NULL || cJSON_IsNull(plain)) && (coded == NULL || cJSON_IsNull(coded));
    *ret_bytes = (struct sl_bytes){NULL, 0};
    *ret_is_null = true;
    return absent ? SLUICE_OK : SLUICE_E_MALFORMED;
}
