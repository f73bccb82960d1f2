/* filter_admin.h: filters in Lua of subscriptions, and the instances of plugins, for `sluice plugin
 * list` and `top`. */
#ifndef SL_BROKER_FILTER_ADMIN_H
#define SL_BROKER_FILTER_ADMIN_H

#include "control/admin.h"

struct loop_room;
struct sluice;

/* Appends an object for each expression of the loop to the array. [the room's loop] */
void filter_list_json(const struct loop_room *room, struct cJSON *array);
/* {plugins, filters}: the loops are asked once. [loop 0] */
void plugin_list_gather(struct sluice *sluice, admin_storage_done *done, void *done_arg);

#endif
