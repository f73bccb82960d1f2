/* telemetry_none.c: instead of telemetry_link.c in a build without telemetry
 * (SLUICE_TELEMETRY=OFF): clients are not asked for metrics, and a topic for them is refused at the
 * start. */
#include "intake/telemetry_link.h"

sl_err telemetry_room_init(struct telemetry_room *room SL_UNUSED, struct sl_os *os SL_UNUSED,
                           const char *topic, size_t bytes_max SL_UNUSED, const char **ret_reason)
{
    *ret_reason = "this build takes no metrics of clients (SLUICE_TELEMETRY=OFF); leave it empty";
    return topic[0] == '\0' ? SLUICE_OK : SLUICE_E_UNSUPPORTED;
}

void telemetry_room_fini(struct telemetry_room *room SL_UNUSED) {}

void telemetry_link_init(struct telemetry_link *link, struct telemetry_room *room,
                         struct shard *home, const struct sluice_broker *broker)
{
    *link = (struct telemetry_link){.room = room, .home = home, .broker = broker};
}

const struct sluice_telemetry *telemetry_link_table(const struct telemetry_link *link SL_UNUSED)
{
    return NULL;
}
