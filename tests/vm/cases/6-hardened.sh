# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# A unit that is shut off from the kernel's log and from capabilities: the guard says once what
# it can't do. With the optional lines of the suite's drop-in it can.

hardened () {
    dropin 10-hardened ProtectKernelLogs=yes PrivateDevices=yes DevicePolicy=closed \
        CapabilityBoundingSet="CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE \
CAP_SETGID CAP_SETUID"
    limit 128
}

hardened
start
check "the guard can't read the log, and says so once" said OG0301 1
check "nor lower a score, and says so once" said OG0201 1
systemctl reload $SERVICE
check "after a reload" eventually said AH00489 2
check "it says nothing again of the log" said OG0301 1
check "nor of the score" said OG0201 1
check "workers have their score all the same" \
    test "$(score "$(pgrep -x -P "$(show MainPID)" apache2 | head -n 1)")" = 200
check "the visit to /oom breaks off" visit ""
check "the guard tells of it all the same, and names the request" \
    eventually grep -q 'OG0104: .*counts an OOM kill more.*request "GET" "/oom"' $LOG
check "the master is the same" same_master
check "the next request is served" serves

afresh
hardened
# The optional lines are those that begin with "#" and a name of systemd's.
mkdir -p "$DROPINS"
sed -n 's/^#\([A-Z][A-Za-z]*=\)/\1/p; /^\[/p' "$(suite_dropin)" >"$DROPINS/oomguard-optional.conf"
start
check "optional lines: the guard has no complaint" test "$(grep -cE 'OG0[23]0[13]:' $LOG)" = 0
check "optional lines: the master has -900" test "$(score "$(show MainPID)")" = -900
check "optional lines: the visit to /oom breaks off" visit ""
check "optional lines: the guard has told every kill" eventually all_told
check "optional lines: the master is the same" same_master
