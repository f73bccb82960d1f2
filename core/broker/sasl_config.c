/* sasl_config.c: see sasl_config.h. */
#include "broker/sasl_config.h"

#include "base/hash.h"
#include "base/status.h"
#include "broker/sluice_state.h"

#include <stdio.h>
#include <string.h>

static sl_err take_mechanisms(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    const struct config_list *list = &sluice->config->kafka.sasl.mechanisms;
    for (uint32_t i = 0; i < list->count; i++) {
        uint32_t number = sasl_mechanism_number(sluice_text_of(list->items[i]));
        if (number == SASL_NONE) {
            snprintf(ret_problem, problem_size,
                     "kafka.sasl.mechanisms: \"%.40s\" is not one of PLAIN, SCRAM-SHA-256, "
                     "SCRAM-SHA-512, OAUTHBEARER",
                     list->items[i]);
            return SLUICE_E_CONFIG_VALUE;
        }
        sluice->sasl.mechanisms |= 1u << number;
    }
    return SLUICE_OK;
}

sl_err sasl_config_read_keys(struct sl_os *os, const char *path, bool is_set,
                             struct jwt_keys **ret_keys, uint64_t *ret_hash, char *ret_why)
{
    struct sl_file *file = NULL;
    size_t size = 0;
    uint8_t *text = sl_alloc(JWT_KEY_FILE_BYTES);
    sl_err err = text == NULL ? SLUICE_E_NO_MEMORY : sl_file_open(os, path, SL_FILE_READ, &file);
    err = err != SLUICE_OK ? err : sl_file_pread(file, text, JWT_KEY_FILE_BYTES, 0, &size);
    sl_file_close(file);
    *ret_hash = 0;
    if (err != SLUICE_OK) {
        snprintf(ret_why, JWT_WHY_BYTES, "it cannot be read: %s", sl_status_text(err));
    } else {
        struct sl_bytes bytes = {text, size};
        *ret_hash = sl_hash64(text, size);
        err = is_set ? jwt_keys_of_jwks(bytes, ret_keys, ret_why)
                     : jwt_keys_of_pem(bytes, ret_keys, ret_why);
    }
    sl_free(text);
    return err;
}

static bool takes_tokens(const struct sluice *sluice)
{
    const struct listener_list *list = &sluice->listeners[0];
    bool takes = false;
    for (uint32_t i = 0; i < list->count; i++) {
        takes = takes || (list->listeners[i]->sasl.mechanisms & (1u << SASL_OAUTHBEARER)) != 0;
    }
    return takes;
}

sl_err sasl_config_take_keys(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    const struct sl_config *config = sluice->config;
    bool is_set = config->security.oauth.jwks_file[0] != '\0';
    const char *path = is_set ? config->security.oauth.jwks_file : config->security.oauth.key_file;
    char why[JWT_WHY_BYTES] = "";
    if (!takes_tokens(sluice)) {
        return SLUICE_OK;
    }
    if (path[0] == '\0') {
        snprintf(ret_problem, problem_size,
                 "kafka.sasl.mechanisms has OAUTHBEARER, which needs security.oauth.jwks_file or "
                 "security.oauth.key_file");
        return SLUICE_E_CONFIG_VALUE;
    }
    sl_err err = sasl_config_read_keys(sluice->os, path, is_set, &sluice->token_keys,
                                       &sluice->token_hash, why);
    if (err != SLUICE_OK) {
        snprintf(ret_problem, problem_size, "security.oauth.%s %.200s: %s",
                 is_set ? "jwks_file" : "key_file", path, why);
    }
    return err;
}

sl_err sasl_config_init(struct sluice *sluice, char *ret_problem, size_t problem_size)
{
    const struct sl_config *config = sluice->config;
    sluice->sasl = (struct sasl_settings){
        .session_lifetime_ms = config->kafka.sasl.session_lifetime_ms,
        .failure_delay_ms = config->security.failed_login_delay_ms,
        .jwt = {.skew_ms = config->security.oauth.skew_ms},
    };
    const char *const texts[] = {config->security.oauth.issuer, config->security.oauth.audience,
                                 config->security.oauth.principal_claim};
    for (size_t i = 0; i < SL_COUNT_OF(texts); i++) {
        sluice->sasl_texts[i] = sl_strdup_bytes(texts[i], strlen(texts[i]));
        if (sluice->sasl_texts[i] == NULL) {
            return SLUICE_E_NO_MEMORY;
        }
    }
    sluice->sasl.jwt.issuer = sluice->sasl_texts[0];
    sluice->sasl.jwt.audience = sluice->sasl_texts[1];
    sluice->sasl.jwt.principal_claim = sluice->sasl_texts[2];
    sluice->sasl.keys = &sluice->token_keys;
    return take_mechanisms(sluice, ret_problem, problem_size);
}

void sasl_config_fini(struct sluice *sluice)
{
    sluice->token_keys = jwt_keys_unref(sluice->token_keys);
    for (size_t i = 0; i < SL_COUNT_OF(sluice->sasl_texts); i++) {
        sl_free(sluice->sasl_texts[i]);
    }
}
