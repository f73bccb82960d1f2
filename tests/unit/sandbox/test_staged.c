/* test_staged.c: what the bytes of a module say, without running it. Bad files: tests/sandbox. */
#include "toy_host.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

Test(staged, reads_the_manifest_from_the_elf_note)
{
    const struct toy_file file = toy_file_read(SLUICE_BINARY_DIR "/tests/hostile/well_behaved.so");
    static const char wanted[] = "{\"id\":\"well_behaved\",\"on\":\"log\"}";
    struct sluice_text manifest;

    cr_assert_eq(staged_manifest((struct sluice_bytes){file.data, file.size}, &manifest),
                 SLUICE_OK);
    cr_assert_eq(manifest.size, sizeof(wanted) - 1);
    cr_assert_eq(memcmp(manifest.data, wanted, manifest.size), 0);
    free(file.data);
}

Test(staged, says_so_when_there_is_no_manifest)
{
    const struct toy_file file = toy_file_read(SLUICE_BINARY_DIR "/tests/hostile/pass_through.so");
    struct sluice_text manifest;

    cr_assert_eq(staged_manifest((struct sluice_bytes){file.data, file.size}, &manifest),
                 SLUICE_E_NOT_FOUND);
    free(file.data);
}

Test(staged, keeps_a_copy_that_nobody_can_change)
{
    const struct toy_file file = toy_file_read(SLUICE_BINARY_DIR "/tests/hostile/pass_through.so");
    struct staged_module module;
    char text[256];

    cr_assert_eq(staged_module_open((struct sluice_bytes){file.data, file.size}, &module, text,
                                    sizeof(text)),
                 SLUICE_OK);
    cr_assert_eq(pwrite(module.fd, "x", 1, 0), -1);
    cr_assert_eq(ftruncate(module.fd, 0), -1);
    staged_module_close(&module);
    free(file.data);
}
