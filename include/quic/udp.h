/* SPDX-License-Identifier: MIT */
/*
 * udp - the sockets under an endpoint: several of them, IPv4 and IPv6, polled by libuv;
 * recvmmsg and sendmmsg in batches, ECN both ways, the local address of each packet kept
 * (IP_PKTINFO where the socket is bound to a wildcard). The only part of quic that
 * touches a socket, a loop or a clock.
 */
#pragma once
#include "base/log.h"
#include "base/metric.h"
#include "base/time.h"
#include "quic/addr.h"
#include "quic/endpoint.h"

struct uv_loop_s; /* uv_loop_t of <uv.h>, which only udp.c needs */
struct udp;

struct udp_opts {
	uint32_t rcvbuf_bytes; /* asked of the kernel; a warning names net.core.rmem_max if it
	                        * grants less. default 16 MiB */
	uint32_t sndbuf_bytes; /* default 4 MiB */
	/* Several sockets of this process share an address (SO_REUSEPORT). The first takes it, and fails if another
	 * process has it; the others join. default UDP_ALONE */
	enum udp_share { UDP_ALONE, UDP_FIRST, UDP_JOIN } share;
	uint32_t grid_us;      /* busy sockets are read on multiples of this instead of at each packet, by an owner who
	                        * minds udp_wake_at(). default 0: always at each packet */
};
void udp_opts_default(struct udp_opts *o);

struct udp_stats {
	uint64_t recv_calls, send_calls, packets_in, packets_out;
	uint64_t send_dropped;   /* the kernel refused: buffer full, unreachable, too long */
	uint64_t kernel_dropped; /* lost in full receive buffers, as SO_RXQ_OVFL says */
	uint64_t grid_reads;     /* wake-ups that were the grid's and not a packet's */
};

/* `on_packet` for each payload of a batch (zero-length ones are dropped here), `on_batch` after the last. */
struct udp_handler {
	void *ctx;
	void (*on_packet)(void *ctx, const struct quic_path *path, uint8_t ecn, uint8_t *p, size_t len, nsec now);
	void (*on_batch)(void *ctx, nsec now);
};

int udp_new(struct uv_loop_s *loop, const struct udp_opts *opts, const struct udp_handler *handler, const struct log *log,
	struct udp **out);
/* Binds one more socket. `addr` may carry port 0; `bound` (may be NULL) says what it became.
 * ERR_IO with errno set. */
int udp_bind(struct udp *u, const struct quic_addr *addr, struct quic_addr *bound);
/* From now on packets to the address that was bound last go to one of the `n_sockets` that share it: the first byte of the
 * connection id that a packet carries, modulo `n_sockets`, says which, in the order of binding. Where there is no
 * such socket, and for what is no QUIC packet, the kernel chooses by addresses. Done once, by the first.
 * ERR_IO with errno set; ERR_STATE: no socket. */
int udp_steer(struct udp *u, unsigned n_sockets);
/* Does the kernel know how? */
bool udp_can_steer(void);
/*
 * Waking up for each packet costs more than the packet. Once packets come fast, the sockets no longer wake the loop: its
 * owner does, four, two or one grid_us after the last time, the busier the sooner, and whenever a room ticks; and all that came in the
 * meantime is read, mixed, and answered at once. With a grid of 1 ms rooms hear nothing later for that, since they tick
 * on the same milliseconds.
 *
 * When to wake so that packets are read as well (NSEC_NONE: nothing is due): in time for `tick`, a room's, on the next
 * point of the grid at the latest; for the `rest` only with the next reading.
 */
nsec udp_wake_at(const struct udp *u, nsec tick, nsec rest);
/* Reads what the grid has kept waiting; to be called at each udp_wake_at(). If the `tick` that is due is late, packets are
 * read in any case: what it is about to mix may still be in the socket. True: there was something, and on_batch
 * has been called. */
bool udp_run(struct udp *u, nsec tick, nsec now);
/* Which local address the kernel would use towards `remote`, port 0. A client binds to it: on a
 * wildcard socket its first path would lack the address that answers come to. ERR_IO. */
int udp_local_for(const struct quic_addr *remote, struct quic_addr *local);
/* How an endpoint sends through these sockets; valid while `u` lives. */
struct quic_out udp_out(struct udp *u);
/* Sends what was committed. What a full socket does not take (64 packets at most) is kept until
 * it is writable; beyond that packets are dropped and counted. */
void udp_flush(struct udp *u);
const struct udp_stats *udp_stats(const struct udp *u);
extern const struct metric_table udp_metrics; /* of struct udp_stats */
/* Closes the sockets; `on_closed` (may be NULL) is called by the loop when the last is gone, at once where none was
 * bound. */
void udp_close(struct udp *u, void (*on_closed)(void *ctx), void *ctx);
