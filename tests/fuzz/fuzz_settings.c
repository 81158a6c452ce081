/* SPDX-License-Identifier: MIT */
/* Arbitrary bytes as the peer's control stream after its type: whole and byte by byte alike. */
#include "base/err.h"
#include "wt/settings.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct settings_reader whole = {0}, cut = {0};
	int a = settings_read(&whole, p, len), b = 0;

	for (size_t i = 0; i < len && !b; i++)
		b = settings_read(&cut, p + i, 1);
	assert(a == b);
	assert(a == 0 || a == ERR_MALFORMED || a == ERR_LIMIT);
	assert(whole.done == cut.done);
	assert(!memcmp(&whole.got, &cut.got, sizeof whole.got));
	return 0;
}
