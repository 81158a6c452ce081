/* SPDX-License-Identifier: MIT */
/*
 * floor - what no server can go below on this machine.
 *
 *   floor server [aead] [pause US]   a UDP echo, recvmmsg and sendmmsg 64 at a time; with "aead" AES-128-GCM opens
 *                                    and seals each packet; "pause" sleeps between batches. Says "ready PORT"; ends with
 *                                    its standard input.
 *   floor client PORT FLOWS SECONDS  FLOWS x 50 packets a second of 690 bytes (what a datagram of 642 becomes), in the
 *                                    pattern of `caller talk`, which see for what it says.
 *   floor timer SECONDS              how late a sleep of 1 ms ends where nothing else is to be done
 *   floor seal                       seal and open of one such packet, CPU
 */
#include "base/time.h"
#include "client/histogram.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	BATCH = 64, PACKET_MAX = 2048, PACKET = 690,
	TAG = 16, NONCE = 12, HEAD = 16, /* flow, sequence, time of sending: neither sealed nor authenticated */
	SLOTS = 40, SLOT_STRIDE = 11, FRAME_MS = 20, FLOWS_PER_SOCKET = 256, SOCKETS_MAX = 64,
	BUFFER_BYTES = 16 << 20,
};

struct head {
	uint32_t flow, seq;
	uint64_t sent_at;
};

static const uint8_t key[16] = "a key of nobody", nonce[NONCE] = "eleven and 1";

struct batch {
	struct mmsghdr m[BATCH];
	struct iovec v[BATCH];
	struct sockaddr_in peer[BATCH];
	uint8_t b[BATCH][PACKET_MAX];
};

static void batch_arm(struct batch *q, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		q->v[i] = (struct iovec){q->b[i], PACKET_MAX};
		q->m[i].msg_hdr = (struct msghdr){.msg_name = &q->peer[i], .msg_namelen = sizeof q->peer[i],
			.msg_iov = &q->v[i], .msg_iovlen = 1};
	}
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void sleep_until(nsec t)
{
	const struct timespec ts = {(time_t)(t / 1000000000u), (long)(t % 1000000000u)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL);
}

static int open_socket(struct sockaddr_in *bound)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	int size = BUFFER_BYTES, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || getsockname(fd, (struct sockaddr *)&a, &len))
		die("socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
	*bound = a;
	return fd;
}

/* --- one packet's cryptography -------------------------------------------------------------------- */

struct aead {
	EVP_CIPHER_CTX *seal, *open;
};

static void aead_init(struct aead *a)
{
	a->seal = EVP_CIPHER_CTX_new();
	a->open = EVP_CIPHER_CTX_new();
	if (!a->seal || !a->open || !EVP_EncryptInit_ex(a->seal, EVP_aes_128_gcm(), NULL, key, nonce) ||
		!EVP_DecryptInit_ex(a->open, EVP_aes_128_gcm(), NULL, key, nonce))
		die("aead");
}

/* In place; p[0..n) is followed by room for the tag. */
static void aead_seal(struct aead *a, uint8_t *p, int n)
{
	int got;

	if (!EVP_EncryptInit_ex(a->seal, NULL, NULL, NULL, nonce) || !EVP_EncryptUpdate(a->seal, NULL, &got, key, sizeof key) ||
		!EVP_EncryptUpdate(a->seal, p, &got, p, n) || !EVP_EncryptFinal_ex(a->seal, p + n, &got) ||
		!EVP_CIPHER_CTX_ctrl(a->seal, EVP_CTRL_AEAD_GET_TAG, TAG, p + n))
		die("seal");
}

static bool aead_open(struct aead *a, uint8_t *p, int n)
{
	int got;

	return EVP_CIPHER_CTX_ctrl(a->open, EVP_CTRL_AEAD_SET_TAG, TAG, p + n) == 1 &&
		EVP_DecryptInit_ex(a->open, NULL, NULL, NULL, nonce) == 1 &&
		EVP_DecryptUpdate(a->open, NULL, &got, key, sizeof key) == 1 &&
		EVP_DecryptUpdate(a->open, p, &got, p, n) == 1 && EVP_DecryptFinal_ex(a->open, p + n, &got) == 1;
}

static void protect(struct aead *a, uint8_t *p, size_t len)
{
	int n = (int)len - HEAD - TAG;

	if (n < 0 || !aead_open(a, p + HEAD, n)) {
		fputs("floor: a packet that is not ours\n", stderr);
		return;
	}
	aead_seal(a, p + HEAD, n);
}

