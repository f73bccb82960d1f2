/* stage_acts.h: what happens to a stateful stage while it has power (stage_sim.h). */
#ifndef STAGE_ACTS_H
#define STAGE_ACTS_H

#include "stage_sim.h"

void stage_acts_begin(struct stage_sim *sim); /* the machine is open */
void stage_act(struct stage_sim *sim);        /* one thing that a client or an operator asks for */
void stage_acts_close(struct stage_sim *sim); /* all tasks, in order */
/* What was under way is given up; behind sl_os_sim_abandon. */
void stage_acts_abandon(struct stage_sim *sim);

#endif
