# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# shellcheck disable=SC2034 # what is set here is used by those who source it
# Proofs, and rpm kept to itself. Sourced after tests/lib.sh, with $TMP as the folder for all
# that is thrown away.

failed=''

# prove WHAT COMMAND...: one line that says whether COMMAND succeeds, and how it ended if not.
prove () {
    what=$1
    shift
    if ("$@") >"$TMP/log" 2>&1 </dev/null; then
        echo "ok - $what"
        return 0
    fi
    echo "not ok - $what"
    tail -n 40 "$TMP/log" | sed 's/^/    /'
    failed="$failed
  $what"
    return 1
}

# need WHAT COMMAND...: a proof without which there is nothing to go on with.
need () {
    prove "$@" || exit 1
}

# The last line of a script: its status, and all that failed in one place.
all_proven () {
    [ -z "$failed" ] || { echo "Not proven:$failed"; return 1; }
}

# refused REASON COMMAND...: COMMAND fails, and says why in words that match REASON.
refused () {
    reason=$1
    shift
    if ("$@") >"$TMP/refused" 2>&1; then
        cat "$TMP/refused"
        echo "this should have been refused"
        return 1
    fi
    cat "$TMP/refused"
    grep -qE -e "$reason" "$TMP/refused" || { echo "it was refused for another reason"; return 1; }
}

# same EXPECTED-FILE FILE
same () {
    diff -u "$1" "$2"
}

# rpm_home MACROS: a home for rpm, dnf and gpg, with macros on top of the distribution's. Also
# the database is none of this machine's; below a root it has the same path.
rpm_home () {
    HOME=$TMP/home
    GNUPGHOME=$HOME/.gnupg
    export HOME GNUPGHOME
    mkdir -m 700 "$HOME" "$GNUPGHOME" && cp "$1" "$HOME/.rpmmacros"
    echo "%_dbpath $TMP/rpmdb" >>"$HOME/.rpmmacros"
    # No plugin of the machine's, and what a repository has changed is to be seen at once.
    printf '[main]\ngpgcheck=1\nplugins=0\nmetadata_expire=0\n' >"$HOME/dnf.conf"
}

# The RPM of package $2 in folder $1.
rpm_of () {
    find "$1" -name "$2-[0-9]*.rpm" ! -name '*.src.rpm'
}

# What is in the RPM $1, a file a line: mode, owner, flags (c config, n noreplace, d doc,
# l licence) and path. The links that debuggers use have another name in each build.
rpm_files () {
    rpm -qp --qf '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILEFLAGS:fflags}, %{FILENAMES}\n]' \
        "$1" | sed 's/ , / - /; s/, / /' | grep -v '/\.build-id' | sort -k4
}

# --- What must hold of the two packages, wherever they were built. $1 is the folder.

# $2's files, as tests/rpm/$2.files has them in rpm's macros.
right_files () {
    rpm_files "$(rpm_of "$1" "$2")" >"$TMP/files"
    rpm --eval "$(grep -v '^#' "$TOP/tests/rpm/$2.files")" | sort -k4 >"$TMP/expected"
    same "$TMP/expected" "$TMP/files"
}

# $2 wants httpd's module interface and the C library, what oomreport is linked with, the
# journal, and nothing else; nor would it like to.
right_requires () {
    libs='lib[cm]|ld-linux[a-z0-9-]*'
    [ "$2" != mod_oomguard ] || libs="$libs|libjansson|libz|libsystemd"
    rpm -qp --requires "$(rpm_of "$1" "$2")" | sort -u \
        | grep -vE "^(rpmlib|config|rtld)\(|^($libs)\.so" >"$TMP/requires"
    rpm --eval 'httpd-mmn = %{_httpd_mmn}' >"$TMP/expected"
    same "$TMP/expected" "$TMP/requires" || return 1
    for kind in recommends suggests supplements enhances; do
        rpm -qp --$kind "$(rpm_of "$1" "$2")" || return 1
    done >"$TMP/weak"
    same /dev/null "$TMP/weak"
}

# Nothing but itself.
right_provides () {
    evr=$(rpm -qp --qf '%{VERSION}-%{RELEASE}' "$(rpm_of "$1" "$2")")
    rpm -qp --provides "$(rpm_of "$1" "$2")" | sort >"$TMP/provides"
    printf '%s = %s\n' "config($2)" "$evr" "$2" "$evr" "$2$(rpm --eval '%{?_isa}')" "$evr" | sort \
        >"$TMP/expected"
    same "$TMP/expected" "$TMP/provides"
}

no_scripts () {
    rpm -qp --scripts --triggers --filetriggers "$(rpm_of "$1" "$2")" >"$TMP/scripts" || return 1
    same /dev/null "$TMP/scripts"
}

# httpd finds the module by the path that the sources have, relative to ServerRoot.
right_loadmodule () {
    name=${2#mod_}
    rpm2cpio "$(rpm_of "$1" "$2")" | cpio -i --quiet --to-stdout "*/10-$name.conf" >"$TMP/load"
    same "$TOP/conf.d/10-$name.conf" "$TMP/load"
}

# In the log of a build, of the compiler and the linker. libtool has one for whoever installs.
no_warnings () {
    grep -q -e '-Wall' "$1" || { echo "no compiler was run in $1"; return 1; }
    grep -n ': warning: ' "$1" | grep -v 'libtool: warning: remember to run' >"$TMP/warnings"
    same /dev/null "$TMP/warnings"
}

# rpmlint looked at all of them, and has nothing to say; with warnings its exit status is 0.
lint_is_silent () {
    rpm2cpio "$2" | cpio -i --quiet --to-stdout mod_oom.spec >"$TMP/mod_oom.spec"
    rpmlint -c "$TOP/rpm/rpmlint.toml" "$(rpm_of "$1" mod_oom)" "$(rpm_of "$1" mod_oomguard)" \
        "$2" "$TMP/mod_oom.spec" >"$TMP/lint"
    cat "$TMP/lint"
    grep -q '^ *3 packages and 1 specfiles .*; 0 errors, 0 warnings,' "$TMP/lint"
}

# prove_packages FOLDER SRPM: all of that, and rpmlint's word.
prove_packages () {
    for p in mod_oom mod_oomguard; do
        prove "$p: files, modes, flags and owners are those of tests/rpm/$p.files" \
            right_files "$1" $p
        prove "$p: requires httpd-mmn and its libraries, and not the other package" right_requires "$1" $p
        prove "$p: provides itself only" right_provides "$1" $p
        prove "$p: runs no scripts" no_scripts "$1" $p
        prove "$p: the LoadModule line is modules/$p.so" right_loadmodule "$1" $p
    done
    prove "rpmlint finds nothing but what rpm/rpmlint.toml has a reason for" \
        lint_is_silent "$1" "$2"
}
