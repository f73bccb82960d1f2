/* sluice_lua.c: `require "sluice"` for Lua 5.4: a connection of libsluice as an object.
 *
 * Functions give what was asked for, or nil, a sentence and the number of an SLU-nnnn. Lua's errors
 * are for wrong arguments only. They jump, so that nothing is held across a call that may raise
 * one: what a call needs is in the userdata of the connection, which the collector ends. */
#include <sluice/client_tls.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <string.h>

#define CONNECTION   "sluice.connection"
#define SUBSCRIPTION "sluice.subscription"
#define HEADERS_MAX  64

SLUICE_CLIENT_API int luaopen_sluice(lua_State *L);

struct lua_connection {
    struct sluice_connection *connection; /* NULL: closed */
    struct sluice_transport *transport;   /* of TLS; NULL: none */
    struct sluice_wait wait;              /* of the request that is under way */
    struct sluice_message_batch *batch;   /* being published */
};

struct lua_subscription {
    struct lua_connection *owner; /* its userdata is user value 1 */
    struct sluice_subscription *subscription;
};

static int fail(lua_State *L, sluice_status status, const char *text)
{
    lua_pushnil(L);
    lua_pushstring(L, text != NULL && text[0] != '\0' ? text : sluice_status_text(status));
    lua_pushinteger(L, status);
    return 3;
}

static struct lua_connection *check_connection(lua_State *L)
{
    struct lua_connection *self = luaL_checkudata(L, 1, CONNECTION);
    luaL_argcheck(L, self->connection != NULL, 1, "the connection is closed");
    return self;
}

static struct lua_subscription *check_subscription(lua_State *L)
{
    struct lua_subscription *self = luaL_checkudata(L, 1, SUBSCRIPTION);
    luaL_argcheck(L, self->subscription != NULL && self->owner->connection != NULL, 1,
                  "the subscription is closed");
    return self;
}

static struct sluice_client *client_of(const struct lua_connection *self)
{
    return sluice_connection_client(self->connection);
}

/* Waits for the request that was made with self->wait, if it was. */
static sluice_status finish(struct lua_connection *self, sluice_status status)
{
    return status == SLUICE_OK ? sluice_connection_wait(self->connection, &self->wait, -1) : status;
}

/* true, or nil and the error. */
static int done(lua_State *L, struct lua_connection *self, sluice_status status)
{
    const int count = status == SLUICE_OK ? 1 : fail(L, status, self->wait.text);
    if (status == SLUICE_OK) {
        lua_pushboolean(L, 1);
    }
    sluice_wait_fini(&self->wait);
    return count;
}

/* -- arguments -- */

static struct sluice_text text_at(lua_State *L, int index)
{
    size_t size = 0;
    const char *text = luaL_checklstring(L, index, &size);
    return (struct sluice_text){text, size};
}

/* The string at the top, which a table keeps alive when it is popped; a number would be made a
 * string that nobody keeps. NULL for nil. */
static const char *string_at_top(lua_State *L, size_t *ret_size)
{
    if (lua_isnil(L, -1)) {
        *ret_size = 0;
        return NULL;
    }
    luaL_checktype(L, -1, LUA_TSTRING);
    return lua_tolstring(L, -1, ret_size);
}

/* The text in a field of the table at `table`, which keeps it alive; empty without one. */
static struct sluice_text text_field(lua_State *L, int table, const char *name)
{
    size_t size = 0;
    const char *text = NULL;
    if (lua_istable(L, table)) {
        lua_getfield(L, table, name);
        text = string_at_top(L, &size);
        lua_pop(L, 1);
    }
    return (struct sluice_text){text, size};
}

static int64_t number_field(lua_State *L, int table, const char *name, int64_t otherwise)
{
    if (!lua_istable(L, table)) {
        return otherwise;
    }
    lua_getfield(L, table, name);
    const int64_t value = luaL_optinteger(L, -1, otherwise);
    lua_pop(L, 1);
    return value;
}

static bool flag_field(lua_State *L, int table, const char *name)
{
    if (!lua_istable(L, table)) {
        return false;
    }
    lua_getfield(L, table, name);
    const bool value = lua_toboolean(L, -1) != 0;
    lua_pop(L, 1);
    return value;
}

