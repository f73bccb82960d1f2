/* my_app: hands work to whoever takes it.
 *
 *   my_app publish TEXT...   a message for each text
 *   my_app work [COUNT]      takes messages, until COUNT are done or nobody sends any for a minute
 *
 * Several workers share the messages; one that dies leaves its own to the others. The broker is at
 * $SLUICE_ADDRESS, else tcp://127.0.0.1:9192. */
#include <sluice/client.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOPIC      "my_app"
#define WORKERS    "my_app-workers"
#define PATIENCE_S 60

static sluice_status publish(struct sluice_connection *connection, int count, char **texts)
{
    sluice_status status = SLUICE_OK;
    int64_t offset = 0;
    for (int i = 0; i < count && status == SLUICE_OK; i++) {
        struct sluice_message message = sluice_message_of(TOPIC, texts[i], strlen(texts[i]));
        status = sluice_connection_send(connection, &message, &offset); /* waits: it is stored */
        if (status == SLUICE_OK) {
            (void)printf("published %s as offset %" PRId64 "\n", texts[i], offset);
        }
    }
    return status;
}

/* Here is what you do with a message. Anything but SLUICE_OK: it is given again, to anybody. */
static sluice_status handle(const struct sluice_message *message)
{
    (void)printf("%.*s\n", (int)message->value.size, (const char *)message->value.data);
    return SLUICE_OK;
}

static sluice_status take(struct sluice_connection *connection,
                          struct sluice_subscription *subscription)
{
    struct sluice_message message;
    struct sluice_wait wait = {0};
    sluice_status status =
        sluice_connection_next(connection, subscription, PATIENCE_S * 1000, &message);
    if (status != SLUICE_OK) {
        return status;
    }
    const uint32_t what = handle(&message) == SLUICE_OK ? SLUICE_ACK_DONE : SLUICE_ACK_AGAIN;
    status = sluice_subscription_ack(subscription, &message, what, 0, sluice_wait_done, &wait);
    if (status == SLUICE_OK) {
        status = sluice_connection_wait(connection, &wait, -1);
        sluice_wait_fini(&wait);
    }
    return status;
}

static sluice_status work(struct sluice_connection *connection, long count)
{
    struct sluice_subscribe subscribe = sluice_subscribe_to(TOPIC);
    struct sluice_subscription *subscription = NULL;
    subscribe.group = sluice_text_of(WORKERS);
    subscribe.start = SLUICE_START_BEGINNING; /* of the group's life */
    sluice_status status =
        sluice_client_subscribe(sluice_connection_client(connection), &subscribe, &subscription);
    for (long done = 0; status == SLUICE_OK && (count == 0 || done < count); done++) {
        status = take(connection, subscription);
    }
    sluice_subscription_close(subscription);
    return status;
}

int main(int argc, char **argv)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_connection *connection = NULL;
    const char *address = getenv("SLUICE_ADDRESS");
    const int publishes = argc > 2 && strcmp(argv[1], "publish") == 0;
    if (!publishes && (argc < 2 || argc > 3 || strcmp(argv[1], "work") != 0)) {
        (void)fprintf(stderr, "usage: %s publish TEXT... | work [COUNT]\n", argv[0]);
        return 2;
    }
    address = address != NULL ? address : "tcp://127.0.0.1:9192";
    sluice_status status = sluice_connection_open(address, &options, NULL, 5000, &connection);
    if (status == SLUICE_OK) {
        status = publishes ? publish(connection, argc - 2, argv + 2)
                           : work(connection, argc > 2 ? strtol(argv[2], NULL, 10) : 0);
    }
    if (status != SLUICE_OK) {
        (void)fprintf(stderr, "%s (SLU-%04d)\n",
                      connection == NULL ? sluice_connection_why() : sluice_status_text(status),
                      status);
    }
    sluice_connection_close(connection);
    return status == SLUICE_OK ? 0 : 1;
}
