/*
 * Stands before the C library's fsync and fdatasync (LD_PRELOAD): while the file that CHAOS_SLOW_SYNC
 * names is there, each of them takes 2 s longer. What is synced is synced all the same.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

typedef int (*sync_call)(int);

static void wait_if_slow(void)
{
    const char *file = getenv("CHAOS_SLOW_SYNC");
    struct timespec left = {2, 0};
    if (file == NULL || access(file, F_OK) != 0)
        return;
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

int fsync(int file)
{
    sync_call real = (sync_call)dlsym(RTLD_NEXT, "fsync");
    wait_if_slow();
    return real(file);
}

int fdatasync(int file)
{
    sync_call real = (sync_call)dlsym(RTLD_NEXT, "fdatasync");
    wait_if_slow();
    return real(file);
}
