/* SPDX-License-Identifier: MIT */
/* Lines of the shell, as a user types them. */
#ifndef SHELL_RUN_H
#define SHELL_RUN_H

#define SHELL_OUTPUT_BYTES ((size_t)2 << 20)

/*
 * Runs a line by sh, with $SLUICE the built program, $SOURCE the project's folder and $BUILD the build's. What it wrote on standard
 * output is `*ret_output`, which is valid until the next call and cut at SHELL_OUTPUT_BYTES. The exit status, or 128 plus the signal.
 */
int shell_run(const char *line, const char **ret_output);

/* Fails the case, and shows the output, when the line ends otherwise or the output has not the part. The output, as above. */
const char *shell_expect(const char *line, int status, const char *part);

#endif
