/* cli_bench_login.c: who a bench is for the broker, and TLS: libsluice's for both protocols. */
#include "cli/cli_bench.h"
#include "cli/cli_secret.h"

#include <sluice/client_tls.h>
#include <string.h>

static const char *given(const struct bench_run *bench, const char *name)
{
    return cli_value(cli_own(bench->cli, name), NULL);
}

/* ---- who ---- */

static bool mechanism_take(struct bench_run *bench)
{
    static const struct {
        const char *name;
        bool wants_token;
    } known[] = {{"PLAIN", false},
                 {"SCRAM-SHA-256", false},
                 {"SCRAM-SHA-512", false},
                 {"OAUTHBEARER", true}};
    const struct load_security *login = &bench->security;
    if (login->mechanism == NULL) {
        return true;
    }
    for (size_t i = 0; i < SL_COUNT_OF(known); i++) {
        if (strcmp(known[i].name, login->mechanism) == 0) {
            bool has = known[i].wants_token ? login->token != NULL : login->user != NULL;
            if (!has) {
                cli_complain("--mechanism %s wants %s", login->mechanism,
                             known[i].wants_token ? "--token-file" : "--user");
            }
            return has;
        }
    }
    cli_complain("--mechanism is \"%.40s\" but must be PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or "
                 "OAUTHBEARER",
                 login->mechanism);
    return false;
}

static bool login_take(struct bench_run *bench)
{
    struct load_security *login = &bench->security;
    const char *token = given(bench, "--token-file");
    const char *password = given(bench, "--password-file");
    login->user = given(bench, "--user");
    login->mechanism = given(bench, "--mechanism");
    login->hash = sluice_client_openssl();
    if (login->user != NULL && token != NULL) {
        cli_complain("--user is of logins with a password, --token-file of those with a token: "
                     "give one of them");
        return false;
    }
    if (login->user == NULL && password != NULL) {
        cli_complain("--password-file wants --user");
        return false;
    }
    if (login->user != NULL) {
        if (!cli_secret_file(bench->cli, password != NULL ? password : "-", "password",
                             bench->secret, sizeof(bench->secret))) {
            return false;
        }
        login->password = bench->secret;
    }
    if (token != NULL) {
        if (!cli_secret_file(bench->cli, token, "token", bench->secret, sizeof(bench->secret))) {
            return false;
        }
        login->token = bench->secret;
    }
    return mechanism_take(bench);
}

/* ---- TLS ---- */

static bool is_readable(struct bench_run *bench, const char *option, const char *path)
{
    struct sl_file *file = NULL;
    if (path == NULL) {
        return true;
    }
    if (sl_file_open(bench->cli->os, path, SL_FILE_READ, &file) != SLUICE_OK) {
        cli_complain("%s %s cannot be read", option, path);
        return false;
    }
    sl_file_close(file);
    return true;
}

static bool tls_take(struct bench_run *bench)
{
    struct sluice_tls_options tls = {.size = sizeof(tls),
                                     .ca_file = given(bench, "--ca-file"),
                                     .cert_file = given(bench, "--cert-file"),
                                     .key_file = given(bench, "--key-file"),
                                     .name = given(bench, "--tls-name")};
    bool is_wanted = cli_own_flag(bench->cli, "--tls") || tls.ca_file != NULL ||
                     tls.cert_file != NULL || tls.key_file != NULL || tls.name != NULL;
    if (!is_wanted) {
        return true;
    }
    if ((tls.cert_file == NULL) != (tls.key_file == NULL)) {
        cli_complain("--cert-file and --key-file go together");
        return false;
    }
    if (!is_readable(bench, "--ca-file", tls.ca_file) ||
        !is_readable(bench, "--cert-file", tls.cert_file) ||
        !is_readable(bench, "--key-file", tls.key_file)) {
        return false;
    }
    if (sluice_tls_new(&tls, &bench->transport) != SLUICE_OK) {
        cli_complain("TLS cannot be used: --ca-file and --cert-file are files of certificates in "
                     "PEM, --key-file "
                     "the certificate's key in PEM, without a passphrase");
        return false;
    }
    bench->security.transport = bench->transport;
    return true;
}

bool bench_security_take(struct bench_run *bench)
{
    bench->plan->target.security = &bench->security;
    return login_take(bench) && tls_take(bench);
}

void bench_security_drop(struct bench_run *bench)
{
    sluice_tls_free(bench->transport);
    explicit_bzero(bench->secret, sizeof(bench->secret));
}

bool bench_has_login(const struct bench_run *bench)
{
    return bench->security.user != NULL || bench->security.token != NULL;
}

void bench_security_hint(const struct bench_run *bench, sl_err err)
{
    bool may_lack = err == SLUICE_E_NETWORK || err == SLUICE_E_TIMEOUT ||
                    err == SLUICE_E_MALFORMED || err == SLUICE_E_AUTHENTICATION;
    if (err == SLUICE_E_UNSUPPORTED_MECHANISM) {
        cli_next("--mechanism names one of those; PLAIN, which sends the password as it is, only "
                 "goes when it is named");
    } else if (err == SLUICE_E_AUTHENTICATION_STATE && !bench_has_login(bench)) {
        cli_next("--user NAME logs in by a password, --token-file FILE by a token; --mechanism "
                 "says how");
    } else if (may_lack && bench->transport == NULL && !bench_has_login(bench)) {
        cli_next("does it want TLS (--tls, --ca-file FILE) or a login (--user NAME)?");
    } else if (may_lack && bench->transport != NULL) {
        cli_next(
            "--ca-file FILE is who has signed its certificate, --tls-name NAME the name in it, "
            "--cert-file and --key-file who you are");
    }
}
