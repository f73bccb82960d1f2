/* cli_debug_connect.c: debug connect: does what a Kafka client does first, and says at which of the
 * steps it would be lost: the name, the port, TLS or a login, the addresses that the broker tells
 * clients. */
#include "cli/cli_debug.h"

#include "base/status.h"
#include "base/text.h"
#include "cli/cli_kafka_probe.h"
#include "load/load_link.h"

#include <sluice/client_tls.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESS_BYTES 300u
#define TLS_ALERT     0x15u

/* How far it came at one address. */
enum reach {
    REACH_WELL,
    REACH_NAME,    /* nobody knows the name */
    REACH_REFUSED, /* nothing listens */
    REACH_SILENT,  /* no answer in time, from the network or from whoever listens */
    REACH_TLS,     /* it wants TLS */
    REACH_LOGIN,   /* it answers which calls there are, and then closes */
    REACH_OTHER,   /* it is no Kafka listener */
};
static const struct {
    const char *word, *text, *next;
} reaches[] = {
    [REACH_WELL] = {"ok", "answers", ""},
    [REACH_NAME] = {"unknown name", "its name is not known here",
                    "a name that this machine knows, or an address: DNS, /etc/hosts"},
    [REACH_REFUSED] = {"refused", "nothing listens there",
                       "is it running (sluice status), and kafka.listen not only 127.0.0.1?"},
    [REACH_SILENT] = {"silent", "no answer in time",
                      "a firewall, a wrong network, or a broker that hangs (sluice status)"},
    [REACH_TLS] = {"tls", "it speaks TLS",
                   "clients need security.protocol=SSL or SASL_SSL; docs/security/tls.md"},
    [REACH_LOGIN] = {"login", "it wants a login",
                     "clients need security.protocol=SASL_PLAINTEXT and a user; "
                     "docs/security/sasl.md"},
    [REACH_OTHER] = {"other", "what answers there is no Kafka listener",
                     "sluice status names the ports: 9092 is Kafka's, 9192 native, 9292 HTTP"},
};

struct probe {
    struct cli *cli;
    int32_t wait_ms;
    int descriptor;
};

/* ---- one address ---- */

/* All of them, or false. */
static bool bytes_read(struct probe *probe, uint8_t *bytes, size_t size, enum reach *ret_reach)
{
    for (size_t got = 0, more = 0; got < size; got += more) {
        if (!sl_descriptor_wait(probe->descriptor, probe->wait_ms)) {
            *ret_reach = REACH_SILENT;
            return false;
        }
        if (sl_descriptor_read(probe->descriptor, bytes + got, size - got, &more) != SLUICE_OK ||
            more == 0) {
            *ret_reach = got > 0 && bytes[0] == TLS_ALERT ? REACH_TLS : REACH_OTHER;
            return false;
        }
    }
    return true;
}

