# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# A root with a user's httpd, made of RPMs by dnf, with the stand-in and a project of the
# repository in etc/yum.repos.d. Folders are below $TMP.

# dnf_in ROOT ARGUMENT...
dnf_in () {
    in=$1
    shift
    dnf -y -c "$HOME/dnf.conf" --installroot="$in" --releasever=44 \
        --setopt="reposdir=$in/etc/yum.repos.d" "$@"
}

# new_root ROOT PROJECT
new_root () {
    mkdir -p "$1/etc/yum.repos.d" || return 1
    printf '[fedora]\nname=Stand-in for Fedora\nbaseurl=file://%s/run\ngpgcheck=0\n' "$FEDORA" \
        >"$1/etc/yum.repos.d/fedora.repo"
    curl -sSf -o "$1/etc/yum.repos.d/_copr:copr.example.org:owner:$2.repo" \
        "$URL/results/owner/$2/$2.repo"
}

has () {
    rpm --root "$1" -q "$2"
}

has_not () {
    ! rpm --root "$1" -q "$2"
}

# Installs the guard, and gets no handler.
guard_alone () {
    dnf_in "$1" install mod_oomguard && has "$1" mod_oomguard && has_not "$1" mod_oom
}

# Nothing that the packages brought is otherwise than they brought it.
verified () {
    rpm --root "$1" -V mod_oom mod_oomguard >"$TMP/verify"
    same /dev/null "$TMP/verify"
}

# unit_said ROOT SCRIPT: what systemd says of httpd.service with the drop-in, after sed's SCRIPT
# on the latter. Its exit status is 0 even then when it has something to say. The targets
# that a unit needs are systemd's own, and this machine's.
unit_said () {
    units=$TMP/units/usr/lib/systemd/system
    rm -rf "$TMP/units"
    mkdir -p "$units" "$TMP/units/usr/sbin" && cp "$1/usr/sbin/httpd" "$TMP/units/usr/sbin" \
        && cp -a /lib/systemd/system/*.target "$1/usr/lib/systemd/system/." "$units" || return 1
    sed -i "$2" "$units/httpd.service.d/oomguard.conf" || return 1
    systemd-analyze verify --root="$TMP/units" --man=no httpd.service 2>&1
}

unit_is_right () {
    unit_said "$1" '' >"$TMP/unit" || return 1
    same /dev/null "$TMP/unit"
}

misspelt_is_seen () {
    unit_said "$1" 's/^OOMPolicy=/OOMPolizy=/' | grep "Unknown key 'OOMPolizy'"
}
