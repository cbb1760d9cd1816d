# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# The story that this suite comes from: one killed worker stops the service. With the drop-in
# it goes on.

limit 128
unprotected
start
check "OOMPolicy=stop: is in force" shows OOMPolicy stop
check "OOMPolicy=stop: the visit to /oom breaks off" visit ""
check "OOMPolicy=stop: the service has failed" eventually shows ActiveState failed
check "OOMPolicy=stop: systemd says why" shows Result oom-kill
check "OOMPolicy=stop: the master is gone" fails test -d "/proc/$master"
check "OOMPolicy=stop: the next request is refused" refuses

protected
conf <<END
OOMGuardJournal On
END

# journal FIELD...: the guard's entries that have all of these, a field a line.
journal () {
    journalctl -q --no-pager -o export SYSLOG_IDENTIFIER=oomguard _SYSTEMD_UNIT=$SERVICE "$@"
}

all_in_journal () {
    [ "$(journal MESSAGE_ID=7db0fa0e2c3d4120b8ae6d97af3fad9a \
        | sed -n 's/^OOMGUARD_PID=//p' | sort)" = "$(killed)" ]
}

start
check "drop-in: systemd has read it" grep -qxF "$(realpath "$(suite_dropin)")" <<END
$(show DropInPaths | xargs realpath)
END
check "drop-in: OOMPolicy=continue is in force" shows OOMPolicy continue
check "drop-in: the visit to /oom breaks off" visit ""
check "drop-in: the kernel has counted the kill" eventually event oom_kill 1
check "drop-in: systemd knows of it" eventually journal_has 'killed by the OOM killer'
check "drop-in: the guard has told every kill" eventually all_told
check "drop-in: and the request" grep -q 'OG0101: .*request "GET" "/oom"' $LOG
check "drop-in: the journal has one entry for each kill" eventually all_in_journal
check "drop-in: with the request and the line" grep -q '^MESSAGE=OG0101: .*"/oom"' <<END
$(journal OOMGUARD_PATH=/oom PRIORITY=2)
END
check "drop-in: and one of the watcher's start" grep -q '^MESSAGE=the watcher of httpd' <<END
$(journal MESSAGE_ID=e75b624468fb44a196b287a1b8507ba9)
END
check "drop-in: the killed is not the master" fails grep -qx "$master" <<END
$(killed)
END
check "drop-in: the service is active" shows ActiveState active
check "drop-in: and never failed" shows Result success
check "drop-in: systemd has restarted nothing" shows NRestarts 0
check "drop-in: the master is the same" same_master
check "drop-in: the next request is served" serves
