/* SPDX-License-Identifier: MIT */
#include "audio/codec.h"

#include <string.h>

static const struct codec *const codecs[] = {&codec_pcm};

enum { N_CODECS = sizeof codecs / sizeof *codecs };

const struct codec *codec_by_id(unsigned id)
{
	for (size_t i = 0; i < N_CODECS; i++)
		if (codecs[i]->id == id)
			return codecs[i];
	return NULL;
}

const struct codec *codec_by_name(const char *name)
{
	for (size_t i = 0; i < N_CODECS; i++)
		if (strcmp(codecs[i]->name, name) == 0)
			return codecs[i];
	return NULL;
}
