/* config_secret.c: which keys hold secrets, by the option table (config_option.h). */
#include "control/config_option.h"

#include <cjson/cJSON.h>
#include <string.h>

#define DEPTH_MAX 64u

/* "kafka.tls.key_password" has the name "key_password", and "tls.key_password". */
static bool has_name(const struct config_option *option, const char *name)
{
    size_t all = strlen(option->key);
    size_t size = strlen(name);
    bool ends = size <= all && strcmp(option->key + all - size, name) == 0;
    return ends && (size == all || option->key[all - size - 1] == '.');
}

enum config_secrecy config_secrecy(const char *key)
{
    enum config_secrecy secrecy = CONFIG_UNKNOWN;
    for (uint32_t i = 0; i < config_option_count; i++) {
        if (has_name(&config_options[i], key)) {
            secrecy = config_options[i].is_secret ? CONFIG_SECRET : CONFIG_PUBLIC;
        }
        if (secrecy == CONFIG_SECRET) {
            break;
        }
    }
    return secrecy;
}

static bool hide(cJSON *json, uint32_t depth)
{
    bool hidden = false;
    for (cJSON *item = depth < DEPTH_MAX ? json->child : NULL; item != NULL; item = item->next) {
        bool is_secret = item->string != NULL && cJSON_IsString(item) &&
                         item->valuestring[0] != '\0' &&
                         config_secrecy(item->string) == CONFIG_SECRET;
        if (is_secret) {
            cJSON_SetValuestring(item, CONFIG_HIDDEN);
        }
        hidden = hide(item, depth + 1) || is_secret || hidden;
    }
    return hidden;
}

char *config_secrets_hide(const char *json)
{
    cJSON *object = cJSON_Parse(json);
    char *text = object != NULL && hide(object, 0) ? cJSON_PrintUnformatted(object) : NULL;
    cJSON_Delete(object);
    return text;
}
