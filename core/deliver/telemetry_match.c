/* telemetry_match.c: see telemetry_match.h. */
#include "deliver/telemetry_match.h"

#include "base/bytes.h"

static const char *const selectors[TELEMETRY_SELECTOR_COUNT] = {
    [TELEMETRY_INSTANCE_ID] = "client_instance_id",
    [TELEMETRY_CLIENT_ID] = "client_id",
    [TELEMETRY_SOFTWARE_NAME] = "client_software_name",
    [TELEMETRY_SOFTWARE_VERSION] = "client_software_version",
    [TELEMETRY_SOURCE_ADDRESS] = "client_source_address",
    [TELEMETRY_SOURCE_PORT] = "client_source_port",
};

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct sl_bytes trimmed(struct sl_bytes text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text.data++;
        text.size--;
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

bool telemetry_list_next(struct sl_bytes *rest, struct sl_bytes *ret_element)
{
    while (rest->size > 0) {
        const uint8_t *comma = memchr(rest->data, ',', rest->size);
        size_t size = comma == NULL ? rest->size : (size_t)(comma - rest->data);
        struct sl_bytes element = trimmed(sl_bytes_of(rest->data, size));
        size_t used = comma == NULL ? size : size + 1;
        rest->data += used;
        rest->size -= used;
        if (element.size > 0) {
            *ret_element = element;
            return true;
        }
    }
    return false;
}

static int selector_of(struct sl_bytes name)
{
    for (int i = 0; i < TELEMETRY_SELECTOR_COUNT; i++) {
        if (sl_bytes_equal(name, sl_bytes_of_text(selectors[i]))) {
            return i;
        }
    }
    return -1;
}

static sl_err parse_element(struct sl_bytes element, struct telemetry_match *match,
                            const char **ret_reason)
{
    const uint8_t *equals = memchr(element.data, '=', element.size);
    struct topic_pattern *pattern = NULL;
    if (equals == NULL) {
        *ret_reason = "a client matching pattern is selector=pattern";
        return SLUICE_E_INVALID_CONFIG;
    }
    size_t at = (size_t)(equals - element.data);
    struct sl_bytes text = trimmed(sl_bytes_of(equals + 1, element.size - at - 1));
    int selector = selector_of(trimmed(sl_bytes_of(element.data, at)));
    if (selector < 0) {
        *ret_reason = "clients are matched by client_instance_id, client_id, client_software_name, "
                      "client_software_version, client_source_address and client_source_port";
        return SLUICE_E_INVALID_CONFIG;
    }
    if (text.size == 0 || memchr(text.data, '=', text.size) != NULL) {
        *ret_reason = "a client matching pattern is selector=pattern, with one sign of equality";
        return SLUICE_E_INVALID_CONFIG;
    }
    sl_err err = topic_pattern_new(text, &pattern, ret_reason);
    if (err == SLUICE_OK) {
        topic_pattern_free(match->patterns[selector]);
        match->patterns[selector] = pattern;
    }
    return err == SLUICE_E_INVALID_REGEX ? SLUICE_E_INVALID_CONFIG : err;
}

sl_err telemetry_match_parse(struct sl_bytes text, struct telemetry_match *ret_match,
                             const char **ret_reason)
{
    struct telemetry_match match = {{NULL}};
    struct sl_bytes element;
    sl_err err = SLUICE_OK;
    while (err == SLUICE_OK && telemetry_list_next(&text, &element)) {
        err = parse_element(element, &match, ret_reason);
    }
    if (err != SLUICE_OK) {
        telemetry_match_fini(&match);
        return err;
    }
    *ret_match = match;
    return SLUICE_OK;
}

void telemetry_match_fini(struct telemetry_match *match)
{
    for (int i = 0; i < TELEMETRY_SELECTOR_COUNT; i++) {
        match->patterns[i] = topic_pattern_free(match->patterns[i]);
    }
}

bool telemetry_match_has(const struct telemetry_match *match,
                         const struct sl_bytes what[TELEMETRY_SELECTOR_COUNT])
{
    for (int i = 0; i < TELEMETRY_SELECTOR_COUNT; i++) {
        if (match->patterns[i] != NULL && !topic_pattern_matches(match->patterns[i], what[i])) {
            return false;
        }
    }
    return true;
}
