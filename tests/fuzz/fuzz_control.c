/* SPDX-License-Identifier: MIT */
/* Any bytes as a line of the control stream. */
#include "daemon/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct control_msg m;
	char why[CONTROL_WHY];

	control_parse((const char *)data, size, &m, why);
	return 0;
}
