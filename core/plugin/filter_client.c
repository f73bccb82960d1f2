/* filter_client.c: which clients have an expression (filter_state.h): nobody may have more than
 * half of what a loop has. */
#include "plugin/filter_state.h"

#include "base/bytes.h"

#include <stdio.h>
#include <string.h>

static struct filter_client *find(const struct filter_expression *expression, const char *name)
{
    SL_LIST_EACH(&expression->clients, link)
    {
        struct filter_client *client = SL_CONTAINER_OF(link, struct filter_client, link);
        if (strcmp(client->name, name) == 0) {
            return client;
        }
    }
    return NULL;
}

/* Without the port, which is another one for each connection; a Unix socket has none. */
static int address_size(struct sluice_text host)
{
    uint64_t at = host.size;
    while (at > 0 && host.data[at - 1] >= '0' && host.data[at - 1] <= '9') {
        at--;
    }
    bool has_port = at > 1 && at < host.size && host.data[at - 1] == ':' &&
                    (host.data[at - 2] == ']' || memchr(host.data, ':', at - 1) == NULL);
    return (int)(has_port ? at - 1 : host.size);
}

void filter_client_name(const struct sluice_context *context, char ret_name[FILTER_CLIENT_BYTES])
{
    static const char nobody[] = "User:ANONYMOUS";
    const struct sluice_text *who = &context->principal;
    bool is_nobody =
        who->size == sizeof(nobody) - 1 && memcmp(who->data, nobody, sizeof(nobody) - 1) == 0;
    if (!is_nobody) {
        snprintf(ret_name, FILTER_CLIENT_BYTES, "%.*s", (int)who->size, who->data);
        return;
    }
    snprintf(ret_name, FILTER_CLIENT_BYTES, "%.*s %.*s", address_size(context->client_host),
             context->client_host.data, (int)context->client_id.size,
             context->client_id.data != NULL ? context->client_id.data : "");
}

uint32_t filter_client_count(const struct filter_pool *pool, const char *name)
{
    uint32_t count = 0;
    SL_LIST_EACH(&pool->expressions, link)
    {
        count += find(SL_CONTAINER_OF(link, struct filter_expression, link), name) != NULL;
    }
    return count;
}

struct filter_client *filter_client_join(struct filter_expression *expression, const char *name)
{
    struct filter_client *client = find(expression, name);
    if (client == NULL) {
        client = sl_alloc_zero(1, sizeof(*client));
        if (client == NULL) {
            return NULL;
        }
        snprintf(client->name, sizeof(client->name), "%s", name);
        sl_link_init(&client->link);
        sl_list_push_back(&expression->clients, &client->link);
    }
    client->user_count++;
    return client;
}

void filter_client_leave(struct filter_client *client)
{
    if (--client->user_count == 0) {
        sl_list_remove(&client->link);
        sl_free(client);
    }
}
