/* os_uv_interrupt.c: see os_interrupt.h. The flag is one of the process, as signals are. */
#include "os/os_interrupt.h"

#include <signal.h>
#include <time.h>

static volatile sig_atomic_t is_interrupted;

static void remember(int number)
{
    (void)number;
    is_interrupted = 1;
}

void sl_interrupts_watch(void)
{
    /* SA_RESETHAND: the second one ends the process. Without SA_RESTART a read is interrupted. */
    struct sigaction action = {.sa_handler = remember, .sa_flags = (int)SA_RESETHAND};
    sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool sl_interrupted(void)
{
    return is_interrupted != 0;
}

void sl_sleep_unless_interrupted(int64_t ms)
{
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
    while (is_interrupted == 0 && nanosleep(&left, &left) != 0) {
    }
}