/* An answer without its size, to be freed; NULL: *ret_reach says why. */
static uint8_t *answer_read(struct probe *probe, size_t *ret_size, enum reach *ret_reach)
{
    uint8_t head[4];
    if (!bytes_read(probe, head, sizeof(head), ret_reach)) {
        return NULL;
    }
    uint32_t size = (uint32_t)head[0] << 24 | (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 |
                    (uint32_t)head[3];
    uint8_t *bytes = size > 0 && size <= PROBE_ANSWER_MAX ? malloc(size) : NULL;
    if (bytes == NULL) {
        *ret_reach = head[0] == TLS_ALERT ? REACH_TLS : REACH_OTHER;
        return NULL;
    }
    if (!bytes_read(probe, bytes, size, ret_reach)) {
        free(bytes);
        return NULL;
    }
    *ret_size = size;
    return bytes;
}

static uint8_t *call(struct probe *probe, const uint8_t *request, size_t request_size,
                     size_t *ret_size, enum reach *ret_reach)
{
    if (sl_descriptor_write(probe->descriptor, request, request_size) != SLUICE_OK) {
        *ret_reach = REACH_OTHER;
        return NULL;
    }
    return answer_read(probe, ret_size, ret_reach);
}

static enum reach cluster_ask(struct probe *probe, struct probe_cluster *ret_cluster)
{
    uint8_t request[PROBE_REQUEST_BYTES];
    enum reach reach = REACH_OTHER;
    bool has_metadata = false;
    size_t size = 0;
    uint8_t *answer = call(probe, request, probe_versions_request(1, request), &size, &reach);
    if (answer == NULL) {
        return reach;
    }
    bool ok = probe_versions_answer((struct sl_bytes){answer, size}, 1, &has_metadata);
    free(answer);
    if (!ok || !has_metadata) {
        return REACH_OTHER;
    }
    answer = call(probe, request, probe_metadata_request(2, request), &size, &reach);
    if (answer == NULL) { /* before a login only the first call is answered */
        return reach == REACH_OTHER ? REACH_LOGIN : reach;
    }
    ok = probe_metadata_answer((struct sl_bytes){answer, size}, 2, ret_cluster);
    free(answer);
    return ok ? REACH_WELL : REACH_OTHER;
}

/* Some, this broker among them, close without an alert when what comes is no TLS; so it is tried.
 * Whose certificate it is does not matter: nothing is sent that anybody may not know. */
static bool speaks_tls(struct probe *probe, const char *address)
{
    const struct sluice_tls_options options = {.size = sizeof(options), .is_unverified = true};
    struct sl_os *os = probe->cli->os;
    struct sluice_transport *transport = NULL;
    struct load_link link;
    size_t sent = 0;
    int64_t until_ns = sl_os_mono_ns(os) + (int64_t)probe->wait_ms * 1000000;
    if (sluice_tls_new(&options, &transport) != SLUICE_OK) {
        return false;
    }
    sl_err err = load_link_open(&link, os, address, transport);
    err = err == SLUICE_OK ? load_link_write(&link, "", 1, &sent) : err;
    while (err == SLUICE_E_WOULD_BLOCK && sl_os_mono_ns(os) < until_ns) {
        load_link_wait_ns(&link, false, until_ns - sl_os_mono_ns(os));
        err = load_link_write(&link, "", 1, &sent);
    }
    load_link_close(&link);
    sluice_tls_free(transport);
    return err == SLUICE_OK;
}

static enum reach address_try(struct probe *probe, const char *address,
                              struct probe_cluster *ret_cluster)
{
    *ret_cluster = (struct probe_cluster){.node_count = 0};
    sl_err err = sl_connect(probe->cli->os, address, &probe->descriptor);
    if (err != SLUICE_OK) {
        return err == SLUICE_E_NOT_FOUND ? REACH_NAME
               : err == SLUICE_E_TIMEOUT ? REACH_SILENT
                                         : REACH_REFUSED;
    }
    enum reach reach = cluster_ask(probe, ret_cluster);
    sl_descriptor_close(probe->descriptor);
    return reach == REACH_OTHER && speaks_tls(probe, address) ? REACH_TLS : reach;
}

/* ---- what it means ---- */

static void address_of(const struct probe_node *node, char ret_text[ADDRESS_BYTES])
{
    bool is_v6 = strchr(node->host, ':') != NULL;
    snprintf(ret_text, ADDRESS_BYTES, is_v6 ? "[%s]:%d" : "%s:%d", node->host, node->port);
}

static bool is_loopback(const char *address)
{
    static const char *const beginnings[] = {"localhost:", "127.", "[::1]:"};
    for (size_t i = 0; i < SL_COUNT_OF(beginnings); i++) {
        if (strncmp(address, beginnings[i], strlen(beginnings[i])) == 0) {
            return true;
        }
    }
    return false;
}

/* What a client that is sent there meets; "": nothing is wrong with it. */
static const char *node_verdict(const char *given, const char *address, enum reach reach,
                                const char *cluster, const char *cluster_there)
{
    if (reach != REACH_WELL) {
        return reaches[reach].text;
    }
    if (strcmp(cluster, cluster_there) != 0) {
        return "another cluster answers there";
    }
    return is_loopback(address) && !is_loopback(given)
               ? "right on the broker's machine only: elsewhere that is the client itself"
               : "";
}

static bool node_add(struct probe *probe, cJSON *rows, const char *given,
                     const struct probe_cluster *cluster, const struct probe_node *node)
{
    char address[ADDRESS_BYTES];
    struct probe_cluster there = *cluster;
    enum reach reach = REACH_WELL;
    address_of(node, address);
    if (strcmp(address, given) != 0) {
        reach = address_try(probe, address, &there);
    }
    const char *verdict = node_verdict(given, address, reach, cluster->id, there.id);
    cJSON *row = cJSON_CreateObject();
    cJSON_AddNumberToObject(row, "node", node->id);
    cJSON_AddStringToObject(row, "told", address);
    cJSON_AddStringToObject(row, "from_here", reaches[reach].word);
    cJSON_AddStringToObject(row, "verdict", verdict[0] == '\0' ? "fine" : verdict);
    cJSON_AddItemToArray(rows, row);
    return verdict[0] == '\0';
}

static void result_write(const struct cli *cli, const char *given, const cJSON *rows, bool fine)
{
    static const char *const columns[] = {"node", "told", "from_here", "verdict"};
    if (cli_lines_write(cli, rows)) {
        return;
    }
    if (cli->options.json) {
        cJSON *object = cJSON_CreateObject();
        cJSON_AddStringToObject(object, "address", given);
        cJSON_AddBoolToObject(object, "fine", fine);
        cJSON_AddItemReferenceToObject(object, "brokers", (cJSON *)(uintptr_t)rows);
        cli_json_write(object);
        cJSON_Delete(object);
        return;
    }
    printf("%s answers; it tells clients to go on with:\n\n", given);
    cli_table_write(cli, rows, columns, SL_COUNT_OF(columns));
    puts(fine ? "\nclients get through from here" : "\nclients do not get through from here");
}

static int cluster_judge(struct probe *probe, const char *given,
                         const struct probe_cluster *cluster)
{
    bool fine = cluster->node_count > 0;
    cJSON *rows = cJSON_CreateArray();
    for (uint32_t i = 0; i < cluster->node_count; i++) {
        fine = node_add(probe, rows, given, cluster, &cluster->nodes[i]) && fine;
    }
    result_write(probe->cli, given, rows, fine);
    cJSON_Delete(rows);
    if (!fine) {
        cli_next("set kafka.advertised to the address that clients reach (or auto: the one that "
                 "they came by),");
        cli_next("or give those clients a listener of their own: kafka.listeners, "
                 "docs/security/listeners.md");
    }
    return fine ? CLI_OK : CLI_FAILED;
}

int cli_debug_connect(struct cli *cli)
{
    const char *word = cli->options.words[0];
    const char *timeout = cli_value(cli_own(cli, "--timeout"), "5s");
    const char *colon = strrchr(word, ':');
    bool has_port = colon != NULL && strchr(colon, ']') == NULL;
    char given[ADDRESS_BYTES];
    int64_t timeout_ns = 0;
    struct probe_cluster cluster;
    struct probe probe = {.cli = cli};
    if (sl_text_parse_duration((struct sl_bytes){(const uint8_t *)timeout, strlen(timeout)},
                               &timeout_ns) != SLUICE_OK ||
        timeout_ns < 1000000 || timeout_ns > INT64_C(60000000000)) {
        cli_complain("--timeout is \"%.40s\" but must be a time up to 60s", timeout);
        return CLI_USAGE;
    }
    probe.wait_ms = (int32_t)(timeout_ns / 1000000);
    snprintf(given, sizeof(given), "%.280s%s", word, has_port ? "" : ":9092");
    enum reach reach = address_try(&probe, given, &cluster);
    if (reach == REACH_WELL) {
        return cluster_judge(&probe, given, &cluster);
    }
    cli_complain("%s: %s (SLU-%04d)", given, reaches[reach].text, SLUICE_E_NETWORK);
    cli_next("%s", reaches[reach].next);
    cli->explained = SLUICE_E_NETWORK;
    return CLI_UNREACHABLE;
}
