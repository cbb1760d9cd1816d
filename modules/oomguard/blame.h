/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Of the requests that a dead worker was in: the one that is named, and why. */
#ifndef OG_BLAME_H
#define OG_BLAME_H

#include "oomguard/kmsg.h"
#include "oomguard/ledger.h"

typedef enum {
    OG_BLAME_ALONE,   /* the only one in flight */
    OG_BLAME_KILLED,  /* of the thread that the log names as killed */
    OG_BLAME_LARGEST, /* it took more than all others together */
    OG_BLAME_ASKED,   /* its thread asked for the memory that was not there */
    OG_BLAME_LONGEST  /* a guess */
} og_blame_t;

/* NULL if it was in none. kill: as the log has it, or NULL. */
const og_request_t *og_blame(const og_worker_t *w, const og_kmsg_kill_t *kill, og_blame_t *why);

#endif
