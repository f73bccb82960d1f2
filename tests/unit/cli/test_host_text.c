/* test_host_text.c: what check host reads in the files of Linux. */
#include "cli/cli_host_text.h"

#include <criterion/criterion.h>

static const char limits[] =
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max processes             96365                96365                processes \n"
    "Max open files            1024                 1048576              files     \n"
    "Max locked memory         unlimited            unlimited            bytes     \n";

static const char mounts[] =
    "22 27 0:21 / /proc rw,relatime - proc proc rw\n"
    "27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/root rw,errors=remount-ro\n"
    "30 27 254:1 / /srv/my\\040data rw,noatime - xfs /dev/vdb rw,nobarrier\n"
    "31 27 0:40 / /srv/my\\040data/ram rw - tmpfs tmpfs rw,size=1k\n"
    "32 27 0:41 / /over rw - ext4 /dev/vdc rw\n"
    "33 27 0:42 / /over rw - nfs4 server:/x rw,vers=4.2\n";

Test(host_text, limits_are_soft_ones)
{
    uint64_t limit = 0;
    cr_assert(host_limit_of(limits, "Max open files", &limit));
    cr_expect_eq(limit, 1024u);
    cr_assert(host_limit_of(limits, "Max locked memory", &limit));
    cr_expect_eq(limit, UINT64_MAX);
    cr_expect_not(host_limit_of(limits, "Max nothing", &limit));
}

Test(host_text, memory_is_in_bytes_and_the_choice_is_in_brackets)
{
    char word[HOST_WORD_BYTES];
    uint64_t bytes = 0;
    cr_assert(host_memory_of("MemTotal:       24670000 kB\nMemAvailable:   1024 kB\n",
                             "MemAvailable:", &bytes));
    cr_expect_eq(bytes, 1024u * 1024);
    cr_assert(host_choice_of("always [madvise] never\n", word));
    cr_expect_str_eq(word, "madvise");
    cr_expect_not(host_choice_of("always", word));
}

static void expect_mount(const char *path, const char *point, const char *type)
{
    struct host_mount mount;
    cr_assert(host_mount_of(mounts, path, &mount), "%s", path);
    cr_expect_str_eq(mount.point, point);
    cr_expect_str_eq(mount.type, type);
}

Test(host_text, a_path_lies_on_the_longest_mount_and_of_two_at_one_place_on_the_last)
{
    expect_mount("/var/lib/sluice", "/", "ext4");
    expect_mount("/srv/my data/sluice", "/srv/my data", "xfs");
    expect_mount("/srv/my data/ram/sluice", "/srv/my data/ram", "tmpfs");
    expect_mount("/srv/my database", "/", "ext4");
    expect_mount("/over/x", "/over", "nfs4");
}

Test(host_text, options_are_of_the_mount_and_of_the_file_system)
{
    struct host_mount mount;
    cr_assert(host_mount_of(mounts, "/srv/my data", &mount));
    cr_expect(host_option_has(mount.options, "noatime"));
    cr_expect(host_option_has(mount.options, "nobarrier"));
    cr_expect_not(host_option_has(mount.options, "barrier"));
    cr_expect_not(host_mount_of("", "/", &mount));
    cr_expect_not(host_mount_of("1 2 3 4 /\n", "/", &mount));
}
