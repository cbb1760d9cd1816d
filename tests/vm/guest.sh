# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2034 # the cases use what is set here
# Runs in the guest, as root and as a service of its own; what it prints goes to the host (TAP).
# The suite is installed here as its README says, and each case starts from the service as the
# distribution ships it.

export LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin SYSTEMD_PAGER='' SYSTEMD_COLORS=0

SERVICE=apache2.service
CGROUP=/sys/fs/cgroup/system.slice/$SERVICE
LOG=/var/log/apache2/error.log
CONF=/etc/apache2/conf-enabled/zz-case.conf
DROPINS=/run/systemd/system/$SERVICE.d
number=0

# --- TAP.

# check WHAT COMMAND...: the command proves it.
check () {
    what=$1
    shift
    number=$((number + 1))
    if "$@"; then
        echo "ok $number - $CASE: $what"
    else
        echo "not ok $number - $CASE: $what"
        echo "# $*"
        evidence
    fi
}

note () {
    echo "# $*"
}

evidence () {
    {
        systemctl show $SERVICE -p ActiveState,SubState,Result,MainPID,NRestarts,OOMPolicy \
            | tr '\n' ' '
        printf '\n--- error log\n'
        tail -n 12 $LOG
        echo "--- kernel"
        kernel_lines | tail -n 12
        echo "--- journal"
        journalctl -q --no-pager -o cat -u $SERVICE | tail -n 8
    } 2>&1 | cut -c1-600 | sed 's/^/#   /'
}

# eventually COMMAND...: becomes true within 30 seconds, which under emulation are few.
eventually () {
    end=$(($(date +%s) + 30))
    until "$@"; do
        [ "$(date +%s)" -lt $end ] || return 1
        sleep 0.2
    done
}

fails () {
    ! "$@"
}

# --- The service.

# The suite's drop-in, wherever "make install" has put it.
suite_dropin () {
    tar -tf /mnt/suite.tar | sed -n "s,^\./\(.*/$SERVICE\.d/oomguard\.conf\)$,/\1,p"
}

# Some distributions ship OOMPolicy=continue themselves. unprotected sets the manager's default, in
# a drop-in that sorts before the suite's, and takes that away; protected puts it back.
unprotected () {
    dropin 10-manager OOMPolicy=stop
    mv "$(suite_dropin)" /run/oomguard.conf
}

protected () {
    mv /run/oomguard.conf "$(suite_dropin)"
    systemctl reset-failed $SERVICE
    anew
}

# dropin NAME LINE...: drop-ins count in the order of their names, whatever their folders.
dropin () {
    name=$1
    shift
    mkdir -p "$DROPINS"
    { echo '[Service]'; printf '%s\n' "$@"; } >"$DROPINS/$name.conf"
}

limit () {
    dropin zz-limit "MemoryMax=$1M" MemorySwapMax=0
}

conf () {
    cat >"$CONF"
}

# Everything as the distribution and "make install" have it; the log and the scores too.
afresh () {
    systemctl stop $SERVICE
    systemctl reset-failed $SERVICE 2>/dev/null
    rm -rf "$DROPINS" "$CONF" $LOG
    mark
}

start () {
    systemctl daemon-reload
    systemctl restart $SERVICE
    eventually serves
    master=$(cat /run/apache2/apache2.pid)
}

show () {
    systemctl show $SERVICE -p "$1" --value
}

shows () {
    [ "$(show "$1")" = "$2" ]
}

# The pid of a worker that lives: the oldest is their master, the youngest may not have begun yet,
# and the killed may not be gone yet.
worker () {
    pgrep -x apache2 | sed 1d | grep -vxF "$(killed)" | head -n 1
}

# The status of an answer, or 000. Without curl, whose libraries take half a second to load here.
get () {
    # shellcheck disable=SC2016 # for the inner shell
    timeout 20 bash -c 'exec 3<>/dev/tcp/127.0.0.1/80 || exit
        printf "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n" "$0" >&3
        read -r _ code _ <&3 && echo "$code"' "$1" 2>/dev/null || echo 000
}

serves () {
    [ "$(get /)" = 200 ]
}

refuses () {
    [ "$(get /)" = 000 ]
}

same_master () {
    shows MainPID "$master" && [ -d "/proc/$master" ]
}

# visit QUERY: 0 if the connection broke off, which is how a visitor sees a worker's death.
visit () {
    curl -s -N -m 120 -o /run/stream "http://127.0.0.1/oom$1"
    case $? in
    18 | 52 | 56) return 0 ;; # cut off; nothing at all; reset
    *) return 1 ;;
    esac
}

# eat MIB: a worker, $eater, eats so much and keeps it as long as it lives, for $visitor.
eat () {
    rm -f /run/eaten
    curl -s -N -m 300 -o /run/eaten "http://127.0.0.1/oom?size=$1M&hold=300&leak=1" &
    visitor=$!
    eventually grep -qs "^allocated $1.0 MiB" /run/eaten
    eater=$(sed -n 's/^plan: .* pid \([0-9]*\),.*/\1/p' /run/eaten)
}

# only_eater_conf: nobody but the eater may be killed by starve. Else the kernel goes on to the next,
# master included, where the first one's memory is not given back at once.
only_eater_conf () {
    printf 'OOMGuardScore %s absolute -1000\n' master worker
}

