/* SPDX-License-Identifier: MIT */
#include "config/schema.h"

#include "config/check.h"

#include <stdio.h>
#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const uint32_t frame_choices[] = {10, 20, 0};
static const uint32_t mix_rates[] = {8000, 16000, 24000, 48000, 0};
static const char *const level_names[] = {"error", "warn", "info", "debug", NULL}; /* enum log_level */
static const char *const format_names[] = {"text", "json", NULL};                  /* enum log_format */

static const char *const barge_names[] = {"auto", "immediate", "confirm", "worker", "off", NULL}; /* enum barge_in */
static const char *const catch_up_names[] = {"auto", "pauses", "off", NULL}; /* enum bridge_catch_up */

/* Where a member lives and how wide it is. */
#define IN(member)   .offset = offsetof(struct config, member)
#define ROOM(member) .offset = offsetof(struct room_rule, member)
#define BR(member)   .offset = offsetof(struct bridge_opts, member)
#define WIDE(type, member) .width = sizeof(((struct type *)0)->member)

#define WIRE_RATE .min = 8000, .max = 48000, .fits = check_wire_rate, \
	.accepts = "8000 to 48000 Hz in steps of 100, or 11025 or 22050"
#define MIX_RATE .choices = mix_rates, .unit = "Hz"
#define BRIDGE_TEXT .fix = check_bridge_name, \
	.accepts = "the NAME of a [bridge.NAME], a built-in type of bridge, or \"none\""
#define HOST_TEXT .fix = check_host, .accepts = "a numeric address such as \"0.0.0.0\" or \"::\", or \"localhost\""
#define FILE_TEXT .form = FORM_FILE

static const struct option_row server_fields[] = {
	{.key = "host", .type = OPTION_LIST, IN(server.host), WIDE(config, server.host[0]),
		.count = offsetof(struct config, server.n_hosts), .min = 1, .max = CONFIG_HOSTS_MAX, HOST_TEXT,
		.help = "addresses to listen on for sessions, UDP; one, or a list, since \"::\" takes IPv6 only"},
	{.key = "port", .type = OPTION_U16, IN(server.port), .max = 65535,
		.help = "UDP port; 0 takes any free one"},
	{.key = "certificate", .type = OPTION_TEXT, IN(server.certificate), WIDE(config, server.certificate), FILE_TEXT,
		.help = "certificate chain in PEM, leaf first; empty: a development certificate is made and renewed"},
	{.key = "private_key", .type = OPTION_TEXT, IN(server.private_key), WIDE(config, server.private_key), FILE_TEXT,
		.help = "private key of the certificate, in PEM"},
	{.key = "tls_groups", .type = OPTION_LIST, IN(server.tls_groups), WIDE(config, server.tls_groups[0]),
		.count = offsetof(struct config, server.n_tls_groups), .min = 1, .max = CONFIG_GROUPS_MAX, .fix = check_tls_group,
		.accepts = "X25519MLKEM768, SecP256r1MLKEM768, X25519, P-256 or P-384",
		.help = "key exchanges of sessions, the preferred first; those with MLKEM withstand quantum computers"},
	{.key = "input_sample_rate", .type = OPTION_U32, IN(server.input_sample_rate), WIRE_RATE,
		.help = "rate of audio from clients whose frames carry the rate 0"},
	{.key = "output_sample_rate", .type = OPTION_U32, IN(server.output_sample_rate), WIRE_RATE,
		.help = "rate of audio to clients that ask for none of their own"},
	{.key = "path", .type = OPTION_TEXT, IN(server.path), WIDE(config, server.path), .fix = check_path,
		.accepts = "a path that starts with '/', of visible ASCII without '?', '#', '%', '\\' and '\"'",
		.help = "path of the URL that sessions are opened at"},
	{.key = "max_datagram_size", .type = OPTION_U32, IN(server.max_datagram_size), .min = 64, .max = 65536, .unit = "bytes",
		.help = "a ceiling for the datagrams we send; what the network path carries decides below it"},
	{.key = "origins", .type = OPTION_LIST, IN(server.origins), WIDE(config, server.origins[0]),
		.count = offsetof(struct config, server.n_origins), .max = CONFIG_ORIGINS_MAX, .fix = check_origin,
		.accepts = "an origin such as \"https://voice.example.com\" or \"https://example.com:8443\", or \"*\"",
		.help = "web pages that may open sessions; a list must name the built-in page too; empty: those of localhost, and of the same host, on any port, if that is an address or a name of the certificate; \"*\": all"},
	{.key = "shards", .type = OPTION_U32, IN(server.shards), .max = 64,
		.help = "threads that serve sessions; 0: one for each core that the daemon may use"},
	{.key = "state_dir", .type = OPTION_TEXT, IN(server.state_dir), WIDE(config, server.state_dir),
		.accepts = "the name of a directory", .form = FORM_STATE,
		.help = "directory for the secret by which clients notice at once that the server was killed; for one daemon alone; "
			"empty: $STATE_DIRECTORY of systemd, or else that secret comes from the private key"},
	{.key = "drain_ms", .type = OPTION_U32, IN(server.drain_ms), .max = 4000, .unit = "ms",
		.help = "how long sessions may take to leave when the server is told to stop"},
};

