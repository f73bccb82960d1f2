/* login_desk.h: the costly steps of logins on helper threads, so that no loop waits for them:
 * signatures and key exchanges of TLS handshakes, hashes of passwords, signatures of tokens.
 *
 *   submit ─► waiting (the urgent first) ─► helper: work ─► loop: done
 *
 * Helpers are shared with the storage: of a loop so many steps run at once, and so many wait; who
 * comes then is refused, as he would wait longer than he has patience. All on the loop, but `work`.
 */
#ifndef SL_INTAKE_LOGIN_DESK_H
#define SL_INTAKE_LOGIN_DESK_H

#include "base/list.h"
#include "os/os.h"

#define LOGIN_DESK_RUNNING_MAX 2u    /* until login_desk_limit */
#define LOGIN_DESK_WAITING_MAX 1000u /* likewise */

struct login_desk;

/* One step; lies in who takes it, and is touched by nobody else until done, or the withdrawal. */
struct login_step {
    void (*work)(struct login_step *step); /* [helper] */
    void (*done)(struct login_step *step); /* [loop] */
    struct login_desk *desk;               /* the desk's, so the next two */
    struct sl_link link;
    struct sl_job job;
};

struct login_desk {
    struct sl_os *os;
    struct sl_loop *loop;
    struct sl_list waiting;
    uint32_t running_max, waiting_max;
    uint32_t running_count, waiting_count;
    uint64_t steps_total, refused_total;
};

void login_desk_init(struct login_desk *desk, struct sl_os *os, struct sl_loop *loop);
/* From now on. running_max: 1 or more. */
void login_desk_limit(struct login_desk *desk, uint32_t running_max, uint32_t waiting_max);
/* work and done are set. E_BUSY: too many wait; nothing happens. [borrows step until done] */
sl_err login_desk_submit(struct login_desk *desk, struct login_step *step,
                         bool urgent) SL_MUST_CHECK;
/* True: it waited, and comes to nothing. False: it runs, and done comes. */
bool login_desk_withdraw(struct login_step *step);
/* No step is under way. */
static inline bool login_desk_is_idle(const struct login_desk *desk)
{
    return desk->running_count + desk->waiting_count == 0;
}

#endif
