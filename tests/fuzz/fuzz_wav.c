/* SPDX-License-Identifier: MIT */
/* Heads of WAV files: whatever they say, the samples begin within the file, and at the same place when the
 * file comes in two pieces. */
#include "client/wav_head.h"

#include <assert.h>

static int read_in_pieces(struct wav_head *h, const uint8_t *p, size_t len, size_t first, size_t *used)
{
	char why[WAV_ERROR];
	size_t more = 0;

	wav_head_init(h);
	int err = wav_head_feed(h, p, first, used, why);

	if (err || h->state == WAV_AT_SAMPLES)
		return err;
	assert(*used == first);
	err = wav_head_feed(h, p + first, len - first, &more, why);
	*used += more;
	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t len)
{
	struct wav_head one, two;
	size_t used_one, used_two;
	int err = read_in_pieces(&one, p, len, len, &used_one);

	assert(used_one <= len);
	if (!err && one.state == WAV_AT_SAMPLES) {
		assert(one.format.channels >= 1 && one.format.rate_hz > 0 && one.format.data_bytes > 0);
		assert(one.format.sample_bytes >= 1 && one.format.sample_bytes <= 8);
	}
	assert(read_in_pieces(&two, p, len, len > 0 ? p[len - 1] % len : 0, &used_two) == err);
	assert(used_one == used_two && one.state == two.state);
	assert(one.format.sample_bytes == two.format.sample_bytes && one.format.data_bytes == two.format.data_bytes);
	return 0;
}
