/* SPDX-License-Identifier: MIT */
/*
 * udp - the sockets under an endpoint: several of them, IPv4 and IPv6, polled by libuv;
 * recvmmsg and sendmmsg in batches, ECN both ways, the local address of each packet kept
 * (IP_PKTINFO where the socket is bound to a wildcard). With the ticker the only part of
 * quic that has descriptors, a loop or a clock; udp_socket.c and udp_send.c are its parts
 * below the loop. One thread.
 */
#pragma once
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"
#include "quic/addr.h"
#include "quic/endpoint.h"

struct uv_loop_s; /* uv_loop_t of <uv.h>, which only udp.c and ticker.c include */
struct udp;

struct udp_opts {
	uint32_t rcvbuf_bytes; /* asked of the kernel; a warning names net.core.rmem_max if it
	                        * grants less. default 16 MiB */
	uint32_t sndbuf_bytes; /* default 4 MiB */
	/* Several sockets of this process share an address (SO_REUSEPORT). The first one claims it, and fails if another
	 * process has it; the others join. default UDP_ALONE */
	enum udp_share { UDP_ALONE, UDP_FIRST, UDP_JOIN } share;
	uint32_t grid_us;      /* busy sockets are read at multiples of this instead of at each packet; the owner must
	                        * wake up at udp_wake_at() then. default 0: always at each packet */
};
void udp_opts_default(struct udp_opts *o);

struct udp_stats {
	uint64_t recv_calls, send_calls, packets_in, packets_out;
	uint64_t send_dropped;   /* the kernel refused: buffer full, unreachable, too long */
	uint64_t kernel_dropped; /* lost in full receive buffers, as SO_RXQ_OVFL says */
	uint64_t grid_reads;     /* readings on the grid, without a packet that woke the loop */
};

/* `on_packet` for each payload of a batch (zero-length ones are dropped here), `on_batch` after the last. */
struct udp_handler {
	void *ctx;
	void (*on_packet)(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now);
	void (*on_batch)(void *ctx, nsec now);
};

int udp_new(struct uv_loop_s *loop, const struct udp_opts *opts, const struct udp_handler *handler, const struct log *log,
	struct udp **out);
/* Binds one more socket. `addr` may have port 0; `bound` (may be NULL) is set to the address with its port.
 * ERR_IO with errno set. */
int udp_bind(struct udp *u, const struct quic_addr *addr, struct quic_addr *bound);
/* From now on the kernel steers packets to the address that was bound last between the `n_sockets` that share it: by the
 * first byte of the connection id modulo `n_sockets`, in the order of binding. If there is no such socket, or it is no
 * QUIC packet, the kernel chooses by addresses. Called once, by the first. ERR_IO with errno set; ERR_STATE: no
 * socket. */
int udp_steer(struct udp *u, unsigned n_sockets);
/* Can the kernel do that? */
bool udp_can_steer(void);
/*
 * Waking up for each packet costs more than the packet. Once packets come fast, the sockets no longer wake the loop: its
 * owner wakes it four, two or one grid_us after the last reading, the busier the sooner, and whenever a room ticks; all
 * packets that came in between are read, mixed and answered together. With a grid of 1 ms no audio is later for that,
 * since rooms tick on the same milliseconds.
 *
 * Returns when to wake up (NSEC_NONE: nothing is due): for `tick`, a room's, at the first point of the grid that is not
 * before it; for the `rest` not before the next reading.
 */
nsec udp_wake_at(const struct udp *u, nsec tick, nsec rest);
/* Reads the sockets if a reading is due; to be called at each udp_wake_at(). If the `tick` that is due is late, they are
 * read in any case: packets for it may still be in the socket. True: packets came, and on_batch was called. */
bool udp_run(struct udp *u, nsec tick, nsec now);
/* The local address that the kernel would use towards `remote`, with port 0. A client binds to it: on a
 * wildcard socket its first path would lack the address that answers come to. ERR_IO. */
int udp_local_for(const struct quic_addr *remote, struct quic_addr *local);
/* How an endpoint sends through these sockets; valid while `u` lives. */
struct quic_out udp_out(struct udp *u);
/* Sends what was committed. Up to 64 packets that a full socket does not accept are kept until
 * it is writable; more are dropped and counted. */
void udp_flush(struct udp *u);
const struct udp_stats *udp_stats(const struct udp *u);
extern const struct metric_table udp_metrics; /* of struct udp_stats */
/* Closes the sockets and frees; then the loop calls `on_closed` (may be NULL). */
void udp_close(struct udp *u, void (*on_closed)(void *ctx), void *ctx);
