# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# The suite, built and tested in a chroot of the release it is to run on, from the tarball that
# a user would unpack. Sourced by tests/vm/run, after image.sh.

# suite_make NAME: sets SUITE, a folder with suite.tar, which is what "make install" installs in
# $IMAGE. Built anew when a source has changed.
suite_make () {
    SUITE=$BUILD/vm-$1
    sum=$IMAGE\ $(cd "$SRC" && tr '\n' '\0' <"$BUILD/files" | xargs -0 cksum | cksum)
    [ "$sum" != "$(cat "$SUITE/made" 2>/dev/null)" ] || return 0
    rm -rf "$SUITE"
    mkdir "$SUITE" || return 1
    make -s -C "$BUILD/werror" dist && tar -C "$SUITE" -xJf "$BUILD"/werror/mod_oom-*.tar.xz || return 1
    # A mount namespace of its own: the mounts are gone when it ends.
    # shellcheck disable=SC2016 # for the inner shells
    unshare -m --propagation private -- sh -ec '
        mount --bind "$0" "$1/build"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "
            cd /build/mod_oom-*
            ./configure -q --enable-werror
            make -s -j $2
            make -s -j $2 check || { cat test-suite.log; exit 1; }
            make -s install DESTDIR=/build/root"
        ' "$SUITE" "$IMAGE/root" "$(nproc)" || return 1
    tar -C "$SUITE/root" -cf "$SUITE/suite.tar" . && printf '%s\n' "$sum" >"$SUITE/made"
}
