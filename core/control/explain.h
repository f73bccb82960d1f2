/* explain.h: why an outcome of SLUICE_STATUS_TABLE comes about, and what to do about it. The one
 * text behind the answers of the admin socket, `sluice errors` and docs/troubleshooting.md. [any]
 */
#ifndef SL_CONTROL_EXPLAIN_H
#define SL_CONTROL_EXPLAIN_H

#include "base/base.h"

#include <stdio.h>

struct explain_row {
    sl_err err;
    const char *cause; /* a sentence */
    const char *next;  /* what to do, a sentence; commands in quotes */
};

/* Never NULL: what the table does not have is explained in general. Static. */
const struct explain_row *explain_find(sl_err err);
/* False: the table has no row of its own for it. */
bool explain_is_known(sl_err err);
/* docs/troubleshooting.md */
void explain_page_write(FILE *out);

#endif
