/* test_os_calls.c: calls of the system that are interrupted, do a part, or fail, below sl_os.
 *
 * preadv2, pwritev, fdatasync and open are wrapped by the linker (--wrap); while armed every call
 * is interrupted first, then moves one byte, or fails with an errno at the n-th call. */
#include "os_fixture.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/uio.h>

static bool stutters; /* EINTR, then one byte, then EINTR … */
static uint32_t calls;
static uint32_t fails_at; /* 0: never */
static int fails_with;

/* Whether this call does nothing; errno says why. */
static bool is_spoilt(void)
{
    calls++;
    if (fails_at == calls) {
        errno = fails_with;
        return true;
    }
    errno = EINTR;
    return stutters && calls % 2 == 1;
}

ssize_t __real_preadv2(int descriptor, const struct iovec *pieces, int count, off_t at, int flags);
ssize_t __wrap_preadv2(int descriptor, const struct iovec *pieces, int count, off_t at, int flags);
ssize_t __wrap_preadv2(int descriptor, const struct iovec *pieces, int count, off_t at, int flags)
{
    struct iovec one = {pieces[0].iov_base, 1};
    if (is_spoilt())
        return -1;
    return stutters ? __real_preadv2(descriptor, &one, 1, at, flags)
                    : __real_preadv2(descriptor, pieces, count, at, flags);
}

ssize_t __real_pwritev(int descriptor, const struct iovec *pieces, int count, off_t at);
ssize_t __wrap_pwritev(int descriptor, const struct iovec *pieces, int count, off_t at);
ssize_t __wrap_pwritev(int descriptor, const struct iovec *pieces, int count, off_t at)
{
    struct iovec one = {pieces[0].iov_base, 1};
    if (is_spoilt())
        return -1;
    return stutters ? __real_pwritev(descriptor, &one, 1, at)
                    : __real_pwritev(descriptor, pieces, count, at);
}

int __real_fdatasync(int descriptor);
int __wrap_fdatasync(int descriptor);
int __wrap_fdatasync(int descriptor)
{
    return is_spoilt() ? -1 : __real_fdatasync(descriptor);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return is_spoilt() ? -1 : __real_open(path, flags, mode);
}

static struct os_fixture *f;

static void setup(void)
{
    f = os_fixture_open();
    stutters = false;
    calls = fails_at = 0;
}

static void teardown(void)
{
    fails_at = 0;
    stutters = false;
    os_fixture_close(f);
}

TestSuite(os_calls, .init = setup, .fini = teardown);

#define FLAGS (SL_FILE_READ | SL_FILE_WRITE | SL_FILE_CREATE)

/* Opens, writes, syncs, reads back. */
static sl_err round_trip(bool *ret_same)
{
    char text[] = "interrupted, and in parts";
    char back[sizeof text] = "";
    struct sl_iovec pieces[] = {{text, 5}, {text + 5, sizeof text - 5}};
    struct sl_file *file = NULL;
    size_t got = 0;
    sl_err err = sl_file_open(f->os, os_fixture_path(f, "calls"), FLAGS, &file);
    err = err != SLUICE_OK ? err : sl_file_pwritev(file, pieces, 2, 3);
    err = err != SLUICE_OK ? err : sl_file_sync(file);
    err = err != SLUICE_OK ? err : sl_file_pread(file, back, sizeof back, 3, &got);
    sl_file_close(file);
    *ret_same = got == sizeof text && memcmp(text, back, got) == 0;
    return err;
}

Test(os_calls, that_are_interrupted_or_do_one_byte_go_on_to_the_end)
{
    bool same = false;
    stutters = true;
    cr_assert_eq(round_trip(&same), SLUICE_OK);
    cr_assert(same);
    cr_assert_gt(calls, 100, "each byte took two calls, there and back");
}

Test(os_calls, that_fail_say_why_and_are_not_tried_again)
{
    static const struct {
        int number;
        sl_err err;
    } table[] = {{EIO, SLUICE_E_IO}, {ENOSPC, SLUICE_E_DISK_FULL}, {EMFILE, SLUICE_E_LIMIT}};
    bool same = false;
    cr_assert_eq(round_trip(&same), SLUICE_OK);
    uint32_t count = calls;
    for (uint32_t at = 1; at <= count; at++) {
        for (size_t i = 0; i < SL_COUNT_OF(table); i++) {
            calls = 0;
            fails_at = at;
            fails_with = table[i].number;
            cr_assert_eq(round_trip(&same), table[i].err, "call %u", at);
            cr_assert_eq(calls, at, "nothing came after it");
        }
    }
}
