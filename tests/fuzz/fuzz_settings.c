/* SPDX-License-Identifier: MIT */
/* Any bytes as a peer's control stream: the pieces in which they come must make no difference. */
#include "base/err.h"
#include "wt/settings.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
	if (!ok)
		abort();
}

static int read_all(struct settings_reader *r, const uint8_t *data, size_t size, size_t step)
{
	int err = 0;

	memset(r, 0, sizeof *r);
	for (size_t at = 0; at < size && !err; at += step) {
		size_t n = size - at < step ? size - at : step;
		uint8_t *piece = malloc(n); /* of its own, so that reading past it is seen */

		expect(piece);
		memcpy(piece, data + at, n);
		err = settings_read(r, piece, n);
		free(piece);
	}
	expect(err == 0 || err == ERR_MALFORMED || err == ERR_LIMIT);
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct settings_reader whole, parts;

	if (size < 2)
		return 0;
	int a = read_all(&whole, data + 1, size - 1, size), b = read_all(&parts, data + 1, size - 1, 1 + data[0] % 16u);

	expect(a == b && whole.done == parts.done);
	expect(whole.got.connect_protocol == parts.got.connect_protocol && whole.got.datagram == parts.got.datagram &&
	       whole.got.webtransport == parts.got.webtransport && whole.got.wt_max_data == parts.got.wt_max_data &&
	       whole.got.wt_streams_uni == parts.got.wt_streams_uni && whole.got.wt_streams_bidi == parts.got.wt_streams_bidi);
	return 0;
}
