# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# httpd in namespaces of its own, as in a container: the pids or the paths that the kernel's log
# has are not those that httpd has.

# inside UNSHARE'S-OPTIONS COMMAND: the service so, after the command.
inside () {
    dropin 10-inside Type=simple ExecStart= "ExecStart=/usr/bin/unshare $1 /bin/sh -c \
        '. /etc/apache2/envvars && mkdir -p /run/apache2 && $2 && exec apache2 -DFOREGROUND'" \
        ExecStop= 'ExecStop=/usr/bin/pkill -TERM -o -x apache2'
    anew
    start
}

own_view='umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup'
limit 48
inside '--pid --fork --mount-proc --cgroup' "$own_view"
check "pids and cgroup: httpd is the first process" test "$master" = 1
check "pids and cgroup: the guard says once that the log is of no use" said OG0305 1
tells_once "pids and cgroup" OG0104
check "pids and cgroup: by the cgroup's counter" \
    grep -q 'OG0104: .*memory cgroup "/" counts an OOM kill more' $LOG

inside '--pid --fork --mount-proc --cgroup' true
tells_once "pids, cgroup out of sight" OG0104
check "pids, cgroup out of sight: by the machine's counter" \
    grep -q 'OG0104: .*this machine counts an OOM kill more' $LOG

inside '--mount --cgroup' "$own_view"
check "cgroup: the guard has no complaint" fails grep 'OG0[23]' $LOG
tells_once "cgroup" OG0101
check "cgroup: by its pid" all_told
