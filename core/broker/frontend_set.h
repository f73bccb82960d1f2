/* frontend_set.h: the protocol frontends of the broker: load, open on every loop, listen; and back.
 *
 * A frontend's listener is its own: opening one opens its port, closing it closes only that. Kept
 * on loop 0. */
#ifndef SL_BROKER_FRONTEND_SET_H
#define SL_BROKER_FRONTEND_SET_H

#include "broker/listener_config.h"
#include "intake/frontend.h"

#define FRONTEND_SET_MAX      16u
#define FRONTEND_PATH_BYTES   4096u
#define FRONTEND_CONFIG_BYTES 2048u

enum frontend_state {
    FRONTEND_FREE,
    FRONTEND_LOADING,
    FRONTEND_OPENING,
    FRONTEND_LISTENING,
    FRONTEND_RETIRING, /* another version listens; its connections stay for FRONTEND_RETIRE_MS */
    FRONTEND_CLOSING
};
#define FRONTEND_RETIRE_MS 60000

struct cJSON;
struct frontend_slot;
/* An open listener: it goes from one version to the next. */
struct frontend_port {
    struct frontend_slot *slot;
    struct listener *listener; /* a reference */
    struct sl_listener *socket;
};

struct frontend_slot {
    struct frontend_set *set;
    uint32_t index;
    enum frontend_state state;
    bool close_wanted; /* once it is open */
    char name[FRONTEND_NAME_BYTES];
    char path[FRONTEND_PATH_BYTES];
    char config_json[FRONTEND_CONFIG_BYTES];
    size_t request_bytes_max; /* as in struct frontend_config */
    bool urgent;
    const struct sluice_plugin_descriptor *descriptor;
    struct listener_list listeners;                      /* to open */
    struct frontend_port *ports[FRONTEND_LISTENERS_MAX]; /* of these, while it listens; owned */
    struct frontend_slot *replaces; /* LOADING, OPENING: the version that listens; or NULL */
    int64_t retire_until_ns;
    uint32_t connection_count; /* RETIRING: at the last count */
    uint32_t counting;
    struct sl_job job;
    sl_err err;
    char reason[512];
    uint32_t pending_rooms;
};

struct frontend_set {
    struct sluice *sluice;
    struct frontend_slot slots[FRONTEND_SET_MAX];
    uint32_t opening_count;
    void (*settled)(void *arg); /* all that was asked for is open or failed; once */
    void *settled_arg;
};

void frontend_set_init(struct frontend_set *set, struct sluice *sluice);
/* Loads the module at path and listens as the configuration of `name` says; the outcome is logged.
 * [loop 0] */
void frontend_set_open(struct frontend_set *set, const char *name, const char *path);
/* A new version: connections that come go to it, the old one's stay until they end, for
 * FRONTEND_RETIRE_MS at most. What does not load leaves the old one listening. */
void frontend_set_replace(struct frontend_set *set, const char *name, const char *path);
void frontend_set_beat(struct frontend_set *set); /* looks at versions that retire */
/* Adds "serving" to what `plugin info` says of the file of a frontend: the version that listens,
 * and old ones that drain. Nothing for other files, or object NULL. [loop 0] */
void frontend_set_show(const struct frontend_set *set, const char *file, struct cJSON *object);
void frontend_set_close(struct frontend_set *set, const char *name);
void frontend_set_close_all(struct frontend_set *set);
/* Nothing opens, is open or closes. [loop 0] */
bool frontend_set_is_quiet(const struct frontend_set *set);
/* "frontend_kafka.so" → "kafka"; false: not a frontend's file name. [any] */
bool frontend_name_of(const char *path, char ret_name[FRONTEND_NAME_BYTES]);

#endif