static struct sluice_bytes as_bytes(struct sluice_text text)
{
    return (struct sluice_bytes){(const uint8_t *)text.data, text.size};
}

/* headers = { {name, value}, … } of the message at `table`. */
static uint32_t read_headers(lua_State *L, int table, struct sluice_header *ret_headers)
{
    uint32_t count = 0;
    lua_getfield(L, table, "headers");
    if (lua_istable(L, -1)) {
        count = (uint32_t)lua_rawlen(L, -1);
        luaL_argcheck(L, count <= HEADERS_MAX, table, "more than 64 headers");
        for (uint32_t i = 0; i < count; i++) {
            lua_rawgeti(L, -1, (lua_Integer)i + 1);
            luaL_checktype(L, -1, LUA_TTABLE);
            size_t size = 0;
            lua_rawgeti(L, -1, 1);
            ret_headers[i].key.data = string_at_top(L, &size);
            ret_headers[i].key.size = size;
            lua_rawgeti(L, -2, 2);
            ret_headers[i].value.data = (const uint8_t *)string_at_top(L, &size);
            ret_headers[i].value.size = size;
            lua_pop(L, 3);
        }
    }
    lua_pop(L, 1);
    return count;
}

/* A value, or a table with value, key, id, timestamp, headers, partition, offset, source. */
static struct sluice_message read_message(lua_State *L, int index, const char *topic,
                                          struct sluice_header *headers)
{
    struct sluice_message message = sluice_message_of(topic, NULL, 0);
    index = lua_absindex(L, index);
    if (!lua_istable(L, index)) {
        message.value = as_bytes(text_at(L, index));
        return message;
    }
    message.value = as_bytes(text_field(L, index, "value"));
    message.key = as_bytes(text_field(L, index, "key"));
    message.id = text_field(L, index, "id");
    message.timestamp_ms = number_field(L, index, "timestamp", -1);
    message.partition = (int32_t)number_field(L, index, "partition", -1);
    message.offset = number_field(L, index, "offset", -1);
    message.source = (uint32_t)number_field(L, index, "source", 0);
    message.header_count = read_headers(L, index, headers);
    message.headers = message.header_count > 0 ? headers : NULL;
    return message;
}

static void push_bytes(lua_State *L, struct sluice_bytes bytes, const char *name)
{
    if (bytes.data != NULL) {
        lua_pushlstring(L, (const char *)bytes.data, (size_t)bytes.size);
        lua_setfield(L, -2, name);
    }
}

static void push_number(lua_State *L, int64_t number, const char *name)
{
    lua_pushinteger(L, number);
    lua_setfield(L, -2, name);
}

static void push_message(lua_State *L, const struct sluice_message *message)
{
    struct sluice_header header;
    lua_createtable(L, 0, 9);
    push_bytes(L, as_bytes(message->topic), "topic");
    push_bytes(L, message->key, "key");
    push_bytes(L, message->value, "value");
    push_bytes(L, as_bytes(message->id), "id");
    push_number(L, message->partition, "partition");
    push_number(L, message->offset, "offset");
    push_number(L, message->timestamp_ms, "timestamp");
    push_number(L, message->deliveries, "deliveries");
    push_number(L, message->source, "source");
    lua_createtable(L, (int)message->header_count, 0);
    for (uint32_t i = 0; sluice_message_header(message, i, &header) == SLUICE_OK; i++) {
        lua_createtable(L, 2, 0);
        lua_pushlstring(L, header.key.data != NULL ? header.key.data : "", (size_t)header.key.size);
        lua_rawseti(L, -2, 1);
        if (header.value.data != NULL) {
            lua_pushlstring(L, (const char *)header.value.data, (size_t)header.value.size);
            lua_rawseti(L, -2, 2);
        }
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "headers");
}

static int32_t timeout_at(lua_State *L, int index)
{
    const lua_Number seconds = luaL_optnumber(L, index, -1);
    return seconds < 0 ? -1 : seconds > 1e6 ? INT32_MAX : (int32_t)(seconds * 1000);
}

/* -- connections -- */

