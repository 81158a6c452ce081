/* SPDX-License-Identifier: MIT */
/* Heads of WAV files: whatever they say, the samples begin within the file. */
#include "client/wav.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct wav_format f;
	char why[WAV_ERROR];

	if (wav_parse(p, len, &f, why) == 0)
		assert(f.data_at <= len && f.channels >= 1 && f.rate_hz > 0 && f.data_bytes > 0);
	return 0;
}
