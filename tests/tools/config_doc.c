/* SPDX-License-Identifier: MIT */
/* Writes what is made from the schema: config_doc reference >docs/configuration.md, config_doc example >packaging/mynah.toml */
#include "config/config.h"

#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
	const char *what = argc == 2 ? argv[1] : "";
	struct buf b;
	int err;

	buf_init(&b, 1 << 20);
	if (!strcmp(what, "reference"))
		err = config_document(&b);
	else if (!strcmp(what, "example"))
		err = config_example(&b);
	else {
		fprintf(stderr, "usage: config_doc reference|example\n");
		return 2;
	}
	if (!err && fwrite(b.p, 1, b.len, stdout) != b.len)
		err = 1;
	buf_fini(&b);
	return err ? 1 : 0;
}