# starve: the eater is killed, for somebody whom the kernel spares asks for what is left.
starve () {
    echo 1000 >"/proc/$eater/oom_score_adj"
    # shellcheck disable=SC2016 # for the inner shell
    sh -c 'echo $$ >"$0/cgroup.procs"
        exec dd if=/dev/zero of=/dev/null bs=40M count=1 status=none' $CGROUP
    wait "$visitor"
}

# stick: a worker, $stuck, is in a request that nothing ends but SIGKILL. It takes stuck_conf.
stick () {
    rm -f /run/stuck
    curl -s -N -m 300 -o /run/stuck http://127.0.0.1/stuck &
    visitor=$!
    eventually test -s /run/stuck
    read -r stuck </run/stuck
}

stuck_conf () {
    echo 'LoadModule stuck_module /usr/lib/apache2/modules/mod_stuck.so'
    printf '<Location /stuck>\nSetHandler stuck\n</Location>\n'
}

# --- Witnesses.

# The logs begin here: what the kernel and the guard wrote before counts no more.
anew () {
    mark
    : >$LOG
}

# What the kernel writes from here on belongs to what is done from here on. Its log goes on
# over all cases.
mark () {
    seen=$(dmesg | wc -l)
}

kernel_lines () {
    dmesg | tail -n +$((seen + 1)) \
        | grep -E 'invoked oom-killer|oom-kill:|Killed process|are going to be killed'
}

# The pids the kernel says it killed since the mark. With memory.oom.group it says the first
# one twice, newer kernels by the id of a thread.
killed () {
    kernel_lines | sed -n 's/.*Killed process \([0-9]*\) .*/\1/p' | sort -u
}

kills () {
    killed | wc -l
}

told () {
    grep -c OG0101 $LOG
}

# told_pids [GREP-OPTION PATTERN]
told_pids () {
    grep OG0101 $LOG | grep "$@" | sed -n 's/.*: the kernel killed [a-z]* \([0-9]*\) .*/\1/p'
}

# Each kill, and nobody else, has a line of the error log with its pid, and not two: but a
# watcher that was killed while it told of one leaves the next in doubt, which then says so.
all_told () {
    killed >/run/killed
    told_pids '' | sort -u >/run/told
    [ -s /run/killed ] && cmp -s /run/killed /run/told \
        && [ -z "$(told_pids -v 'perhaps told before' | sort | uniq -d)" ]
}

# tells WHAT TAG: one OOM kill, told so.
tells () {
    check "$1: the visit to /oom breaks off" visit ""
    check "$1: the guard tells of it, and names the request" \
        eventually grep -q "$2: the kernel killed worker .*request \"GET\" \"/oom\"" $LOG
}

# And nothing else of it: if the guard had a kill left that is counted and not told, it would take
# the next worker that is gone for it.
tells_once () {
    tells "$1" "$2"
    eventually serves
    kill -9 "$(worker)"
    check "$1: and of a kill -9 that it is none" eventually said OG0106 1
    check "$1: of each once" said 'OG01[0-9]*' 2
    check "$1: the next request is served" eventually serves
}

# What systemd says of the service since it was started last.
journal_has () {
    journalctl -q --no-pager -o cat "_SYSTEMD_INVOCATION_ID=$(show InvocationID)" \
        + "INVOCATION_ID=$(show InvocationID)" | grep -q -e "$1"
}

# said TAG TIMES
said () {
    [ "$(grep -c "$1:" $LOG)" = "$2" ]
}

event () {
    [ "$(sed -n "s/^$1 //p" $CGROUP/memory.events)" -ge "$2" ]
}

score () {
    cat "/proc/$1/oom_score_adj"
}

# --- All of it.

version () {
    systemctl --version | sed -n '1s/systemd \([0-9]*\).*/\1/p'
}

where="Linux $(uname -r), systemd $(version)"
where="$where, $(apache2 -v | sed -n '1s,.*Apache/\([0-9.]*\).*,httpd \1,p')"
note "$where, up in $(cut -d' ' -f1 /proc/uptime) s"
systemctl stop $SERVICE
tar -C / --keep-directory-symlink --no-overwrite-dir -xf /mnt/suite.tar
a2enmod -q oom oomguard >/dev/null
# Each "daemon-reload" runs them all, and no unit that matters here comes from one: they take
# two of its three seconds.
mkdir -p /run/systemd/system-generators
for g in /lib/systemd/system-generators/*; do
    ln -s /dev/null "/run/systemd/system-generators/${g##*/}"
done
# It has every worker start a Python, and one case alone needs it.
a2dismod -q wsgi >/dev/null
systemctl daemon-reload
while read -r CASE <&3; do
    began=$(date +%s)
    note "$CASE on $where"
    afresh
    # shellcheck source=/dev/null
    . /mnt/cases/[0-9]-"$CASE".sh
    note "$CASE took $(($(date +%s) - began)) s"
done 3</mnt/wanted
stty -F /dev/ttyS2 -opost
dd if=/dev/kmsg of=/dev/ttyS2 bs=8192 iflag=nonblock status=none 2>/dev/null
echo "1..$number"
