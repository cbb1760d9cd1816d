# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is used by those who source it
# A repository as Copr lays it out, $TMP/www/results/OWNER/PROJECT, signed with the project's
# own key and served by this machine's httpd on loopback.

CHROOT=fedora-44-$(uname -m)

# new_key NAME: a key of that name that nobody else has.
new_key () {
    gpg --batch --quiet --passphrase '' --quick-gen-key "$1" rsa2048 sign never
}

# new_project PROJECT KEY: the public key, and the file that "dnf copr enable" fetches.
new_project () {
    project=$TMP/www/results/owner/$1
    mkdir -p "$project/$CHROOT" && gpg --batch --armor --export "$2" >"$project/pubkey.gpg" \
        || return 1
    cat >"$project/$1.repo" <<END
[copr:copr.example.org:owner:$1]
name=Copr repo for $1 owned by owner
baseurl=$URL/results/owner/$1/fedora-\$releasever-\$basearch/
type=rpm-md
skip_if_unavailable=True
gpgcheck=1
gpgkey=$URL/results/owner/$1/pubkey.gpg
repo_gpgcheck=0
enabled=1
enabled_metadata=1
END
}

# publish PROJECT BUILD KEY RPM...: signs and adds them; with KEY "" unsigned.
publish () {
    folder=$TMP/www/results/owner/$1/$CHROOT
    build=$folder/$2-mod_oom
    key=$3
    shift 3
    mkdir "$build" && cp "$@" "$build" || return 1
    if [ -n "$key" ]; then
        rpmsign --addsign --define "_gpg_name $key" --define "__gpg $(command -v gpg)" \
            "$build"/*.rpm || return 1
    fi
    createrepo_c -q --update "$folder"
}

# Sets URL and SERVER.
serve () {
    find_httpd && mkdir "$TMP/www" || return 1
    port=$(free_port) || return 1
    URL=http://127.0.0.1:$port
    {
        echo "ServerRoot $TMP"
        echo "ServerName localhost"
        echo "Listen 127.0.0.1:$port"
        echo "PidFile $TMP/server.pid"
        echo "DefaultRuntimeDir $TMP"
        echo "ErrorLog $TMP/server.log"
        echo "User $(worker_user)"
        echo "Group $(id -gn "$(worker_user)")"
        echo "DocumentRoot $TMP/www"
        load_modules mpm_event unixd authz_core
    } >"$TMP/server.conf"
    "$HTTPD" -f "$TMP/server.conf" -DFOREGROUND >"$TMP/server.out" 2>&1 </dev/null &
    SERVER=$!
    n=0
    until curl -s -m 1 -o /dev/null "$URL/"; do
        n=$((n + 1))
        if [ $n -gt 100 ] || ! kill -0 "$SERVER" 2>/dev/null; then
            cat "$TMP/server.out" "$TMP/server.log"
            return 1
        fi
        sleep 0.1
    done
}
