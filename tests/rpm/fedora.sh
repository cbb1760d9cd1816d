# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is used by those who source it
# A stand-in for Fedora, kept for a week: $FEDORA/run, a repository with an httpd to install;
# $FEDORA/build, one with what else a build root has; and $FEDORA/debian, the Debian that the
# build root lies upon, with nothing but what BuildRequires name.

# Debian's sources of httpd into $FEDORA/source: the newest that the mirror has, which may not
# be the newest that it knows of. Neither the host's configuration of apt is changed by that nor
# its lists; who made the sources is verified as always.
fetch_httpd () {
    mkdir -p "$FEDORA/source" "$FEDORA/apt/lists/partial" "$FEDORA/apt/parts"
    list=$(apt_sources) || return 1
    sed 's/^Types:.*/Types: deb-src/; s/^deb /deb-src /' "$list" >"$FEDORA/apt/parts/${list##*/}"
    set -- -o "Dir::Etc::SourceList=/dev/null" -o "Dir::Etc::SourceParts=$FEDORA/apt/parts" \
        -o "Dir::State::Lists=$FEDORA/apt/lists" -o "Dir::Cache::pkgcache=" \
        -o "Dir::Cache::srcpkgcache=" -o "APT::Sandbox::User=root"
    apt-get "$@" -q update && cd "$FEDORA/source" || return 1
    for version in $(apt-cache "$@" showsrc --only-source apache2 \
        | sed -n 's/^Version: //p' | sort -rVu); do
        apt-get "$@" -q source --download-only "apache2=$version" && return 0
    done
    echo "the mirror has no sources of apache2"
    return 1
}

build_requires () {
    sed -n 's/^BuildRequires: *\([^ ]*\).*/\1/p' "$TOP/rpm/mod_oom.spec.in"
}

# names_of COLUMN: of tests/rpm/names, where a BuildRequires is in column 1.
names_of () {
    build_requires | sort >"$FEDORA/required"
    grep -v '^#' "$TOP/tests/rpm/names" | sort | join - "$FEDORA/required" | cut -d' ' -f"$1"
}

make_debian () {
    # What every build root of Fedora has, and what apxs is written in.
    have_anyway=rpm,elfutils,debugedit,dwz,perl,bzip2,cpio,file,patch,unzip,xz-utils
    bare_debian "$FEDORA/debian" "$(codename)" "$(apt_sources)" \
        --include="$have_anyway,$(names_of 2- | tr ' ' '\n' | paste -sd,)"
}

make_httpd () {
    version=$(basename "$FEDORA"/source/apache2_*.orig.tar.gz .orig.tar.gz) || return 1
    rpmbuild -bb --define "_topdir $FEDORA/rpmbuild" --define "_sourcedir $FEDORA/source" \
        --define "httpd_version ${version#apache2_}" --define "recipe $TOP/tests/rpm" \
        --define "names $(names_of 1 | paste -sd,)" "$TOP/tests/rpm/fedora.rpmspec" || return 1
    mkdir "$FEDORA/run" "$FEDORA/build" || return 1
    find "$FEDORA/rpmbuild/RPMS" -name '*.rpm' ! -name 'build-host-*' ! -name 'httpd-devel-*' \
        -exec cp {} "$FEDORA/run" \;
    find "$FEDORA/rpmbuild/RPMS" -name '*.rpm' ! -name 'host-libs-*' \
        -exec cp {} "$FEDORA/build" \;
    rm -rf "$FEDORA/rpmbuild"
    createrepo_c -q "$FEDORA/run" && createrepo_c -q "$FEDORA/build"
}

# The macros that httpd-devel brings.
fedora_macros () {
    rpm2cpio "$FEDORA"/build/httpd-devel-*.rpm | cpio -i --quiet --to-stdout '*/macros.httpd'
}

# Sets FEDORA. All that it is made of is in its name: another recipe, another httpd, a week
# later, and it is made anew.
make_fedora () {
    recipe=$( (cd "$TOP/tests/rpm" && cat fedora.rpmspec fedora.sh macros.fedora names
        build_requires
        httpd_version) | sha256sum | cut -c1-12)
    FEDORA=$CACHE/rpm-$(date +%G-%V)-$recipe
    for old in "$CACHE"/rpm-*; do
        [ "$old" = "$FEDORA" ] || rm -rf --one-file-system "$old"
    done
    [ ! -f "$FEDORA/made" ] || return 0
    rm -rf --one-file-system "$FEDORA"
    mkdir "$FEDORA"
    need "Debian's sources of httpd can be had" fetch_httpd
    need "a Debian with what BuildRequires name, and no more" make_debian
    need "an httpd with Fedora's layout, as RPMs" make_httpd
    : >"$FEDORA/made"
}
