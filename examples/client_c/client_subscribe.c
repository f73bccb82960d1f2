/* client_subscribe.c: takes so many records of a durable subscription, prints and acknowledges
 * them.
 *
 *   client_subscribe tcp://127.0.0.1:9192 'orders.>' workers 3
 *
 * What another of the same group took is not given here; what this one has not acknowledged when it
 * ends is given to another. An empty group reads everything from the beginning. */
#include <sluice/client.h>

#include <stdio.h>
#include <stdlib.h>

static sluice_status take(struct sluice_connection *connection,
                          struct sluice_subscription *subscription, int is_durable)
{
    struct sluice_message message;
    struct sluice_wait wait = {0};
    sluice_status status = sluice_connection_next(connection, subscription, 30000, &message);
    if (status != SLUICE_OK) {
        return status;
    }
    (void)printf("%.*s[%d]@%lld %.*s\n", (int)message.topic.size, message.topic.data,
                 message.partition, (long long)message.offset, (int)message.value.size,
                 (const char *)message.value.data);
    if (is_durable) { /* and waits until that is durable; without sluice_wait_done it would not */
        status = sluice_subscription_ack(subscription, &message, SLUICE_ACK_DONE, 0,
                                         sluice_wait_done, &wait);
        status = status == SLUICE_OK ? sluice_connection_wait(connection, &wait, -1) : status;
        sluice_wait_fini(&wait);
    }
    return status;
}

int main(int argc, char **argv)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_connection *connection = NULL;
    struct sluice_subscription *subscription = NULL;
    if (argc != 5) {
        (void)fprintf(stderr, "usage: %s ADDRESS PATTERN GROUP COUNT\n", argv[0]);
        return 2;
    }
    sluice_status status = sluice_connection_open(argv[1], &options, NULL, 5000, &connection);
    if (status == SLUICE_OK) {
        struct sluice_subscribe subscribe = sluice_subscribe_to(argv[2]);
        subscribe.group = sluice_text_of(argv[3]);
        subscribe.start = SLUICE_START_BEGINNING;
        status = sluice_client_subscribe(sluice_connection_client(connection), &subscribe,
                                         &subscription);
    }
    for (long left = strtol(argv[4], NULL, 10); left > 0 && status == SLUICE_OK; left--) {
        status = take(connection, subscription, argv[3][0] != '\0');
    }
    if (status != SLUICE_OK) {
        (void)fprintf(stderr, "SLU-%04d %s\n", status,
                      connection == NULL ? sluice_connection_why() : sluice_status_text(status));
    }
    sluice_subscription_close(subscription);
    sluice_connection_close(connection);
    return status == SLUICE_OK ? 0 : 1;
}
