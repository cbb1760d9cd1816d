/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "oomguard/tell.h"

#include <inttypes.h>
#include <string.h>

static const char unknown[] = "unknown";

/* Names have their escapes already, paths have some of theirs: what is left is escaped. */
static void quote(FILE *out, const char *text)
{
    fputc('"', out);
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        if (c < 0x20 || c > 0x7e)
            fprintf(out, "\\x%02x", c);
        else if (c == '"')
            fputs("\\\"", out);
        else
            fputc(c, out);
    }
    fputc('"', out);
}

static void size(FILE *out, int64_t kib)
{
    if (kib < 0)
        fputs(unknown, out);
    else if (kib < 1024)
        fprintf(out, "%" PRId64 " KiB", kib);
    else if (kib < 10 * 1024 * 1024)
        fprintf(out, "%" PRId64 ".%" PRId64 " MiB", kib / 1024, kib % 1024 * 10 / 1024);
    else
        fprintf(out, "%" PRId64 ".%" PRId64 " GiB", kib / (1024 * 1024),
                kib % (1024 * 1024) * 10 / (1024 * 1024));
}

static void when(FILE *out, const og_klog_kill_t *k, const char *where)
{
    char text[OG_LOGTIME_TEXT_MAX] = "";

    if (k->wall_usec != OG_LOGTIME_NONE)
        og_logtime_write(k->wall_usec, text);
    if (text[0] != '\0')
        fputs(text, out);
    else if (k->boot_usec != OG_LOGTIME_NONE)
        fprintf(out, "%" PRId64 ".%06d s after boot", k->boot_usec / OG_LOGTIME_SEC,
                (int)(k->boot_usec % OG_LOGTIME_SEC));
    else
        fputs("at a time that the log does not tell", out);
    if (where != NULL)
        fprintf(out, ", in %s", where);
    fputc('\n', out);
}

static void victim(FILE *out, const og_kmsg_kill_t *k)
{
    fprintf(out, "  killed   %d ", (int)k->pid);
    quote(out, k->comm);
    if (k->uid >= 0)
        fprintf(out, ", uid %" PRId64, k->uid);
    if (k->oom_score_adj != OG_KMSG_UNKNOWN)
        fprintf(out, ", oom_score_adj %" PRId64, k->oom_score_adj);
    fputs("\n  size     anon ", out);
    size(out, k->anon_rss_kib);
    fputs(", file ", out);
    size(out, k->file_rss_kib);
    fputs(", shmem ", out);
    size(out, k->shmem_rss_kib);
    fputs(", page tables ", out);
    size(out, k->pgtables_kib);
    fputs("; address space ", out);
    size(out, k->total_vm_kib);
    fputc('\n', out);
}

static void limit(FILE *out, const og_kmsg_kill_t *k)
{
    fputs("  limit    ", out);
    switch (k->killer) {
    case OG_KILLER_MEMCG:
        fputs("of memory cgroup ", out);
        if (k->oom_memcg[0] != '\0')
            quote(out, k->oom_memcg);
        else
            fputs(unknown, out);
        break;
    case OG_KILLER_GLOBAL:
        fputs("of the machine", out);
        break;
    case OG_KILLER_CPUSET:
        fputs("of the memory nodes of a cpuset", out);
        break;
    case OG_KILLER_MEMPOLICY:
        fputs("of the memory nodes of a policy", out);
        break;
    default:
        fputs(unknown, out);
    }
    if (k->limit_kib >= 0) {
        fputs(": ", out);
        size(out, k->limit_kib);
    }
    if (k->usage_kib >= 0) {
        fputs(", of which ", out);
        size(out, k->usage_kib);
        fputs(" were used", out);
    }
    fputc('\n', out);
    if (k->task_memcg[0] != '\0' && strcmp(k->task_memcg, k->oom_memcg) != 0) {
        fputs("  cgroup   ", out);
        quote(out, k->task_memcg);
        fputc('\n', out);
    }
}

