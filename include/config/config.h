/* SPDX-License-Identifier: MIT */
/*
 * config - one TOML file, strict, into the option structs that the layers declare. Every key with its
 * type, bounds, default and help stands once, in schema.c; parsing, --print-config and
 * docs/configuration.md all come from there. Used at start and on reload only.
 */
#pragma once
#include "base/buf.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "http/server.h"
#include "quic/endpoint.h"
#include "quic/udp.h"
#include "room/room.h"
#include "wt/wt.h"

enum { CONFIG_HOSTS_MAX = 16, CONFIG_ORIGINS_MAX = 64, CONFIG_NAMES_MAX = 64, CONFIG_ROOMS_MAX = 256, CONFIG_BRIDGES_MAX = 64,
	CONFIG_TOOLS_MAX = 64, CONFIG_TEXT_MAX = 256, CONFIG_GROUPS_MAX = QUIC_TLS_GROUPS };

/* [server] */
struct config_server {
	char host[CONFIG_HOSTS_MAX][64]; /* numeric addresses or "localhost" */
	size_t n_hosts;                  /* default 1: "0.0.0.0" */
	uint16_t port;                   /* default 4433; 0: any free one */
	/* "": a development certificate. "credential:NAME" in the file has become a path in $CREDENTIALS_DIRECTORY. */
	char certificate[CONFIG_TEXT_MAX], private_key[CONFIG_TEXT_MAX];
	uint32_t input_sample_rate, output_sample_rate; /* default 16000 */
	char path[CONFIG_TEXT_MAX];      /* default "/audio" */
	uint32_t max_datagram_size;      /* 64..65536, a ceiling; default 65536 */
	char origins[CONFIG_ORIGINS_MAX][CONFIG_TEXT_MAX]; /* as origin_text() has them, or "*" */
	size_t n_origins;                /* default 0: see admission_origin_ok() */
	uint32_t shards;                 /* threads that serve sessions, 1..64; default 0: as many as there are cores */
	char tls_groups[CONFIG_GROUPS_MAX][24]; /* the preferred first. default "X25519MLKEM768", "X25519", "P-256" */
	size_t n_tls_groups;
	char state_dir[CONFIG_TEXT_MAX]; /* for what outlives a restart; default "": systemd's $STATE_DIRECTORY, if there is one */
	uint32_t drain_ms;               /* that sessions get to leave after SIGTERM. default 1000, at most 4000 */
};

/* [http] */
struct config_http {
	bool enabled;                    /* default true */
	char host[CONFIG_HOSTS_MAX][64]; /* default "127.0.0.1" */
	size_t n_hosts;
	uint16_t port;                   /* default 8080; 0: any free one */
	bool tls;                        /* with the certificate of [server]. default false */
	char names[CONFIG_NAMES_MAX][CONFIG_TEXT_MAX]; /* more hosts that are ours, as in struct authority */
	size_t n_names;                  /* default 0 */
	char web_dir[CONFIG_TEXT_MAX];   /* serve the page from here instead of from the binary. default "" */
};

/* [limits] beyond the structs of the layers */
struct config_limits {
	uint32_t max_sessions;            /* default 5000 */
	uint32_t control_line_bytes;      /* default 16384 */
	uint32_t control_bytes_per_s;     /* of one session, burst twice that. default 16384 */
	uint32_t control_messages_per_s;  /* of one session, burst twice that. default 20 */
	uint32_t datagrams_per_s;         /* of one session, burst twice that. default 250 */
	uint32_t control_grace_ms;        /* from the end of a client's control stream to its own. default 5000 */
	uint32_t silent_client_ms;        /* without a word of one that used to report, 0: any time. default 15000 */
	uint32_t max_waiting_handshakes;  /* packets. default 1024 */
	uint32_t max_load_percent;        /* of a shard's time, 0: never refuse for it. default 90 */
	uint32_t resume_load_percent;     /* see load_rule_make(). default 80 */
};

/* Room for the options of any driver. */
struct config_options {
	_Alignas(max_align_t) unsigned char bytes[BRIDGE_OPTIONS_MAX];
};

/* Not to be copied with `=` or memcpy: `rooms` points into the struct itself. Nearly two megabytes: keep it off small stacks. */
struct config {
	struct config_server server;
	struct config_http http;
	struct config_limits limits;
	struct quic_opts quic;
	struct wt_opts wt;
	struct udp_opts udp;
	struct http_opts http_server;
	struct rooms_opts rooms;          /* rules and bridges point into the arrays below */
	struct room_rule room[CONFIG_ROOMS_MAX];
	struct bridge_opts bridge[CONFIG_BRIDGES_MAX]; /* their options and tools point into the arrays below */
	struct config_options bridge_options[CONFIG_BRIDGES_MAX];
	struct bridge_tool tool[CONFIG_TOOLS_MAX];     /* of all bridges, in their order */
	size_t n_tools;
	enum log_level log_level;         /* default info */
	enum log_format log_format;       /* default text */
};

enum { CONFIG_ERROR = 512 };

/* Gives the `i`-th bridge the default options of its type, and returns them to be filled in; NULL: the type has none. */
void *config_bridge_options(struct config *c, size_t i);

/* All defaults; what no file at all means. Never fails. */
void config_default(struct config *c);
/* Defaults, then the file. On error `why` is one line: "FILE:LINE: KEY = VALUE: what would be accepted", and `c` is
 * undefined. ERR_NOTFOUND, ERR_IO: the file; ERR_MALFORMED: not TOML; ERR_RANGE: unknown key or bad value. */
int config_load(const char *path, struct config *c, char why[CONFIG_ERROR]);
int config_parse(const char *text, size_t len, const char *file_name, struct config *c, char why[CONFIG_ERROR]);
/* The same for --check-config, which also opens the files and finds the programs that the file names. The certificate must be valid at
 * `wall_s`. ERR_IO with "FILE:LINE: KEY = VALUE: what is wrong with it". */
int config_check(const char *path, int64_t wall_s, struct config *c, char why[CONFIG_ERROR]);
/* A complete file that means exactly `c`, each key with its help as a comment. */
int config_print(const struct config *c, struct buf *out);
/* The file to begin with (packaging/mynah.toml): every key with its help, commented out at its default. */
int config_example(struct buf *out);
/* docs/configuration.md */
int config_document(struct buf *out);
