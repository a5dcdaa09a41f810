/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef HOST_FUZZ_H
#define HOST_FUZZ_H

/* host_driver TARGET ROUNDS SEED FILE...: feeds mutations of the files to a parser. */
int host_fuzz(int argc, char **argv);

#endif
