/* listener.c: see listener.h. */
#include "intake/listener.h"

#include <stdio.h>
#include <string.h>

struct listener *listener_new(const char *name, const char *frontend)
{
    struct listener *listener = sl_alloc_zero(1, sizeof(*listener));
    if (listener != NULL && listener_gate_init(&listener->gate) != SLUICE_OK) {
        sl_free(listener);
        return NULL;
    }
    if (listener != NULL) {
        listener->refs = 1;
        snprintf(listener->name, sizeof(listener->name), "%s", name);
        snprintf(listener->frontend, sizeof(listener->frontend), "%s", frontend);
    }
    return listener;
}

struct listener *listener_ref(struct listener *listener)
{
    __atomic_add_fetch(&listener->refs, 1, __ATOMIC_RELAXED);
    return listener;
}

struct listener *listener_unref(struct listener *listener)
{
    if (listener != NULL && __atomic_sub_fetch(&listener->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        listener_tls_free(listener->tls);
        listener_gate_fini(&listener->gate);
        sl_free(listener);
    }
    return NULL;
}

bool listener_address_split(const char *address, char ret_host[LISTENER_HOST_BYTES],
                            uint16_t *ret_port)
{
    const char *colon = strrchr(address, ':');
    unsigned port = 0;
    char end = '\0';
    if (colon == NULL || sscanf(colon + 1, "%5u%c", &port, &end) != 1 || port > UINT16_MAX) {
        return false;
    }
    size_t size = (size_t)(colon - address);
    bool is_v6 = size > 2 && address[0] == '[' && address[size - 1] == ']';
    if (size == 0 || size >= LISTENER_HOST_BYTES ||
        (!is_v6 && memchr(address, ':', size) != NULL)) {
        return false;
    }
    memcpy(ret_host, address + is_v6, size - 2u * is_v6);
    ret_host[size - 2u * is_v6] = '\0';
    *ret_port = (uint16_t)port;
    return true;
}

void listener_bound(struct listener *listener, uint16_t port)
{
    bool is_auto = strcmp(listener->advertised, LISTENER_AUTO) == 0;
    bool is_told = listener->advertised[0] != '\0' && !is_auto;
    char host[LISTENER_HOST_BYTES];
    uint16_t told = 0;
    if (listener->port != 0 || /* bound before, for another version of the frontend */
        !listener_address_split(is_told ? listener->advertised : listener->address, host, &told)) {
        return;
    }
    bool is_any = strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
    if (!is_auto && (is_told || !is_any)) {
        memcpy(listener->host, host, sizeof(host));
    }
    listener->port = is_told && told != 0 ? told : port;
}