/* What the table under `tls` of the options says: ca_file, cert_file, key_file, name. */
static struct sluice_tls_options read_tls(lua_State *L, int table)
{
    struct sluice_tls_options tls = {.size = sizeof(tls)};
    if (lua_istable(L, table) && lua_getfield(L, table, "tls") == LUA_TTABLE) {
        const int at = lua_gettop(L); /* which the table of options keeps alive, and it its texts */
        tls.ca_file = text_field(L, at, "ca_file").data;
        tls.cert_file = text_field(L, at, "cert_file").data;
        tls.key_file = text_field(L, at, "key_file").data;
        tls.name = text_field(L, at, "name").data;
    }
    lua_settop(L, table);
    return tls;
}

/* connect(address [, {user, password, mechanism = "PLAIN", token, client_id, tls = {ca_file,
 * cert_file, key_file, name}}]) */
static int lua_connect(lua_State *L)
{
    const char *address = luaL_checkstring(L, 1);
    struct sluice_client_options options = sluice_client_defaults();
    options.client_id = "sluice-lua";
    options.hash = sluice_client_openssl();
    lua_settop(L, 2);
    if (lua_istable(L, 2)) {
        options.user = text_field(L, 2, "user").data;
        options.password = text_field(L, 2, "password").data;
        options.mechanism = text_field(L, 2, "mechanism").data;
        options.token = text_field(L, 2, "token").data;
        const char *client_id = text_field(L, 2, "client_id").data;
        options.client_id = client_id != NULL ? client_id : options.client_id;
    }
    const struct sluice_tls_options tls = read_tls(L, 2);
    struct lua_connection *self = lua_newuserdatauv(L, sizeof(*self), 0);
    memset(self, 0, sizeof(*self));
    luaL_setmetatable(L, CONNECTION);
    sluice_status status = SLUICE_OK;
    if (strncmp(address, "tls://", 6) == 0) {
        status = sluice_tls_new(&tls, &self->transport);
    }
    if (status != SLUICE_OK) {
        return fail(L, status, NULL);
    }
    status = sluice_connection_open(address, &options, self->transport, 10000, &self->connection);
    return status == SLUICE_OK ? 1 : fail(L, status, sluice_connection_why());
}

static int connection_set_token(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    const sluice_status status = sluice_client_set_token(client_of(self), luaL_checkstring(L, 2));
    if (status != SLUICE_OK) {
        return fail(L, status, NULL);
    }
    lua_pushboolean(L, 1);
    return 1;
}

static int connection_close(lua_State *L)
{
    struct lua_connection *self = luaL_checkudata(L, 1, CONNECTION);
    sluice_connection_close(self->connection);
    self->connection = NULL;
    sluice_tls_free(self->transport);
    self->transport = NULL;
    sluice_wait_fini(&self->wait);
    sluice_message_batch_free(self->batch);
    self->batch = NULL;
    return 0;
}

/* publish(topic, message or list of messages [, {partition, id, expected_offset, deliver_at_ms}]):
 * offset, partition; -1, partition, true when they are durable and will be appended later */
static int connection_publish(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    struct sluice_publish publish = sluice_publish_to(luaL_checkstring(L, 2));
    struct sluice_header headers[HEADERS_MAX];
    const bool is_list = lua_istable(L, 3) && lua_rawlen(L, 3) > 0;
    const lua_Integer count = is_list ? (lua_Integer)lua_rawlen(L, 3) : 1;
    publish.partition = (int32_t)number_field(L, 4, "partition", -1);
    publish.expected_offset = number_field(L, 4, "expected_offset", -1);
    publish.deliver_at_ms = number_field(L, 4, "deliver_at_ms", 0);
    publish.id = text_field(L, 4, "id");
    sluice_message_batch_free(self->batch); /* of a call that an error ended */
    self->batch = NULL;
    sluice_status status = sluice_message_batch_new(&self->batch);
    for (lua_Integer i = 1; i <= count && status == SLUICE_OK; i++) {
        if (is_list) {
            lua_rawgeti(L, 3, i);
        } else {
            lua_pushvalue(L, 3);
        }
        const struct sluice_message message = read_message(L, -1, NULL, headers);
        status = sluice_message_batch_add(self->batch, &message);
        lua_pop(L, 1);
    }
    if (status == SLUICE_OK) {
        status = finish(self, sluice_client_publish(client_of(self), &publish, self->batch,
                                                    sluice_wait_done, &self->wait));
    }
    sluice_message_batch_free(self->batch);
    self->batch = NULL;
    const int64_t offset = self->wait.result.offset;
    const int32_t partition = self->wait.result.partition;
    const bool delayed = self->wait.result.delayed;
    int results = done(L, self, status);
    if (status == SLUICE_OK) {
        lua_pushinteger(L, offset);
        lua_pushinteger(L, partition);
        results = 2;
        if (delayed) {
            lua_pushboolean(L, true);
            results = 3;
        }
    }
    return results;
}

