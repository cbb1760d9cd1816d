# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is used by those who source it
# What tests/demo, tests/run and tests/fresh have in common. Sourced, after $TOP is set to
# the top of the sources. Sets nothing up by itself.

LC_ALL=C
export LC_ALL

die () {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

need_root () {
    [ "$(id -u)" = 0 ] || die "needs root, for $1: run it as 'sudo $0'."
}

have () {
    command -v "$1" >/dev/null 2>&1
}

# A temporary folder below which any user may pass; where, if /tmp is too small, TMPDIR says.
make_tmp () {
    tmp=$(mktemp -d "${TMPDIR:-/tmp}/$1.XXXXXX") || die "cannot make a temporary folder."
    chmod 755 "$tmp"
    printf '%s\n' "$tmp"
}

# After setsid: to Linux' scheduler a session is a group with a niceness of its own, and among
# groups that of processes does not count.
nice_session () {
    { nice >/proc/self/autogroup; } 2>/dev/null || true
}

# --- Packages. Only what is missing is installed, and never the distribution's service:
# apache2-bin is httpd without it, and on Fedora a service does not start by itself.

deb_missing () {
    for p in "$@"; do
        dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed \
            || printf '%s ' "$p"
    done
}

rpm_missing () {
    for p in "$@"; do
        rpm -q --whatprovides "$p" >/dev/null 2>&1 || printf '%s ' "$p"
    done
}

# What a set consists of, in the names of Debian or of Fedora.
packages_of () {
    case $1-$2 in
    demo-deb)
        echo apache2-bin apache2-dev autoconf automake libtool make gcc libc6-dev \
            pkg-config libjansson-dev zlib1g-dev curl util-linux ;;
    demo-rpm)
        echo httpd httpd-devel apr-devel apr-util-devel autoconf automake libtool make gcc \
            redhat-rpm-config pkgconf-pkg-config jansson-devel zlib-devel curl util-linux tar ;;
    run-deb)
        # rotatelogs is in apache2-utils.
        echo "$(packages_of demo deb)" apache2-utils check libsystemd-dev python3 python3-pytest \
            python3-pytest-xdist valgrind libc6-dbg procps xz-utils shellcheck mandoc nghttp2-client ;;
    apps-deb)
        # Real applications, for test_apps.py and test_fcgid.py of tests/integration.
        echo libapache2-mod-fcgid libapache2-mod-wsgi-py3 libapache2-mod-php \
            libapache2-mod-perl2 php-fpm ;;
    apps-rpm)
        echo mod_fcgid python3-mod_wsgi php php-fpm ;;
    run-rpm)
        echo "$(packages_of demo rpm)" check-devel systemd-devel python3 python3-pytest \
            python3-pytest-xdist valgrind \
            procps-ng xz libasan libtsan libubsan ShellCheck mandoc nghttp2 mod_http2 ;;
    fuzz-deb)
        echo clang libclang-rt-dev libc6-dev libjansson-dev pkg-config ;;
    fuzz-rpm)
        echo clang compiler-rt jansson-devel pkgconf-pkg-config ;;
    fresh-deb)
        echo mmdebstrap ;;
    vm-deb)
        echo "$(packages_of demo deb)" xz-utils mmdebstrap qemu-system-x86 e2fsprogs fdisk ;;
    arm64-deb)
        echo make gcc-aarch64-linux-gnu qemu-user mmdebstrap ;;
    mutate-deb)
        echo "$(packages_of run deb)" python3-clang-14 binutils ;;
    mutate-rpm)
        echo "$(packages_of run rpm)" python3-clang binutils ;;
    rpm-quick-deb)
        echo rpm rpmlint cpio elfutils debugedit dwz libjansson-dev zlib1g-dev \
            libsystemd-dev ;;
    rpm-quick-rpm)
        echo rpm-build rpmlint cpio systemd-rpm-macros jansson-devel zlib-devel \
            systemd-devel ;;
    rpm-deb)
        # What httpd is built with, and systemd for systemd-analyze.
        echo "$(packages_of rpm-quick deb)" dnf createrepo-c gnupg mmdebstrap iproute2 systemd \
            libpcre2-dev ;;
    *)
        return 1 ;;
    esac
}

