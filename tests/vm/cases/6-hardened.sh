# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# A unit that is shut off from the kernel's log and from capabilities, by one line of systemd's at
# a time, and by all of them: the guard says once what it can't do, and tells the kill all the same.
# With the optional lines of the suite's drop-in it can do all of it again.

# What the guard says of it at its start, how it then tells a kill, and the line. Where /dev/kmsg
# is hidden it reads the log by syslog(2). Before Linux 6.8 CAP_SYS_ADMIN does for CAP_SYSLOG.
cat >/run/hardened <<END
OG0301 OG0104 ProtectKernelLogs=yes
- OG0101 PrivateDevices=yes
- OG0101 DevicePolicy=closed
- OG0101 ProtectControlGroups=yes
- OG0101 NoNewPrivileges=yes
- OG0101 ProtectProc=invisible
OG0201 OG0101 CapabilityBoundingSet=~CAP_SYS_RESOURCE
OG0301 OG0104 CapabilityBoundingSet=~CAP_SYSLOG CapabilityBoundingSet=~CAP_SYS_ADMIN
END

# systemd passes over a line that it doesn't know.
in_force () {
    for l in "$@"; do
        case $l in
        *=~*) ! show "${l%%=*}" | grep -qiw "${l#*=~}" ;;
        *) shows "${l%%=*}" "${l#*=}" ;;
        esac || return 1
    done
}

# What the guard can't do, as far as it has said.
complaints () {
    said=$(sed -n 's/.* \(OG0[23][0-9]*\): .*/\1/p' $LOG | sort | tr '\n' ',')
    echo "${said%,}"
}

# trial COMPLAINTS TAG WHAT LINE...
trial () {
    can_not=$1 tag=$2 what=$3
    shift 3
    dropin 10-hardened "$@"
    anew
    start
    check "$what: the guard says once what it can't do: $can_not" \
        test "$(complaints)" = "${can_not#-}"
    if [ $tag = OG0101 ]; then
        tells "$what" $tag
        check "$what: by its pid" eventually all_told
    else
        tells_once "$what" $tag
    fi
    check "$what: the master is the same" test -d "/proc/$master"
}

limit 48
all=''
while read -r can_not tag line <&4; do
    all="$all $line"
    trial $can_not $tag "$line" $line
done 4</run/hardened
trial OG0301 OG0104 "syslog(2) is deadly" PrivateDevices=yes SystemCallFilter=~syslog
trial OG0201,OG0301 OG0104 all $all
check "all: are in force" in_force $all

systemctl reload $SERVICE
check "after a reload" eventually said AH00489 2
check "it says nothing again of what it can't do" test "$(complaints)" = OG0201,OG0301
check "workers have their score all the same" test "$(score "$(worker)")" = 200

anew
# The optional lines are those that begin with "#" and a name of systemd's.
sed -n 's/^#\([A-Z][A-Za-z]*=\)/\1/p; /^\[/p' "$(suite_dropin)" >"$DROPINS/oomguard-optional.conf"
start
check "optional lines: the guard has no complaint" test "$(complaints)" = ''
check "optional lines: the master has -900" test "$(score "$master")" = -900
check "optional lines: the visit to /oom breaks off" visit ""
check "optional lines: the guard has told every kill" eventually all_told
check "optional lines: the master is the same" same_master
