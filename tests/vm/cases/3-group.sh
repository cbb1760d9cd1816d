# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# OOMPolicy=kill: the kernel kills the whole service (memory.oom.group), the watcher too. What
# the guard still manages to say, and what a master at -1000 changes.

only_killed_told () {
    told_pids '' >/run/told
    killed >/run/killed
    ! grep -qvxFf /run/killed /run/told
}

dropin zz-kill OOMPolicy=kill
limit 128
start
check "memory.oom.group is set" grep -qx 1 $CGROUP/memory.oom.group
check "the visit to /oom breaks off" visit ""
check "the service has failed" eventually shows ActiveState failed
check "systemd says why" shows Result oom-kill
check "the master was killed" grep -qx "$master" <<END
$(killed)
END
check "the guard has told of nobody but the killed" only_killed_told
note "of $(kills) killed the guard, killed with the others, has told $(told)"
told=$(told)
systemctl reset-failed $SERVICE
start
check "the next httpd tells that the one before did not stop" said OG0110 1
check "and of all that were killed" eventually all_told
note "$(($(told) - told)) of them only then"

afresh
dropin zz-kill OOMPolicy=kill
limit 128
echo 'OOMGuardScore master absolute -1000' | conf
start
check "master at -1000: it is" test "$(score "$master")" = -1000
check "master at -1000: the visit to /oom breaks off" visit ""
check "master at -1000: the service has failed all the same" eventually shows ActiveState failed
check "master at -1000: the kernel has killed" test "$(kills)" -gt 0
check "master at -1000: but not the master" fails grep -qx "$master" <<END
$(killed)
END
check "master at -1000: systemd has" eventually journal_has "Killing process $master .*SIGKILL"
check "master at -1000: the guard has told of nobody but the killed" only_killed_told
note "of $(kills) killed the guard, which systemd ended, has told $(told)"
