# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh disable=SC2154,SC2086 # guest.sh sets the names; none has a space
# Others kill, too: each is named for what it is, and with the request.

stuck_conf | conf
start
eat 4
kill -9 "$eater"
check "kill -9: the guard names it" eventually said OG0106 1
check "kill -9: and the request" \
    grep -q "OG0106: worker $eater, .*somebody's SIGKILL.*request \"GET\" \"/oom\"" $LOG
check "kill -9: the next request is served" eventually serves

# A worker that is stuck has nine seconds to end.
stick
kill -HUP "$master"
wait "$visitor"
check "httpd's own SIGKILL: the guard names it" eventually said OG0107 1
check "httpd's own SIGKILL: and the request" \
    grep -q "OG0107: httpd itself sent SIGKILL to worker $stuck, .*request \"GET\" \"/stuck\"" $LOG
check "httpd's own SIGKILL: the next request is served" eventually serves

check "each was told once" test "$(grep -c 'OG01[0-9]*: ' $LOG)" = 2
check "the master is the same" same_master
