/* Preloaded into a process, keeps a second copy of a folder: what a power cut would leave of it.
 *
 * Nothing that is written gets there but by fsync or fdatasync: of a file its content, of a folder its names. LIVE and
 * DISK name the folder and the copy. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LONG 4096

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

/* The content of a file as it was last synced, by its number, whatever its names are. */
static void content_of(ino_t number, char *path) {
    snprintf(path, LONG, "%s/.content/%lu", getenv("DISK"), (unsigned long)number);
}

static void copy(const char *from, const char *to) {
    static char piece[1 << 20];
    char draft[LONG];
    ssize_t length;
    snprintf(draft, LONG, "%s.draft", to);
    int source = open(from, O_RDONLY), target = open(draft, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    while ((length = read(source, piece, sizeof piece)) > 0)
        if (write(target, piece, length) != length) abort();
    close(source);
    close(target);
    rename(draft, to);
}

static void keep_file(const char *path, struct stat *status) {
    char content[LONG];
    content_of(status->st_ino, content);
    copy(path, content);
}

static void keep_names(const char *path, const char *inside) {
    char kept[LONG], name[LONG], content[LONG];
    struct dirent *entry;
    struct stat status;
    snprintf(kept, LONG, "%s/names%s", getenv("DISK"), inside);
    DIR *folder = opendir(kept);
    if (!folder) {
        for (char *at = kept + 1; (at = strchr(at, '/')); at++) { *at = 0; mkdir(kept, 0700); *at = '/'; }
        mkdir(kept, 0700);
    } else {
        while ((entry = readdir(folder))) {
            snprintf(name, LONG, "%s/%s", kept, entry->d_name);
            unlink(name);
        }
        closedir(folder);
    }
    folder = opendir(path);
    while ((entry = readdir(folder))) {
        snprintf(name, LONG, "%s/%s", path, entry->d_name);
        if (stat(name, &status) || !S_ISREG(status.st_mode)) continue;
        content_of(status.st_ino, content);
        if (access(content, F_OK)) close(open(content, O_WRONLY | O_CREAT, 0600)); /* nothing of it was synced */
        snprintf(name, LONG, "%s/%s", kept, entry->d_name);
        char number[64];
        snprintf(number, sizeof number, "%lu", (unsigned long)status.st_ino);
        if (symlink(number, name)) abort();
    }
    closedir(folder);
}

static void keep(int descriptor) {
    char link[64], path[LONG];
    struct stat status;
    const char *live = getenv("LIVE");
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, LONG - 1);
    if (length < 0 || !live) return;
    path[length] = 0;
    if (strncmp(path, live, strlen(live)) || fstat(descriptor, &status)) return;
    pthread_mutex_lock(&lock);
    if (S_ISDIR(status.st_mode)) keep_names(path, path + strlen(live));
    else keep_file(path, &status);
    pthread_mutex_unlock(&lock);
}

int fsync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    int failed = real(descriptor);
    if (!failed) keep(descriptor);
    return failed;
}

int fdatasync(int descriptor) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    int failed = real(descriptor);
    if (!failed) keep(descriptor);
    return failed;
}
