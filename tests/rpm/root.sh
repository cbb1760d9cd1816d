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
    curl -sSf -o "$1/etc/yum.repos.d/_copr:copr.fedorainfracloud.org:owner:$2.repo" \
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

# What systemd says of httpd.service with the drop-in. Its exit status is 0 even then when it
# has something to say.
unit_is_right () {
    systemd-analyze verify --root="$1" --man=no httpd.service >"$TMP/unit" 2>&1
    same /dev/null "$TMP/unit"
}

# The same, of a drop-in that has its key misspelt.
unit_is_wrong () {
    cp -a "$1/usr/lib/systemd" "$TMP/systemd"
    mkdir -p "$TMP/misspelt/usr/lib" "$TMP/misspelt/usr/sbin"
    cp "$1/usr/sbin/httpd" "$TMP/misspelt/usr/sbin" && mv "$TMP/systemd" "$TMP/misspelt/usr/lib"
    sed -i 's/^OOMPolicy=/OOMPolizy=/' \
        "$TMP/misspelt/usr/lib/systemd/system/httpd.service.d/oomguard.conf"
    refused "OOMPolizy" unit_is_right "$TMP/misspelt"
}
