/* Licensed under the Apache License, Version 2.0; see LICENSE. */
/* Feeds a fuzz target with files: a corpus, or what once made it crash. For compilers
 * that have no fuzzer. */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void die(const char *path)
{
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    exit(1);
}

static void replay_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size + 1);

    if (f == NULL || data == NULL)
        die(path);
    size = fread(data, 1, size, f);
    if (ferror(f))
        die(path);
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static int by_folder_or_file(const char *path);

static int replay_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *e;
    int n = 0;

    if (dir == NULL)
        die(path);
    while ((e = readdir(dir)) != NULL) {
        char name[4096];
        int len = snprintf(name, sizeof name, "%s/%s", path, e->d_name);

        if (e->d_name[0] == '.')
            continue;
        if (len < 0 || (size_t)len >= sizeof name) {
            errno = ENAMETOOLONG;
            die(path);
        }
        n += by_folder_or_file(name);
    }
    closedir(dir);
    return n;
}

static int by_folder_or_file(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        die(path);
    if (S_ISDIR(st.st_mode))
        return replay_folder(path);
    replay_file(path, (size_t)st.st_size);
    return 1;
}

int main(int argc, char **argv)
{
    int n = 0;

    for (int i = 1; i < argc; i++)
        n += by_folder_or_file(argv[i]);
    printf("%s: %d inputs\n", argv[0], n);
    if (n == 0)
        fprintf(stderr, "usage: %s FILE|FOLDER...\n", argv[0]);
    return n == 0;
}
