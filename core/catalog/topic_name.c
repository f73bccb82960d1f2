/* topic_name.c: Kafka's rules for topic names (org.apache.kafka.common.internals.Topic), and ours.
 */
#include "catalog/topic_name.h"

#include "base/bytes.h"
#include "base/hash.h"

static bool is_legal(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

static const char *problem(struct sl_bytes name, bool allow_reserved)
{
    if (name.size == 0)
        return "the topic name is empty";
    if (name.size > TOPIC_NAME_BYTES_MAX)
        return "the topic name is longer than 249 characters";
    if (name.data[0] == '.' && (name.size == 1 || (name.size == 2 && name.data[1] == '.')))
        return "the topic name must not be '.' or '..'";
    for (size_t i = 0; i < name.size; i++) {
        if (!is_legal(name.data[i]))
            return "the topic name holds a character other than a-z, A-Z, 0-9, '.', '_' and '-'";
    }
    if (!allow_reserved && topic_name_is_reserved(name))
        return "topic names that begin with '__sluice_' are reserved for the broker";
    return NULL;
}

sl_err topic_name_check(struct sl_bytes name, bool allow_reserved, const char **ret_reason)
{
    const char *reason = problem(name, allow_reserved);
    if (reason == NULL)
        return SLUICE_OK;
    *ret_reason = reason;
    return SLUICE_E_INVALID_TOPIC;
}

bool topic_name_is_reserved(struct sl_bytes name)
{
    size_t size = sizeof TOPIC_NAME_RESERVED - 1;
    return name.size >= size && memcmp(name.data, TOPIC_NAME_RESERVED, size) == 0;
}

static uint8_t folded(uint8_t c)
{
    return c == '.' ? '_' : c;
}

bool topic_name_collides(struct sl_bytes a, struct sl_bytes b)
{
    if (a.size != b.size || sl_bytes_equal(a, b))
        return false;
    for (size_t i = 0; i < a.size; i++) {
        if (folded(a.data[i]) != folded(b.data[i]))
            return false;
    }
    return true;
}

uint64_t topic_name_hash(struct sl_bytes name)
{
    uint8_t fold[TOPIC_NAME_BYTES_MAX];
    size_t size = SL_MIN(name.size, sizeof fold);
    for (size_t i = 0; i < size; i++)
        fold[i] = folded(name.data[i]);
    return sl_hash64(fold, size);
}
