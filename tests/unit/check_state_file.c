/* Licensed under the Apache License, Version 2.0; see LICENSE. */
#include "state_sample.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64], path[320], other[128];

static void setup(void)
{
    strcpy(dir, "check_state.XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/state", dir);
    snprintf(other, sizeof other, "%s/other", dir);
}

static void teardown(void)
{
    remove(path);
    remove(other);
    remove(dir);
}

/* What stands in for libc's: the next nth call of it goes wrong in that way, the others do not. */
enum { WELL, INTERRUPTED, SHORT, BROKEN, NOTHING };
static int reads, bad_read, bad_how, writes, bad_write;

ssize_t pread(int fd, void *buf, size_t size, off_t at)
{
    int bad = ++reads == bad_read ? bad_how : WELL;

    if (bad == INTERRUPTED || bad == BROKEN) {
        errno = bad == BROKEN ? EIO : EINTR;
        return -1;
    }
    return syscall(SYS_pread64, fd, buf, bad == SHORT ? size / 2 : size, at);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t at)
{
    if (++writes == bad_write) {
        errno = EINTR;
        return bad_how == NOTHING ? 0 : -1;
    }
    return syscall(SYS_pwrite64, fd, buf, size, at);
}

static void poke(off_t at, const char *bytes, size_t len)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(pwrite(fd, bytes, len, at), (ssize_t)len);
    close(fd);
}

/* Opens it as the next process would. */
static int look(og_state_t *last)
{
    og_state_file_t f;
    int rc = og_state_open(path, &f, last);

    ck_assert_int_ge(f.fd, 0);
    close(f.fd);
    return rc;
}

/* A file of so many notes, the last of which says so in events. */
static void make(og_state_file_t *f, uint64_t notes)
{
    og_state_t s = sample(), last;

    ck_assert_int_eq(og_state_open(path, f, &last), -ENODATA);
    for (s.events = 1; s.events <= notes; s.events++)
        ck_assert_int_eq(og_state_save(f, &s), 0);
}

START_TEST(keeps_the_last_note)
{
    og_state_t s = sample(), last;
    og_state_file_t f;
    struct stat st;

    umask(0);
    ck_assert_int_eq(og_state_open(path, &f, &last), -ENODATA);
    is_zero(&last);
    ck_assert_int_eq(fstat(f.fd, &st), 0);
    ck_assert_int_eq(st.st_size, OG_STATE_SLOTS * SLOT);
    ck_assert_int_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(fcntl(f.fd, F_GETFD), FD_CLOEXEC);
    ck_assert_int_eq(look(&last), -ENODATA);
    for (s.events = 1; s.events < 6; s.events++) {
        ck_assert_int_eq(og_state_save(&f, &s), 0);
        ck_assert_int_eq(look(&last), 0);
        is_same(&last, &s);
    }
    ck_assert_int_eq(fstat(f.fd, &st), 0);
    ck_assert_int_eq(st.st_size, OG_STATE_SLOTS * SLOT);
    close(f.fd);
    ck_assert_int_eq(og_state_open(path, &f, &last), 0);
    ck_assert_uint_eq(f.number, 5);
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    close(f.fd);
    ck_assert_int_eq(look(&last), 0);
    is_same(&last, &s);
}
END_TEST

/* The newer slot changed at a byte, or cut; which one is newer is both ways. */
START_TEST(falls_back_to_the_older)
{
    uint64_t notes = 2 + (uint64_t)_i;
    off_t newer = (off_t)((notes - 1) % 2) * SLOT;
    og_state_t last, s = sample();
    og_state_file_t f;
    char slot[SLOT];

    make(&f, notes);
    ck_assert_int_eq(pread(f.fd, slot, SLOT, newer), SLOT);
    for (off_t i = 0; i < SLOT; i += 7) {
        char flipped = (char)(slot[i] ^ 0x10);

        poke(newer + i, &flipped, 1);
        ck_assert_int_eq(look(&last), 0);
        ck_assert_uint_eq(last.events, notes - 1);
        poke(newer + i, &slot[i], 1);
    }
    /* As a write that got so far leaves it, over an older and longer text. */
    memset(slot, 'x', sizeof slot);
    for (off_t i = 0; i < SLOT; i += 97) {
        poke(newer + SLOT - 1 - i, slot, (size_t)i + 1);
        ck_assert_int_eq(look(&last), 0);
        ck_assert_uint_eq(last.events, notes - 1);
    }
    /* What is written then is the damaged one. */
    ck_assert_int_eq(og_state_reread(&f, &last), 0);
    ck_assert_uint_eq(last.events, notes - 1);
    s.events = 99;
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    ck_assert_int_eq(pread(f.fd, slot, 1, newer), 1);
    ck_assert_int_eq(slot[0], 'm');
    close(f.fd);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 99);
}
END_TEST

