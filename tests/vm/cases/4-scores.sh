# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# The master's score is really lowered, which takes CAP_SYS_RESOURCE, and nobody inherits it:
# not the workers, nor anything else that httpd starts, at its start, after a graceful restart,
# and when one of them has died and is replaced.

mkdir -p /var/www/case
cat >/var/www/case/score.cgi <<'END'
#!/bin/sh
printf 'Content-Type: text/plain\n\n'
cat /proc/$$/oom_score_adj
END
chmod 755 /var/www/case/score.cgi
cat >/var/www/case/score.wsgi <<'END'
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    with open("/proc/self/oom_score_adj", "rb") as score:
        return [score.read()]
END
conf <<'END'
CustomLog "|/usr/bin/rotatelogs /run/case.log 86400" common
WSGIRestrictEmbedded On
WSGIDaemonProcess case display-name=wsgi-case
WSGIScriptAlias /wsgi /var/www/case/score.wsgi process-group=case
ScriptAlias /cgi /var/www/case/score.cgi
<Directory /var/www/case>
    Require all granted
</Directory>
END
a2enmod -q cgid wsgi >/dev/null

# Where piped loggers are started, systemd may find no MainPID: those of the first reading of
# the configuration are still there, and are its own children like the master.
master () {
    cat /run/apache2/apache2.pid
}

# The master's children: "worker N", "cgid N", "logger N", "watcher N", "wsgi N". A worker and
# mod_cgid's daemon have the same name; only the latter has no thread but one.
family () {
    for pid in $(pgrep -P "$(master)"); do
        { read -r name <"/proc/$pid/comm"; } 2>/dev/null || continue # it has ended
        case $name in
        oomguard) echo "watcher $pid" ;;
        rotatelogs) echo "logger $pid" ;;
        *)
            set -- /proc/$pid/task/*
            if grep -qs wsgi-case "/proc/$pid/cmdline"; then
                echo "wsgi $pid"
            elif [ $# = 1 ]; then
                echo "cgid $pid"
            else
                echo "worker $pid"
            fi ;;
        esac
    done
}

# "KIND SCORE" for each of them, without doubles.
scores () {
    family | while read -r kind pid; do
        read -r is <"/proc/$pid/oom_score_adj" && echo "$kind $is"
    done 2>/dev/null | sort -u
}

settled () {
    now=$(scores)
    [ "$now" = "$(printf '%s\n' 'cgid 0' 'logger 0' 'watcher -900' 'worker 200' 'wsgi 0')" ]
}

has () {
    case $now in
    *"$1 $2"*) [ "$(printf '%s\n' "$now" | grep -c "^$1 ")" = 1 ] ;;
    *) false ;;
    esac
}

all_have_theirs () {
    eventually settled
    check "$1: the master has -900" test "$(score "$(master)")" = -900
    check "$1: so has the watcher" has watcher -900
    check "$1: workers have 200" has worker 200
    check "$1: the piped logger has 0" has logger 0
    check "$1: mod_cgid's daemon has 0" has cgid 0
    check "$1: mod_wsgi's daemon has 0" has wsgi 0
    check "$1: a CGI script has 0" test "$(curl -s -m 20 http://127.0.0.1/cgi)" = 0
    check "$1: a WSGI application has 0" test "$(curl -s -m 20 http://127.0.0.1/wsgi)" = 0
}

# There is one of that kind that was not there $before.
is_new () {
    family | grep "^$1 " | grep -qvxF "$before"
}

start
first=$(master)
all_have_theirs "after the start"
before=$(family)
systemctl reload $SERVICE
eventually is_new worker
all_have_theirs "after a reload"
for kind in worker logger cgid wsgi watcher; do
    before=$(family)
    kill -9 "$(printf '%s\n' "$before" | sed -n "s/^$kind //p" | head -n 1)"
    check "$kind killed: there is a new one" eventually is_new $kind
done
all_have_theirs "after the death of each"
check "the master is the same" test "$(master)" = "$first"
a2dismod -q cgid wsgi >/dev/null
