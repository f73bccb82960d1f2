/* lua_work: what a script does beside its records: tasks (sluice.task/1), metrics of its own
 * (sluice.metrics/1), the broker's configuration (sluice.broker_config/1).
 *
 *   task(work [, priority])       work() runs later, while no batch waits; "control", "io",
 *                                 "processing" or "background" (which is what it is without)
 *   metrics.counter(name)         an object with :add([count]), metrics.gauge(name) one with
 *   metrics.histogram(name)       :set(value), this one with :observe(value); integers
 *   broker_config(key [, other])  the value in force as text, or `other`
 *
 * What the host refuses is an error with its reason. [process] */
#ifndef LUA_WORK_H
#define LUA_WORK_H

#include "lua_instance.h"

#define LUA_TASK_DEADLINE_MS 100 /* of each, in place of that of a batch */

/* Sets the globals. May raise. */
void lua_work_open(lua_State *L);

#endif
