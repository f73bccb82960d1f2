/* config_profile.c: see config_profile.h. */
#include "control/config_profile.h"

#include <stdio.h>
#include <string.h>

const struct config_profile *config_profile_find(const char *name)
{
    for (unsigned i = 0; i < config_profile_count; i++) {
        if (strcmp(config_profiles[i].name, name) == 0) {
            return &config_profiles[i];
        }
    }
    return NULL;
}

void config_profile_names(char *ret_text, size_t size)
{
    size_t at = 0;
    ret_text[0] = '\0';
    for (unsigned i = 0; i < config_profile_count && at < size; i++) {
        int more =
            snprintf(ret_text + at, size - at, "%s%s", i > 0 ? ", " : "", config_profiles[i].name);
        at += more > 0 ? (size_t)more : 0;
    }
}