static const struct option_row http_fields[] = {
	{.key = "enabled", .type = OPTION_BOOL, IN(http.enabled), .help = "whether there is an HTTP server at all"},
	{.key = "host", .type = OPTION_LIST, IN(http.host), WIDE(config, http.host[0]),
		.count = offsetof(struct config, http.n_hosts), .min = 1, .max = CONFIG_HOSTS_MAX, HOST_TEXT,
		.help = "addresses to listen on, TCP; one, or a list, since \"::\" takes IPv6 only"},
	{.key = "port", .type = OPTION_U16, IN(http.port), .max = 65535, .help = "TCP port; 0 takes any free one"},
	{.key = "tls", .type = OPTION_BOOL, IN(http.tls), .help = "HTTPS, with the certificate of [server]"},
	{.key = "names", .type = OPTION_LIST, IN(http.names), WIDE(config, http.names[0]),
		.count = offsetof(struct config, http.n_names), .max = CONFIG_NAMES_MAX, .fix = check_name,
		.accepts = "the name of a host such as \"voice.example.com\" or \"mynah\", without a port",
		.help = "hosts that requests may name beside localhost, addresses, names of the certificate and hosts of origins, such as that of a proxy or a container; others are answered 421"},
	{.key = "web_dir", .type = OPTION_TEXT, .form = FORM_PAGES, IN(http.web_dir), WIDE(config, http.web_dir),
		.accepts = "the name of a directory",
		.help = "serve the page from this directory; empty: the page that is built in"},
};

static const struct option_row audio_fields[] = {
	{.key = "frame_ms", .type = OPTION_U32, IN(rooms.frame_ms), .choices = frame_choices, .unit = "ms",
		.help = "audio in one datagram, and how often a room is mixed"},
	{.key = "min_delay_ms", .type = OPTION_U32, IN(rooms.min_delay_ms), .max = 500, .unit = "ms",
		.help = "least audio of a talker that is held back against jitter"},
	{.key = "max_delay_ms", .type = OPTION_U32, IN(rooms.max_delay_ms), .min = 20, .max = 1000, .unit = "ms",
		.help = "most audio of a talker that is held; what comes too early beyond it is dropped"},
	{.key = "max_late_ms", .type = OPTION_U32, IN(rooms.max_late_ms), .min = 20, .max = 5000, .unit = "ms",
		.help = "a mix that is later than this is left out, not caught up"},
};

static const struct option_row private_fields[] = {
	{.key = "bridge", .type = OPTION_TEXT, IN(rooms.private_rule.bridge), WIDE(room_rule, bridge), BRIDGE_TEXT,
		.help = "who answers in a private room"},
	{.key = "sample_rate", .type = OPTION_U32, IN(rooms.private_rule.rate_hz), MIX_RATE, .help = "rate of the mix"},
};

static const struct option_row room_fields[] = {
	{.key = "name", .type = OPTION_TEXT, ROOM(name), WIDE(room_rule, name), .fix = check_room_pattern,
		.accepts = "1 to 64 bytes, no space at either end; '*' stands for any run of characters",
		.help = "name of the room, or a pattern with '*'"},
	{.key = "bridge", .type = OPTION_TEXT, ROOM(bridge), WIDE(room_rule, bridge), BRIDGE_TEXT,
		.help = "who sits in the room beside the people; \"none\": nobody"},
	{.key = "sample_rate", .type = OPTION_U32, ROOM(rate_hz), MIX_RATE, .help = "rate of the mix"},
	{.key = "max_participants", .type = OPTION_U32, ROOM(max_participants), .min = 1, .max = 10000,
		.help = "people in one room; the bridge is not counted"},
};

