/* <sluice/shared_ring.h>: two rings of bytes in memory that two processes share: what is beneath
 * shm:// of the native protocol (docs/formats/native.md has the layout). Both the broker and
 * libsluice are built from it, and any client in C can be.
 *
 *   memory = block of the client | block of the server | … | ring of the client | of the server
 *   block  = bytes that the side has put into its ring, ever (u64), 128 bytes further those that it
 *            has taken from the other's (u64), 128 bytes further what it sleeps for (u32)
 *
 * Each side writes its own block and ring, and reads the other's. What the other wrote is hostile:
 * a side keeps its own counts to itself, reads each of the other's once, and checks it; bytes are
 * copied out before anybody looks at them. A count that cannot be is SLUICE_E_MALFORMED, for good.
 *
 * Who finds nothing to do may look again and again, or sleep: it says what for, looks once more,
 * and waits; who sees the other asleep for what it did wakes it, by a byte on their socket. One
 * thread a side. [any] */
#ifndef SLUICE_SHARED_RING_H
#define SLUICE_SHARED_RING_H

#include <sluice/types.h>
#include <string.h>

/* Bytes before the rings, and between what different processors write. */
#define SLUICE_SHARED_HEAD_BYTES 4096u
#define SLUICE_SHARED_LINE_BYTES 128u
/* Bounds of a ring's size, which is a power of two. */
#define SLUICE_SHARED_RING_BYTES_MIN 4096u
#define SLUICE_SHARED_RING_BYTES_MAX (16u << 20)
/* The side that connected, and the one that made the memory. */
#define SLUICE_SHARED_CLIENT 0u
#define SLUICE_SHARED_SERVER 1u
/* What a side sleeps for, as bits: bytes to read; room for a quarter of its ring. */
#define SLUICE_SHARED_FOR_BYTES 1u
#define SLUICE_SHARED_FOR_ROOM  2u

/* Of the question and the answer. */
#define SLUICE_SHARED_MAGIC   0x4D485353u
#define SLUICE_SHARED_VERSION 1u

/* How a client asks for the rings: the first bytes on its socket, little-endian. */
struct sluice_shared_request {
    uint32_t magic;
    uint16_t lowest, highest; /* versions that it speaks */
    uint64_t reserved;
};

/* How it is answered; the descriptor of the memory comes with it. */
struct sluice_shared_answer {
    uint32_t magic;
    uint16_t version;
    uint16_t reserved;
    uint32_t code;       /* SLUICE_OK, or why it does not get any */
    uint32_t ring_bytes; /* of each ring */
};

/* One side's view; its counts are private. */
struct sluice_shared_rings {
    uint8_t *memory; /* borrowed, sluice_shared_bytes() of it */
    uint32_t side;   /* SLUICE_SHARED_CLIENT, _SERVER */
    uint32_t size;   /* of a ring */
    uint64_t put;    /* into the own ring, ever */
    uint64_t taken;  /* from the other's, ever */
};

/* How much memory two rings of this size take. */
static inline uint64_t sluice_shared_bytes(uint32_t ring_bytes)
{
    return SLUICE_SHARED_HEAD_BYTES + 2 * (uint64_t)ring_bytes;
}

/* Whether a ring may have this size. */
static inline bool sluice_shared_is_size(uint32_t ring_bytes)
{
    return ring_bytes >= SLUICE_SHARED_RING_BYTES_MIN &&
           ring_bytes <= SLUICE_SHARED_RING_BYTES_MAX && (ring_bytes & (ring_bytes - 1)) == 0;
}

/* A view of memory that is zero. */
static inline struct sluice_shared_rings sluice_shared_of(uint8_t *memory, uint32_t side,
                                                          uint32_t ring_bytes)
{
    struct sluice_shared_rings rings = {memory, side, ring_bytes, 0, 0};
    return rings;
}

/* Where a side's numbers stand: put, taken, what it sleeps for. */
static inline uint64_t *sluice_shared_put_(const struct sluice_shared_rings *rings, uint32_t side)
{
    return (uint64_t *)(void *)(rings->memory + (size_t)side * 4 * SLUICE_SHARED_LINE_BYTES);
}
static inline uint64_t *sluice_shared_taken_(const struct sluice_shared_rings *rings, uint32_t side)
{
    return (uint64_t *)(void *)((uint8_t *)sluice_shared_put_(rings, side) +
                                SLUICE_SHARED_LINE_BYTES);
}
static inline uint32_t *sluice_shared_sleeps_(const struct sluice_shared_rings *rings,
                                              uint32_t side)
{
    return (uint32_t *)(void *)((uint8_t *)sluice_shared_put_(rings, side) +
                                (size_t)2 * SLUICE_SHARED_LINE_BYTES);
}
static inline uint8_t *sluice_shared_ring_(const struct sluice_shared_rings *rings, uint32_t side)
{
    return rings->memory + SLUICE_SHARED_HEAD_BYTES + (size_t)side * rings->size;
}

