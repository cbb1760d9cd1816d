# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# The suite, built and tested in a chroot of the release it is to run on, from the tarball that
# a user would unpack. Sourced by tests/vm/run, after image.sh.

# suite_make NAME: sets SUITE, a folder with suite.tar, which is what "make install" installs in
# $IMAGE, and a module for the cases, from the tarball in $BUILD/werror. Made again when a source
# has changed; a second build finds the first one's objects. What is to be installed is compiled as
# a user would, and its tests the fastest way; lint is a tier of its own.
suite_make () {
    SUITE=$BUILD/vm-$1
    if [ "$IMAGE" != "$(cat "$SUITE/image" 2>/dev/null)" ]; then
        rm -rf "$SUITE"
        mkdir "$SUITE" "$SUITE/objects" && echo "$IMAGE" >"$SUITE/image" || return 1
    fi
    # All sources but those that are only used outside of the chroot.
    sum=$(cd "$SRC" && {
        grep -vE '^(README|NEWS|rpm/|tests/(bench|integration|rpm|vm)/)' "$BUILD/files"
        printf '%s\n' tests/integration/mod_stuck.c tests/vm/suite.sh
    } | tr '\n' '\0' | xargs -0 cksum | cksum)
    [ "$sum" != "$(cat "$SUITE/made" 2>/dev/null)" ] || return 0
    rm -rf "$SUITE/made" "$SUITE/src" "$SUITE/root"
    mkdir "$SUITE/src" \
        && tar -C "$SUITE/src" --strip-components=1 -xJf "$BUILD"/werror/mod_oom-*.tar.xz || return 1
    # A mount namespace of its own: the mounts are gone when it ends.
    # shellcheck disable=SC2016 # for the inner shells
    unshare -m --propagation private -- sh -ec '
        mount --bind "$0" "$1/build"
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        exec chroot "$1" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin sh -ec "
            cd /build/objects
            [ -f Makefile ] || ../src/configure -q -C --enable-werror
            make -s -j $2
            make -s -j $2 check LINTS= CFLAGS=-O0 || { cat test-suite.log; exit 1; }
            make -s install DESTDIR=/build/root
            mkdir -p stuck && cd stuck
            cp ../../src/tests/integration/mod_stuck.c .
            apxs -c mod_stuck.c >/dev/null
            install -m 644 .libs/mod_stuck.so /build/root\$(apxs -q LIBEXECDIR)"
        ' "$SUITE" "$IMAGE/root" "$(nproc)" || return 1
    tar -C "$SUITE/root" -cf "$SUITE/suite.tar" . && echo "$sum" >"$SUITE/made"
}