# packages_of_all KIND SET...: a set that a distribution has no names for is empty.
packages_of_all () {
    kind=$1
    shift
    for set in "$@"; do
        packages_of "$set" "$kind"
    done
}

# install_packages SET...: 0, or 1 with a sentence on stderr.
install_packages () {
    if have apt-get; then
        # shellcheck disable=SC2046 # words are meant
        missing=$(deb_missing $(packages_of_all deb "$@"))
    elif have dnf; then
        # shellcheck disable=SC2046
        missing=$(rpm_missing $(packages_of_all rpm "$@"))
    else
        # Neither: whoever runs this has installed what is needed, or is told by configure.
        return 0
    fi
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        echo "missing, and only root can install them: $missing" >&2
        return 1
    fi
    echo "Installing $missing"
    if have apt-get; then
        log=$(mktemp)
        DEBIAN_FRONTEND=noninteractive
        export DEBIAN_FRONTEND
        # No daemon is started: to invoke-rc.d this is single-user mode.
        # shellcheck disable=SC2086
        if apt-get -q update >"$log" 2>&1 </dev/null && RUNLEVEL=1 apt-get -qy install \
            --no-install-recommends $missing >>"$log" 2>&1 </dev/null; then
            rm -f "$log"
            return 0
        fi
        tail -n 20 "$log" >&2
        rm -f "$log"
        echo "apt-get could not install: $missing" >&2
        return 1
    fi
    # shellcheck disable=SC2086
    dnf -qy install --setopt=install_weak_deps=False $missing </dev/null && return 0
    echo "dnf could not install: $missing" >&2
    return 1
}

# apt's own list of sources for the running release, and nobody else's.
apt_sources () {
    for f in /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list.d/ubuntu.sources \
        /etc/apt/sources.list; do
        [ -s "$f" ] && { echo "$f"; return 0; }
    done
    return 1
}