static const struct option_row bridge_fields[] = {
	{.key = "type", .type = OPTION_TEXT, BR(type), WIDE(bridge_opts, type), .fix = check_bridge_type,
		.help = "the driver; may be left out where NAME is one"},
	{.key = "sample_rate", .type = OPTION_U32, BR(rate_hz), .fits = check_bridge_rate, .max = 48000,
		.accepts = "0, or 8000 to 48000 Hz in steps of 100, or 11025 or 22050",
		.help = "what it hears and speaks; 0: as the room is mixed"},
	{.key = "backlog_ms", .type = OPTION_U32, BR(backlog_ms), .min = 100, .max = 600000, .unit = "ms",
		.help = "how far its speech may be ahead of real time; more is dropped"},
	{.key = "barge_in", .type = OPTION_NAME, BR(barge_in), .names = barge_names,
		.help = "when somebody talks over it, it is turned down and its speech is dropped: at once, after they have talked for "
			"confirm_ms, when the worker says so, or (off) nothing happens; auto: off for echo and tone, worker for "
			"parrot, websocket and openai, else confirm"},
	{.key = "confirm_ms", .type = OPTION_U32, BR(confirm_ms), .max = 5000, .unit = "ms",
		.help = "how long somebody must talk over it until that counts, with barge_in = \"confirm\""},
	{.key = "duck_db", .type = OPTION_DOUBLE, BR(duck_db), .min = -60, .max = 0, .unit = "dB",
		.help = "how far it is turned down while somebody talks over it"},
	{.key = "catch_up", .type = OPTION_NAME, BR(catch_up), .names = catch_up_names,
		.help = "when its worker speaks live and stalled: pauses: the pauses in its speech are shortened until it is on time; off: it stays "
			"late; auto: pauses for process, audiosocket and websocket, else off"},
	{.key = "hold_ms", .type = OPTION_U32, BR(hold_ms), .max = 10000, .unit = "ms",
		.help = "how long its first words wait at most until somebody in the room can hear them"},
	{.key = "stall_ms", .type = OPTION_U32, BR(stall_ms), .min = 1000, .max = 600000, .unit = "ms",
		.help = "a worker that takes nothing for this time while something waits for it is given up, and started or called again"},
};

#define N32(name, member, lo, hi, ...) \
	{.key = name, .type = OPTION_U32, IN(member), .min = lo, .max = hi, __VA_ARGS__}

