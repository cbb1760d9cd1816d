# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# systemctl reload and restart under load, with a kill while they are under way; and what is
# left when systemd stops the service: nothing.

# Visitors until $1 is there. Their failures are counted by the letter.
load () {
    for i in 1 2; do
        while ! [ -e "$1" ]; do
            case $(get /) in
            200) echo ok ;;
            *) echo failed ;;
            esac
        done >"/run/load.$i" &
    done
}

end_load () {
    : >"$1"
    wait
    cat /run/load.[12] >/run/load
    rm -f "$1" /run/load.[12]
    note "the visitors were served $(grep -c ok /run/load) times, and failed $(grep -c failed /run/load) times"
}

# A visit to /oom that is killed in about a second, and what happens meanwhile.
kill_during () {
    visit "?rate=60M" &
    visitor=$!
    sleep 0.3
    "$@"
    wait $visitor
}

limit 128
start
load /run/enough
check "reload: the visit to /oom breaks off" kill_during systemctl reload $SERVICE
check "reload: the guard has told every kill" eventually all_told
check "reload: the master is the same" same_master
check "reload: the service is active" shows ActiveState active
check "reload: the next request is served" serves
end_load /run/enough

mark
: >$LOG
load /run/enough
check "restart: the visit to /oom breaks off" kill_during systemctl restart $SERVICE
check "restart: the guard has told every kill" eventually all_told
check "restart: there is another master" fails same_master
check "restart: the service is active" shows ActiveState active
check "restart: and never failed" shows Result success
check "restart: the next request is served" eventually serves
end_load /run/enough

systemctl stop $SERVICE
check "stop: the service is inactive" shows ActiveState inactive
check "stop: its cgroup is gone" fails test -d $CGROUP
check "stop: no worker is left" fails pgrep -x apache2
check "stop: no watcher is left" fails pgrep -x oomguard
check "stop: no shared memory is left" test -z "$(tail -n +2 /proc/sysvipc/shm)$(ls /dev/shm)"
check "stop: no semaphore is left" test -z "$(tail -n +2 /proc/sysvipc/sem)"
check "stop: nothing is left in its folders" test -z "$(find /run/apache2 /run/lock/apache2 -type f -o -type s 2>/dev/null)"
