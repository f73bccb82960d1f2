/* cli_demo_steps.c: the steps of the demo. Each says what it does, does it, and looks whether the
 * effect is there. They may be run in any order, and again. */
#include "cli/cli_demo.h"
#include "os/os_interrupt.h"

#include <string.h>

#define ORDERS  "orders"
#define MASKED  "orders.masked"
#define TOTALS  "orders.total"
#define LETTERS "__sluice_dlq.till"

static const struct {
    const char *key, *value;
} orders[] = {
    {"anna", "{\"id\":9007199254740993,\"customer\":\"anna\",\"card\":\"4111 1111 1111 1111\"}"},
    {"bert", "{\"id\":9007199254740995,\"customer\":\"bert\",\"card\":\"5500 0000 0000 0004\"}"},
    {"carla", "{\"id\":9007199254740997,\"customer\":\"carla\",\"card\":\"3400 0000 0000 009\"}"},
};

static const char mask_before[] =
    "-- What is in orders appears in orders.masked.\n"
    "return {\n"
    "  name = \"mask\", input = \"orders\", output = \"orders.masked\",\n"
    "  process = function(record)\n"
    "    local card = record:json_get(\"card\")\n"
    "    if card then record:json_set(\"card\", \"**** \" .. card:sub(-4)) end\n"
    "    return record\n"
    "  end,\n"
    "}\n";

static const char mask_after[] =
    "-- What is in orders appears in orders.masked.\n"
    "return {\n"
    "  name = \"mask\", input = \"orders\", output = \"orders.masked\",\n"
    "  process = function(record)\n"
    "    record:json_set(\"card\", \"none of your business\")\n"
    "    record:json_set(\"customer\", record:json_get(\"customer\"):upper())\n"
    "    return record\n"
    "  end,\n"
    "}\n";

static const char mask_wrong[] =
    "-- Somebody saved half a thought.\n"
    "return {\n"
    "  name = \"mask\", input = \"orders\", output = \"orders.masked\",\n"
    "  process = function(record)\n"
    "    return recor(\n";

static const char till[] = "-- Adds a total; a record without an amount is an error.\n"
                           "return {\n"
                           "  name = \"till\", input = \"payments\", output = \"orders.total\",\n"
                           "  process = function(record)\n"
                           "    record:json_set(\"total\", record:json_get(\"amount\") * 2)\n"
                           "    return record\n"
                           "  end,\n"
                           "}\n";

/* ---- post, poll, topics ---- */

void demo_step_post(struct demo *demo)
{
    int64_t before = demo_end(demo, ORDERS);
    demo_heading(demo, "Post records");
    for (size_t i = 0; i < SL_COUNT_OF(orders); i++) {
        if (demo_post(demo, ORDERS, orders[i].key, orders[i].value)) {
            demo_say(demo, "-> " ORDERS "  key=%s  %s", orders[i].key, orders[i].value);
        }
    }
    bool grew = demo_end(demo, ORDERS) == before + (int64_t)SL_COUNT_OF(orders);
    demo_expect(demo, grew, "three records are in the log, synced to the disk");
}

/* The value, the header and the exact id are as they were posted. */
static bool is_as_posted(const cJSON *record)
{
    const cJSON *headers = cJSON_GetObjectItemCaseSensitive(record, "headers");
    bool known = false;
    for (size_t i = 0; i < SL_COUNT_OF(orders); i++) {
        known = known || (strcmp(watch_text(record, "key"), orders[i].key) == 0 &&
                          strcmp(watch_text(record, "value"), orders[i].value) == 0);
    }
    return known && strcmp(watch_text(headers->child, "value"), "demo") == 0 &&
           watch_int(record, "timestamp", 0) > 0;
}

void demo_step_poll(struct demo *demo)
{
    const cJSON *record;
    bool same = true;
    if (demo_end(demo, ORDERS) == 0) {
        demo_step_post(demo);
    }
    demo_heading(demo, "Poll them");
    cJSON *records = demo_records(demo, ORDERS, 0);
    cJSON_ArrayForEach(record, records)
    {
        demo_record(demo, ORDERS, record);
        same = same && is_as_posted(record);
    }
    demo_expect(demo, same && cJSON_GetArraySize(records) >= (int)SL_COUNT_OF(orders),
                "keys, values (ids to the last digit), headers and times are as they were posted");
    cJSON_Delete(records);
}

