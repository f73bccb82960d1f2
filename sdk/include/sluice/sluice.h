/* <sluice/sluice.h>: all of the SDK. A processor needs only this line. */
#ifndef SLUICE_SLUICE_H
#define SLUICE_SLUICE_H

#include <sluice/filter.h>
#include <sluice/frontend.h>
#include <sluice/message_set.h>
#include <sluice/metrics.h>
#include <sluice/plugin.h>
#include <sluice/processor.h>
#include <sluice/quota.h>
#include <sluice/records.h>
#include <sluice/security.h>
#include <sluice/state.h>
#include <sluice/status.h>
#include <sluice/task.h>
#include <sluice/telemetry.h>
#include <sluice/types.h>
#include <sluice/upgrade.h>

#endif
