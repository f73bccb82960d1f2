/* <sluice/upgrade.h>: a connection that one frontend takes in and another one speaks on (extension
 * "sluice.upgrade/1").
 *
 *   peer ─► HTTP frontend: a request to upgrade ─► hand_over ─► the host: codec between the peer's
 *   bytes and those of the other protocol ─► native frontend: conn_open, conn_input …
 *
 * Who takes over says by which names it may be asked for in sluice_frontend.protocols, and sees an
 * ordinary connection: it knows nothing of the codec. Who hands over keeps nothing of it. [loop] */
#ifndef SLUICE_UPGRADE_H
#define SLUICE_UPGRADE_H

#include <sluice/types.h>

/* Id of struct sluice_upgrade_host, for sluice_host.get_extension. */
#define SLUICE_EXT_UPGRADE "sluice.upgrade/1"

/* The most bytes that a codec says at once: a frame's head, an answer to a ping, last words. */
#define SLUICE_CODEC_BYTES_MAX 512u

/* Why a connection ends, for sluice_codec.tail. */
#define SLUICE_CODEC_ENDS 1 /* the frontend closed it, or the codec itself: it knows why */
#define SLUICE_CODEC_AWAY 2 /* the frontend or the broker goes; come again */

/* Between the bytes of a peer and those of the protocol that it carries; constant. Each connection
 * has a state of its own. Neither side's boundaries mean anything to the other. A codec keeps
 * nothing but its state: input is decoded where it lies, and output is sent from where it lies,
 * behind a head. Its code stays loaded, also when the frontend that brought it goes. */
struct sluice_codec {
    uint32_t size;
    uint32_t reserved;
    /* Makes of input what it carries, in place: the first *ret_size <= size bytes of `data` are the
     * protocol's afterwards. Another status than SLUICE_OK: nothing more comes of this peer, by its
     * own wish or as it broke the rules; what was decoded until then is still delivered, then the
     * connection ends. */
    sluice_status (*decode)(void *state, uint8_t *data, uint64_t size, uint64_t *ret_size);
    /* What is sent before the next `size` bytes of output; with 0 what the codec itself has to say
     * to the peer, which may be nothing. Returns how much, SLUICE_CODEC_BYTES_MAX at most. */
    uint64_t (*head)(void *state, uint64_t size, uint8_t *ret_head);
    /* The last that is sent; `why`: SLUICE_CODEC_ENDS or _AWAY. As head. */
    uint64_t (*tail)(void *state, int32_t why, uint8_t *ret_tail);
    void (*free)(void *state); /* the connection is gone */
};

/* The call. Borrowed from the host; lives as long as the instance. */
struct sluice_upgrade_host {
    uint32_t size;
    uint32_t reserved;
    void *data;
    /* Inside conn_input of the connection only, and when it was not paused: sends `answer` as it
     * is, and gives the connection to the frontend that has `protocol` among its own. What that
     * conn_input does not consume is the first input of the codec. conn_closed follows when it has
     * returned; the connection is then one of the other frontend's listener: its logins, limits
     * and counts hold. [takes state when SLUICE_OK]
     * SLUICE_E_NOT_FOUND: no frontend is there for the protocol. SLUICE_E_PERMISSION: that
     * frontend's listener asks for TLS, or a certificate, that this connection has not.
     * SLUICE_E_TOO_MANY_CONNECTIONS: it takes no more. SLUICE_E_NO_MEMORY, SLUICE_E_INVALID.
     * SLUICE_E_CANCELLED: the connection is gone. */
    sluice_status (*hand_over)(const struct sluice_upgrade_host *host, uint64_t connection,
                               const char *protocol, const struct sluice_codec *codec, void *state,
                               struct sluice_bytes answer);
};

#endif