static void asked(FILE *out, const og_kmsg_kill_t *k)
{
    fputs("  asked    ", out);
    if (k->invoked_by[0] == '\0' && k->invoked_pid == 0)
        fputs(unknown, out);
    if (k->invoked_pid != 0)
        fprintf(out, "%d ", (int)k->invoked_pid);
    if (k->invoked_by[0] != '\0')
        quote(out, k->invoked_by);
    fputc('\n', out);
}

static void biggest(FILE *out, const og_klog_kill_t *k)
{
    int64_t page_kib, kib;

    if (k->table == NULL)
        return;
    page_kib = og_table_page_kib(k->table, &k->kill);
    for (int i = 0; i < k->table->top_len; i++) {
        const og_task_t *t = &k->table->top[i];

        fprintf(out, i == 0 ? "  biggest  %d " : "           %d ", (int)t->pid);
        quote(out, t->comm);
        fputc(' ', out);
        size(out, __builtin_mul_overflow(t->rss_pages, page_kib, &kib) ? -1 : kib);
        if (t->oom_score_adj != OG_KMSG_UNKNOWN)
            fprintf(out, ", oom_score_adj %" PRId64, t->oom_score_adj);
        fputc('\n', out);
    }
    if (k->table->tasks > OG_TABLE_TOP)
        fprintf(out, "           of %" PRIu64 " that the kernel listed\n",
                k->table->tasks);
}

/* --- What it means ------------------------------------------------------------------ */

static void why(FILE *out, const og_kmsg_kill_t *k)
{
    switch (k->killer) {
    case OG_KILLER_MEMCG:
        fputs("the cgroup was at its limit, whatever the machine had left", out);
        break;
    case OG_KILLER_GLOBAL:
        fputs("the machine had no memory left", out);
        break;
    case OG_KILLER_CPUSET:
    case OG_KILLER_MEMPOLICY:
        fputs("the memory nodes that it may use were full, others may have had room",
              out);
        break;
    default:
        fputs("memory ran out, and the log does not tell where", out);
    }
}

/* The kernel takes the biggest, but for scores: who was bigger, and spared? */
static const og_task_t *spared(const og_klog_kill_t *k)
{
    const og_table_t *t = k->table;

    if (t == NULL || t->top_len == 0 || t->top[0].pid == k->kill.pid)
        return NULL;
    return t->top[0].oom_score_adj != OG_KMSG_UNKNOWN &&
                   k->kill.oom_score_adj != OG_KMSG_UNKNOWN &&
                   t->top[0].oom_score_adj < k->kill.oom_score_adj
               ? &t->top[0]
               : NULL;
}

static void meaning(FILE *out, const og_klog_kill_t *k)
{
    const og_kmsg_kill_t *kill = &k->kill;
    const og_task_t *other = spared(k);

    fputs("  meaning  ", out);
    why(out, kill);
    if (kill->group_kill) {
        fputs("; memory.oom.group kills all of the cgroup, and this was one of them.\n",
              out);
        return;
    }
    if (kill->invoked_by[0] != '\0') {
        fputs("; ", out);
        if (kill->invoked_pid == kill->pid)
            fputs("the killed process itself asked for more", out);
        else {
            quote(out, kill->invoked_by);
            fputs(" asked for more", out);
        }
    }
    fputs(", and the kernel took ", out);
    quote(out, kill->comm);
    if (other != NULL) {
        fputs(", since its oom_score_adj is higher than that of ", out);
        quote(out, other->comm);
        fputs(", which was bigger", out);
    }
    else if (k->table != NULL && k->table->top_len > 0 &&
             k->table->top[0].pid == kill->pid)
        fputs(", the biggest", out);
    fputs(".\n", out);
}

void og_tell_kill(FILE *out, const og_klog_kill_t *k, const char *where)
{
    when(out, k, where);
    victim(out, &k->kill);
    limit(out, &k->kill);
    asked(out, &k->kill);
    biggest(out, k);
    meaning(out, k);
}
