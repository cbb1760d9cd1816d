/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* What check_kmsg.c feeds, and what must come of it. All lines here are made from the
 * kernels' sources; recorded ones are in ../fuzz/corpus/kmsg. */
#ifndef KMSG_CASES_H
#define KMSG_CASES_H

/* log: see feed(); kills: see say_kill(). */
typedef struct {
    const char *name, *log, *kills;
} case_t;

/* --- Every template ----------------------------------------------------------------- */

static const case_t templates[] = {
    { "2.6.18",
      "httpd invoked oom-killer: gfp_mask=0x201d2, order=0, oomkilladj=0\n"
      "Out of memory: Killed process 2592 (httpd).\n",
      "2592 (httpd) global by=httpd\n" },
    { "2.6.18, with UID, as RHEL 5 has it",
      "Out of memory: Killed process 31323, UID 48, (httpd).\n",
      "31323 (httpd) global uid=48\n" },
    { "2.6.18, two steps",
      "sshd invoked oom-killer: gfp_mask=0x201d2, order=0, oomkilladj=-17\n"
      "Out of Memory: Kill process 4211 (httpd) score 31112 and children.\n"
      "Killed process 4212 (httpd)\n",
      "4212 (httpd) global by=sshd\n" },
    { "2.6.2x",
      "httpd invoked oom-killer: gfp_mask=0x1201d2, order=0, oomkilladj=0\n"
      "Out of memory: kill process 3301 (httpd) score 15221 or a child\n"
      "Killed process 3305 (httpd)\n",
      "3305 (httpd) global by=httpd\n" },
    { "2.6.2x, a cpuset's nodes",
      "No available memory in cpuset: kill process 3301 (httpd) score 15221 or a child\n"
      "Killed process 3305 (httpd)\n",
      "3305 (httpd) cpuset\n" },
    { "2.6.2x, a policy's nodes",
      "No available memory (MPOL_BIND): kill process 3301 (httpd) score 9 or a child\n"
      "Killed process 3305 (httpd)\n",
      "3305 (httpd) mempolicy\n" },
    { "2.6.33",
      "Killed process 3305 (httpd) vsz:212345kB, anon-rss:100200kB, file-rss:412kB\n",
      "3305 (httpd) unknown vm=212345 anon=100200 file=412\n" },
    { "2.6.32, RHEL 6",
      "httpd invoked oom-killer: gfp_mask=0x201da, order=0, oom_adj=0, oom_score_adj=0\n"
      "Out of memory: Kill process 2811 (httpd) score 120 or sacrifice child\n"
      "Killed process 2811, UID 48, (httpd) total-vm:1845772kB, anon-rss:921012kB, "
      "file-rss:88kB\n",
      "2811 (httpd) global uid=48 vm=1845772 anon=921012 file=88 by=httpd\n" },
    { "3.x",
      "httpd invoked oom-killer: gfp_mask=0x201da, order=0, oom_score_adj=0\n"
      "Out of memory: Kill process 1201 (httpd) score 911 or sacrifice child\n"
      "Killed process 1201 (httpd) total-vm:845772kB, anon-rss:721012kB, file-rss:8kB\n",
      "1201 (httpd) global vm=845772 anon=721012 file=8 by=httpd\n" },
    { "3.x, memory cgroup",
      "httpd invoked oom-killer: gfp_mask=0xd0, order=0, oom_score_adj=0\n"
      "Task in /web/a killed as a result of limit of /web\n"
      "memory: usage 131072kB, limit 131072kB, failcnt 221\n"
      "memory+swap: usage 131072kB, limit 9007199254740991kB, failcnt 0\n"
      "[ pid ]   uid  tgid total_vm      rss nr_ptes swapents oom_score_adj name\n"
      "Memory cgroup out of memory: Kill process 1201 (httpd) score 911 or sacrifice "
      "child\n"
      "Killed process 1204 (httpd) total-vm:845772kB, anon-rss:721012kB, file-rss:8kB\n",
      "1204 (httpd) memcg vm=845772 anon=721012 file=8 by=httpd limit-of=/web in=/web/a "
      "usage=131072 limit=131072\n" },
    { "3.10, RHEL 7, late",
      "Killed process 1201 (httpd), UID 48, total-vm:845772kB, anon-rss:721012kB, "
      "file-rss:8kB, shmem-rss:12kB\n",
      "1201 (httpd) unknown uid=48 vm=845772 anon=721012 file=8 shmem=12\n" },
    { "4.7 to 4.20",
      "httpd invoked oom-killer: gfp_mask=0x14200ca(GFP_HIGHUSER_MOVABLE), "
      "nodemask=(null),  "
      "order=0, oom_score_adj=0\n"
      "Out of memory (oom_kill_allocating_task): Kill process 77 (httpd) score 0 or "
      "sacrifice child\n"
      "Killed process 77 (httpd) total-vm:845772kB, anon-rss:721012kB, file-rss:8kB, "
      "shmem-rss:0kB\n"
      "oom_reaper: reaped process 77 (httpd), now anon-rss:0kB, file-rss:0kB, "
      "shmem-rss:0kB\n",
      "77 (httpd) global vm=845772 anon=721012 file=8 shmem=0 by=httpd\n" },
    { "5.0: the constraint, and two steps",
      "a.out invoked oom-killer: gfp_mask=0x6200ca(GFP_HIGHUSER_MOVABLE), "
      "nodemask=(null), "
      "order=0, oom_score_adj=0\n"
      "oom-kill:constraint=CONSTRAINT_MEMORY_POLICY,nodemask=0,2-3,cpuset=/"
      ",mems_allowed=0-3,"
      "global_oom,task_memcg=/user.slice,task=a.out,pid=9,uid=1000\n"
      "Out of memory: Kill process 9 (a.out) score 12 or sacrifice child\n"
      "Killed process 9 (a.out) total-vm:5kB, anon-rss:4kB, file-rss:3kB, "
      "shmem-rss:2kB\n",
      "9 (a.out) mempolicy vm=5 anon=4 file=3 shmem=2 by=a.out in=/user.slice\n" },
    { "5.1",
      "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(null),cpuset=a,b,mems_allowed=0-1,"
      "3,"
      "global_oom,task_memcg=/,task=httpd,pid=41,uid=48\n"
      "Out of memory: Killed process 41 (httpd) total-vm:5kB, anon-rss:4kB, "
      "file-rss:3kB, "
      "shmem-rss:2kB\n",
      "41 (httpd) cpuset vm=5 anon=4 file=3 shmem=2 in=/\n" },
    { "5.1, the one who asked",
      "Out of memory (oom_kill_allocating_task): Killed process 41 (httpd) total-vm:5kB, "
      "anon-rss:4kB, file-rss:3kB, shmem-rss:2kB\n",
      "41 (httpd) global vm=5 anon=4 file=3 shmem=2\n" },
    { "5.3 to 5.5, page tables in bytes",
      "Memory cgroup out of memory: Killed process 41 (httpd) total-vm:1337808kB, "
      "anon-rss:4kB, file-rss:3kB, shmem-rss:2kB, UID:48 pgtables:491520kB "
      "oom_score_adj:-900\n",
      "41 (httpd) memcg uid=48 vm=1337808 anon=4 file=3 shmem=2 pt=480 adj=-900\n" },
    { "large page tables, in kB",
      "Out of memory: Killed process 41 (a) total-vm:99000000kB, pgtables:8192kB\n",
      "41 (a) global vm=99000000 pt=8192\n" },
    { "large page tables of a sparse process, in kB",
      "Out of memory: Killed process 41 (a) total-vm:90000kB, pgtables:5000kB\n",
      "41 (a) global vm=90000 pt=5000\n" },
    { "a user id too large for one",
      "Out of memory: Killed process 41 (a) total-vm:9kB, UID:4294967296\n",
      "41 (a) global vm=9\n" },
    { "a score of -1 is one",
      "Out of memory: Killed process 41 (httpd) total-vm:1337808kB, anon-rss:4kB, "
      "file-rss:3kB, shmem-rss:2kB, UID:4294967295 pgtables:480kB oom_score_adj:-1\n",
      "41 (httpd) global uid=4294967295 vm=1337808 anon=4 file=3 shmem=2 pt=480 "
      "adj=-1\n" },
    { "a backport without UID and comma",
      "Out of memory: Killed process 41 (httpd) total-vm:1337808kB, anon-rss:4kB, "
      "file-rss:3kB, shmem-rss:2kB pgtables:480kB oom_score_adj:200\n",
      "41 (httpd) global vm=1337808 anon=4 file=3 shmem=2 pt=480 adj=200\n" },
    { "a key yet to come",
      "Out of memory: Killed process 41 (httpd) total-vm:5kB, thp-rss:9kB, anon-rss:4kB "
      "level:3\n",
      "41 (httpd) global vm=5 anon=4\n" },
    { "the largest numbers, and the smallest",
      "Out of memory: Killed process 2147483647 (a) total-vm:9223372036854775807kB, "
      "anon-rss:0kB, UID:0 pgtables:0kB oom_score_adj:1000\n"
      "Out of memory: Killed process 1 (a) total-vm:0kB, oom_score_adj:-1000\n",
      "2147483647 (a) global uid=0 vm=9223372036854775807 anon=0 pt=0 adj=1000\n"
      "1 (a) global vm=0 adj=-1000\n" },
    { "scores that are none",
      "Out of memory: Killed process 41 (a) total-vm:9kB, oom_score_adj:1001\n"
      "Out of memory: Killed process 42 (a) total-vm:9kB, oom_score_adj:-1001\n"
      "Out of memory: Killed process 43 (a) total-vm:9kB, UID:-1\n",
      "41 (a) global vm=9\n42 (a) global vm=9\n43 (a) global vm=9\n" },
    { "page tables that may be either: as many as the process could have, or one more",
      "Out of memory: Killed process 41 (a) total-vm:262144kB, pgtables:4096kB\n"
      "Out of memory: Killed process 42 (a) total-vm:262143kB, pgtables:4096kB\n"
      "Out of memory: Killed process 43 (a) total-vm:0kB, pgtables:8192kB\n"
      "Out of memory: Killed process 44 (a) pgtables:8192kB\n"
      "Out of memory: Killed process 45 (a) total-vm:0kB, pgtables:1kB\n"
      "Out of memory: Killed process 46 (a) total-vm:0kB, pgtables:4194304kB\n",
      "41 (a) global vm=262144 pt=4096\n42 (a) global vm=262143 pt=4\n"
      "43 (a) global vm=0 pt=8\n44 (a) global pt=8192\n45 (a) global vm=0 pt=1\n"
      "46 (a) global vm=0 pt=4096\n" },
    { "keys of all letters, and words that begin with one that is known",
      "Out of memory: Killed process 41 (a) az-AZ_:1, total-vm:5kB, vmx:3kB, UIDs:4 v:6 "
      "anon:7kB\n",
      "41 (a) global vm=5\n" },
    { "each field may be 0",
      "Killed process 41 (a) vsz:0kB, anon-rss:0kB, file-rss:0kB, shmem-rss:0kB, UID:0 "
      "pgtables:0kB oom_score_adj:0\n"
      "Killed process 42 (a) vm:0kB\n",
      "41 (a) unknown uid=0 vm=0 anon=0 file=0 shmem=0 pt=0 adj=0\n"
      "42 (a) unknown vm=0\n" },
    { "a field that comes twice: the last one",
      "Out of memory: Killed process 41 (a) vm:5kB, total-vm:6kB, vsz:7kB\n",
      "41 (a) global vm=7\n" },
    { "a counter that went below zero",
      "Out of memory: Killed process 41 (httpd) total-vm:18446744073709551612kB, "
      "anon-rss:-4kB, file-rss:3kB, oom_score_adj:2000\n",
      "41 (httpd) global file=3\n" },
    { "OpenVZ, a container",
      "Out of memory in UB 101: OOM killed process 812 (httpd) score 21 vm:5kB, rss:4kB, "
      "swap:3kB\n",
      "812 (httpd) memcg vm=5\n" },
    { "OpenVZ, the first container, without a score",
      "Out of memory in UB 1: OOM killed process 812 (httpd) vm:5kB, rss:4kB\n",
      "812 (httpd) memcg vm=5\n" },
    { "OpenVZ, the host",
      "Out of memory in UB 0: OOM killed process 812 (httpd) score -7 vm:5kB, rss:4kB, "
      "swap:3kB\n",
      "812 (httpd) global vm=5\n" },
    { "a process without a name",
      "Out of memory: Killed process 41 () total-vm:5kB, anon-rss:4kB\n",
      "41 () global vm=5 anon=4\n" },
    { "a name of 15 bytes, each escaped",
      "Out of memory: Killed process 41 "
      "(\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4"
      "\\xc3\\xa4\\xc3\\xa4\\x0a) total-vm:5kB\n",
      "41 (\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\xc3\\xa4\\x0a) "
      "global vm=5\n" },
};

