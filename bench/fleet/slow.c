/* SPDX-License-Identifier: Apache-2.0

   A disk that takes its time: preloaded (LD_PRELOAD), every fsync and fdatasync waits as many
   milliseconds as the file named by FLEET_SLOW says; none while there is no such file. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void wait_for_the_disk(void) {
    const char *path = getenv("FLEET_SLOW");
    FILE *file = path ? fopen(path, "r") : NULL;
    int milliseconds = 0;
    if (!file) return;
    if (fscanf(file, "%d", &milliseconds) == 1) usleep(1000 * milliseconds);
    fclose(file);
}

#define HOOK(name) \
    int name(int fd) { \
        static int (*real)(int); \
        if (!real) real = dlsym(RTLD_NEXT, #name); \
        wait_for_the_disk(); \
        return real(fd); \
    }

HOOK(fsync)
HOOK(fdatasync)