# The running release's name.
codename () {
    sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# bare_debian TARGET RELEASE SOURCES [mmdebstrap's OPTION...]: a Debian with little in it.
# mmdebstrap runs a Python of its own for each package: the distribution's, and no wrapper.
bare_debian () (
    target=$1 release=$2 sources=$3
    shift 3
    # How this machine reaches its mirror: proxies and the like.
    apt-config dump | grep '^Acquire::' >"$target.conf"
    PATH=/usr/sbin:/usr/bin:/sbin:/bin mmdebstrap --quiet --variant=minbase \
        --aptopt="$target.conf" --aptopt='APT::Install-Recommends "false"' \
        --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/man/*' "$@" \
        "$release" "$target" "$sources" || exit 1
    rm "$target.conf"
)

# --- The build. The sources are copied to a folder of their own and built there, so that
# nothing appears in the checkout, least of all something that belongs to root. A second
# run finds the first one's objects.

# Sets BUILD, private to the user and to the checkout.
build_folder () {
    if [ "$(id -u)" = 0 ]; then
        cache=${XDG_CACHE_HOME:-/var/cache}
    else
        cache=${XDG_CACHE_HOME:-$HOME/.cache}
    fi
    CACHE=$cache/mod_oom-build
    BUILD=$CACHE/$(printf '%s' "$TOP" | cksum | cut -d' ' -f1)
    SRC=$BUILD/src
    mkdir -p "$cache" || die "cannot make $cache."
    for dir in "$CACHE" "$BUILD" "$SRC"; do
        mkdir -m 700 "$dir" 2>/dev/null
        if [ ! -d "$dir" ] || [ -L "$dir" ] || [ "$(stat -c %u "$dir")" != "$(id -u)" ]; then
            die "$dir is not a folder of this user: remove it."
        fi
    done
}

# The names of all sources: what git knows or would add, or in a tarball all there is.
list_sources () (
    cd "$TOP" || exit 1
    # As root, git trusts no checkout of another user, unless told to.
    if [ -e .git ] && have git && git -c "safe.directory=$TOP" ls-files -co \
        --exclude-standard >"$BUILD/ls" 2>/dev/null; then
        # Those that were removed from the tree but not from the index are left out.
        while IFS= read -r f; do
            [ -e "$f" ] && printf '%s\n' "$f"
        done <"$BUILD/ls"
    else
        find . \( -name .git -o -name autom4te.cache -o -name build-aux -o -name build \
            -o -name __pycache__ -o -name .pytest_cache -o -name .libs -o -name .deps \) \
            -prune -o -type f ! -name '*.o' ! -name '*.lo' ! -name '*.la' ! -name configure \
            ! -name aclocal.m4 ! -name Makefile.in ! -path ./Makefile ! -name config.status \
            ! -name config.h.in ! -print | sed 's,^\./,,'
    fi | sort
)

# Brings SRC up to date: times are kept, so make sees what changed; what is gone goes. Those who
# build for tests/run find it so: it has COPIED them before, and others read them now.
copy_sources () {
    [ "${COPIED-}" != "$TOP" ] || return 0
    list_sources >"$BUILD/files.new" || return 1
    [ -s "$BUILD/files.new" ] || { echo "no sources found in $TOP" >&2; return 1; }
    if [ -f "$BUILD/files" ]; then
        comm -23 "$BUILD/files" "$BUILD/files.new" | while IFS= read -r f; do
            rm -f "$SRC/$f"
        done
    fi
    mv "$BUILD/files.new" "$BUILD/files"
    tar -C "$TOP" -cf - -T "$BUILD/files" | tar -C "$SRC" --no-same-owner -xf -
}

# What configure's result depends on: a change of it, and all is made anew.
build_recipe () (
    cd "$SRC" || exit 1
    find . \( -name configure.ac -o -name Makefile.am -o -name Makefile.inc \) \
        ! -path './mod_oom-*' -exec cksum {} + | sort
    apxs -q TARGET LIBEXECDIR 2>&1
    httpd_version 2>&1
    for p in check jansson zlib libsystemd; do
        ${PKG_CONFIG:-pkg-config} --modversion $p 2>&1
    done
    ${CC:-cc} --version 2>&1
)

# build NAME [configure's options]: makes $BUILD/NAME. One at a time of each name.
build () (
    name=$1
    shift
    exec 9>"$BUILD/lock"
    flock 9 || exit 1
    copy_sources || exit 1
    recipe=$(build_recipe)
    if [ "$recipe" != "$(cat "$BUILD/recipe" 2>/dev/null)" ] || [ ! -x "$SRC/configure" ]; then
        rm -rf "$SRC/autom4te.cache"
        (cd "$SRC" && autoreconf -fi) || exit 1
        # Outdated: the builds that were configured by what was there before.
        rm -f "$BUILD"/*/configured
        printf '%s\n' "$recipe" >"$BUILD/recipe"
    fi
    exec 9>"$BUILD/$name.lock"
    flock 9 || exit 1
    if [ "$*" != "$(cat "$BUILD/$name/configured" 2>/dev/null || echo none)" ]; then
        rm -rf "${BUILD:?}/$name"
        mkdir "$BUILD/$name" && cd "$BUILD/$name" && "$SRC/configure" -q "$@" || exit 1
        printf '%s\n' "$*" >"$BUILD/$name/configured"
    fi
    make -s -C "$BUILD/$name" -j "$(nproc)"
)

# Makes BUILT, the modules that are to be run: those of tests/run, if it calls; or some that no
# warning of a newer compiler stops.
build_modules () {
    if [ "${COPIED-}" = "$TOP" ]; then
        BUILT=$BUILD/werror
        build werror --enable-werror
    else
        BUILT=$BUILD/plain
        build plain
    fi
}

# A Python that has pytest: not every one in PATH sees what the distribution installs.
find_pytest () {
    for PYTHON in /usr/bin/python3 python3; do
        "$PYTHON" -c 'import pytest' 2>/dev/null && return 0
    done
    return 1
}

# --- httpd, as apxs knows it.

find_apxs () {
    for a in ${APXS:+"$APXS"} vendor-apxs apxs apxs2 /usr/sbin/apxs /usr/bin/apxs; do
        have "$a" && { APXS=$a; return 0; }
    done
    echo "no apxs found: install httpd-devel (apache2-dev on Debian)" >&2
    return 1
}

# Sets HTTPD, the program, and HTTPD_MODULES, the folder of its modules.
find_httpd () {
    find_apxs || return 1
    HTTPD_MODULES=$("$APXS" -q LIBEXECDIR)
    HTTPD=$("$APXS" -q SBINDIR)/$("$APXS" -q PROGNAME)
    for h in "$HTTPD" /usr/sbin/httpd /usr/sbin/apache2; do
        [ -x "$h" ] && { HTTPD=$h; return 0; }
    done
    echo "no httpd found where $APXS says" >&2
    return 1
}

httpd_version () (
    find_httpd && "$HTTPD" -v
)

# load_module NAME...: LoadModule lines, for those that are not compiled in.
load_modules () {
    static=$("$HTTPD" -l)
    for m in "$@"; do
        case $static in
        *"mod_$m.c"*) ;;
        *)
            if [ -e "$HTTPD_MODULES/mod_$m.so" ]; then
                printf 'LoadModule %s_module %s/mod_%s.so\n' "$m" "$HTTPD_MODULES" "$m"
            fi ;;
        esac
    done
}