static const char *const starts[] = {"end",       "beginning",    "offset",
                                     "timestamp", "last-per-key", NULL};

/* subscribe(pattern [, {group, start, start_value, partition, filter, credit_records, credit_bytes,
 * manual_credit, exclusive, committed}]) */
static int connection_subscribe(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    struct sluice_subscribe options = sluice_subscribe_to(luaL_checkstring(L, 2));
    options.group = text_field(L, 3, "group");
    options.filter = text_field(L, 3, "filter");
    options.partition = (int32_t)number_field(L, 3, "partition", -1);
    options.start_value = number_field(L, 3, "start_value", 0);
    options.credit_records = (uint64_t)number_field(L, 3, "credit_records", 1000);
    options.credit_bytes = (uint64_t)number_field(L, 3, "credit_bytes", 4 << 20);
    options.manual_credit = flag_field(L, 3, "manual_credit");
    options.exclusive = flag_field(L, 3, "exclusive");
    options.committed = flag_field(L, 3, "committed");
    if (lua_istable(L, 3)) {
        lua_getfield(L, 3, "start");
        options.start = (uint32_t)luaL_checkoption(L, -1, "end", starts);
        lua_pop(L, 1);
    }
    struct lua_subscription *made = lua_newuserdatauv(L, sizeof(*made), 1);
    *made = (struct lua_subscription){self, NULL};
    luaL_setmetatable(L, SUBSCRIPTION);
    lua_pushvalue(L, 1); /* the connection outlives its subscriptions */
    lua_setiuservalue(L, -2, 1);
    sluice_status status = sluice_client_subscribe(client_of(self), &options, &made->subscription);
    return status == SLUICE_OK ? 1 : fail(L, status, NULL);
}

/* request(topic, message [, seconds]): the answer */
static int connection_request(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    struct sluice_header headers[HEADERS_MAX];
    struct sluice_message answer;
    const struct sluice_message question = read_message(L, 3, luaL_checkstring(L, 2), headers);
    const int32_t timeout = timeout_at(L, 4);
    sluice_status status =
        finish(self, sluice_client_request(client_of(self), &question,
                                           timeout < 0 ? 30000 : (uint32_t)timeout,
                                           sluice_wait_done, &self->wait));
    if (status == SLUICE_OK) {
        status = sluice_message_batch_get(self->wait.answer, 0, &answer);
    }
    if (status == SLUICE_OK) {
        push_message(L, &answer);
        sluice_wait_fini(&self->wait);
        return 1;
    }
    return done(L, self, status);
}

/* reply(request, message) */
static int connection_reply(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    struct sluice_header request_headers[HEADERS_MAX];
    struct sluice_header headers[HEADERS_MAX];
    luaL_checktype(L, 2, LUA_TTABLE);
    const struct sluice_message request = read_message(L, 2, NULL, request_headers);
    const struct sluice_message answer = read_message(L, 3, NULL, headers);
    return done(L, self,
                finish(self, sluice_client_reply(client_of(self), &request, &answer,
                                                 sluice_wait_done, &self->wait)));
}

/* topics([pattern]): {name = partitions} */
static int connection_topics(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    const char *pattern = luaL_optstring(L, 2, "");
    sluice_status status =
        finish(self, sluice_client_topics(client_of(self), pattern, sluice_wait_done, &self->wait));
    if (status != SLUICE_OK) {
        return done(L, self, status);
    }
    lua_newtable(L);
    for (uint32_t i = 0; i < self->wait.result.count; i++) {
        const struct sluice_topic_info *topic = &self->wait.topics[i];
        lua_pushlstring(L, topic->name.data, (size_t)topic->name.size);
        lua_pushinteger(L, topic->partitions);
        lua_settable(L, -3);
    }
    sluice_wait_fini(&self->wait);
    return 1;
}

