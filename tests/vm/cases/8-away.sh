# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# Kills while nobody watches: each is told at the next opportunity, once, and marked so.

watcher () {
    pgrep -x -P "$master" oomguard
}

one_is_killed () {
    [ "$(kills)" = 1 ]
}

eater_is_killed () {
    killed | grep -qx "$eater"
}

# The kill of $eater is told by its pid and with what else is asked for; and nobody else.
is_told () {
    eventually grep -q "OG0101: the kernel killed [a-z]* $eater \"apache2\".*$1" $LOG && all_told
}

# So that systemd leaves to die whom it is told to.
dropin 10-away KillMode=process Restart=no
limit 128
{ stuck_conf; only_eater_conf; } | conf
start
eat 90
stopped=$(watcher)
kill -STOP "$stopped"
starve
check "watcher stopped: the kernel has killed" eater_is_killed
check "watcher stopped: nobody has told of it" said OG0101 0
kill -CONT "$stopped"
check "watcher stopped: it goes on, and tells of it" is_told 'request "GET" "/oom"'

anew
eat 90
# No master that could start the next one.
kill -STOP "$master"
kill -9 "$(watcher)"
starve
check "watcher killed: the kernel has killed" eater_is_killed
kill -CONT "$master"
check "watcher killed: the next one tells of it" is_told 'request "GET" "/oom".*read late'
check "watcher killed: the master is the same" same_master

anew
# Stuck as well as large, it holds up the restart.
eat 90
until [ "${stuck-}" = "$eater" ] || ! serves; do
    stick
done
systemctl --no-block restart $SERVICE
check "restart: httpd is about to stop" eventually grep -q 'AH0049[12]: ' $LOG
starve
check "restart: the kernel has killed" eater_is_killed
check "restart: the kill is told" is_told 'request "GET" "/'
check "restart: there is another master" eventually fails test -d "/proc/$master"
check "restart: the next request is served" eventually serves

anew
master=$(cat /run/apache2/apache2.pid)
eat 90
kill -9 "$(watcher)" "$master"
check "all killed but the workers: the service has failed" eventually shows ActiveState failed
starve
check "all killed but the workers: the kernel has killed" eater_is_killed
pkill -9 -x apache2
start
check "all killed but the workers: the next httpd says so" said OG0110 1
check "all killed but the workers: and tells the kill" \
    is_told 'of the httpd before this one.*read late'

# Somebody else is killed while httpd is stopped, as httpd's user.
systemctl stop $SERVICE
anew
systemd-run -q -p User=www-data -p MemoryMax=16M -p MemorySwapMax=0 \
    dd if=/dev/zero of=/dev/null bs=64M count=1
check "stopped: the kernel has killed" eventually one_is_killed
echo 'LogLevel oomguard:info' | conf
start
check "stopped: the guard has read of it" eventually said OG0103 1
check "stopped: and takes it for nobody of its own" said 'OG01[0-9]*' 1
