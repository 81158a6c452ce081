/* SPDX-License-Identifier: MIT */
/*
 * mynah: a client of the voice server for terminals and scripts. Each command has its file.
 */
#include "base/fd.h"
#include "client/cmd.h"

#include <string.h>

#ifndef MYNAH_VERSION
#define MYNAH_VERSION "unknown"
#endif

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {{"call", cmd_call}, {"load", cmd_load}};

static void usage(FILE *f)
{
	fputs("usage: mynah call URL ...   talk and listen\n"
	      "       mynah load URL ...   many sessions, to measure a server\n"
	      "       mynah --version | --help\n"
	      "\n"
	      "mynah COMMAND --help tells the options of a command. See mynah(1).\n",
		f);
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : "";
	char name[16];

	fd_open_standard();
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(word, commands[i].name) != 0)
			continue;
		snprintf(name, sizeof name, "mynah %s", word); /* getopt puts it before what it says */
		argv[1] = name;
		return commands[i].run(argc - 1, argv + 1);
	}
	if (strcmp(word, "--version") == 0) {
		puts("mynah " MYNAH_VERSION);
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		usage(stdout);
		return 0;
	}
	if (*word)
		fprintf(stderr, "mynah: what is \"%s\"?\n", word);
	usage(stderr);
	return EXIT_USAGE;
}