#define TAIL " total-vm:5kB, anon-rss:4kB, file-rss:3kB, shmem-rss:2kB"

static const case_t forgeries[] = {
    { "written by a user", "@user Out of memory: Killed process 1 (httpd)" TAIL "\n",
      "" },
    { "echoed, not at the start", "audit: Out of memory: Killed process 1 (a)" TAIL "\n",
      "" },
    { "after a space", " Killed process 1 (httpd)" TAIL "\n", "" },
    { "a command line", "grep \"Killed process 12 (httpd)\"\n", "" },
    { "a part of a line", "@part Killed process 1 (httpd)" TAIL "\n", "" },
    { "no pid", "Killed process  (httpd)" TAIL "\n", "" },
    { "pid 0", "Killed process 0 (httpd)" TAIL "\n", "" },
    { "a negative pid", "Killed process -1 (httpd)" TAIL "\n", "" },
    { "a pid with more behind", "Killed process 12x (httpd)" TAIL "\n", "" },
    { "a huge pid", "Killed process 99999999999 (httpd)" TAIL "\n", "" },
    { "no name", "Killed process 12 httpd" TAIL "\n", "" },
    { "an open name", "Killed process 12 (httpd" TAIL "\n", "" },
    { "a name too long", "Killed process 12 (sixteen-bytes-xx)" TAIL "\n", "" },
    { "a tail that sticks", "Killed process 12 (httpd)total-vm:5kB\n", "" },
    { "a comma that sticks", "Killed process 12 (httpd),total-vm:5kB\n", "" },
    { "a field without key", "Killed process 12 (httpd) :5kB\n", "" },
    { "a field without value", "Killed process 12 (httpd) total-vm 5kB\n", "" },
    { "OpenVZ without a score",
      "Out of memory in UB 1: OOM killed process 1 (a) score x\n", "" },
    { "OpenVZ without more than a score",
      "Out of memory in UB 1: OOM killed process 1 (a) score 21\n"
      "Out of memory in UB 1: OOM killed process 1 (a)\n",
      "" },
    { "a score that is not OpenVZ's", "Killed process 12 (httpd) score 9 vm:5kB\n", "" },
    { "another full stop", "Killed process 12 (httpd)..\n", "" },
    { "a full stop and more", "Killed process 12 (httpd). vm:5kB\n", "" },
    { "only an opening bracket", "Killed process 12 (\n", "" },
    { "only a closing bracket", "Killed process 12 )\n", "" },
    { "a bracket that sticks", "Killed process 12(httpd)" TAIL "\n", "" },
    { "UID without a comma behind it", "Killed process 12, UID 48 (httpd)" TAIL "\n", "" },
    { "UID that is none by one",
      "Killed process 12, UID 4294967296, (httpd)" TAIL "\n", "" },
    { "keys that are none by one character",
      "Killed process 12 (httpd) vm`:5kB\nKilled process 12 (httpd) vm{:5kB\n"
      "Killed process 12 (httpd) vm@:5kB\nKilled process 12 (httpd) vm[:5kB\n"
      "Killed process 12 (httpd) vm2:5kB\n",
      "" },
    { "a colon that is missing", "Killed process 12 (httpd) vm5kB\n", "" },
    { "two spaces", "Killed process 12 (httpd)  vm:5kB\n", "" },
    { "two commas", "Killed process 12 (httpd),, vm:5kB\n", "" },
    { "a comma at the end", "Killed process 12 (httpd) vm:5kB,\n", "" },
    { "text as tail", "Killed process 12 (httpd) because it could\n", "" },
    { "text after the tail", "Killed process 12 (httpd)" TAIL ", and more\n", "" },
    { "a number cut off", "Killed process 12 (httpd) total-vm:5kB, anon-rss:\n", "" },
    { "no tail, where there was always one", "Out of memory: Killed process 12 (a)\n",
      "" },
    { "other words before", "Out of memory! Killed process 12 (httpd)" TAIL "\n", "" },
    { "UID without number", "Killed process 12, UID x, (httpd)" TAIL "\n", "" },
    { "UID too large", "Killed process 12 (httpd), UID 4294967296, total-vm:5kB\n", "" },
    { "OpenVZ's words without a number",
      "Out of memory in UB x: OOM killed process 1 (a)\n", "" },
    { "the reaper",
      "oom_reaper: reaped process 12 (httpd), now anon-rss:0kB, file-rss:0kB, "
      "shmem-rss:0kB\noom_reaper: unable to reap pid:12 (httpd)\n",
      "" },
    { "who is exiting already",
      "Out of memory: OOM victim 12 (httpd) is already exiting. "
      "Skip killing the task\n",
      "" },
    { "who is about to be killed",
      "Out of memory: Kill process 12 (httpd) score 9 or "
      "sacrifice child\n",
      "" },
};