START_TEST(survives_a_cut)
{
    og_state_file_t f;
    og_state_t last;
    struct stat st;

    make(&f, 2); /* the newer slot is the second one */
    close(f.fd);
    ck_assert_int_eq(truncate(path, SLOT + 100), 0);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 1);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, OG_STATE_SLOTS * SLOT);
    ck_assert_int_eq(truncate(path, SLOT), 0);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 1);
    ck_assert_int_eq(truncate(path, 100), 0);
    ck_assert_int_eq(look(&last), -EINVAL);
    ck_assert_int_eq(truncate(path, 0), 0);
    ck_assert_int_eq(look(&last), -ENODATA);
}
END_TEST

START_TEST(starts_again_where_all_is_damaged)
{
    og_state_t s = sample(), last;
    og_state_file_t f;

    make(&f, 5);
    close(f.fd);
    poke(0, "M", 1);
    poke(SLOT, "M", 1);
    ck_assert_int_eq(look(&last), -EINVAL);
    is_zero(&last);
    ck_assert_int_eq(og_state_open(path, &f, &last), -EINVAL);
    memset(&last, 0x55, sizeof last);
    f.slot = 1;
    f.number = 5; /* as one knows it that was there before the damage */
    ck_assert_int_eq(og_state_reread(&f, &last), -EINVAL);
    ck_assert_uint_eq(f.slot, 0);
    ck_assert_uint_eq(f.number, 0);
    is_zero(&last);
    for (s.events = 40; s.events < 43; s.events++) {
        ck_assert_int_eq(og_state_save(&f, &s), 0);
        ck_assert_int_eq(look(&last), 0);
        ck_assert_uint_eq(last.events, s.events);
    }
    close(f.fd);
}
END_TEST

/* A newer release was here, and then an older one is again. */
START_TEST(overwrites_another_version)
{
    og_state_t s = sample(), last;
    og_state_file_t f;
    char buf[SLOT];

    make(&f, 2);
    close(f.fd);
    seal("mod_oomguard state 7 9\nwhatever\n", buf);
    poke(0, buf, SLOT);
    ck_assert_int_eq(look(&last), -EPROTONOSUPPORT);
    is_zero(&last);
    ck_assert_int_eq(og_state_open(path, &f, &last), -EPROTONOSUPPORT);
    s.events = 50;
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    close(f.fd);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 50);
    /* One that is older than ours does not matter. */
    seal("mod_oomguard state 7 8\nwhatever\n", buf);
    poke(0, buf, SLOT);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 50);
}
END_TEST

/* A process that was forked before another one wrote knows an old place to write to. */
START_TEST(looks_again)
{
    og_state_t s = sample(), last;
    og_state_file_t f, before;

    make(&f, 1);
    before = f;
    s.events = 2;
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    s.events = 3;
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    ck_assert_int_eq(og_state_reread(&before, &last), 0);
    ck_assert_uint_eq(last.events, 3);
    s.events = 4;
    ck_assert_int_eq(og_state_save(&before, &s), 0);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 4);
    close(f.fd);
    f.fd = -1;
    ck_assert_int_eq(og_state_reread(&f, &last), -EBADF);
    is_zero(&last);
    ck_assert_int_eq(og_state_save(&f, &s), -EBADF);
}
END_TEST

/* A note that failed, whole or in part, leaves the newest one, and the next goes there. */
START_TEST(fails_harmlessly)
{
    struct rlimit limit, low;
    og_state_t s = sample(), last;
    og_state_file_t f;
    int fd, full = open("/dev/full", O_RDWR);

    make(&f, 3); /* the next goes into the second slot */
    ck_assert_int_ge(full, 0);
    fd = f.fd;
    f.fd = full;
    ck_assert_int_eq(og_state_save(&f, &s), -ENOSPC);
    f.fd = fd;
    close(full);

    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = limit;
    low.rlim_cur = SLOT + 100;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    ck_assert_int_eq(og_state_save(&f, &s), -EIO);
    low.rlim_cur = SLOT;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    ck_assert_int_eq(og_state_save(&f, &s), -EFBIG);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 3);
    s.events = 60;
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    close(f.fd);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 60);
}
END_TEST

/* The next descriptor there is. */
static int next_fd(void)
{
    int fd = dup(2);

    ck_assert_int_ge(fd, 0);
    close(fd);
    return fd;
}

