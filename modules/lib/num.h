/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Numbers in text that nobody has promised is well-formed. */
#ifndef OG_NUM_H
#define OG_NUM_H

#include <stdbool.h>
#include <stdint.h>

/* Reads the decimal digits at *p, before end, and moves *p behind them. No sign, no white
 * space. False, and *p and *out untouched, if there is no digit or the number does not fit. */
bool og_num_u64(const char **p, const char *end, uint64_t *out);

/* The same with an optional '-' before the digits. */
bool og_num_i64(const char **p, const char *end, int64_t *out);

#endif