static const struct option_row limit_fields[] = {
	N32("max_sessions", limits.max_sessions, 1, 1000000, .group = "Sessions and rooms",
		.help = "sessions at once; more are answered 503"),
	N32("max_rooms", rooms.max_rooms, 1, 1000000, .help = "rooms at once, private ones too; more are answered 503"),
	N32("max_load_percent", limits.max_load_percent, 0, 100, .unit = "percent",
		.help = "of its time that the server may be at work, with what those who have just come will need: from there on new "
			"sessions are answered 503; 0: whatever it is"),
	N32("resume_load_percent", limits.resume_load_percent, 0, 100, .unit = "percent",
		.help = "below it a server that was busy takes in new sessions again; if it is not less than max_load_percent, eight "
			"ninths of that count"),
	N32("datagrams_per_s", limits.datagrams_per_s, 60, 100000,
		.help = "datagrams taken from one session, twice that in a burst; more are dropped"),
	N32("control_messages_per_s", limits.control_messages_per_s, 1, 10000,
		.help = "control messages taken from one session, twice that in a burst; more are dropped"),
	N32("control_bytes_per_s", limits.control_bytes_per_s, 1024, 100000000, .unit = "bytes",
		.help = "bytes of control messages taken from one session, twice that in a burst; what is beyond is dropped"),
	N32("room_text_bytes_per_s", rooms.room_text_bytes_per_s, 10000, 1000000000, .unit = "bytes",
		.help = "of messages and transcripts in one room, counted for each listener, twice that in a burst; what is beyond is dropped"),
	N32("bridge_text_bytes_per_s", rooms.bridge_text_bytes_per_s, 1024, 100000000, .unit = "bytes",
		.help = "of messages and transcripts of one worker, twice that in a burst; what is beyond is dropped"),
	N32("control_line_bytes", limits.control_line_bytes, 256, 1048576, .unit = "bytes",
		.help = "longest line on a control stream; a longer one is skipped"),
	N32("control_grace_ms", limits.control_grace_ms, 0, 600000, .unit = "ms",
		.help = "a client that ends its control stream has left, unless it opens another within this time: browsers that close "
			"a tab may end nothing else"),
	N32("silent_client_ms", limits.silent_client_ms, 0, 600000, .unit = "ms",
		.help = "a client that reported regularly (ping, stats, played) and then sends neither line nor audio for this time is "
			"lost; 0: never"),

	N32("max_connections", quic.max_conns, 1, 1000000, .group = "QUIC connections",
		.help = "connections at once; more are refused"),
	N32("max_connections_per_address", quic.max_conns_per_addr, 1, 1000000,
		.help = "connections at once from one IPv4 address or IPv6 /64"),
	N32("address_share_percent", quic.address_share_percent, 1, 100, .unit = "percent",
		.help = "once half of max_sessions, max_rooms or max_half_open is taken, one IPv4 address or IPv6 /64 gets no more than "
			"this much of it: further sessions and rooms are answered 429, handshakes are refused; 100: no such limit"),
	{.key = "exempt_addresses", .type = OPTION_LIST, IN(quic.exempt.net), WIDE(config, quic.exempt.net[0]),
		.count = offsetof(struct config, quic.exempt.n), .max = QUIC_NETS_MAX, .fix = check_net,
		.accepts = "an address or a network such as \"192.0.2.7\", \"10.0.0.0/8\" or \"2001:db8::/32\", without bits behind its prefix",
		.help = "to whom address_share_percent does not apply: relays, whose one address stands for many people; those of this "
			"machine, unless the list leaves them out"},
	N32("max_half_open", quic.max_half_open, 1, 1000000,
		.help = "handshakes under way; above it, the oldest is dropped for a new one"),
	N32("max_waiting_handshakes", limits.max_waiting_handshakes, 16, 100000,
		.help = "packets of handshakes that wait while voice goes first; more are dropped"),
	N32("retry_half_open", quic.retry_half_open, 0, 1000000,
		.help = "from this number of handshakes under way, or failed within a second, on, new clients must prove their address first; 0: always"),
	N32("stateless_per_s", quic.stateless_per_s, 10, 1000000,
		.help = "answers to packets that belong to no connection (refusal, reset, version negotiation)"),
	N32("handshake_timeout_ms", quic.handshake_timeout_ms, 500, 60000, .unit = "ms",
		.help = "how long a handshake may take"),
	N32("first_request_ms", wt.first_request_ms, 500, 60000, .unit = "ms",
		.help = "how long a client may take from the handshake to its first request; browsers open connections that they never use"),
	N32("connect_timeout_ms", wt.connect_timeout_ms, 500, 60000, .unit = "ms",
		.help = "how long a connection without a session may then go on without another request"),
	N32("idle_timeout_ms", quic.idle_timeout_ms, 1000, 600000, .unit = "ms",
		.help = "a connection that has been silent for this time is closed"),
	N32("keep_alive_ms", quic.keep_alive_ms, 0, 600000, .unit = "ms",
		.help = "a silent connection gets a PING after this time; less than idle_timeout_ms, 0: never"),
	{.key = "path_mtu_discovery", .type = OPTION_BOOL, IN(quic.pmtud),
		.help = "probe for packets of more than 1200 bytes; the largest that is found has 1444"},

	N32("max_streams_bidi", quic.max_streams_bidi, 2, 1000, .group = "Streams and datagrams of one connection",
		.help = "bidirectional streams that a client may have open, the session's own one too"),
	N32("max_streams_uni", quic.max_streams_uni, 4, 1000,
		.help = "unidirectional streams that a client may have open; HTTP/3 needs three of them"),
	N32("max_session_streams", wt.max_streams, 1, 1000, .help = "streams that a session may have open"),
	N32("max_requests", wt.max_requests, 1, 1000, .help = "plain HTTP/3 requests under way at once"),
	N32("max_field_bytes", wt.max_field_bytes, 1024, 65536, .unit = "bytes", .help = "longest header fields of a request"),
	N32("stream_window_bytes", quic.stream_window_bytes, 4096, 16777216, .unit = "bytes",
		.help = "what a client may send on a stream before we have read it"),
	N32("connection_window_bytes", quic.conn_window_bytes, 16384, 67108864, .unit = "bytes",
		.help = "what a client may send on all its streams before we have read it; not less than stream_window_bytes"),
	N32("stream_send_bytes", wt.stream_send_bytes, 4096, 16777216, .unit = "bytes",
		.help = "what we keep on a stream for a client that does not take it"),
	N32("datagram_queue", quic.datagram_queue, 1, 4096,
		.help = "datagrams that wait to be sent; then the oldest is dropped"),
	N32("datagram_age_ms", quic.datagram_age_ms, 10, 5000, .unit = "ms",
		.help = "a datagram that waited longer is dropped"),
	N32("datagram_pool", quic.datagram_pool, 64, 1048576,
		.help = "buffers for waiting datagrams, shared by all connections"),
	N32("max_early_datagrams", wt.max_early_datagrams, 0, 64,
		.help = "datagrams kept that arrive before their session"),
	N32("max_early_streams", wt.max_early_streams, 0, 64, .help = "streams kept that arrive before their session"),
	N32("max_early_bytes", wt.max_early_bytes, 256, 65536, .unit = "bytes", .help = "what is kept of each of those streams"),
	{.key = "draft15", .type = OPTION_BOOL, IN(wt.draft15),
		.help = "also offer the WebTransport setting of draft 15, for trying new clients"},

	N32("udp_receive_buffer_bytes", udp.rcvbuf_bytes, 65536, 1073741824, .group = "Sockets", .unit = "bytes",
		.help = "receive buffer asked of the kernel, which grants net.core.rmem_max at most"),
	N32("udp_send_buffer_bytes", udp.sndbuf_bytes, 65536, 1073741824, .unit = "bytes",
		.help = "send buffer asked of the kernel, which grants net.core.wmem_max at most"),

	N32("http_max_connections", http_server.max_conns, 1, 65536, .group = "HTTP/1.1 server",
		.help = "connections at once; for one more the longest idle one is closed"),
	N32("http_requests_per_second", http_server.requests_per_second, 1, 1000000,
		.help = "requests a second of a connection, after as many at once; one more is answered 429 and ends the connection"),
	N32("http_max_header_bytes", http_server.max_header_bytes, 512, 65536, .unit = "bytes",
		.help = "longest request line with its header fields; a longer one is answered 431"),
	N32("http_max_response_bytes", http_server.max_response_bytes, 65536, 268435456, .unit = "bytes",
		.help = "longest body that is served; a longer one is answered 500"),
	N32("http_idle_timeout_ms", http_server.idle_timeout_ms, 100, 600000, .unit = "ms",
		.help = "longest time between requests, for sending one, and for taking the next 64 KiB of an answer"),
};

