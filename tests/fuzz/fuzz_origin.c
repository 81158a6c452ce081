/* SPDX-License-Identifier: MIT */
/* Any text as an origin, an authority, and a name of a certificate: what is taken has one spelling, which is taken, too. */
#include "base/origin.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_authority(const char *text)
{
	struct authority a, again;

	if (authority_parse(text, &a))
		return;
	assert(strlen(a.host) > 0 && !a.host[strcspn(a.host, "ABCDEFGHIJKLMNOPQRSTUVWXYZ@/?#% ")]);
	assert(authority_parse(a.host, &again) == 0 && strcmp(a.host, again.host) == 0);
	assert(again.port == 0 && again.is_address == a.is_address);
	host_matches(a.host, text);
}

static void try_origin(const char *text)
{
	char spelling[ORIGIN_TEXT], same[ORIGIN_TEXT];
	struct origin o;

	if (origin_parse(text, &o))
		return;
	origin_text(&o, spelling);
	assert(origin_parse(spelling, &o) == 0);
	origin_text(&o, same);
	assert(strcmp(spelling, same) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	try_authority(text);
	try_origin(text);
	free(text);
	return 0;
}
