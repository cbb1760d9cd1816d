/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Times as logs write them. Microseconds since 1970 (UTC), or since boot. What has no zone
 * of its own is local time, as TZ says. Sources: RFC 3339, RFC 3164, ctime(3), dmesg(1),
 * journalctl(1). */
#ifndef OG_LOGTIME_H
#define OG_LOGTIME_H

#include "oomguard/span.h"

#define OG_LOGTIME_NONE INT64_MIN
#define OG_LOGTIME_SEC 1000000 /* microseconds */

/* Room for og_logtime_write. */
#define OG_LOGTIME_TEXT_MAX 48

/* These take a time from the start of *s and return true, or return false and leave *s
 * where it is. */

/* "2026-11-26T01:02:03", with a space or a T, with or without ".123456" or ",123456", and
 * "Z", "+01:00" or "+0100". */
bool og_logtime_iso(og_span_t *s, int64_t *usec);

/* "Nov 26 01:02:03" or "Nov 26 01:02:03.123456": of the latest year in which that was not
 * after now, but for a day's difference of clocks and zones. */
bool og_logtime_syslog(og_span_t *s, int64_t now_sec, int64_t *usec);

/* "Thu Nov 26 01:02:03 2026". */
bool og_logtime_ctime(og_span_t *s, int64_t *usec);

/* "Nov26 01:02", of dmesg -e: the year as above. */
bool og_logtime_minute(og_span_t *s, int64_t now_sec, int64_t *usec);

/* "123.456789", with spaces before it; with at least one digit on either side. */
bool og_logtime_seconds(og_span_t *s, int64_t *usec);

/* What --since may say: "2026-11-26", "2026-11-26 01:02", "2026-11-26 01:02:03" (T for the
 * space, a fraction, a zone), "@1795654923" since 1970, "123.5" since boot. Sets one of the
 * two, and the other to OG_LOGTIME_NONE. 0 or -EINVAL. */
int og_logtime_since(const char *text, int64_t *wall_usec, int64_t *boot_usec);

/* Writes RFC 3339 in local time with the microseconds that are there; "" if the year does not
 * have four digits. */
void og_logtime_write(int64_t usec, char buf[OG_LOGTIME_TEXT_MAX]);

#endif