void demo_step_topics(struct demo *demo)
{
    const cJSON *topic;
    bool found = false;
    if (demo_end(demo, ORDERS) == 0) {
        demo_step_post(demo);
    }
    demo_heading(demo, "Topics");
    cJSON *result = demo_call(demo, "topic.list", NULL);
    cJSON_ArrayForEach(topic, cJSON_GetObjectItemCaseSensitive(result, "topics"))
    {
        const char *name = watch_text(topic, "name");
        int64_t end = demo_end(demo, name);
        demo_say(demo, "%-22s %lld partition(s)  %lld records", name,
                 (long long)watch_int(topic, "partitions", 0), (long long)end);
        found = found || (strcmp(name, ORDERS) == 0 && end > 0);
    }
    demo_expect(demo, found, "the topic was made when the first record came");
    cJSON_Delete(result);
}

/* ---- edit ---- */

struct running {
    const char *name;
    const char *not_hash; /* of the version that ran before; "" any will do */
};

static bool is_running(struct demo *demo, const void *arg)
{
    const struct running *wanted = arg;
    cJSON *plugin = demo_plugin(demo, wanted->name);
    bool is_so = strcmp(watch_text(plugin, "state"), "running") == 0 &&
                 strcmp(watch_text(plugin, "hash"), wanted->not_hash) != 0;
    cJSON_Delete(plugin);
    return is_so;
}

static void hash_of(struct demo *demo, const char *name, char ret_hash[64])
{
    cJSON *plugin = demo_plugin(demo, name);
    snprintf(ret_hash, 64, "%.63s", watch_text(plugin, "hash"));
    cJSON_Delete(plugin);
}

struct growth {
    const char *topic;
    int64_t end;
};

static bool has_grown(struct demo *demo, const void *arg)
{
    const struct growth *growth = arg;
    return demo_end(demo, growth->topic) >= growth->end;
}

/* Posts the first order, and shows what it has become; true when `text` is in it. */
static bool comes_out_with(struct demo *demo, const char *text)
{
    int64_t before = demo_end(demo, MASKED);
    struct growth growth = {MASKED, before + 1};
    demo_post(demo, ORDERS, orders[0].key, orders[0].value);
    demo_say(demo, "in   %s", orders[0].value);
    if (!demo_wait(demo, has_grown, &growth)) {
        return false;
    }
    cJSON *records = demo_records(demo, MASKED, before);
    const char *value = watch_text(cJSON_GetArrayItem(records, 0), "value");
    bool is_so = text == NULL || strstr(value, text) != NULL;
    demo_say(demo, "out  %s", value);
    cJSON_Delete(records);
    return is_so;
}

/* Where somebody sits, it is their turn. */
static void own_edits(struct demo *demo)
{
    char line[8];
    while (!demo->is_auto && !sl_interrupted()) {
        demo_say(
            demo,
            "your turn: edit %s/plugins/mask.lua in another terminal, then press Enter; q goes on",
            demo->folder);
        if (sl_line_read_unless_interrupted(line, sizeof(line)) != SLUICE_OK || line[0] == 'q') {
            return;
        }
        (void)comes_out_with(demo, NULL);
    }
}

void demo_step_edit(struct demo *demo)
{
    char hash[64];
    struct running running = {"mask", hash};
    demo_heading(demo, "Edit a Lua file while records flow");
    hash_of(demo, "mask", hash);
    demo_say(demo, "plugins/mask.lua:");
    demo_code(demo, mask_before);
    bool written = demo_plugin_write(demo, "mask.lua", mask_before);
    demo_expect(demo, written && demo_wait(demo, is_running, &running),
                "a file that is dropped into the folder runs");
    demo_expect(demo, comes_out_with(demo, "\"card\":\"**** 1111\""), "the card is masked");
    hash_of(demo, "mask", hash);
    demo_say(demo, "the file is saved with other lines:");
    demo_code(demo, mask_after);
    written = demo_plugin_write(demo, "mask.lua", mask_after);
    demo_expect(demo, written && demo_wait(demo, is_running, &running),
                "the new version has taken over, the broker did not stop");
    demo_expect(demo, comes_out_with(demo, "\"customer\":\"ANNA\""),
                "the same record comes out differently");
    own_edits(demo);
}

