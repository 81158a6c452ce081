/* SPDX-License-Identifier: MIT */
/* Writes what is made from the tables of metrics: metrics_doc >docs/metrics.md */
#include "daemon/metrics.h"

#include <stdio.h>

int main(void)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	int err = metrics_reference(&b);

	if (!err && fwrite(b.p, 1, b.len, stdout) != b.len)
		err = 1;
	buf_fini(&b);
	return err ? 1 : 0;
}
