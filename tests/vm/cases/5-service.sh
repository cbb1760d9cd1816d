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
            sleep 0.5
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

another_master () {
    ! [ -d "/proc/$master" ] && ! shows MainPID "$master" && ! shows MainPID 0
}

# The visit to /oom is made by systemd itself, as the first thing it does for a reload, a restart
# or a stop: so the kill is in their midst.
broke_off () {
    case $(cat /run/visited) in
    18 | 52 | 56) rm /run/visited ;;
    *) false ;;
    esac
}

cat >/run/visit.sh <<'END'
curl -s -N -m 120 -o /dev/null http://127.0.0.1/oom
echo $? >/run/visited
END
dropin 30-visit ExecReload= "ExecReload=/bin/sh /run/visit.sh" \
    "ExecReload=/usr/sbin/apachectl graceful" \
    ExecStop= "ExecStop=/bin/sh /run/visit.sh" "ExecStop=/usr/sbin/apachectl graceful-stop"
limit 128
start
load /run/enough
systemctl reload $SERVICE
check "reload: the visit to /oom breaks off" broke_off
check "reload: the guard has told every kill" eventually all_told
check "reload: the master is the same" same_master
check "reload: the service is active" shows ActiveState active
check "reload: the next request is served" serves
end_load /run/enough

anew
load /run/enough
systemctl restart $SERVICE
check "restart: the visit to /oom breaks off" broke_off
check "restart: the guard has told every kill" eventually all_told
check "restart: there is another master" eventually another_master
check "restart: the service is active" eventually shows ActiveState active
check "restart: and never failed" shows Result success
check "restart: the next request is served" eventually serves
end_load /run/enough

anew
systemctl stop $SERVICE
check "stop: the visit to /oom breaks off" broke_off
check "stop: the guard has told every kill" all_told
check "stop: the service is inactive" shows ActiveState inactive
check "stop: its cgroup is gone" fails test -d $CGROUP
check "stop: no worker is left" fails pgrep -x apache2
check "stop: no watcher is left" fails pgrep -x oomguard
check "stop: no shared memory is left" test -z "$(tail -n +2 /proc/sysvipc/shm)$(ls /dev/shm)"
check "stop: no semaphore is left" test -z "$(tail -n +2 /proc/sysvipc/sem)"
check "stop: nothing but the guard's state is left in its folder" \
    test "$(find /run/apache2 ! -type d)" = /run/apache2/oomguard.state
