/* SPDX-License-Identifier: MIT */
/*
 * replay - a main for fuzz targets without a fuzzer: every file of a directory, then mutations of each,
 * the same ones in every run. usage: fuzz_NAME [-v] DIRECTORY; -v names each input before it is tried,
 * so the last line before a crash tells which one it was.
 */
#include <assert.h>
#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MUTATIONS = 400, STEPS_MAX = 8, GROWTH_MAX = 64, SEED_MAX = 1 << 20 };

struct input {
	uint8_t *p;
	size_t len, cap;
};

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n)
{
	return n ? (size_t)(next_random(state) % n) : 0;
}

/* In memory of exactly its size, so that the sanitizer sees a read beyond the end. */
static void try_input(const uint8_t *p, size_t len)
{
	uint8_t *exact = malloc(len ? len : 1);

	assert(exact);
	memcpy(exact, p, len);
	LLVMFuzzerTestOneInput(len ? exact : exact + 1, len);
	free(exact);
}

static void insert_bytes(struct input *in, uint64_t *random, size_t at)
{
	size_t n = 1 + below(random, GROWTH_MAX / STEPS_MAX);

	if (in->len + n > in->cap)
		return;
	memmove(in->p + at + n, in->p + at, in->len - at);
	for (size_t i = 0; i < n; i++)
		in->p[at + i] = (uint8_t)next_random(random);
	in->len += n;
}

static void remove_bytes(struct input *in, uint64_t *random, size_t at)
{
	size_t n = below(random, in->len - at + 1);

	memmove(in->p + at, in->p + at + n, in->len - at - n);
	in->len -= n;
}

static void mutate(struct input *in, uint64_t *random)
{
	static const uint8_t edges[] = {0x00, 0x01, 0x3f, 0x40, 0x7f, 0x80, 0xbf, 0xc0, 0xff, '\n', '"', '{'};
	size_t at = below(random, in->len);

	switch (in->len ? next_random(random) % 6 : 2) {
	case 0: in->p[at] ^= (uint8_t)(1u << below(random, 8)); break;
	case 1: in->p[at] = edges[below(random, sizeof edges)]; break;
	case 2: insert_bytes(in, random, at); break;
	case 3: remove_bytes(in, random, at); break;
	case 4: in->len = at; break;
	case 5: in->p[at] = in->p[below(random, in->len)]; break;
	}
}

static void replay(const char *name, const uint8_t *seed, size_t len, bool verbose)
{
	struct input in = {.cap = len + GROWTH_MAX};
	uint64_t random = len;

	in.p = malloc(in.cap);
	assert(in.p);
	for (const char *c = name; *c; c++)
		random = random * 31 + (uint8_t)*c;
	for (int i = 0; i <= MUTATIONS; i++) {
		memcpy(in.p, seed, len);
		in.len = len;
		for (size_t n = i ? 1 + below(&random, STEPS_MAX) : 0; n; n--)
			mutate(&in, &random);
		if (verbose)
			fprintf(stderr, "%s mutation %d, %zu bytes\n", name, i, in.len);
		try_input(in.p, in.len);
	}
	free(in.p);
}

static int replay_file(const char *directory, const char *name, bool verbose)
{
	static uint8_t seed[SEED_MAX];
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	FILE *f = fopen(path, "rb");

	if (!f) {
		perror(path);
		return 1;
	}
	size_t len = fread(seed, 1, sizeof seed, f);

	fclose(f);
	replay(name, seed, len, verbose);
	return 0;
}

static int is_seed(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	bool verbose = argc > 2 && strcmp(argv[1], "-v") == 0;
	const char *directory = argc > 1 ? argv[argc - 1] : NULL;
	struct dirent **seeds;
	int n, failed = 0;

	if (!directory) {
		fprintf(stderr, "usage: %s [-v] DIRECTORY\n", argv[0]);
		return 2;
	}
	replay("(nothing)", (const uint8_t *)"", 0, verbose);
	n = scandir(directory, &seeds, is_seed, alphasort);
	if (n < 0) {
		perror(directory);
		return 1;
	}
	for (int i = 0; i < n; i++) {
		failed |= replay_file(directory, seeds[i]->d_name, verbose);
		free(seeds[i]);
	}
	free(seeds);
	printf("%d seeds, %d mutations of each\n", n, MUTATIONS);
	return failed;
}