/* Bytes that the other side has put and we have not taken; more than a ring has: it lies. */
static inline uint64_t sluice_shared_filled(const struct sluice_shared_rings *rings)
{
    return __atomic_load_n(sluice_shared_put_(rings, 1 - rings->side), __ATOMIC_ACQUIRE) -
           rings->taken;
}

/* Bytes that we have put and the other side has not taken; more than a ring has: it lies. */
static inline uint64_t sluice_shared_unread(const struct sluice_shared_rings *rings)
{
    return rings->put -
           __atomic_load_n(sluice_shared_taken_(rings, 1 - rings->side), __ATOMIC_ACQUIRE);
}

/* Whether one of the things that `wants` has bits for is there; a lie is, so that it is found. */
static inline bool sluice_shared_is_ready(const struct sluice_shared_rings *rings, uint32_t wants)
{
    bool bytes = (wants & SLUICE_SHARED_FOR_BYTES) != 0 && sluice_shared_filled(rings) != 0;
    uint64_t unread = (wants & SLUICE_SHARED_FOR_ROOM) != 0 ? sluice_shared_unread(rings) : 0;
    bool room = (wants & SLUICE_SHARED_FOR_ROOM) != 0 &&
                (unread > rings->size || rings->size - unread >= rings->size / 4);
    return bytes || room;
}

/* Takes up to `size` bytes; 0: none are there, less than 0: the negative of SLUICE_E_MALFORMED. */
static inline int64_t sluice_shared_read(struct sluice_shared_rings *rings, void *ret_data,
                                         uint64_t size)
{
    const uint64_t filled = sluice_shared_filled(rings);
    const uint8_t *ring = sluice_shared_ring_(rings, 1 - rings->side);
    const uint64_t at = rings->taken & (rings->size - 1);
    if (filled > rings->size) {
        return -(int64_t)SLUICE_E_MALFORMED;
    }
    const uint64_t count = filled < size ? filled : size;
    const uint64_t first = count < rings->size - at ? count : rings->size - at;
    if (count > 0) {
        memcpy(ret_data, ring + at, (size_t)first);
        memcpy((uint8_t *)ret_data + first, ring, (size_t)(count - first));
        rings->taken += count;
        __atomic_store_n(sluice_shared_taken_(rings, rings->side), rings->taken, __ATOMIC_RELEASE);
    }
    return (int64_t)count;
}

/* Puts up to `size` bytes; 0: the ring is full, less than 0: the negative of SLUICE_E_MALFORMED. */
static inline int64_t sluice_shared_write(struct sluice_shared_rings *rings, const void *data,
                                          uint64_t size)
{
    const uint64_t unread = sluice_shared_unread(rings);
    uint8_t *ring = sluice_shared_ring_(rings, rings->side);
    const uint64_t at = rings->put & (rings->size - 1);
    if (unread > rings->size) {
        return -(int64_t)SLUICE_E_MALFORMED;
    }
    const uint64_t room = rings->size - unread;
    const uint64_t count = room < size ? room : size;
    const uint64_t first = count < rings->size - at ? count : rings->size - at;
    if (count > 0) {
        memcpy(ring + at, data, (size_t)first);
        memcpy(ring, (const uint8_t *)data + first, (size_t)(count - first));
        rings->put += count;
        __atomic_store_n(sluice_shared_put_(rings, rings->side), rings->put, __ATOMIC_RELEASE);
    }
    return (int64_t)count;
}

/* We are awake: nobody needs to wake us. */
static inline void sluice_shared_awake(const struct sluice_shared_rings *rings)
{
    __atomic_store_n(sluice_shared_sleeps_(rings, rings->side), 0u, __ATOMIC_RELAXED);
}

/* Says what we go to sleep for. False: it is there already, and we are awake. */
static inline bool sluice_shared_asleep(const struct sluice_shared_rings *rings, uint32_t wants)
{
    __atomic_store_n(sluice_shared_sleeps_(rings, rings->side), wants, __ATOMIC_SEQ_CST);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (sluice_shared_is_ready(rings, wants)) {
        sluice_shared_awake(rings);
        return false;
    }
    return true;
}

/* After bytes were put (SLUICE_SHARED_FOR_BYTES) or taken (SLUICE_SHARED_FOR_ROOM): whether the
 * other side sleeps for that, and is to be woken by a byte on the socket. It is told once. */
static inline bool sluice_shared_must_wake(const struct sluice_shared_rings *rings, uint32_t did)
{
    uint32_t *sleeps = sluice_shared_sleeps_(rings, 1 - rings->side);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    const uint32_t wants = __atomic_load_n(sleeps, __ATOMIC_RELAXED) & did;
    const uint64_t left = wants == SLUICE_SHARED_FOR_ROOM ? sluice_shared_filled(rings) : 0;
    if (wants == 0 || (left <= rings->size && rings->size - left < rings->size / 4)) {
        return false;
    }
    return (__atomic_exchange_n(sleeps, 0u, __ATOMIC_SEQ_CST) & did) != 0;
}

#endif
