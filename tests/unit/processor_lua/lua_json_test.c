/* JSON from Lua: nothing is lost on the way through, and nothing broken gets through. */
#include "lua_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

TestSuite(lua_json, .timeout = 60);

static const char *const round_trip =
    "record.value = json.encode(json.decode(record.value)) return record";

Test(lua_json, compact_documents_round_trip_to_the_byte)
{
    static const char *const documents[] = {
        "{\"card\":\"4111\",\"id\":9007199254740993}",
        "{}",
        "[]",
        "{\"a\":[],\"b\":{}}",
        "[[],{},[[]]]",
        "{\"z\":1,\"a\":2,\"m\":3,\"b\":{\"y\":1,\"x\":null}}",
        "[-9223372036854775808,9223372036854775807]",
        "[9223372036854775808,-9223372036854775809,123456789012345678901234567890]",
        "[1.5,0.1,-0.0,1e+300,5e-324,3.141592653589793,1.0]",
        "[3.14159265358979323846264338327950288,12345678901234567.89,1e999]",
        "[null,true,false,\"\"]",
        "null",
        "\"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0000\\u001f/\"",
        "{\"\":{\"\":0}}",
        "[1,[2,[3,[4,[5]]]]]",
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        cr_expect_str_eq(lua_eval(round_trip, documents[i]), documents[i]);
    }
}

Test(lua_json, what_lua_sees_has_the_right_type)
{
    cr_expect_str_eq(
        lua_eval("local d = json.decode(record.value) assert(math.type(d.i) == 'integer') "
                 "assert(math.type(d.f) == 'float' and d.n == json.null and d.a[2] == 'x') "
                 "assert(tostring(d.b) == '18446744073709551615' and d.b > 1e19 and d.b + 1 > 0) "
                 "assert(d.i == 9007199254740993) return record",
                 "{\"i\":9007199254740993,\"f\":1e3,\"n\":null,\"a\":[1,\"x\"],"
                 "\"b\":18446744073709551615}"),
        "P");
}

Test(lua_json, changed_objects_keep_their_order_and_sort_what_is_new)
{
    cr_expect_str_eq(
        lua_eval("local d = json.decode(record.value) d.a = nil d.y = 1 d.c = json.null "
                 "d.b = json.array() d.z = 5 record.value = json.encode(d) return record",
                 "{\"z\":1,\"a\":2,\"m\":3}"),
        "{\"z\":5,\"m\":3,\"b\":[],\"c\":null,\"y\":1}");
    cr_expect_str_eq(lua_eval("local n = {} for k, v in pairs(json.decode(record.value)) do "
                              "n[#n + 1] = k .. v end record.value = table.concat(n) return record",
                              "{\"z\":1,\"a\":2,\"m\":3}"),
                     "z1a2m3");
}

Test(lua_json, plain_tables_become_what_they_look_like)
{
    cr_expect_str_eq(
        lua_eval("record.value = json.encode({b=1,a={1,2},c={},d=json.object(),e=json.array{}}) "
                 "return record",
                 "x"),
        "{\"a\":[1,2],\"b\":1,\"c\":{},\"d\":{},\"e\":[]}");
}

Test(lua_json, broken_text_is_refused_with_its_position)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "the text ends too early at byte 0"},
        {"{", "the text ends too early at byte 1"},
        {"[1,]", "unexpected character at byte 3"},
        {"{\"a\" 1}", "':' is wanted at byte 5"},
        {"{a:1}", "a key is wanted at byte 1"},
        {"[1] x", "something follows the value at byte 4"},
        {"01", "invalid number at byte 0"},
        {"-", "invalid number at byte 0"},
        {"1.", "invalid number at byte 0"},
        {"[1e]", "invalid number at byte 1"},
        {"nul", "unexpected character at byte 0"},
        {"\"a", "a string that does not end at byte 0"},
        {"\"\\x\"", "invalid escape at byte 1"},
        {"\"\\u12g4\"", "invalid escape at byte 1"},
        {"\"\\ud800\"", "half a surrogate pair at byte 1"},
        {"\"a\nb\"", "a control character in a string at byte 2"},
        {"\"\xff\"", "invalid UTF-8 at byte 1"},
        {"\"\xc0\xaf\"", "invalid UTF-8 at byte 1"},
        {"\"\xed\xa0\x80\"", "invalid UTF-8 at byte 1"},
        {"{\"a\":1,\"\\u0061\":2}", "the key occurs twice at byte 7"},
        {"NaN", "unexpected character at byte 0"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char wanted[128];
        snprintf(wanted, sizeof(wanted), "test.lua:1: json: %s", cases[i].error);
        cr_expect_str_eq(lua_eval(round_trip, cases[i].text), wanted);
    }
}

