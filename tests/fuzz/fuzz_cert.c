/* SPDX-License-Identifier: MIT */
/*
 * Any text as a certificate chain and its key, divided by a NUL; or a pair that was just made, tampered with (bits of
 * the first byte say which). Taken, or one line of complaint.
 */
#include "quic/tls.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { NOW = 1800000000 };

static void expect(bool ok)
{
	if (!ok)
		abort();
}

/* Three bytes each: where, and what is written there. */
static void tamper(char *text, const uint8_t *data, size_t size)
{
	size_t n = strlen(text);

	for (; size >= 3; data += 3, size -= 3)
		if (data[2])
			text[(data[0] | (size_t)data[1] << 8) % n] = (char)data[2];
}

static void judge(const char *chain, const char *key)
{
	char why[QUIC_CERT_ERROR];
	struct quic_cert c = {0};
	struct quic_tls *tls;
	int err = quic_cert_parse(chain, key, NOW, &c, why);

	if (err) {
		expect(why[0] && !strpbrk(why, "\r\n") && !c.chain_pem && !c.key_pem);
		return;
	}
	expect(c.info.pinnable == !c.info.unfit[0] && c.info.not_before_s <= NOW && c.info.not_after_s >= NOW);
	if (!quic_tls_server(&c, NULL, &tls)) /* OpenSSL has wishes of its own: a digest it knows, a strong key */
		quic_tls_unref(tls);
	quic_cert_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {"localhost", "127.0.0.1"};
	static struct quic_cert ours; /* made here: there is no key in the tree */
	char *chain, *key;

	if (size < 1)
		return 0;
	if (!ours.chain_pem)
		expect(quic_cert_make(names, 2, 10, NOW, &ours) == 0);
	const uint8_t *text = data + 1, *nul = size > 1 ? memchr(text, 0, size - 1) : NULL;
	size_t n = nul ? (size_t)(nul - text) : size - 1;

	/* Each text is exactly as long as its memory. */
	chain = data[0] & 1 ? strdup(ours.chain_pem) : strndup((const char *)text, n);
	key = data[0] & 2 ? strdup(ours.key_pem) : strndup(nul ? (const char *)nul + 1 : "", nul ? size - n - 2 : 0);
	expect(chain && key);
	if (data[0] & 1)
		tamper(data[0] & 4 && key[0] ? key : chain, text, size - 1);
	judge(chain, key);
	free(chain);
	free(key);
	return 0;
}
