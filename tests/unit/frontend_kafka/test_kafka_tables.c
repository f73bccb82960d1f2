/* test_kafka_tables.c: a message table that makes no sense stops the build with its file and line.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GENERATOR SLUICE_SOURCE_DIR "/plugins/frontend_kafka/codec/generate.lua"
#define HEAD      "api 1 Thing versions 0-5 flexible-from 2\nrequest\n"

static char directory[64];

static void make_directory(void)
{
    snprintf(directory, sizeof(directory), "/tmp/kafka-tables-XXXXXX");
    cr_assert_not_null(mkdtemp(directory));
}

static void remove_directory(void)
{
    char command[128];

    snprintf(command, sizeof command, "rm -r %s", directory);
    cr_assert_eq(system(command), 0);
}

/* Runs the generator over the table; its exit status, and what it said. */
static int generate(const char *table, char *ret_said, size_t said_size)
{
    char text[512];
    FILE *file;

    snprintf(text, sizeof text, "%s/thing.tbl", directory);
    file = fopen(text, "w");
    cr_assert_not_null(file);
    fputs(table, file);
    fclose(file);
    snprintf(text, sizeof text, "%s %s %s %s/thing.tbl 2>&1", SLUICE_LUA, GENERATOR, directory,
             directory);
    file = popen(text, "r");
    cr_assert_not_null(file);
    ret_said[fread(ret_said, 1, said_size - 1, file)] = '\0';
    return pclose(file);
}

static const struct {
    const char *table;
    const char *said;
} refused[] = {
    {HEAD "  name text\n", "a struct without fields: thing_request_text"},
    {HEAD "  name string sinc 3\n", "thing.tbl:3: unknown attribute: sinc"},
    {HEAD "  name string since\n", "thing.tbl:3: a number is wanted"},
    {HEAD "  name string since 6\n", "thing.tbl:3: a field without versions"},
    {HEAD "  name string versions 4-6\n",
     "thing.tbl:3: versions outside of those of thing_request"},
    {HEAD "  name string default null\n", "thing.tbl:3: default null, not nullable"},
    {HEAD "  name int32 null\n", "thing.tbl:3: this type cannot be null"},
    {HEAD "  data records tag 0\n", "thing.tbl:3: records cannot be a tagged field"},
    {HEAD "  a int8\n  a int8\n", "thing.tbl:4: a second field a"},
    {HEAD "  a int8 tag 0\n  b int8 tag 0\n", "thing.tbl:4: a second tag 0"},
    {HEAD "    a int8\n", "thing.tbl:3: indented too far"},
    {HEAD "answer\n", "thing.tbl:3: unknown: answer"},
    {"api Thing\n", "thing.tbl:1: api <key>"},
    {"api 1 Thing versions 5-2\n", "thing.tbl:1: empty version range: 5-2"},
};

Test(kafka_tables, senseless_lines_are_refused_with_file_and_line, .init = make_directory,
     .fini = remove_directory)
{
    char said[1024];

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        cr_assert_neq(generate(refused[i].table, said, sizeof said), 0, "%s", refused[i].table);
        cr_assert_not_null(strstr(said, refused[i].said), "%s said %s", refused[i].table, said);
    }
}

Test(kafka_tables, a_sound_table_is_taken, .init = make_directory, .fini = remove_directory)
{
    char said[1024];

    cr_assert_eq(generate(HEAD "  names []string null 1 # all\nresponse\n  error_code int16\n",
                          said, sizeof said),
                 0, "%s", said);
}
