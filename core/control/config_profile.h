/* config_profile.h: the files of conf/profiles, which are part of the program. [any] */
#ifndef SL_CONTROL_CONFIG_PROFILE_H
#define SL_CONTROL_CONFIG_PROFILE_H

#include "base/bytes.h"

struct config_profile {
    const char *name; /* "production" */
    struct sl_bytes text;
};
extern const struct config_profile config_profiles[];
extern const unsigned config_profile_count;

const struct config_profile *config_profile_find(const char *name); /* NULL: there is none */
/* "development, edge, …" */
void config_profile_names(char *ret_text, size_t size);

#endif
