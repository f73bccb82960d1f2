/* serve.c: a program that is a broker too. kcat -b 127.0.0.1:9092 -L */
#include <signal.h>
#include <sluice/embed.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    char problem[SLUICE_EMBED_PROBLEM_BYTES];
    struct sluice_embed *broker = NULL;
    struct sluice_embed_config config = {sizeof(config),
                                         (uint32_t)(argc - 1),
                                         (const char *const *)(argv + 1),
                                         NULL,
                                         NULL,
                                         NULL,
                                         NULL,
                                         NULL}; /* arguments: kafka.listen=… */
    signal(SIGPIPE, SIG_IGN);
    if (sluice_embed_create(&config, &broker, problem) != SLUICE_OK) {
        fprintf(stderr, "%s\n", problem);
        return 1;
    }
    sluice_status status = sluice_embed_run(broker);
    sluice_embed_destroy(broker);
    return status == SLUICE_OK ? 0 : 1;
}
