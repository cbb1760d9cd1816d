# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# Others kill, too: each is named for what it is, and with the request.

stuck_conf | conf
start
eat 4
kill -9 "$eater"
check "kill -9: the guard names it" eventually said OG0106 1
check "kill -9: and the request" \
    grep -q "OG0106: worker $eater, .*somebody's SIGKILL.*request \"GET\" \"/oom\"" $LOG
check "kill -9: the next request is served" eventually serves

# A worker that is stuck has nine seconds to end.
stick
kill -HUP "$master"
wait "$visitor"
check "httpd's own SIGKILL: the guard names it" eventually said OG0107 1
check "httpd's own SIGKILL: and the request" \
    grep -q "OG0107: httpd itself sent SIGKILL to worker $stuck, .*request \"GET\" \"/stuck\"" $LOG
check "httpd's own SIGKILL: the next request is served" eventually serves

check "each was told once" said 'OG01[0-9]*' 2
check "the master is the same" same_master

# systemd-oomd kills all that is in the cgroup, the watcher too, and the kernel counts none of it.
# Of its own marks, user.oomd_kill on the cgroup, nothing is left when the next httpd starts; but
# systemd writes to the journal.
afresh
if [ -x /lib/systemd/systemd-oomd ]; then
    mkdir -p /run/systemd/oomd.conf.d
    printf '[OOM]\nDefaultMemoryPressureDurationSec=1s\n' >/run/systemd/oomd.conf.d/case.conf
    dropin 10-oomd ManagedOOMMemoryPressure=kill ManagedOOMMemoryPressureLimit=1% Restart=no
    limit 64
    systemctl daemon-reload
    systemctl start systemd-oomd.service
    start
    killed=$master
    # What reads more than its cgroup has room for waits for memory again and again.
    # shellcheck disable=SC2016 # for the inner shell
    sh -c 'echo $$ >"$0/cgroup.procs"
        while :; do find /usr/lib -type f -exec cat {} + >/dev/null; done' $CGROUP &
    check "systemd-oomd: the service has failed" eventually shows ActiveState failed
    check "systemd-oomd: systemd says why" eventually journal_has 'systemd-oomd killed'
    check "systemd-oomd: the master is gone" fails test -d "/proc/$master"
    check "systemd-oomd: the kernel has killed nobody" test "$(kills)" = 0
    start
    check "systemd-oomd: the next httpd names it" \
        grep -q "OG0111: systemd-oomd killed .*, master $killed, .*\".*systemd-oomd killed " $LOG
    check "systemd-oomd: and nothing else" said 'OG01[0-9]*' 1
    check "systemd-oomd: the next request is served" serves
    systemctl stop systemd-oomd.service systemd-oomd.socket
else
    note "no systemd-oomd in systemd $(version) of this release"
fi
