/* SPDX-License-Identifier: MIT */
/*
 * reset_secret - the secret of stateless resets (RFC 9000 10.3). A process that was killed knows nothing of its connections;
 * with the same secret the next one resets them at their first packet, and clients come back at once instead of waiting for
 * an answer. It is the only secret that must outlive a process: Retry tokens live for seconds of one process's clock, and a
 * connection id is random except for the number of its shard, and any shard that gets the packet can answer it.
 *
 * In this order it comes from
 *   1. the file "reset-secret" in `state_dir`, or else in systemd's $STATE_DIRECTORY; made there at the first start,
 *   2. the private key of the certificate, this machine and the port: the same at each start until the key is renewed,
 *   3. chance, with a development certificate: new at each start.
 *
 * The file goes before the key, since it outlives a renewal. Machine and port are in 2. because servers with one secret must
 * not answer for one another's connections: an attacker who can have a packet of somebody's open connection delivered to
 * the other server gets the token that ends it (RFC 9000 21.11), and a certificate is often shared. So a state directory is for
 * one daemon alone. Called once, at start.
 */
#pragma once
#include "base/log.h"
#include "config/config.h"
#include "quic/endpoint.h"
#include "quic/tls.h"

/* Never fails: a file that is bad or cannot be written is warned of and replaced if that can be done. */
void reset_secret_find(const struct config_server *cfg, const struct quic_cert *cert, const struct log *log,
	uint8_t out[QUIC_SECRET_LEN]);
