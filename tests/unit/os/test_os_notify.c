/* test_os_notify.c: the datagram to a service manager, and where a program's parts are looked for.
 */
#include "base/status.h"
#include "os/os_notify.h"
#include "os/os_program.h"

#include <criterion/criterion.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

Test(notify, reaches_a_name_of_the_abstract_space)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    char address[64];
    char got[64] = "";
    int size = snprintf(address, sizeof(address), "@sluice-test-notify-%ld", (long)getpid());
    memcpy(at.sun_path + 1, address + 1, (size_t)size - 1);
    int descriptor = socket(AF_UNIX, SOCK_DGRAM, 0);
    socklen_t at_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)size);
    cr_assert_eq(bind(descriptor, (struct sockaddr *)&at, at_size), 0);
    cr_assert_eq(sl_notify_send(address, "READY=1"), SLUICE_OK);
    cr_assert_eq(recv(descriptor, got, sizeof(got) - 1, 0), 7);
    cr_assert_str_eq(got, "READY=1");
    close(descriptor);
}

Test(notify, without_a_manager_nothing_is_sent)
{
    cr_assert_eq(sl_notify_send(NULL, "READY=1"), SLUICE_E_NOT_FOUND);
    cr_assert_eq(sl_notify_send("", "READY=1"), SLUICE_E_NOT_FOUND);
    cr_assert_eq(sl_notify_send("relative", "READY=1"), SLUICE_E_IO);
    cr_assert_eq(sl_notify_send("/nobody/listens/here", "READY=1"), SLUICE_E_IO);
}

Test(notify, a_watchdog_is_fed_twice_in_its_time)
{
    char self[32];
    snprintf(self, sizeof(self), "%ld", (long)getpid());
    cr_assert_eq(sl_notify_watchdog_ns("30000000", self), 15000000000LL);
    cr_assert_eq(sl_notify_watchdog_ns("30000000", NULL), 15000000000LL);
    cr_assert_eq(sl_notify_watchdog_ns("30000000", "1"), 0);
    cr_assert_eq(sl_notify_watchdog_ns("nonsense", NULL), 0);
    cr_assert_eq(sl_notify_watchdog_ns(NULL, self), 0);
}

Test(program, its_worker_is_beside_it_or_in_lib)
{
    char folder[] = "/tmp/sluice-program-XXXXXX";
    char path[SL_PROGRAM_PATH_BYTES], program[64], beside[64], lib[96];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(program, sizeof(program), "%s/bin/sluice", folder);
    snprintf(beside, sizeof(beside), "%s/bin/sluice-worker", folder);
    snprintf(lib, sizeof(lib), "%s/lib/sluice/sluice-worker", folder);
    sl_program_worker(program, path);
    cr_assert_str_eq(path, lib);
    snprintf(path, sizeof(path), "%s/bin", folder);
    cr_assert_eq(mkdir(path, 0700), 0);
    FILE *file = fopen(beside, "w");
    cr_assert_not_null(file);
    fclose(file);
    cr_assert_eq(chmod(beside, 0700), 0);
    sl_program_worker(program, path);
    cr_assert_str_eq(path, beside);
    unlink(beside);
    snprintf(path, sizeof(path), "%s/bin", folder);
    rmdir(path);
    rmdir(folder);
    sl_program_worker(NULL, path);
    cr_assert_str_eq(path, "");
}
