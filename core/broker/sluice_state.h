/* sluice_state.h: struct sluice, for the files of this room alone. */
#ifndef SL_BROKER_SLUICE_STATE_H
#define SL_BROKER_SLUICE_STATE_H

#include "broker/access_keeper.h"
#include "broker/admin_socket.h"
#include "broker/backup_admin.h"
#include "broker/frontend_set.h"
#include "broker/key_keeper.h"
#include "broker/loop_room.h"
#include "broker/plugin_link.h"
#include "broker/sluice.h"
#include "broker/storage_watch.h"
#include "broker/superblock.h"

#define SLUICE_ROOMS_MAX 64u

struct sluice {
    struct sl_os *os;
    struct sl_logger *logger;
    struct sl_config *config;
    struct sluice_events events;
    struct broker_settings settings;
    struct superblock superblock;
    struct sl_file *lock;
    struct sl_metrics *metrics;
    struct broker_facts facts;
    struct shard_set shards;
    struct loop_room rooms[SLUICE_ROOMS_MAX];
    uint32_t room_count;
    uint32_t rooms_pending; /* not yet started, or not yet stopped */
    uint32_t shards_pending;
    struct frontend_set frontends;
    struct admin_socket admin;
    struct storage_watch storage;
    struct backup_admin backup;
    struct access_keeper access;
    struct sasl_settings sasl;         /* of kafka.listen, and of listeners that say nothing else */
    struct listener_list listeners[3]; /* of the frontends kafka, http and native */
    struct jwt_keys *token_keys;       /* atomic; see struct sasl_settings */
    uint64_t token_hash;               /* of their file at the start */
    struct key_keeper keys;
    struct telemetry_room telemetry;
    char *sasl_texts[3]; /* owned copies: a reload frees the configuration */
    struct plugin_manager *plugins;
    struct plugin_meter plugin_meters[SLUICE_ROOMS_MAX]; /* by room */
    bool plugins_begun;   /* the manager was asked to start: it is stopped, however far it came */
    bool plugins_started; /* written by loop 0 */
    int64_t started_ns;
    bool reloading; /* the configuration is being reloaded */
    bool stopping;
    bool started;
    bool has_run;
};

/* sluice.c: what a reload may change while others read it. [loop 0] */
void sluice_settings_take_live(struct broker_settings *settings, const struct sl_config *config);

/* sluice_open.c: all shards. On an error some are there. [blocks, before the loops run] */
sl_err sluice_open_shards(struct sluice *sluice,
                          char ret_problem[SLUICE_PROBLEM_BYTES]) SL_MUST_CHECK;

/* sluice_run.c: of one that never ran: what opening its shards began in the background comes to its
 * end, and their logs are closed. [blocks] */
void sluice_close_shards(struct sluice *sluice);

/* sluice_facts.c */
void sluice_facts_init(struct sluice *sluice); /* the data directory is open */
/* What plugins count on this loop, to the metrics. [the room's loop] */
void sluice_facts_publish_plugins(struct loop_room *room);

#endif
