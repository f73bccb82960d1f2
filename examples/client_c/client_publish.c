/* client_publish.c: publishes its arguments as one batch with one acknowledgement.
 *
 *   client_publish tcp://127.0.0.1:9192 orders one two three */
#include <sluice/client.h>

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_connection *connection = NULL;
    struct sluice_message_batch *batch = NULL;
    int64_t offset = -1;
    if (argc < 4) {
        (void)fprintf(stderr, "usage: %s ADDRESS TOPIC VALUE...\n", argv[0]);
        return 2;
    }
    sluice_status status = sluice_connection_open(argv[1], &options, NULL, 5000, &connection);
    if (status == SLUICE_OK) {
        status = sluice_message_batch_new(&batch);
    }
    for (int i = 3; i < argc && status == SLUICE_OK; i++) {
        const struct sluice_message message = sluice_message_of(NULL, argv[i], strlen(argv[i]));
        status = sluice_message_batch_add(batch, &message);
    }
    if (status == SLUICE_OK) {
        const struct sluice_publish publish = sluice_publish_to(argv[2]);
        status = sluice_connection_publish(connection, &publish, batch, &offset);
    }
    if (status == SLUICE_OK) {
        (void)printf("%u records from offset %lld on\n", sluice_message_batch_count(batch),
                     (long long)offset);
    } else {
        (void)fprintf(stderr, "SLU-%04d %s\n", status,
                      connection == NULL ? sluice_connection_why() : sluice_status_text(status));
    }
    sluice_message_batch_free(batch);
    sluice_connection_close(connection);
    return status == SLUICE_OK ? 0 : 1;
}
