/* test_explain.c: the table of causes and next steps. */
#include "base/status.h"
#include "control/explain.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static void check_sentence(const char *text, int number)
{
    size_t size = strlen(text);
    cr_expect(size > 10 && text[size - 1] == '.', "SLU-%04d: \"%s\" is no sentence", number, text);
}

Test(explain, every_error_has_a_cause_and_a_next_step)
{
    size_t count = 0;
    const struct sluice_status_row *rows = sluice_status_rows(&count);
    for (size_t i = 0; i < count; i++) {
        if (rows[i].status == SLUICE_OK) {
            continue;
        }
        cr_expect(explain_is_known(rows[i].status), "core/control/explain.c has nothing on %s",
                  rows[i].symbol);
        check_sentence(explain_find(rows[i].status)->cause, rows[i].status);
        check_sentence(explain_find(rows[i].status)->next, rows[i].status);
    }
}

Test(explain, an_unknown_number_is_explained_in_general)
{
    cr_expect(!explain_is_known(9999));
    check_sentence(explain_find(9999)->next, 9999);
}

Test(explain, the_committed_page_is_what_the_table_says)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    explain_page_write(out);
    fclose(out);
    FILE *file = fopen(SLUICE_SOURCE_DIR "/docs/troubleshooting.md", "r");
    cr_assert_not_null(file);
    char *page = calloc(1, size + 2);
    size_t page_size = fread(page, 1, size + 1, file);
    fclose(file);
    cr_expect(page_size == size && memcmp(page, text, size) == 0,
              "run: sluice manual troubleshooting.md > docs/troubleshooting.md");
    free(page);
    free(text);
}
