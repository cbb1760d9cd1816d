# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# The machine runs out of memory, not a cgroup: the scores decide who dies. A bystander that is
# larger than the worker is killed without the guard, and lives with it.

start
# A machine that drops its programs' pages for want of memory reads them again and again, and
# spends minutes before it gives up. Here they stay.
programs=$({
    cat /proc/[0-9]*/maps | sed -n 's,^[^/]* \(/usr/[^ ]*\)$,\1,p'
    ldd /usr/bin/curl | sed -n 's,.*[[:space:]]\(/[^ ]*\) .*,\1,p' | xargs realpath
} | sort -u)
systemd-run -q --unit programs -p OOMScoreAdjust=-1000 -p LimitMEMLOCK=infinity python3 -c '
import ctypes, mmap, os, sys, time
ctypes.CDLL(None).mlockall(3)  # what is mapped now, and from now on
hold = [mmap.mmap(os.open(f, os.O_RDONLY), 0, prot=mmap.PROT_READ) for f in sys.argv[1:]]
open("/run/programs", "w").close()
time.sleep(3600)' $programs /usr/bin/curl
check "the programs stay in memory" eventually test -e /run/programs

# Holds $1 KiB: dd reads it all, and then nobody takes it.
bystander () {
    # shellcheck disable=SC2016 # for the inner shell
    systemd-run -q --unit bystander -p OOMPolicy=continue bash -c \
        'exec dd if=/dev/zero bs="$0K" count=1 iflag=fullblock status=none > >(exec sleep 3600)' "$1"
}

# The bystander has $1 KiB.
holds () {
    rss=$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\) kB/\1/p' \
        "/proc/$(systemctl show bystander -p MainPID --value)/status" 2>/dev/null)
    [ "${rss:-0}" -ge "$1" ]
}

# Too much for both; when that is seen, the worker still has less than the bystander.
squeeze () {
    systemctl stop bystander 2>/dev/null
    systemctl reset-failed bystander 2>/dev/null
    # Nor is there much else to be dropped first.
    echo 3 >/proc/sys/vm/drop_caches
    free=$(sed -n 's/^MemAvailable: *\([0-9]*\) kB/\1/p' /proc/meminfo)
    large=$((free * 55 / 100))
    bystander $large
    eventually holds $large || return 1
    note "$free KiB are free; the bystander has $large of them"
    visit "?size=$((free * 80 / 100))K&hold=1"
}

echo 'OOMGuard Off' | conf
start
check "without the guard: the worker goes on" fails squeeze
check "without the guard: the bystander is killed" fails holds "$large"
check "without the guard: as the kernel says" test "$(kills)" = 1

afresh
unprotected
start
check "OOMPolicy=stop: is in force" shows OOMPolicy stop
check "OOMPolicy=stop: the visit to /oom breaks off" squeeze
check "OOMPolicy=stop: the bystander lives" holds "$large"
check "OOMPolicy=stop: the service has failed" eventually shows ActiveState failed
check "OOMPolicy=stop: systemd says why" shows Result oom-kill

protected
start
check "OOMPolicy=continue is in force" shows OOMPolicy continue
check "the visit to /oom breaks off" squeeze
check "the bystander lives" holds "$large"
check "the guard has told every kill" eventually all_told
check "and that it was the machine's memory" grep -q 'OG0101: .*the machine is out of memory' $LOG
check "the kernel has counted the kill in the unit" event oom_kill 1
check "and no limit of the unit" event oom 0
check "the master is the same" same_master
check "the service is active" shows ActiveState active
check "the next request is served" serves
systemctl stop bystander
systemctl stop programs