static void is_refused(int rc)
{
    int fd = next_fd();
    og_state_file_t f;
    og_state_t last;

    memset(&last, 0x55, sizeof last);
    ck_assert_int_eq(og_state_open(path, &f, &last), rc);
    ck_assert_int_eq(f.fd, -1);
    is_zero(&last);
    ck_assert_int_eq(next_fd(), fd); /* and none is left open */
}

/* A signal, or a file system that reads piece by piece, is no error and changes nothing. */
START_TEST(reads_and_writes_on)
{
    og_state_t s = sample(), last;
    og_state_file_t f;

    make(&f, 2);
    close(f.fd);
    for (bad_how = INTERRUPTED; bad_how <= SHORT; bad_how++) {
        for (int nth = 1; nth <= 2; nth++) {
            reads = 0;
            bad_read = nth;
            ck_assert_int_eq(look(&last), 0);
            ck_assert_uint_eq(last.events, 2);
            ck_assert_int_eq(reads, 3); /* two slots, and once more */
        }
    }
    bad_read = writes = 0;
    bad_write = 1;
    ck_assert_int_eq(og_state_open(path, &f, &last), 0);
    s.events = 3;
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    ck_assert_int_eq(writes, 2);
    writes = 0;
    bad_how = NOTHING;
    ck_assert_int_eq(og_state_save(&f, &s), -EIO);
    close(f.fd);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_uint_eq(last.events, 3);
}
END_TEST

/* The first descriptor there is may be had by it as well. */
START_TEST(is_at_home_in_any_descriptor)
{
    og_state_t s = sample(), last;
    og_state_file_t f;

    close(0);
    ck_assert_int_eq(og_state_open(path, &f, &last), -ENODATA);
    ck_assert_int_eq(f.fd, 0);
    ck_assert_int_eq(og_state_save(&f, &s), 0);
    ck_assert_int_eq(og_state_reread(&f, &last), 0);
    is_same(&last, &s);
    close(0);
}
END_TEST

/* But a disk that is broken, or has no room for both slots, is. */
START_TEST(refuses_what_cannot_be_read)
{
    struct rlimit limit, low;
    og_state_file_t f;
    og_state_t last;
    struct stat st;

    make(&f, 2);
    bad_how = BROKEN;
    for (bad_read = 1; bad_read <= 2; bad_read++) {
        reads = 0;
        is_refused(-EIO);
        reads = 0;
        ck_assert_int_eq(og_state_reread(&f, &last), -EIO);
    }
    bad_read = 0;
    close(f.fd);
    signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(truncate(path, SLOT), 0);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    low = limit;
    low.rlim_cur = OG_STATE_SLOTS * SLOT - 1;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &low), 0);
    is_refused(-EFBIG);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, SLOT);
}
END_TEST

START_TEST(refuses_what_others_could_have_written)
{
    static const mode_t modes[] = { 0620, 0602, 0666 };
    og_state_file_t f;
    og_state_t last;

    make(&f, 1);
    close(f.fd);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        ck_assert_int_eq(chmod(path, modes[i]), 0);
        is_refused(-EPERM);
    }
    ck_assert_int_eq(chmod(path, 0644), 0);
    ck_assert_int_eq(look(&last), 0);
    if (geteuid() == 0) {
        ck_assert_int_eq(chown(path, 1, 0), 0);
        is_refused(-EPERM);
        ck_assert_int_eq(chown(path, 0, 0), 0);
    }
    ck_assert_int_eq(link(path, other), 0);
    is_refused(-EPERM);
    ck_assert_int_eq(unlink(other), 0);
    ck_assert_int_eq(look(&last), 0);
    ck_assert_int_eq(rename(path, other), 0);
    ck_assert_int_eq(symlink(other, path), 0);
    is_refused(-ELOOP);
    ck_assert_int_eq(unlink(other), 0);
    is_refused(-ELOOP);
    ck_assert_int_eq(access(other, F_OK), -1);
}
END_TEST

START_TEST(refuses_what_is_no_file)
{
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    is_refused(-EPERM);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    is_refused(-EISDIR);
    ck_assert_int_eq(rmdir(path), 0);
    strcpy(path, "/dev/full"); /* of root, perhaps, but a device */
    is_refused(-EPERM);
    snprintf(path, sizeof path, "%s/none/state", dir);
    is_refused(-ENOENT);
}
END_TEST

