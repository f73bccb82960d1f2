/* os_interrupt.h: Ctrl-C for command-line clients that loop without an event loop: the first one
 * asks them to end in order, the second ends the process as usual. */
#ifndef SL_OS_OS_INTERRUPT_H
#define SL_OS_OS_INTERRUPT_H

#include "base/base.h"

/* From now on SIGINT, SIGTERM and SIGHUP are remembered, once. [main thread] */
void sl_interrupts_watch(void);
/* Whether one came. [any] */
bool sl_interrupted(void);
/* Sleeps, but not longer than until one comes. [blocks] */
void sl_sleep_unless_interrupted(int64_t ms);
/* A line of standard input, without its newline, cut to fit. E_CANCELLED: one came; E_NOT_FOUND: it
 * has ended. [blocks] */
sl_err sl_line_read_unless_interrupted(char *ret_line, size_t size) SL_MUST_CHECK;

#endif
