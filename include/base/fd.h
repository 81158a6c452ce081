/* SPDX-License-Identifier: MIT */
/* fd - file descriptors of the process. */
#pragma once

/* Opens those of standard input, output and error that are closed, on /dev/null. To be called first of all: else the next
 * socket gets such a number, and with it what is printed. */
void fd_open_standard(void);