static const struct option_row log_fields[] = {
	{.key = "level", .type = OPTION_NAME, IN(log_level), .names = level_names,
		.help = "the least important lines that are written"},
	{.key = "format", .type = OPTION_NAME, IN(log_format), .names = format_names,
		.help = "lines for people or for programs"},
};

#define FIELDS(a) .fields = a, .n_fields = COUNT(a)

const struct section schema[] = {
	{.name = "server", FIELDS(server_fields),
		.intro = "Where sessions come in: the WebTransport side, UDP.",
		.example = "[server]\nhost = [\"0.0.0.0\", \"::\"]\nport = 4433\n"
			"certificate = \"/etc/mynah/cert.pem\"\nprivate_key = \"/etc/mynah/key.pem\"\n"
			"origins = [\"https://voice.example.com\"]\n"},
	{.name = "http", FIELDS(http_fields),
		.intro = "The small HTTP/1.1 server beside it: the page, `/mynah.json`, `/check`, `/healthz`, `/metrics` and `/certificate.sha256`.",
		.example = "[http]\nhost = \"127.0.0.1\"\nport = 8080\n"},
	{.name = "audio", FIELDS(audio_fields),
		.intro = "Timing of all rooms.",
		.example = "[audio]\nframe_ms = 10\n"},
	{.name = "private", FIELDS(private_fields),
		.intro = "The room of a session that names none: one person and a bridge.",
		.example = "[private]\nbridge = \"parrot\"\n"},
	{.name = "room", .kind = SECTION_ROOMS, FIELDS(room_fields),
		.intro = "Rooms that sessions may name, one `[[room]]` for each rule. The first rule whose name matches "
			"counts; a name that none matches is answered 404. Without any rule all names are "
			"welcome: `name = \"*\"` with every default.",
		.example = "[[room]]\nname = \"lobby\"\nbridge = \"parrot\"\n\n"
			"[[room]]\nname = \"team-*\"\nsample_rate = 48000\nmax_participants = 20\n"},
	{.name = "bridge", .kind = SECTION_BRIDGES, FIELDS(bridge_fields),
		.intro = "Bridges that `[private]` and `[[room]]` can name. NAME is also what the others in the room see: letters, "
			"digits, `-` and `_`. The types `echo`, `parrot` and `tone` can be named without a section and then have every "
			"default. docs/bridge.md tells what each type does, and how to write a worker.",
		.example = "[bridge.polly]\ntype = \"parrot\"\npause_ms = 400\n\n"
			"[bridge.assistant]\ntype = \"process\"\ncommand = [\"python3\", \"/srv/worker.py\"]\n\n"
			"[private]\nbridge = \"polly\"\n"},
	{.name = "limits", FIELDS(limit_fields),
		.intro = "A bound for everything that a client can make grow. Those of people, rooms and connections hold for all "
			"shards together, those of buffers and packets for each; what was "
			"refused or dropped is counted in `/metrics`.",
		.example = "[limits]\nmax_sessions = 200\nmax_connections_per_address = 20\n"},
	{.name = "log", FIELDS(log_fields),
		.intro = "Lines go to the standard error.",
		.example = "[log]\nlevel = \"debug\"\nformat = \"json\"\n"},
};
const size_t schema_sections = COUNT(schema);