/* ---- break ---- */

static bool was_refused(struct demo *demo, const void *arg)
{
    (void)arg;
    cJSON *plugin = demo_plugin(demo, "mask");
    bool is_so = watch_text(plugin, "reason")[0] != '\0';
    cJSON_Delete(plugin);
    return is_so;
}

static void break_file(struct demo *demo)
{
    char hash[64];
    struct running running = {"mask", hash};
    hash_of(demo, "mask", hash);
    demo_say(demo, "plugins/mask.lua is saved with half a thought:");
    demo_code(demo, mask_wrong);
    /* Whatever ran before, an intact version runs first. */
    bool ready =
        demo_plugin_write(demo, "mask.lua", mask_before) && demo_wait(demo, is_running, &running);
    hash_of(demo, "mask", hash);
    bool refused = ready && demo_plugin_write(demo, "mask.lua", mask_wrong) &&
                   demo_wait(demo, was_refused, NULL);
    cJSON *plugin = demo_plugin(demo, "mask");
    demo_say(demo, "the broker says: %s", watch_text(plugin, "reason"));
    demo_expect(demo,
                refused && strcmp(watch_text(plugin, "state"), "running") == 0 &&
                    strcmp(watch_text(plugin, "hash"), hash) == 0,
                "the file is refused by name and line, the version before goes on");
    cJSON_Delete(plugin);
    (void)demo_plugin_write(demo, "mask.lua", mask_before);
}

static void letter_show(struct demo *demo, int64_t offset)
{
    const cJSON *header;
    bool named = false;
    cJSON *records = demo_records(demo, LETTERS, offset);
    const cJSON *letter = cJSON_GetArrayItem(records, 0);
    demo_say(demo, "dead letter  %s", watch_text(letter, "value"));
    cJSON_ArrayForEach(header, cJSON_GetObjectItemCaseSensitive(letter, "headers"))
    {
        const char *key = watch_text(header, "key");
        if (strcmp(key, "sluice.reason") == 0 || strcmp(key, "sluice.topic") == 0 ||
            strcmp(key, "sluice.offset") == 0) {
            demo_say(demo, "  %-14s %s", key, watch_text(header, "value"));
        }
        named =
            named || (strcmp(key, "sluice.reason") == 0 && watch_text(header, "value")[0] != '\0');
    }
    demo_expect(demo, named, "the bad record is kept, with the reason and where it came from");
    cJSON_Delete(records);
}

void demo_step_break(struct demo *demo)
{
    char hash[64];
    struct running running = {"till", hash};
    hash_of(demo, "till", hash);
    demo_heading(demo, "Break a plugin");
    break_file(demo);
    demo_say(demo, "plugins/till.lua:");
    demo_code(demo, till);
    if (!demo_expect(demo,
                     demo_plugin_write(demo, "till.lua", till) &&
                         demo_wait(demo, is_running, &running),
                     "it runs")) {
        return;
    }
    struct growth out = {TOTALS, demo_end(demo, TOTALS) + 2};
    struct growth letters = {LETTERS, demo_end(demo, LETTERS) + 1};
    demo_say(demo, "three payments, the second without an amount");
    demo_post(demo, "payments", "anna", "{\"amount\":21}");
    demo_post(demo, "payments", "bert", "{\"note\":\"later\"}");
    demo_post(demo, "payments", "carla", "{\"amount\":4}");
    demo_expect(demo, demo_wait(demo, has_grown, &out), "the two good ones are through");
    if (demo_expect(demo, demo_wait(demo, has_grown, &letters),
                    "the bad one is a dead letter, and holds nothing up")) {
        letter_show(demo, letters.end - 1);
    }
    demo_say(
        demo,
        "see them with \"sluice dlq show till\", hand them back with \"sluice dlq redrive till\"");
}