# Whom workers run as.
worker_user () {
    for u in www-data apache daemon nobody; do
        id -u "$u" >/dev/null 2>&1 && { echo "$u"; return 0; }
    done
    return 1
}

# httpd_conf FOLDER PORT MPM BUILD: the configuration of a private httpd with both modules,
# as they are shipped; on stdout. Makes FOLDER/htdocs.
httpd_conf () {
    who=$(worker_user) || die "no user to run workers as (www-data, apache, daemon, nobody)."
    mkdir -p "$1/htdocs"
    echo 'Hello, I am still here.' >"$1/htdocs/index.html"
    echo "ServerRoot $1"
    echo "ServerName localhost"
    echo "Listen 127.0.0.1:$2"
    echo "PidFile $1/httpd.pid"
    echo "DefaultRuntimeDir $1"
    echo "ErrorLog $1/error_log"
    echo "LogLevel warn oomguard:info"
    echo "User $who"
    echo "Group $(id -gn "$who")"
    echo "DocumentRoot $1/htdocs"
    echo "StartServers 2"
    load_modules "mpm_$3" unixd log_config authz_core authz_host
    for own in oom oomguard; do
        echo "LoadModule ${own}_module $4/.libs/mod_$own.so"
        echo "Include $SRC/conf.d/$own.conf"
    done
    printf '<Directory %s>\n  Require all granted\n</Directory>\n' "$1/htdocs"
}

# A TCP port on loopback that nobody listens on now: one of those the kernel does not give
# to clients.
free_port () {
    n=$(($(od -An -N2 -tu2 /dev/urandom) % 8000))
    for i in 1 2 3 4 5 6 7 8 9; do
        p=$((20000 + (n + i * 797) % 8000))
        grep -qi "^ *[0-9]*: [0-9A-F]*:$(printf %04X $p) [0-9A-F:]* 0A " /proc/net/tcp \
            /proc/net/tcp6 2>/dev/null || { echo $p; return 0; }
    done
    return 1
}

