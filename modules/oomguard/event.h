/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What is told, as JSON, for programs: see HISTORY FILE in mod_oomguard(8). Whoever calls this
 * near an OOM has jansson take its memory from an arena: og_event_arena. */
#ifndef OG_EVENT_H
#define OG_EVENT_H

#include "oomguard/render.h"

#include <jansson.h>

/* Enough for the longest line: a kill's paths, and the requests of one worker, every byte of
 * them escaped. */
#define OG_EVENT_LINE_MAX 32768

/* Names an event as long as the machine is not booted anew. */
#define OG_EVENT_ID_MAX 64

/* From now on jansson, in this process, takes its memory from one block that was taken here,
 * and each event begins with an empty one: the one before is gone then. */
void og_event_arena(void);

/* A new object, the caller's to give back by json_decref. usec is of the epoch. */
json_t *og_event_kill(const og_report_t *r, const char *id, int64_t usec);
json_t *og_event_case(const og_case_t *c, const char *id, int64_t usec);
json_t *og_event_start(void);

/* Parts of these, and of the status page. What is not known is null; seconds up to usec, of
 * CLOCK_MONOTONIC. */
json_t *og_event_request(const og_request_t *q, uint64_t usec, unsigned page_bytes);
json_t *og_event_requests(const og_worker_t *w, uint64_t usec, unsigned page_bytes);
json_t *og_event_route(const og_route_t *r, const og_suspect_t *s, unsigned page_bytes);

/* It as one line, without newline, NUL-terminated. Its length, or 0 if there was no room for
 * it, here or in the arena. */
size_t og_event_line(const json_t *event, char *buf, size_t size);

#endif