const struct section schema_tool = {.name = "tool", .kind = SECTION_TOOLS,
	.intro = "A program that the model of a bridge may call, one `[[bridge.NAME.tool]]` for each, behind the keys of "
		"its bridge; 32 in one bridge, 64 in all. docs/bridge.md tells how they are run.",
	.example = "[bridge.clerk]\ntype = \"openai\"\nmodel = \"gpt-realtime-2.1\"\n\n"
		"[[bridge.clerk.tool]]\nname = \"opening_hours\"\ndescription = \"When the shop is open on a day.\"\n"
		"parameters = '{\"type\":\"object\",\"properties\":{\"day\":{\"type\":\"string\"}},\"required\":[\"day\"]}'\n"
		"command = [\"python3\", \"/srv/opening_hours.py\"]\ntimeout_ms = 2000\n"};

const char *schema_label(const struct section *s)
{
	return s->kind == SECTION_BRIDGES ? "bridge.NAME" : s->kind == SECTION_TOOLS ? "bridge.NAME.tool" : s->name;
}

const struct section *schema_section(const char *name)
{
	for (size_t i = 0; i < schema_sections; i++)
		if (!strcmp(schema[i].name, name))
			return &schema[i];
	return NULL;
}

/* Whether an earlier driver has that key, too. */
static bool is_of_earlier_driver(const char *key, const struct bridge_ops *owner)
{
	for (size_t d = 0; bridge_at(d) != owner; d++)
		if (bridge_option(bridge_at(d), key))
			return true;
	return false;
}

const struct option_row *schema_driver_row(size_t i, const struct bridge_ops **owner)
{
	for (size_t d = 0; bridge_at(d); d++) {
		const struct bridge_options *o = bridge_at(d)->options;

		for (size_t r = 0; o && r < o->n_rows; r++) {
			if (is_of_earlier_driver(o->rows[r].key, bridge_at(d)))
				continue;
			*owner = bridge_at(d);
			if (i-- == 0)
				return &o->rows[r];
		}
	}
	return NULL;
}

const char *schema_types(const char *key, char out[TYPES_MAX])
{
	bool tool = !strcmp(key, schema_tool.name);
	size_t n = 0;

	out[0] = '\0';
	for (size_t d = 0; bridge_at(d); d++)
		if (tool ? bridge_at(d)->has_tools : bridge_option(bridge_at(d), key) != NULL)
			n += (size_t)snprintf(out + n, TYPES_MAX - n, "%s%s", n ? ", " : "", bridge_at(d)->type);
	return out;
}

const struct option_row *schema_row(const struct section *s, size_t i)
{
	const struct bridge_ops *owner;

	if (s->kind == SECTION_TOOLS)
		return i < bridge_tool_options.n_rows ? &bridge_tool_options.rows[i] : NULL;
	if (i < s->n_fields)
		return &s->fields[i];
	return s->kind == SECTION_BRIDGES ? schema_driver_row(i - s->n_fields, &owner) : NULL;
}

const struct option_row *schema_field(const struct section *s, const char *key)
{
	const struct option_row *f;

	for (size_t i = 0; (f = schema_row(s, i)); i++)
		if (!strcmp(f->key, key))
			return f;
	return NULL;
}