/* --- Names and paths that look like something else ---------------------------------- */

#define HEAD                                                                             \
    "httpd invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0\n"
#define OOM                                                                              \
    "oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,"
#define CG "oom_memcg=/web,task_memcg=/web/a"
#define KILL(who) "Memory cgroup out of memory: Killed process " who TAIL ", UID:48\n"
#define FIELDS " memcg uid=48 vm=5 anon=4 file=3 shmem=2"

static const case_t names[] = {
    { "a name that ends itself", KILL("12 (a) total-vm:1kB)"),
      "12 (a) total-vm:1kB)" FIELDS "\n" },
    { "a name that opens an episode",
      " invoked oom-ki invoked oom-killer: gfp_mask=0xcc0, order=0, "
      "oom_score_adj=0\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by= invoked oom-ki\n" },
    { "text that looks like an opening, but is no name's",
      "a driver that is long: x invoked oom-killer: gfp_mask=0xcc0\n" KILL("12 (a)"),
      "12 (a)" FIELDS "\n" },
    { "an opening without a mask", "a invoked oom-killer: well\n" KILL("12 (a)"),
      "12 (a)" FIELDS "\n" },
    { "a name that holds a task",
      OOM CG ",task=,task=x,pid=1,u,pid=12,uid=48\n" KILL("12 (,task=x,pid=1,u)"),
      "12 (,task=x,pid=1,u)" FIELDS " limit-of=/web in=/web/a\n" },
    { "a path that holds a task", OOM CG ",task=x,task=x,pid=12,uid=48\n" KILL("12 (x)"),
      "12 (x)" FIELDS " limit-of=/web in=/web/a,task=x\n" },
    { "a name that holds a task, killed as another thread",
      OOM CG ",task=a,task=b,pid=11,uid=48\n" KILL("12 (c)"),
      "12 (c)" FIELDS " limit-of=/web in=/web/a\n" },
    { "paths that hold what stands between them",
      OOM "oom_memcg=/web,task_memcg=/x,task_memcg=/web,task_memcg=/x/"
          "a,task=a,pid=12,uid=48\n" KILL("12 (a)"),
      "12 (a)" FIELDS " limit-of=/web,task_memcg=/x in=/web,task_memcg=/x/a\n" },
    { "a path that systemd has escaped, and one in UTF-8",
      OOM
      "oom_memcg=/my\\x5cx2dweb,task_memcg=/my\\x5cx2dweb/\\xc3\\xa4\\x0a,task=a,pid=12,"
      "uid=48\n" KILL("12 (a)"),
      "12 (a)" FIELDS " limit-of=/my\\x2dweb in=/my\\x2dweb/\303\244\\x0a\n" },
    { "the same in version 1",
      "Task in /web killed as a result of limit of /b/a killed as a result of limit of "
      "/web killed as a result of limit of /b\n"
      "Killed process 12 (a)" TAIL "\n",
      "12 (a) memcg vm=5 anon=4 file=3 shmem=2 limit-of=/web killed as a result of limit "
      "of "
      "/b in=/web killed as a result of limit of /b/a\n" },
    { "no path at all",
      "oom-kill:constraint=CONSTRAINT_NONE,nodemask=0,cpuset=/,mems_allowed=0,"
      "global_oom,task_memcg=x,task=a,pid=12,uid=48\n"
      "Out of memory: Killed process 12 (a)" TAIL "\n",
      "12 (a) global vm=5 anon=4 file=3 shmem=2\n" },
    { "paths that can't be",
      "Task in /a killed as a result of limit of /b\n"
      "Killed process 12 (a)" TAIL "\n",
      "12 (a) unknown vm=5 anon=4 file=3 shmem=2\n" },
    { "paths that are none, in a root and out of it",
      "Task in web killed as a result of limit of /\n"
      "Task in a/b killed as a result of limit of a\n"
      "Task in  killed as a result of limit of /\n"
      "Task in /a killed as a result of limit of \n"
      "Killed process 12 (a)" TAIL "\n" OOM
      "oom_memcg=/,task_memcg=web,task=a,pid=13,uid=48\n" KILL("13 (a)"),
      "12 (a) unknown vm=5 anon=4 file=3 shmem=2\n13 (a)" FIELDS "\n" },
    { "in several parts",
      HEAD OOM CG "\n@part b\n@part ,task=a,pid=12,uid=48\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd limit-of=/web in=/web/ab\n" },
    { "a constraint yet to come",
      HEAD "oom-kill:constraint=CONSTRAINT_NEW,oom_memcg=/x,task_memcg=/"
           "x,task=a,pid=12,uid=48\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd\n" },
    { "a limit that is not set",
      HEAD "memory: usage 9kB, limit 9007199254740988kB, failcnt 0\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd usage=9\n" },
    { "a limit that is just not set, and one that is just set",
      HEAD "memory: usage 0kB, limit 9007199254740927kB, failcnt 0\n" KILL("12 (a)")
      HEAD "memory: usage 0kB, limit 9007199254740926kB, failcnt 0\n" KILL("13 (a)")
      HEAD "memory: usage -1kB, limit 0kB, failcnt 0\n" KILL("14 (a)")
      HEAD "memory: usage 1kB, limit -1kB, failcnt 0\n" KILL("15 (a)"),
      "12 (a)" FIELDS " by=httpd usage=0\n"
      "13 (a)" FIELDS " by=httpd usage=0 limit=9007199254740926\n"
      "14 (a)" FIELDS " by=httpd limit=0\n"
      "15 (a)" FIELDS " by=httpd usage=1\n" },
    { "numbers that stick",
      HEAD OOM CG ",task=a,pid=12x,uid=48\n" KILL("12 (a)")
      HEAD OOM CG ",task=a,pid=12,uid=48x\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd\n12 (a)" FIELDS " by=httpd\n" },
    { "a constraint, and no more",
      "oom-kill:constraint=CONSTRAINT_CPUSET,nodemask=(nul\n"
      "Out of memory: Killed process 12 (a)" TAIL "\n",
      "12 (a) cpuset vm=5 anon=4 file=3 shmem=2\n" },
    { "two steps, of a task without a name",
      "Out of memory: Kill process 12 () score 1 or sacrifice child\n"
      "Killed process 12 ()" TAIL "\n",
      "12 () global vm=5 anon=4 file=3 shmem=2\n" },
    { "two steps, the first of them not whole",
      "Out of memory (oom_kill_allocating_task): Kill process 12 (a score 1\n"
      "Out of memory: Kill process 12 (sixteen-bytes-xx) score 1\n"
      "Killed process 12 (a)" TAIL "\n",
      "12 (a) unknown vm=5 anon=4 file=3 shmem=2\n" },
    { "header lines that are not whole",
      HEAD
      "memory: usage 9kB, limit 8kB\nmemory: usage 9kB, limit 8kB, failcnt 0x\n"
      "Tasks in /web are going to be killed\nTasks in web are going to be killed due to "
      "memory.oom.group set\nTask in /web killed\n"
      "Out of memory: Kill process x (a) score 1\nOut of memory: Kill process 1 a) score "
      "1\n"
      "Out of memory: Kill process 1 (a)\nOut of memory: kill nobody\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd\n" },
    { "a name too long for a task",
      OOM CG ",task=sixteen-bytes-xx,pid=11,uid=48\n" KILL("12 (a)"),
      "12 (a)" FIELDS "\n" },
    { "a part that is missing",
      HEAD OOM CG "\nsomething else\n@part ,task=a,pid=12,uid=48\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd\n" },
};