/* --- server ----------------------------------------------------------------------------------------- */

static void send_all(int fd, struct mmsghdr *m, size_t n)
{
	for (size_t at = 0; at < n;) {
		int sent = sendmmsg(fd, m + at, (unsigned)(n - at), 0);

		if (sent < 0)
			return; /* full: lost, as it would be in any server */
		at += (size_t)sent;
	}
}

static void echo_all(int fd, struct batch *q, struct aead *a)
{
	for (;;) {
		int n = recvmmsg(fd, q->m, BATCH, 0, NULL);

		if (n <= 0)
			return;
		for (int i = 0; i < n; i++) {
			q->v[i].iov_len = q->m[i].msg_len;
			if (a)
				protect(a, q->b[i], q->m[i].msg_len);
		}
		send_all(fd, q->m, (size_t)n);
		batch_arm(q, (size_t)n);
		if (n < BATCH)
			return;
	}
}

static int server(bool with_aead, nsec pause)
{
	static struct batch q;
	struct sockaddr_in at;
	struct aead a;
	int fd = open_socket(&at);
	struct pollfd fds[] = {{fd, POLLIN, 0}, {0, POLLIN, 0}};

	aead_init(&a);
	batch_arm(&q, BATCH);
	printf("ready %u\n", ntohs(at.sin_port));
	fflush(stdout);
	while (poll(fds, 2, -1) >= 0 || errno == EINTR) {
		if (fds[1].revents)
			return 0;
		echo_all(fd, &q, with_aead ? &a : NULL);
		if (pause)
			sleep_until(clock_now() + pause);
	}
	return 1;
}

/* --- client ----------------------------------------------------------------------------------------- */

static struct client {
	int fd[SOCKETS_MAX];
	uint32_t n_fds, n_flows, seq;
	struct sockaddr_in to;
	uint8_t sealed[PACKET];
	struct batch q;
	struct histogram delay_us;
	uint32_t first, end; /* sequences that count: first <= seq < end */
	uint64_t sent, heard;
} c;

static void take_echoes(void)
{
	static struct batch in;
	struct head h;

	if (!in.v[0].iov_base)
		batch_arm(&in, BATCH);
	for (uint32_t f = 0; f < c.n_fds; f++) {
		int n = recvmmsg(c.fd[f], in.m, BATCH, 0, NULL);
		nsec now = clock_now();

		for (int i = 0; i < n; i++) {
			memcpy(&h, in.b[i], sizeof h);
			if (h.seq < c.first || h.seq >= c.end)
				continue;
			c.heard++;
			histogram_add(&c.delay_us, nsec_since(h.sent_at, now) / 1000);
		}
		if (n > 0)
			batch_arm(&in, (size_t)n);
		f -= n == BATCH; /* there may be more */
	}
}

static void flush(uint32_t f, size_t n)
{
	send_all(c.fd[f], c.q.m, n);
}

static void send_slot(uint32_t slot, uint32_t seq)
{
	nsec now = clock_now();

	for (uint32_t f = 0; f < c.n_fds; f++) {
		size_t n = 0;

		for (uint32_t i = f; i < c.n_flows; i += c.n_fds) {
			const struct head h = {i, seq, now};

			if (i % SLOTS != slot * SLOT_STRIDE % SLOTS)
				continue;
			memcpy(c.q.b[n], &h, sizeof h);
			c.sent += seq >= c.first && seq < c.end;
			if (++n < BATCH)
				continue;
			flush(f, n);
			n = 0;
		}
		flush(f, n);
	}
}

static void client_init(uint16_t port, uint32_t flows)
{
	struct sockaddr_in any;
	struct aead a;

	c.n_flows = flows;
	c.n_fds = 1 + (flows - 1) / FLOWS_PER_SOCKET;
	c.to = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
	for (uint32_t i = 0; i < c.n_fds; i++)
		c.fd[i] = open_socket(&any);
	aead_init(&a);
	memset(c.sealed + HEAD, 0x55, PACKET - HEAD - TAG);
	aead_seal(&a, c.sealed + HEAD, PACKET - HEAD - TAG);
	batch_arm(&c.q, BATCH);
	for (size_t i = 0; i < BATCH; i++) {
		memcpy(c.q.b[i], c.sealed, PACKET);
		c.q.v[i].iov_len = PACKET;
		c.q.peer[i] = c.to;
	}
	histogram_init(&c.delay_us);
}

