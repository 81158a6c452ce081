/* nghttp3's server alone, fed by hand. For findings/nghttp3-*.sh. */
#pragma once
#include <nghttp3/nghttp3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned h3_calls; /* of any callback that tells of a request */

static int on_headers(nghttp3_conn *c, int64_t id, void *u, void *s) { (void)c, (void)id, (void)u, (void)s; h3_calls++; return 0; }

static int on_data(nghttp3_conn *c, int64_t id, const uint8_t *p, size_t n, void *u, void *s)
{
	(void)c, (void)id, (void)p, (void)n, (void)u, (void)s;
	h3_calls++;
	return 0;
}

static long h3_read(nghttp3_conn *c, int64_t stream, const void *p, size_t n)
{
	return nghttp3_conn_read_stream2(c, stream, p, n, 0, 1000000000);
}

/* Its client has opened its control stream and sent SETTINGS. */
static nghttp3_conn *h3_server(void)
{
	nghttp3_callbacks callbacks = {.begin_headers = on_headers, .recv_data = on_data};
	nghttp3_settings settings;
	nghttp3_conn *c;

	nghttp3_settings_default(&settings);
	if (nghttp3_conn_server_new(&c, &callbacks, &settings, NULL, NULL) || nghttp3_conn_bind_control_stream(c, 3) ||
	    nghttp3_conn_bind_qpack_streams(c, 7, 11) || h3_read(c, 2, "\0\4\0", 3) != 3)
		exit(2);
	nghttp3_conn_set_max_client_streams_bidi(c, 1000);
	return c;
}