/* create_topic(topic [, partitions]) */
static int connection_create_topic(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    const char *topic = luaL_checkstring(L, 2);
    const int32_t partitions = (int32_t)luaL_optinteger(L, 3, -1);
    return done(L, self,
                finish(self, sluice_client_topic_create(client_of(self), topic, partitions, NULL, 0,
                                                        sluice_wait_done, &self->wait)));
}

/* delete_topic(topic) */
static int connection_delete_topic(lua_State *L)
{
    struct lua_connection *self = check_connection(L);
    const char *topic = luaL_checkstring(L, 2);
    return done(L, self,
                finish(self, sluice_client_topic_delete(client_of(self), topic, sluice_wait_done,
                                                        &self->wait)));
}

/* -- subscriptions -- */

/* next([seconds]): a message; nil, text, 1007 when none came in time */
static int subscription_next(lua_State *L)
{
    struct lua_subscription *self = check_subscription(L);
    struct sluice_message message;
    sluice_status status = sluice_connection_next(self->owner->connection, self->subscription,
                                                  timeout_at(L, 2), &message);
    if (status != SLUICE_OK) {
        return fail(L, status, NULL);
    }
    push_message(L, &message);
    return 1;
}

static const char *const acks[] = {"done", "again", "reject", "extend", "up-to", NULL};

/* ack(message [, what [, seconds until it is given again]]): durable when it returns */
static int subscription_ack(lua_State *L)
{
    struct lua_subscription *self = check_subscription(L);
    struct sluice_header headers[HEADERS_MAX];
    luaL_checktype(L, 2, LUA_TTABLE);
    const struct sluice_message message = read_message(L, 2, NULL, headers);
    const uint32_t what = (uint32_t)luaL_checkoption(L, 3, "done", acks);
    const uint32_t delay_ms = (uint32_t)(luaL_optnumber(L, 4, 0) * 1000);
    return done(
        L, self->owner,
        finish(self->owner, sluice_subscription_ack(self->subscription, &message, what, delay_ms,
                                                    sluice_wait_done, &self->owner->wait)));
}

/* credit(records, bytes) */
static int subscription_credit(lua_State *L)
{
    struct lua_subscription *self = check_subscription(L);
    const lua_Integer records = luaL_checkinteger(L, 2);
    const lua_Integer bytes = luaL_checkinteger(L, 3);
    luaL_argcheck(L, records >= 0 && bytes >= 0, 2, "credit is not negative");
    sluice_status status =
        sluice_subscription_credit(self->subscription, (uint64_t)records, (uint64_t)bytes);
    return done(L, self->owner, status);
}

static int subscription_close(lua_State *L)
{
    struct lua_subscription *self = luaL_checkudata(L, 1, SUBSCRIPTION);
    if (self->subscription != NULL && self->owner->connection != NULL) {
        sluice_subscription_close(self->subscription);
    }
    self->subscription = NULL;
    return 0;
}

static void add_type(lua_State *L, const char *name, const luaL_Reg *methods, lua_CFunction end)
{
    luaL_newmetatable(L, name);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, end);
    lua_setfield(L, -2, "__gc");
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 1);
}

int luaopen_sluice(lua_State *L)
{
    static const luaL_Reg connection_methods[] = {
        {"close", connection_close},
        {"set_token", connection_set_token},
        {"publish", connection_publish},
        {"subscribe", connection_subscribe},
        {"request", connection_request},
        {"reply", connection_reply},
        {"topics", connection_topics},
        {"create_topic", connection_create_topic},
        {"delete_topic", connection_delete_topic},
        {NULL, NULL},
    };
    static const luaL_Reg subscription_methods[] = {
        {"next", subscription_next},
        {"ack", subscription_ack},
        {"credit", subscription_credit},
        {"close", subscription_close},
        {NULL, NULL},
    };
    static const luaL_Reg functions[] = {{"connect", lua_connect}, {NULL, NULL}};
    add_type(L, CONNECTION, connection_methods, connection_close);
    add_type(L, SUBSCRIPTION, subscription_methods, subscription_close);
    luaL_newlib(L, functions);
    return 1;
}
