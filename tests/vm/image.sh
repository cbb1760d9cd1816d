# Licensed under the Apache License, Version 2.0; see LICENSE.
# shellcheck shell=sh
# What a guest boots: the root of a Debian release with httpd, what the suite needs to be built
# there, and a kernel. Sourced by tests/vm/run, after tests/lib.sh.

# What the guest runs, and what the suite is built with in a chroot of the same root. No udev
# and no D-Bus: systemctl reaches systemd by its private socket, and devtmpfs has the devices.
GUEST_PACKAGES=systemd,systemd-sysv,apache2,libapache2-mod-wsgi-py3,curl,procps,util-linux
BUILD_PACKAGES=apache2-dev,gcc,libc6-dev,make,pkg-config,check,libjansson-dev,libsystemd-dev,\
zlib1g-dev,xz-utils

# What the kernel knows the root by: root=PARTUUID=$ROOT_DISK_ID-01.
ROOT_DISK_ID=6f6f6d21

# The archive that apt gets the running release from. Of a release only its point releases are
# taken: the archive of updates drops what it has just announced.
debian_archive () {
    # shellcheck disable=SC2016 # apt's own variables
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' \
        2>/dev/null | awk -v release="$(codename)" '
            $2 == release && $3 == "main" { print $1; exit }'
}

# image_make RELEASE: sets IMAGE, a folder with root/, root.disk and vmlinuz. Made anew every
# month, or when this file changes. 0; 77 for a release that cannot be had; 1.
image_make () {
    recipe=$(cat "$TOP/tests/vm/image.sh" "$TOP/tests/vm/guest.service" | cksum | cut -d' ' -f1)
    IMAGE=$CACHE/vm-$1-$(date +%Y-%m)-$recipe
    [ ! -s "$IMAGE/root.disk" ] || return 0
    rm -rf --one-file-system "$CACHE/vm-$1"-*
    mkdir -m 700 "$IMAGE" || return 1
    archive=$(debian_archive)
    rc=1
    if [ -z "$archive" ]; then
        echo "apt knows no archive of $(codename) here" >&2
        rc=77
    elif ! image_root "$1"; then
        echo "mmdebstrap could not make a $1: not on the mirror, or no key for it?" >&2
        rc=77
    elif image_configure && image_pack; then
        return 0
    fi
    rm -rf --one-file-system "$IMAGE"
    return $rc
}

# The kernel, which has NVMe and ext4 built in, is all that is taken of its package: no initrd
# is made, and no module is needed.
image_root () {
    export IMAGE
    # Debian 11 has none.
    case $1 in
    bullseye) oomd='' ;;
    *) oomd=,systemd-oomd ;;
    esac
    # shellcheck disable=SC2016 # for the hook's shell
    bare_debian "$IMAGE/root" "$1" "deb $archive $1 main" \
        --include="$GUEST_PACKAGES,$BUILD_PACKAGES$oomd" \
        --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
        --customize-hook='set -e; export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"; cd "$1/tmp"
            apt-get -q download "$(apt-cache depends linux-image-cloud-amd64 \
                | sed -n "s/.*Depends: \(linux-image-[0-9][^ ]*\).*/\1/p" | head -n 1)"
            dpkg-deb --fsys-tarfile linux-image-*.deb | tar -xO --wildcards "./boot/vmlinuz-*" \
                >"$IMAGE/vmlinuz"' && [ -s "$IMAGE/vmlinuz" ]
}

image_configure () (
    cd "$IMAGE/root" || exit 1
    cp "$TOP/tests/vm/guest.service" etc/systemd/system/ \
        && ln -s ../guest.service etc/systemd/system/multi-user.target.wants/guest.service || exit 1
    # What would wait for devices that nobody announces without udev, or disturb a measurement.
    for unit in getty.target getty@.service serial-getty@.service systemd-logind.service \
        sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount \
        systemd-modules-load.service systemd-random-seed.service systemd-sysusers.service \
        systemd-update-utmp.service systemd-update-utmp-runlevel.service \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
        e2scrub_reap.service fstrim.timer systemd-tmpfiles-clean.timer \
        apache-htcacheclean.service logrotate.timer; do
        ln -sf /dev/null "etc/systemd/system/$unit"
    done
    # It runs only where a case wants it.
    rm -f etc/systemd/system/*/systemd-oomd.*
    mkdir -p etc/systemd/journald.conf.d mnt build \
        && printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' \
            >etc/systemd/journald.conf.d/guest.conf || exit 1
    echo guest >etc/hostname
    echo '127.0.0.1 localhost guest' >etc/hosts
    : >etc/fstab
    echo 0123456789abcdef0123456789abcdef >etc/machine-id
    echo 'ServerName localhost' >etc/apache2/conf-enabled/guest.conf
)

# A partition, since that is what a kernel without an initrd finds by name: which of two disks it
# finds first is a matter of luck.
image_pack () {
    truncate -s 1025M "$IMAGE/root.new" \
        && echo 'start=1MiB, type=83' | sfdisk -q --label dos "$IMAGE/root.new" \
        && sfdisk -q --disk-id "$IMAGE/root.new" "0x$ROOT_DISK_ID" \
        && mkfs.ext4 -q -F -O ^has_journal,^metadata_csum -m 0 -E offset=1048576 \
            -d "$IMAGE/root" "$IMAGE/root.new" 1G \
        && mv "$IMAGE/root.new" "$IMAGE/root.disk"
}