static void wait_until(nsec due)
{
	for (nsec now = clock_now(); now < due; now = clock_now()) {
		struct pollfd fds[SOCKETS_MAX];
		const struct timespec left = {0, (long)(due - now)};

		for (uint32_t i = 0; i < c.n_fds; i++)
			fds[i] = (struct pollfd){c.fd[i], POLLIN, 0};
		if (ppoll(fds, c.n_fds, &left, NULL) > 0)
			take_echoes();
	}
}

static int client(uint16_t port, uint32_t flows, double seconds)
{
	const uint32_t warm = 1000 / FRAME_MS, n = (uint32_t)(seconds * 1000 / FRAME_MS);
	nsec start;

	if (flows < 1 || flows > SOCKETS_MAX * FLOWS_PER_SOCKET)
		return 2;
	client_init(port, flows);
	c.first = warm;
	c.end = warm + n;
	start = clock_now();
	for (uint64_t s = 0; s < (uint64_t)(warm + n) * SLOTS; s++) {
		if (s == (uint64_t)warm * SLOTS) {
			puts("measuring");
			fflush(stdout);
		}
		wait_until(start + s * (nsec_from_ms(FRAME_MS) / SLOTS));
		send_slot((uint32_t)(s % SLOTS), (uint32_t)(s / SLOTS));
	}
	puts("measured");
	wait_until(clock_now() + nsec_from_ms(500));
	printf("sessions=%u opened=%u failed=0 lost=0 seconds=%.3f expected=%llu heard=%llu sent=%llu delay_p50_ms=%.3f "
	       "delay_p99_ms=%.3f\n", flows, flows, n * FRAME_MS / 1000.0, (unsigned long long)c.sent,
		(unsigned long long)c.heard, (unsigned long long)c.sent, (double)histogram_percentile(&c.delay_us, 0.5) / 1000,
		(double)histogram_percentile(&c.delay_us, 0.99) / 1000);
	return 0;
}

/* --- alone ------------------------------------------------------------------------------------------ */

static int timer(double seconds)
{
	static struct histogram late_us;
	nsec due = clock_now(), end = due + (nsec)(seconds * 1e9);

	histogram_init(&late_us);
	while (due < end) {
		due += nsec_from_ms(1);
		sleep_until(due);
		nsec now = clock_now();

		histogram_add(&late_us, nsec_since(due, now) / 1000);
		if (now > due + nsec_from_ms(1))
			due = now;
	}
	printf("late_p50_ms=%.3f late_p99_ms=%.3f late_p999_ms=%.3f late_max_ms=%.3f\n",
		(double)histogram_percentile(&late_us, 0.5) / 1000, (double)histogram_percentile(&late_us, 0.99) / 1000,
		(double)histogram_percentile(&late_us, 0.999) / 1000, (double)late_us.max / 1000);
	return 0;
}

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int seal(void)
{
	enum { N = 200000, LEN = PACKET - HEAD - TAG };
	static uint8_t p[PACKET];
	struct aead a;
	double least = 1;

	aead_init(&a);
	for (int round = 0; round < 5; round++) {
		double t = cpu_s();

		for (int i = 0; i < N; i++) {
			aead_seal(&a, p, LEN);
			if (!aead_open(&a, p, LEN))
				return 1;
		}
		t = (cpu_s() - t) / N;
		least = t < least ? t : least;
	}
	printf("seal_and_open_us=%.3f\n", least * 1e6);
	return 0;
}

int main(int argc, char **argv)
{
	bool aead = false;
	nsec pause = 0;

	if (argc >= 2 && strcmp(argv[1], "server") == 0) {
		for (int i = 2; i < argc; i++) {
			aead |= strcmp(argv[i], "aead") == 0;
			if (strcmp(argv[i], "pause") == 0 && i + 1 < argc)
				pause = nsec_from_us(strtoul(argv[++i], NULL, 10));
		}
		return server(aead, pause);
	}
	if (argc == 5 && strcmp(argv[1], "client") == 0)
		return client((uint16_t)atoi(argv[2]), (uint32_t)strtoul(argv[3], NULL, 10), strtod(argv[4], NULL));
	if (argc == 3 && strcmp(argv[1], "timer") == 0)
		return timer(strtod(argv[2], NULL));
	if (argc == 2 && strcmp(argv[1], "seal") == 0)
		return seal();
	fputs("usage: floor server [aead] [pause US] | client PORT FLOWS SECONDS | timer SECONDS | seal\n", stderr);
	return 2;
}