/* --- Which headers belong to which kill --------------------------------------------- */

#define OOM12 OOM CG ",task=a,pid=12,uid=48\n"
#define FULL12 "12 (a)" FIELDS " by=httpd limit-of=/web in=/web/a\n"
#define BARE(who) who FIELDS "\n"
#define GROUP(path)                                                                      \
    "Tasks in " path " are going to be killed due to memory.oom.group set\n"
#define MEMBER(who) who FIELDS " by=httpd limit-of=/web in=/web group\n"
#define EXITING(who)                                                                     \
    "Memory cgroup out of memory: OOM victim " who                                       \
    " is already exiting. Skip killing the task\n"

static const case_t episodes[] = {
    { "once only", HEAD OOM12 KILL("12 (a)") KILL("13 (b)"), FULL12 BARE("13 (b)") },
    { "the same again", KILL("12 (a)") "@8s\n" KILL("12 (a)"),
      BARE("12 (a)") BARE("12 (a)") },
    { "a new opening", HEAD OOM12 "b" HEAD KILL("12 (a)"),
      "12 (a)" FIELDS " by=bhttpd\n" },
    { "too long ago", HEAD OOM12 "@21s\n" KILL("12 (a)"), BARE("12 (a)") },
    { "a slow console", HEAD "@15s\n[ 12 ] 48 12 1 1 a\n@15s\n" OOM12 KILL("12 (a)"),
      FULL12 },
    { "a gap", HEAD OOM12 "@gap\n" KILL("12 (a)"), BARE("12 (a)") },
    { "a group after a gap", HEAD OOM12 "@gap\n" GROUP("/x") KILL("13 (b)"),
      "13 (b)" FIELDS " in=/x group\n" },
    { "a group long after a header", HEAD OOM12 "@21s\n" GROUP("/x") KILL("13 (b)"),
      "13 (b)" FIELDS " in=/x group\n" },
    { "a group long after a kill",
      HEAD OOM12 KILL("12 (a)") "@2s\n" GROUP("/x") KILL("13 (b)"),
      FULL12 "13 (b)" FIELDS " in=/x group\n" },
    { "the first process of all",
      KILL("1 (init)") "@2s\n" KILL("12 (a)") "@2s\n" KILL("1 (init)") HEAD KILL("1 (init)"),
      BARE("1 (init)") BARE("12 (a)") BARE("1 (init)") "1 (init)" FIELDS " by=httpd\n" },
    { "a part of nothing", HEAD "@part of something\n" OOM12 KILL("12 (a)"), FULL12 },
    { "somebody who was exiting", HEAD OOM12 EXITING("12 (a)") KILL("13 (b)"),
      BARE("13 (b)") },
    { "somebody who was exiting, and asked",
      HEAD "Out of memory (oom_kill_allocating_task): OOM victim 12 (a) is already exiting. "
           "Skip killing the task\n" KILL("13 (b)"),
      BARE("13 (b)") },
    { "somebody who is not exiting",
      HEAD OOM12 "Memory cgroup out of memory: OOM victim 12 (a) is already gone\n"
                 "Memory cgroup out of memory: 12 (a) is already exiting. Skip killing the "
                 "task\n" KILL("12 (a)"),
      FULL12 },
    { "nobody to kill",
      HEAD "Out of memory and no killable processes...\n" KILL("13 (b)"),
      BARE("13 (b)") },
    { "a kill that never came: another kind",
      HEAD OOM12 "Out of memory: Killed process 13 (b)" TAIL "\n",
      "13 (b) global vm=5 anon=4 file=3 shmem=2\n" },
    { "a kill that never came: another user's",
      HEAD OOM12 "Memory cgroup out of memory: Killed process 13 (b)" TAIL ", UID:0\n",
      "13 (b) memcg uid=0 vm=5 anon=4 file=3 shmem=2\n" },
    { "two constraints", HEAD OOM12 OOM CG ",task=b,pid=13,uid=48\n" KILL("13 (b)"),
      "13 (b)" FIELDS " limit-of=/web in=/web/a\n" },
    { "the thread that asked",
      HEAD "CPU: 1 UID: 48 PID: 77 Comm: httpd Not tainted 6.18\n"
           "CPU: 1 UID: 0 PID: 78 Comm: x\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd asker=77\n" },
    { "the thread that asked, of an older kernel",
      HEAD "CPU: 1 PID: 77 Comm: httpd Not tainted 6.1\n" KILL("12 (a)"),
      "12 (a)" FIELDS " by=httpd asker=77\n" },
    { "no thread that asked", "CPU: 1 PID: 77 Comm: a\n" HEAD "CPU: x PID: 77 Comm: a\n"
      "CPU: 1 PID: 0 Comm: a\n" "WCPU: 1 PID: 7 Comm: a\n" "CPU: 1 UID: PID: 7 Comm: a\n"
      "CPU: 1 PID: 77 Name: a\n"
      KILL("12 (a)"), "12 (a)" FIELDS " by=httpd\n" },
    { "a burst without headers", HEAD OOM12 KILL("12 (a)") KILL("13 (a)") KILL("14 (a)"),
      FULL12 BARE("13 (a)") BARE("14 (a)") },
    { "lines of users do not matter",
      HEAD "@user " OOM12 "@user x" HEAD OOM12 KILL("12 (a)"), FULL12 },
    { "a group, its first victim logged twice",
      HEAD OOM12 KILL("12 (a)") GROUP("/web") KILL("13 (b)") KILL("12 (a)")
          KILL("14 (c)"),
      FULL12 MEMBER("13 (b)") MEMBER("14 (c)") },
    { "a group, its first victim exiting when its turn comes",
      HEAD OOM12 KILL("12 (a)") GROUP("/web") EXITING("12 (a)") KILL("13 (b)"),
      FULL12 MEMBER("13 (b)") },
    { "a group, nobody killed before",
      HEAD OOM12 EXITING("12 (a)") GROUP("/web") KILL("13 (b)"), MEMBER("13 (b)") },
    { "a group, nobody killed before, for a while",
      HEAD OOM12 "@5s\n" EXITING("12 (a)") GROUP("/web") KILL("13 (b)"),
      MEMBER("13 (b)") },
    { "a group, of the first victim nothing", HEAD OOM12 GROUP("/web") KILL("13 (b)"),
      MEMBER("13 (b)") },
    { "a group ends at the next opening",
      HEAD OOM12 KILL("12 (a)") GROUP("/web") KILL("13 (b)") HEAD KILL("12 (a)"),
      FULL12 MEMBER("13 (b)") "12 (a)" FIELDS " by=httpd\n" },
    { "a group ends with time",
      HEAD OOM12 KILL("12 (a)") GROUP("/web") KILL("13 (b)") "@2s\n" KILL("14 (c)"),
      FULL12 MEMBER("13 (b)") BARE("14 (c)") },
    { "a kill of another kind in a group",
      HEAD OOM12 KILL("12 (a)") GROUP("/web") "Out of memory: Killed process 13 (b)" TAIL
                                              "\n" KILL("14 (c)"),
      FULL12 "13 (b) global vm=5 anon=4 file=3 shmem=2\n" BARE("14 (c)") },
    { "two groups in a burst",
      KILL("12 (a)") GROUP("/web") KILL("13 (b)") GROUP("/web") KILL("13 (b)")
          KILL("14 (c)"),
      BARE("12 (a)") "13 (b)" FIELDS " in=/web group\n14 (c)" FIELDS " in=/web group\n" },
    { "a gap in a group does not double", KILL("12 (a)") "@gap\n" KILL("12 (a)"),
      BARE("12 (a)") },
    { "a group whose beginning is lost", GROUP("/web") KILL("13 (b)"),
      "13 (b)" FIELDS " in=/web group\n" },
};

#endif