Test(lua_json, nesting_is_bounded_both_ways)
{
    char deep[400];
    memset(deep, '[', 128);
    memset(deep + 128, ']', 128);
    deep[256] = '\0';
    cr_expect_str_eq(lua_eval(round_trip, deep), deep);
    memset(deep, '[', 129);
    memset(deep + 129, ']', 129);
    deep[258] = '\0';
    cr_expect_not_null(strstr(lua_eval(round_trip, deep), "nested too deeply at byte 128"));
    cr_expect_not_null(
        strstr(lua_eval("local t = {} t[1] = t json.encode(t)", "x"), "within itself"));
}

Test(lua_json, what_json_cannot_say_is_refused)
{
    cr_expect_not_null(strstr(lua_eval("json.encode(0/0)", "x"), "not finite"));
    cr_expect_not_null(strstr(lua_eval("json.encode('\\xff')", "x"), "not UTF-8"));
    cr_expect_not_null(strstr(lua_eval("json.encode(print)", "x"), "cannot encode a function"));
    cr_expect_not_null(
        strstr(lua_eval("json.encode({[1]=1,a=2})", "x"), "key of an object is a number"));
    cr_expect_not_null(strstr(lua_eval("json.encode(json.array{1,a=2})", "x"), "other keys"));
}

/* ---- property: what one generator writes comes back to the byte ---- */

struct generator {
    uint64_t state;
    char *at;
    char *end;
};

static uint32_t roll(struct generator *g, uint32_t below)
{
    g->state = g->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(g->state >> 33) % below;
}

static void put(struct generator *g, const char *text)
{
    size_t size = strlen(text);
    if ((size_t)(g->end - g->at) > size) {
        memcpy(g->at, text, size + 1);
        g->at += size;
    }
}

static void put_string(struct generator *g, int unique)
{
    static const char *const parts[] = {"a",    "card", "\xc3\xa9",         "\\n",
                                        "\\\"", " ",    "\xf0\x9f\x98\x80", "\\u0001"};
    char tail[16];
    put(g, "\"");
    for (uint32_t i = roll(g, 6); i > 0; i--) {
        put(g, parts[roll(g, 8)]);
    }
    snprintf(tail, sizeof(tail), "%d", unique);
    put(g, unique >= 0 ? tail : "");
    put(g, "\"");
}

static void put_number(struct generator *g)
{
    char text[40];
    long long bits = (long long)((uint64_t)roll(g, 1u << 31) << 33 | roll(g, 1u << 31));
    double real = (double)bits / (double)(1 + roll(g, 1000000));
    if (roll(g, 2) == 0) {
        snprintf(text, sizeof(text), "%lld", bits);
    } else {
        int digits = 15;
        do {
            snprintf(text, sizeof(text), "%.*g", digits, real);
        } while (strtod(text, NULL) != real && digits++ < 17);
        if (strpbrk(text, ".e") == NULL) {
            size_t size = strlen(text);
            snprintf(text + size, sizeof(text) - size, ".0");
        }
    }
    put(g, text);
}

static void put_value(struct generator *g, int depth)
{
    static const char *const words[] = {"true", "false", "null"};
    uint32_t kind = roll(g, depth > 6 ? 3 : 5);
    if (kind == 0) {
        put_number(g);
    } else if (kind == 1) {
        put_string(g, -1);
    } else if (kind == 2) {
        put(g, words[roll(g, 3)]);
    } else {
        bool object = kind == 4;
        int count = (int)roll(g, 5);
        put(g, object ? "{" : "[");
        for (int i = 0; i < count; i++) {
            put(g, i > 0 ? "," : "");
            if (object) {
                put_string(g, i);
                put(g, ":");
            }
            put_value(g, depth + 1);
        }
        put(g, object ? "}" : "]");
    }
}

