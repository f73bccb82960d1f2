/* listener_tls.c: see listener_tls.h. */
#include "intake/listener_tls.h"

#include <string.h>

struct listener_tls *listener_tls_new(void)
{
    struct listener_tls *tls = sl_alloc_zero(1, sizeof(*tls));
    if (tls != NULL) {
        tls->tls_1_2 = tls->tls_1_3 = true;
        tls->handshake_ms = 10000;
    }
    return tls;
}

struct listener_tls *listener_tls_free(struct listener_tls *tls)
{
    if (tls != NULL) {
        tls_rules_free(tls->rules);
        tls_context_unref(tls->context);
        explicit_bzero(tls->key_password, sizeof(tls->key_password));
        sl_free(tls);
    }
    return NULL;
}

struct tls_settings listener_tls_settings(const struct listener_tls *tls)
{
    return (struct tls_settings){.certificate = tls->certificate,
                                 .key = tls->key,
                                 .key_password = tls->key_password,
                                 .key_password_file = tls->key_password_file,
                                 .ca = tls->ca,
                                 .crl = tls->crl,
                                 .ciphers = tls->ciphers,
                                 .cipher_suites = tls->cipher_suites,
                                 .tls_1_2 = tls->tls_1_2,
                                 .tls_1_3 = tls->tls_1_3,
                                 .client_auth = tls->client_auth};
}

struct tls_context *listener_tls_context(const struct listener_tls *tls)
{
    return __atomic_load_n(&tls->context, __ATOMIC_ACQUIRE);
}
