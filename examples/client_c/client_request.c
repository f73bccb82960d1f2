/* client_request.c: request and reply. With "serve" it answers each request with its value in
 * capital letters; with "ask" it asks and prints the answer.
 *
 *   client_request tcp://127.0.0.1:9192 serve shout 1 &
 *   client_request tcp://127.0.0.1:9192 ask shout hello */
#include <sluice/client.h>

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sluice_status serve(struct sluice_connection *connection, const char *topic, long count)
{
    struct sluice_client *client = sluice_connection_client(connection);
    struct sluice_subscribe subscribe = sluice_subscribe_to(topic);
    struct sluice_subscription *subscription;
    struct sluice_message request;
    char text[256];
    subscribe.start = SLUICE_START_BEGINNING;
    sluice_status status = sluice_client_subscribe(client, &subscribe, &subscription);
    while (status == SLUICE_OK && count-- > 0) {
        struct sluice_wait wait = {0};
        status = sluice_connection_next(connection, subscription, -1, &request);
        if (status != SLUICE_OK || request.value.size > sizeof(text)) {
            break;
        }
        for (size_t i = 0; i < request.value.size; i++) {
            text[i] = (char)toupper(request.value.data[i]);
        }
        const struct sluice_message answer = sluice_message_of(NULL, text, request.value.size);
        status = sluice_client_reply(client, &request, &answer, sluice_wait_done, &wait);
        status = status == SLUICE_OK ? sluice_connection_wait(connection, &wait, -1) : status;
        sluice_wait_fini(&wait);
    }
    return status;
}

static sluice_status ask(struct sluice_connection *connection, const char *topic, const char *value)
{
    const struct sluice_message question = sluice_message_of(topic, value, strlen(value));
    struct sluice_wait wait = {0};
    struct sluice_message answer;
    sluice_status status = sluice_client_request(sluice_connection_client(connection), &question,
                                                 30000, sluice_wait_done, &wait);
    status = status == SLUICE_OK ? sluice_connection_wait(connection, &wait, -1) : status;
    if (status == SLUICE_OK) {
        status = sluice_message_batch_get(wait.answer, 0, &answer);
    }
    if (status == SLUICE_OK) {
        (void)printf("%.*s\n", (int)answer.value.size, (const char *)answer.value.data);
    }
    sluice_wait_fini(&wait);
    return status;
}

int main(int argc, char **argv)
{
    const struct sluice_client_options options = sluice_client_defaults();
    struct sluice_connection *connection = NULL;
    if (argc != 5) {
        (void)fprintf(stderr, "usage: %s ADDRESS serve TOPIC COUNT | ask TOPIC VALUE\n", argv[0]);
        return 2;
    }
    sluice_status status = sluice_connection_open(argv[1], &options, NULL, 5000, &connection);
    if (status == SLUICE_OK) {
        status = strcmp(argv[2], "serve") == 0
                     ? serve(connection, argv[3], strtol(argv[4], NULL, 10))
                     : ask(connection, argv[3], argv[4]);
    }
    if (status != SLUICE_OK) {
        (void)fprintf(stderr, "SLU-%04d %s\n", status,
                      connection == NULL ? sluice_connection_why() : sluice_status_text(status));
    }
    sluice_connection_close(connection);
    return status == SLUICE_OK ? 0 : 1;
}
