/* sasl_message.c: see sasl_message.h. */
#include "auth/sasl_message.h"

#include <string.h>
#include <strings.h>

#define SEPARATOR 0x01

/* Up to the next `end`, which is taken too. False: there is none. */
static bool take_until(struct sl_bytes *rest, uint8_t end, struct sl_bytes *ret_part)
{
    const uint8_t *at = rest->size > 0 ? memchr(rest->data, end, rest->size) : NULL;
    if (at == NULL) {
        return false;
    }
    size_t size = (size_t)(at - rest->data);
    *ret_part = (struct sl_bytes){rest->data, size};
    *rest = (struct sl_bytes){at + 1, rest->size - size - 1};
    return true;
}

static bool begins(struct sl_bytes bytes, const char *word)
{
    size_t size = strlen(word);
    return bytes.size >= size && strncasecmp((const char *)bytes.data, word, size) == 0;
}

static struct sl_bytes behind(struct sl_bytes bytes, size_t size)
{
    return (struct sl_bytes){bytes.data + size, bytes.size - size};
}

sl_err sasl_plain_parse(struct sl_bytes message, struct sasl_plain *ret_plain)
{
    struct sasl_plain plain;
    struct sl_bytes rest = message;
    if (!take_until(&rest, 0, &plain.authzid) || !take_until(&rest, 0, &plain.name) ||
        plain.name.size == 0 || rest.size == 0 || memchr(rest.data, 0, rest.size) != NULL) {
        return SLUICE_E_INVALID;
    }
    plain.password = rest;
    *ret_plain = plain;
    return SLUICE_OK;
}

/* The GS2 header: "n,,", or "n,a=name,". No channel binding, as in Kafka. */
static bool take_header(struct sl_bytes *rest, struct sl_bytes *ret_authzid)
{
    struct sl_bytes part;
    if (!take_until(rest, ',', &part) || part.size != 1 || part.data[0] != 'n' ||
        !take_until(rest, ',', &part)) {
        return false;
    }
    bool named = part.size > 2 && part.data[0] == 'a' && part.data[1] == '=';
    *ret_authzid = named ? behind(part, 2) : (struct sl_bytes){part.data, 0};
    return named || part.size == 0;
}

sl_err sasl_bearer_parse(struct sl_bytes message, struct sasl_bearer *ret_bearer)
{
    static const char word[] = "auth=Bearer ";
    struct sasl_bearer bearer = {{0}, {0}};
    struct sl_bytes rest = message;
    struct sl_bytes part;
    if (!take_header(&rest, &bearer.authzid) || !take_until(&rest, SEPARATOR, &part) ||
        part.size != 0) {
        return SLUICE_E_INVALID;
    }
    while (take_until(&rest, SEPARATOR, &part) && part.size > 0) {
        if (memchr(part.data, '=', part.size) == NULL ||
            (begins(part, "auth=") && bearer.token.size > 0)) {
            return SLUICE_E_INVALID; /* no pair, or a second token */
        }
        if (begins(part, word)) {
            bearer.token = behind(part, sizeof(word) - 1);
        }
    }
    /* An empty part is the end. */
    if (bearer.token.size == 0 || rest.size != 0 || part.size != 0) {
        return SLUICE_E_INVALID;
    }
    *ret_bearer = bearer;
    return SLUICE_OK;
}
