/* load_link.c: see load_link.h. The transport is libsluice's, so that both protocols have the same
 * TLS. */
#include "load/load_link.h"

#include "base/status.h"

#include <sluice/client.h>
#include <stdio.h>
#include <string.h>

#define HOST_BYTES 256u

/* "[::1]:9092" has the host "::1". */
static void host_of(const char *address, char ret_host[HOST_BYTES])
{
    const char *colon = strrchr(address, ':');
    size_t size = colon != NULL ? (size_t)(colon - address) : strlen(address);
    if (size >= 2 && address[0] == '[' && address[size - 1] == ']') {
        address++;
        size -= 2;
    }
    snprintf(ret_host, HOST_BYTES, "%.*s", (int)SL_MIN(size, (size_t)HOST_BYTES - 1), address);
}

sl_err load_link_open(struct load_link *link, struct sl_os *os, const char *address,
                      const struct sluice_transport *transport)
{
    char host[HOST_BYTES];
    *link = (struct load_link){.descriptor = -1};
    sl_err err = sl_connect(os, address, &link->descriptor);
    err = err == SLUICE_OK ? sl_descriptor_unblock(link->descriptor) : err;
    if (err != SLUICE_OK || transport == NULL) {
        return err;
    }
    host_of(address, host);
    err = transport->start(transport->data, link->descriptor, host, &link->session);
    if (err != SLUICE_OK) {
        link->descriptor = -1; /* start has closed it */
        return err;
    }
    link->transport = transport;
    return SLUICE_OK;
}

void load_link_close(struct load_link *link)
{
    if (link->transport != NULL) {
        link->transport->end(link->session);
    } else {
        sl_descriptor_close(link->descriptor);
    }
    *link = (struct load_link){.descriptor = -1};
}

static sl_err outcome_of(int64_t result, size_t *ret_size)
{
    *ret_size = result > 0 ? (size_t)result : 0;
    return result > 0 ? SLUICE_OK : result == 0 ? SLUICE_E_WOULD_BLOCK : (sl_err)-result;
}

/* A session gives a record of TLS at a time (16 KiB): as many as fit. An error behind some comes
 * again. */
static sl_err session_read(struct load_link *link, uint8_t *buffer, size_t size, size_t *ret_size)
{
    size_t have = 0;
    int64_t got = 1;
    while (have < size && got > 0) {
        got = link->transport->read(link->session, buffer + have, size - have);
        have += got > 0 ? (size_t)got : 0;
    }
    return outcome_of(have > 0 ? (int64_t)have : got, ret_size);
}

sl_err load_link_read(struct load_link *link, void *buffer, size_t size, size_t *ret_size)
{
    if (link->transport != NULL) {
        return session_read(link, buffer, size, ret_size);
    }
    sl_err err = sl_descriptor_try_read(link->descriptor, buffer, size, ret_size);
    return err == SLUICE_OK && *ret_size == 0 ? SLUICE_E_NETWORK : err;
}

sl_err load_link_write(struct load_link *link, const void *buffer, size_t size, size_t *ret_size)
{
    if (link->transport != NULL) {
        return outcome_of(link->transport->write(link->session, buffer, size), ret_size);
    }
    return sl_descriptor_try_write(link->descriptor, buffer, size, ret_size);
}

/* A handshake that waits for the peer's bytes would otherwise be woken by room for its own. */
void load_link_wait_ns(const struct load_link *link, bool writes, int64_t timeout_ns)
{
    bool for_room = link->transport != NULL ? link->transport->wants_write(link->session) : writes;
    sl_descriptor_wait_ns(link->descriptor, for_room, timeout_ns);
}

const char *load_link_reason(const struct load_link *link, sl_err err)
{
    return link->transport != NULL && err == SLUICE_E_AUTHENTICATION
               ? "no TLS: the broker's certificate is not trusted or has another name, it wants "
                 "one of ours, or what listens there speaks no TLS"
               : sl_status_text(err);
}
