/* SPDX-License-Identifier: MIT */
/*
 * Any frames in a first packet that is sealed as it should be, and the same packet with one byte changed. The input is where
 * and how it is changed, three bytes, and the frames.
 */
#include "quic/initial.h"
#include "support/sealed_initial.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { HEAD = 3, ROOM = 1100, VERSION_END = 5 };
	static struct initial_opener *opener;
	static const uint8_t dcid[] = "12345678";
	uint8_t p[SEALED_INITIAL];

	if (size < HEAD || size - HEAD > ROOM)
		return 0;
	if (!opener)
		sealed_must(initial_opener_new(&opener) == 0);
	size_t at = (data[0] | (size_t)data[1] << 8) % SEALED_INITIAL;

	sealed_initial(dcid, 8, data + HEAD, size - HEAD, p);
	enum initial_kind kind = initial_open(opener, p, sizeof p);

	p[at] ^= data[2];
	enum initial_kind changed = initial_open(opener, p, sizeof p);

	sealed_must(changed == (data[2] ? INITIAL_NOISE : kind));
	return 0;
}