/* A master that leads a session and has no terminal does not get the one that a path leads to. */
START_TEST(is_given_no_terminal)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY), status;
    const char *slave;
    pid_t pid;

    if (master < 0) /* none to be had here */
        return;
    ck_assert_int_eq(grantpt(master), 0);
    ck_assert_int_eq(unlockpt(master), 0);
    slave = ptsname(master);
    ck_assert_ptr_nonnull(slave);
    if ((pid = fork()) == 0) {
        og_state_file_t f;
        og_state_t last;

        setsid();
        if (og_state_open(slave, &f, &last) != -EPERM)
            _exit(2);
        _exit(open("/dev/tty", O_RDWR | O_NOCTTY) >= 0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    close(master);
}
END_TEST

/* A path to somebody's key, say. */
START_TEST(spares_what_is_not_ours)
{
    static const char text[] = "-----BEGIN PRIVATE KEY-----\n";
    char buf[2 * sizeof text];
    og_state_t last;
    int fd;

    poke(0, text, sizeof text - 1);
    is_refused(-EEXIST);
    fd = open(path, O_RDONLY);
    ck_assert_int_eq(read(fd, buf, sizeof buf), sizeof text - 1);
    ck_assert_mem_eq(buf, text, sizeof text - 1);
    close(fd);
    ck_assert_int_eq(truncate(path, OG_STATE_SLOTS * SLOT + 1), 0);
    is_refused(-EEXIST);
    /* What begins as ours is ours, whatever came of it; a byte less is not. */
    poke(0, OG_STATE_MAGIC, sizeof OG_STATE_MAGIC - 1);
    ck_assert_int_eq(look(&last), -EINVAL);
    ck_assert_int_eq(truncate(path, sizeof OG_STATE_MAGIC - 1), 0);
    ck_assert_int_eq(look(&last), -EINVAL);
    ck_assert_int_eq(truncate(path, sizeof OG_STATE_MAGIC - 2), 0);
    is_refused(-EEXIST);
}
END_TEST

START_TEST(knows_the_boot)
{
    static const char *const none[] = { "", "x\n", BOOT_ID, BOOT_ID "0\n",
                                        "0f9a8b7c-6d5e-4f3a-8b1c-0123456789aX\n",
                                        BOOT_ID "x", BOOT_ID "\nx\n" };
    char proc[256], id[OG_STATE_BOOT_ID_MAX + 2];

    ck_assert_int_eq(og_state_boot_id("/proc", id), 0);
    ck_assert_uint_eq(strlen(id), 36);
    strcpy(id, "x");
    ck_assert_int_eq(og_state_boot_id(dir, id), -ENOENT);
    ck_assert_str_eq(id, "");
    /* DIR/sys/kernel/random/boot_id */
    snprintf(proc, sizeof proc, "%s/sys", dir);
    ck_assert_int_eq(mkdir(proc, 0700), 0);
    strcat(proc, "/kernel");
    ck_assert_int_eq(mkdir(proc, 0700), 0);
    strcat(proc, "/random");
    ck_assert_int_eq(mkdir(proc, 0700), 0);
    snprintf(path, sizeof path, "%s/boot_id", proc);
    for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
        poke(0, none[i], strlen(none[i]));
        ck_assert_int_eq(og_state_boot_id(dir, id), -EINVAL);
        ck_assert_str_eq(id, "");
        ck_assert_int_eq(truncate(path, 0), 0);
    }
    poke(0, BOOT_ID "\n", sizeof BOOT_ID);
    memset(id, 'x', sizeof id);
    ck_assert_int_eq(og_state_boot_id(dir, id), 0);
    ck_assert_str_eq(id, BOOT_ID);
    ck_assert_mem_eq(id + OG_STATE_BOOT_ID_MAX, "xx", 2);
    remove(path);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(remove(proc), 0);
        *strrchr(proc, '/') = '\0';
    }
}
END_TEST

int main(void)
{
    TCase *file = tcase_create("file");

    tcase_add_checked_fixture(file, setup, teardown);
    tcase_add_test(file, keeps_the_last_note);
    tcase_add_loop_test(file, falls_back_to_the_older, 0, 2);
    tcase_add_test(file, survives_a_cut);
    tcase_add_test(file, starts_again_where_all_is_damaged);
    tcase_add_test(file, overwrites_another_version);
    tcase_add_test(file, looks_again);
    tcase_add_test(file, fails_harmlessly);
    tcase_add_test(file, reads_and_writes_on);
    tcase_add_test(file, is_at_home_in_any_descriptor);
    tcase_add_test(file, refuses_what_cannot_be_read);
    tcase_add_test(file, refuses_what_others_could_have_written);
    tcase_add_test(file, refuses_what_is_no_file);
    tcase_add_test(file, is_given_no_terminal);
    tcase_add_test(file, spares_what_is_not_ours);
    tcase_add_test(file, knows_the_boot);
    return unit_run("state_file", &file, 1);
}