Test(lua_json, random_documents_round_trip_to_the_byte)
{
    static char text[1 << 20];
    const char *given = getenv("SLUICE_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : 20261121;
    fprintf(stderr, "lua_json seed %llu\n", (unsigned long long)seed);
    struct test_host host = {0};
    lua_start_process(&host, round_trip);
    for (uint32_t i = 0; i < 3000; i++) {
        struct generator g = {seed + i, text, text + sizeof(text)};
        put_value(&g, 0);
        cr_assert_eq(test_host_run_value(&host, text), SLUICE_OK);
        cr_assert_eq(host.verdict_count, 1);
        cr_assert_str_eq(test_host_value(&host), text, "seed %llu: %s",
                         (unsigned long long)(seed + i), host.verdicts[0].reason);
    }
    test_host_fini(&host);
}

/* ---- paths ---- */

static const char *get(const char *path, const char *text)
{
    char body[256];
    snprintf(body, sizeof(body),
             "local v = record:json_get('%s') record.value = v == nil and 'nil' or "
             "json.encode(v) return record",
             path);
    return lua_eval(body, text);
}

static const char *set(const char *path, const char *value, const char *text)
{
    char body[256];
    snprintf(body, sizeof(body), "return record:json_set('%s', %s)", path, value);
    return lua_eval(body, text);
}

Test(lua_json, json_get_finds_by_path)
{
    const char *text =
        " { \"a\" : {\"b\":[10,{\"c\":\"x\"}]}, \"d.e\":1.5, \"\\u0066\":null,\"g\":[]} ";
    cr_expect_str_eq(get("a.b[0]", text), "10");
    cr_expect_str_eq(get("a.b[1].c", text), "\"x\"");
    cr_expect_str_eq(get("[\"d.e\"]", text), "1.5");
    cr_expect_str_eq(get("f", text), "null");
    cr_expect_str_eq(get("g", text), "[]");
    cr_expect_str_eq(get("none", text), "nil");
    cr_expect_str_eq(get("a.b[2]", text), "nil");
    cr_expect_str_eq(get("a.b.c", text), "nil");
    cr_expect_str_eq(get("a[0]", text), "nil");
    cr_expect_str_eq(get("", "[1]"), "[1]");
}

Test(lua_json, json_set_leaves_every_other_byte)
{
    cr_expect_str_eq(set("b", "7", "{ \"a\" : 1e5 ,\t\"b\":\"x\" , \"c\": 1.000 }"),
                     "{ \"a\" : 1e5 ,\t\"b\":7 , \"c\": 1.000 }");
    cr_expect_str_eq(set("a[1].b", "\"\\n\"", "{\"a\":[0, {\"b\" : {}}]}"),
                     "{\"a\":[0, {\"b\" : \"\\n\"}]}");
    cr_expect_str_eq(set("", "{1}", " 1 "), " [1] ");
    cr_expect_str_eq(set("a", "json.null", "{\"a\":1}"), "{\"a\":null}");
}

Test(lua_json, json_set_adds_what_is_missing)
{
    cr_expect_str_eq(set("b", "1", "{}"), "{\"b\":1}");
    cr_expect_str_eq(set("b", "1", "{ \"a\":1 }"), "{ \"a\":1,\"b\":1 }");
    cr_expect_str_eq(set("b.c[0].d", "true", "{\"a\":1}"),
                     "{\"a\":1,\"b\":{\"c\":[{\"d\":true}]}}");
    cr_expect_str_eq(set("[1]", "2", "[1]"), "[1,2]");
    cr_expect_not_null(strstr(set("[2]", "2", "[1]"), "cannot grow by more than one"));
    cr_expect_not_null(strstr(set("a.b", "2", "{\"a\":1}"), "leads into something else at byte 5"));
}

Test(lua_json, json_set_nil_removes_the_member_and_its_comma)
{
    cr_expect_str_eq(set("a", "nil", "{\"a\":1,\"b\":2}"), "{\"b\":2}");
    cr_expect_str_eq(set("b", "nil", "{\"a\":1, \"b\":2 }"), "{\"a\":1 }");
    cr_expect_str_eq(set("a", "nil", "{ \"a\":1 }"), "{  }");
    cr_expect_str_eq(set("[1]", "nil", "[1,2,3]"), "[1,3]");
    cr_expect_str_eq(set("x", "nil", "{\"a\":1}"), "P");
}

Test(lua_json, json_set_works_many_times_and_on_copies)
{
    cr_expect_str_eq(
        lua_eval("for i = 1, 5 do record:json_set('n', i) record:json_set('s', ('x'):rep(i)) end "
                 "local c = record:copy() c:json_set('n', 'c') "
                 "assert(record:json_get('n') == 5 and c:json_get('n') == 'c') return record",
                 "{\"n\":0}"),
        "{\"n\":5,\"s\":\"xxxxx\"}");
}

Test(lua_json, a_key_that_is_addressed_may_not_occur_twice)
{
    cr_expect_not_null(strstr(set("card", "1", "{\"card\":\"4111\",\"c\\u0061rd\":\"4222\"}"),
                              "the key occurs twice at byte 15"));
    cr_expect_str_eq(set("x", "1", "{\"y\":1,\"y\":2,\"x\":3}"), "{\"y\":1,\"y\":2,\"x\":1}");
}

Test(lua_json, a_broken_tail_is_found_though_the_path_comes_first)
{
    cr_expect_not_null(
        strstr(set("a", "1", "{\"a\":1,\"b\":}"), "unexpected character at byte 11"));
    cr_expect_not_null(strstr(get("a", "{\"a\":1} {"), "something follows the value at byte 8"));
}

Test(lua_json, bad_paths_are_named)
{
    cr_expect_not_null(strstr(get("a..b", "{}"), "path 'a..b': a key is wanted here at 3"));
    cr_expect_not_null(strstr(get("a[x]", "{}"), "an index is wanted here at 3"));
    cr_expect_not_null(strstr(get("a[0", "{}"), "']' is wanted here at 4"));
    cr_expect_not_null(strstr(get("a[0]b", "{}"), "'.' or '[' is wanted here at 5"));
    cr_expect_not_null(strstr(get("a.", "{}"), "a key is wanted here at 3"));
}