# --- A memory cgroup with a limit. What eats memory runs in one, or not at all.

# Sets CG_VERSION and CG_ROOT, the top of what is mounted of the memory hierarchy.
cgroup_root () {
    CG_VERSION=''
    CG_ROOT=''
    while read -r _ _ _ _ where _ rest; do
        rest=${rest##*- }
        case $rest in
        cgroup\ *)
            case ,${rest##* }, in
            *,memory,*) CG_VERSION=1; CG_ROOT=$where; return 0 ;;
            esac ;;
        cgroup2\ *)
            if grep -qw memory "$where/cgroup.controllers" 2>/dev/null; then
                CG_VERSION=2
                CG_ROOT=$where
            fi ;;
        esac
    done </proc/self/mountinfo
    [ -n "$CG_ROOT" ]
}

# cgroup_make NAME MIB: sets CG. 0, or 1 with a sentence on stderr. Swap is shut off: a
# worker that is swapped out is not killed, and the machine suffers instead.
cgroup_make () {
    CG=''
    if ! cgroup_root; then
        echo "no memory cgroup hierarchy is mounted here, so nothing could keep a memory eater" \
            "from harming the machine." >&2
        return 1
    fi
    if [ "$CG_VERSION" = 2 ] && ! grep -qw memory "$CG_ROOT/cgroup.subtree_control" \
        && ! (echo +memory >"$CG_ROOT/cgroup.subtree_control") 2>/dev/null; then
        echo "$CG_ROOT hands no memory controller on to its children (in a container, run this" \
            "on the host), so nothing could keep a memory eater from harming the machine." >&2
        return 1
    fi
    cg=$CG_ROOT/$1
    if ! mkdir "$cg" 2>/dev/null; then
        echo "cannot make the memory cgroup $cg (read-only, or no right to), so nothing could" \
            "keep a memory eater from harming the machine." >&2
        return 1
    fi
    bytes=$(($2 * 1024 * 1024))
    if [ "$CG_VERSION" = 2 ]; then
        limit=memory.max
        noswap='memory.swap.max 0'
    else
        limit=memory.limit_in_bytes
        noswap='memory.swappiness 0'
    fi
    (echo $bytes >"$cg/$limit") 2>/dev/null
    (echo "${noswap#* }" >"$cg/${noswap% *}") 2>/dev/null
    # What was not really set must not be relied upon.
    if [ "$(cat "$cg/$limit" 2>/dev/null)" != $bytes ]; then
        rmdir "$cg"
        echo "the memory cgroup $cg took no limit: nothing that eats memory is run." >&2
        return 1
    fi
    if [ "$(wc -l </proc/swaps)" -gt 1 ] && [ "$(cat "$cg/${noswap% *}" 2>/dev/null)" != 0 ]
    then
        rmdir "$cg"
        echo "this machine swaps and its memory cgroups cannot be kept from it: nothing that" \
            "eats memory is run." >&2
        return 1
    fi
    CG=$cg
}

# cgroup_exec COMMAND...: becomes COMMAND inside $CG. In the background, $! is its number.
cgroup_exec () {
    # shellcheck disable=SC2016 # for the inner shell
    exec sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$CG" "$@"
}

cgroup_run () (
    cgroup_exec "$@"
)

# Kills what is left inside and removes $CG. 1 if it cannot be removed.
cgroup_remove () {
    [ -n "$CG" ] && [ -d "$CG" ] || return 0
    tries=0
    until rmdir "$CG" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -le 50 ] || return 1
        if [ $tries -ge 10 ]; then
            while read -r pid; do
                kill -9 "$pid" 2>/dev/null
            done <"$CG/cgroup.procs"
        fi
        sleep 0.1
    done
    CG=''
}

# The kernel's log can be read. Opening is what needs the right.
kmsg_readable () {
    (: </dev/kmsg) 2>/dev/null
}
