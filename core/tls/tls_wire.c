/* tls_wire.c: see tls_wire.h. */
#include "tls/tls_wire.h"

#include <openssl/bio.h>

static int on_read(BIO *bio, char *buffer, int size)
{
    struct tls_wire *wire = BIO_get_data(bio);
    size_t got = 0;
    BIO_clear_retry_flags(bio);
    if (size <= 0 || wire->ended || wire->broken) {
        return 0;
    }
    sl_err err = wire->reads_left == 0 ? SLUICE_E_WOULD_BLOCK
                                       : wire->read(wire->arg, buffer, (size_t)size, &got);
    wire->reads_left -= wire->reads_left > 0;
    if (err == SLUICE_E_WOULD_BLOCK) {
        BIO_set_retry_read(bio);
        return -1;
    }
    wire->broken = err != SLUICE_OK;
    wire->ended = err == SLUICE_OK && got == 0;
    return err == SLUICE_OK ? (int)got : -1;
}

static int on_write(BIO *bio, const char *data, int size)
{
    struct tls_wire *wire = BIO_get_data(bio);
    size_t put = 0;
    BIO_clear_retry_flags(bio);
    if (size <= 0 || wire->broken) {
        return -1;
    }
    if (wire->write(wire->arg, data, (size_t)size, &put) != SLUICE_OK) {
        wire->broken = true;
        return -1;
    }
    if (put == 0) {
        BIO_set_retry_write(bio);
        return -1;
    }
    return (int)put;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    const struct tls_wire *wire = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : command == BIO_CTRL_EOF ? wire->ended : 0;
}

struct bio_method_st *tls_wire_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "sluice wire");
    if (method != NULL) {
        BIO_meth_set_read(method, on_read);
        BIO_meth_set_write(method, on_write);
        BIO_meth_set_ctrl(method, on_control);
    }
    return method;
}
