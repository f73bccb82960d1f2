/* os_uv_interrupt.c: see os_interrupt.h. The flag is one of the process, as signals are. */
#include "os/os_interrupt.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 200 /* a signal between the look at the flag and the wait is seen that late */

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
    (void)sigaction(SIGHUP, &action, NULL);
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

/* One byte; false: *ret_err. */
static bool byte_read(char *ret_byte, sl_err *ret_err)
{
    for (;;) {
        struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
        if (is_interrupted != 0) {
            *ret_err = SLUICE_E_CANCELLED;
            return false;
        }
        if (poll(&input, 1, LOOK_MS) <= 0) {
            continue;
        }
        ssize_t got = read(STDIN_FILENO, ret_byte, 1);
        if (got == 1) {
            return true;
        }
        if (got == 0 || errno != EINTR) {
            *ret_err = SLUICE_E_NOT_FOUND;
            return false;
        }
    }
}

sl_err sl_line_read_unless_interrupted(char *ret_line, size_t size)
{
    sl_err err = SLUICE_OK;
    size_t at = 0;
    char byte = 0;
    while (byte_read(&byte, &err) && byte != '\n') {
        if (at + 1 < size) {
            ret_line[at++] = byte;
        }
    }
    ret_line[at] = '\0';
    return err == SLUICE_E_NOT_FOUND && at > 0 ? SLUICE_OK : err;
}
