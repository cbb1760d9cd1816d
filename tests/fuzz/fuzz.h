/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What every target is, and how it says that something is wrong. */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(condition)                                                                  \
    do                                                                                   \
        if (!(condition))                                                                \
            abort();                                                                     \
    while (0)

#endif
