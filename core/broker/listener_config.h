/* listener_config.h: the listeners of a frontend, out of the configuration.
 *
 *   kafka.listen, kafka.advertised, kafka.sasl.*   ─► "kafka"
 *   kafka.listeners.NAME                           ─► NAME; what it does not say is as kafka's
 *   http.listen                                    ─► "http"
 *   native.listen, kafka.sasl.*                    ─► "native"
 *   native.unix, native.unix_*, kafka.sasl.*       ─► "native-unix"
 *   plugins.instances.frontend_X.config.listen     ─► X
 *
 * A member of kafka.listeners, or the configuration of an instance, is an object {"listen":
 * "host:port", "advertised": "host:port" or "auto", "sasl": {"mechanisms": ["PLAIN"]}, "tls": true,
 * false or an object with the words of kafka.tls}, and limits of its own (listener_gate.h). */
#ifndef SL_BROKER_LISTENER_CONFIG_H
#define SL_BROKER_LISTENER_CONFIG_H

#include "intake/listener.h"

struct sluice;
struct cJSON;

#define FRONTEND_LISTENERS_MAX 8u

struct listener_list {
    struct listener *listeners[FRONTEND_LISTENERS_MAX]; /* a reference each */
    uint32_t count;
};
void listener_list_drop(struct listener_list *list);

/* Those of Sluice's own frontends, so that a broker that cannot have them does not start; what is
 * wrong is told in one sentence. [blocks, before the loops run] */
sl_err listener_config_init(struct sluice *sluice, char *ret_problem,
                            size_t problem_size) SL_MUST_CHECK;
void listener_config_fini(struct sluice *sluice);
/* The limits of the configuration in force, of Kafka's listeners and the native one (which has a
 * number of connections of its own). [loop 0] */
void listener_config_limit(struct sluice *sluice);
#define LISTENER_READ_BUFFER_MAX (1 << 20)
/* The listeners of the frontend "kafka", "http" or "native"; count 0: it is another. */
void listener_config_take(const struct sluice *sluice, const char *frontend,
                          struct listener_list *ret_list);
/* That of another frontend, whose instance has this configuration. E_CONFIG_VALUE, E_NO_MEMORY. */
sl_err listener_config_take_instance(const char *frontend, const struct cJSON *object,
                                     struct listener_list *ret_list, char *ret_problem,
                                     size_t problem_size) SL_MUST_CHECK;

#endif
