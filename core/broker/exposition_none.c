/* exposition_none.c: instead of exposition.c in a build without telemetry (SLUICE_TELEMETRY=OFF).
 * What the command line shows (status, top, flow, plugin info) does not come from here. */
#include "broker/sluice_state.h"

sl_err sluice_metrics(struct sluice *sluice SL_UNUSED, struct sl_buffer *buffer SL_UNUSED)
{
    return SLUICE_E_UNSUPPORTED;
}
