/* SPDX-License-Identifier: MIT */
/* fd - file descriptors of the process. */
#pragma once

/* Opens /dev/null for each of standard input, output and error that is closed. To be called first of all: otherwise the
 * next socket gets that number, and everything that is printed goes there. */
void fd_open_standard(void);

/* A non-blocking descriptor for the terminal that `fd` is; `fd` itself if it is no terminal or cannot be opened again.
 * `fd` stays blocking: the shell and other processes share it. Never closed. */
int fd_unwaiting(int fd);
