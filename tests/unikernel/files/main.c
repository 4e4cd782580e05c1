/* Files on a disk, part by part; the first argument says which. Every mistake is one line and the status 1. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../check.h"

static const size_t kSizes[] = {0, 1, 511, 512, 513, 4095, 4096, 100000, 1 << 20};
enum { kSizeCount = sizeof kSizes / sizeof *kSizes };

static unsigned char byte_at(size_t file, size_t offset) { return (unsigned char)(file * 31 + offset * 7 + (offset >> 9)); }

static void put(const char* path, const char* text) {
  const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  CHECK(fd >= 0);
  CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
  CHECK(close(fd) == 0);
}

static void expect(const char* path, const char* text) {
  char buffer[256];
  const int fd = open(path, O_RDONLY);
  CHECK(fd >= 0);
  const ssize_t size = read(fd, buffer, sizeof buffer);
  CHECK(size == (ssize_t)strlen(text) && memcmp(buffer, text, strlen(text)) == 0);
  CHECK(read(fd, buffer, 1) == 0);
  CHECK(close(fd) == 0);
}

static void host(void) {
  expect("/from host/A long name with spaces.txt", "written by the host\n");
  FILE* file = fopen("/FROM-H~1/x", "r");
  CHECK(file == NULL && errno == ENOENT);
  struct stat status;
  CHECK(stat("/from host", &status) == 0 && S_ISDIR(status.st_mode));
}

static void name_of(size_t i, char* name) { sprintf(name, "/sizes/file of size %zu.bin", kSizes[i]); }

static void sizes(void) {
  char name[64];
  CHECK(mkdir("/sizes", 0755) == 0);
  for (size_t i = 0; i < kSizeCount; ++i) {
    name_of(i, name);
    FILE* file = fopen(name, "w");
    CHECK(file != NULL);
    for (size_t at = 0; at < kSizes[i]; ++at) CHECK(putc(byte_at(i, at), file) != EOF);
    CHECK(fclose(file) == 0);
  }
}

static void again(void) {
  char name[64];
  for (size_t i = 0; i < kSizeCount; ++i) {
    name_of(i, name);
    struct stat status;
    CHECK(stat(name, &status) == 0 && (size_t)status.st_size == kSizes[i] && S_ISREG(status.st_mode));
    FILE* file = fopen(name, "r");
    CHECK(file != NULL);
    for (size_t at = 0; at < kSizes[i]; ++at) CHECK(getc(file) == byte_at(i, at));
    CHECK(getc(file) == EOF && feof(file));
    CHECK(fclose(file) == 0);
  }
  const int fd = open("/sizes/file of size 100000.bin", O_RDONLY);
  CHECK(fd >= 0);
  const unsigned char* map = mmap(NULL, 100000, PROT_READ, MAP_PRIVATE, fd, 0);
  CHECK(map != MAP_FAILED && map[0] == byte_at(7, 0) && map[99999] == byte_at(7, 99999) && map[100001] == 0);
  CHECK(munmap((void*)map, 100000) == 0);
}

static void move(void) {
  char buffer[64];
  const int fd = open("moved", O_RDWR | O_CREAT | O_EXCL, 0644);
  CHECK(fd >= 0);
  CHECK(write(fd, "0123456789", 10) == 10);
  CHECK(lseek(fd, 3, SEEK_SET) == 3 && read(fd, buffer, 2) == 2 && memcmp(buffer, "34", 2) == 0);
  CHECK(lseek(fd, -1, SEEK_CUR) == 4 && write(fd, "X", 1) == 1);
  CHECK(lseek(fd, 0, SEEK_END) == 10);
  FAILS(lseek(fd, -11, SEEK_END), EINVAL);
  CHECK(pread(fd, buffer, 10, 0) == 10 && memcmp(buffer, "0123X56789", 10) == 0);
  CHECK(pwrite(fd, "end", 3, 5000) == 3);
  CHECK(lseek(fd, 0, SEEK_CUR) == 10);
  for (int at = 10; at < 5000; at += 10) CHECK(pread(fd, buffer, 10, at) == 10 && memcmp(buffer, "\0\0\0\0\0\0\0\0\0", 10) == 0);
  CHECK(ftruncate(fd, 5) == 0);
  CHECK(pread(fd, buffer, 64, 0) == 5 && memcmp(buffer, "0123X", 5) == 0);
  CHECK(ftruncate(fd, 20) == 0);
  CHECK(pread(fd, buffer, 64, 0) == 20 && memcmp(buffer, "0123X\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20) == 0);
  CHECK(ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_END) == 0);
  CHECK(ftruncate(fd, 70000) == 0 && truncate("moved", 66000) == 0 && lseek(fd, 0, SEEK_END) == 66000);
  CHECK(fsync(fd) == 0 && fdatasync(fd) == 0);
  struct iovec parts[] = {{"one ", 4}, {"two ", 4}, {"three", 5}};
  CHECK(lseek(fd, 0, SEEK_SET) == 0 && writev(fd, parts, 3) == 13);
  char a[5], b[8];
  struct iovec into[] = {{a, 5}, {b, 8}};
  CHECK(lseek(fd, 0, SEEK_SET) == 0 && readv(fd, into, 2) == 13 && memcmp(b, "wo three", 8) == 0);
  CHECK(close(fd) == 0);
  const int append = open("moved", O_WRONLY | O_APPEND);
  CHECK(append >= 0 && write(append, "!", 1) == 1 && lseek(append, 0, SEEK_CUR) == 66001 && close(append) == 0);
  struct statfs system;
  CHECK(statfs("/", &system) == 0 && system.f_blocks > 10000 && system.f_bfree < system.f_blocks);
  CHECK(unlink("moved") == 0 && access("moved", F_OK) == -1 && errno == ENOENT);
}

static int count_entries(const char* path, int remove_them) {
  char name[300];
  DIR* directory = opendir(path);
  CHECK(directory != NULL);
  int count = 0;
  for (struct dirent* entry; (entry = readdir(directory)) != NULL;) {
    if (entry->d_name[0] == '.') continue;
    ++count;
    CHECK(entry->d_type == DT_REG || entry->d_type == DT_DIR);
    snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
    if (remove_them) CHECK(remove(name) == 0);
  }
  CHECK(closedir(directory) == 0);
  return count;
}

static void directories(void) {
  char name[64];
  CHECK(getcwd(name, sizeof name) != NULL && strcmp(name, "/") == 0);
  CHECK(mkdir("deep", 0755) == 0 && mkdir("deep/er", 0755) == 0 && chdir("deep/er") == 0);
  CHECK(getcwd(name, sizeof name) != NULL && strcmp(name, "/deep/er") == 0);
  FAILS(getcwd(name, 3) != NULL ? 0 : -1, ERANGE);
  put("../file", "relative");
  expect("/deep/./er/../file", "relative");
  const int directory = open("/deep", O_RDONLY | O_DIRECTORY);
  CHECK(directory >= 0);
  const int file = openat(directory, "file", O_RDONLY);
  CHECK(file >= 0 && close(file) == 0);
  CHECK(mkdirat(directory, "third", 0755) == 0);
  struct stat status;
  CHECK(fstatat(directory, "third", &status, 0) == 0 && S_ISDIR(status.st_mode));
  CHECK(unlinkat(directory, "third", AT_REMOVEDIR) == 0);
  CHECK(fchdir(directory) == 0 && getcwd(name, sizeof name) != NULL && strcmp(name, "/deep") == 0);
  CHECK(close(directory) == 0);
  FAILS(rmdir("/deep"), ENOTEMPTY);
  CHECK(chdir("/") == 0);
  for (int i = 0; i < 300; ++i) {
    sprintf(name, "/deep/er/entry number %d", i);
    put(name, name);
  }
  CHECK(count_entries("/deep/er", 0) == 300);
  CHECK(count_entries("/deep/er", 1) == 300);
  CHECK(count_entries("/deep/er", 0) == 0);
  CHECK(rename("/deep/er", "/moved directory") == 0 && stat("/moved directory/..", &status) == 0);
  CHECK(rmdir("/moved directory") == 0 && unlink("/deep/file") == 0 && rmdir("/deep") == 0);
}

static void names(void) {
  char buffer[16];
  put("/first", "first");
  put("/second", "second");
  CHECK(rename("/first", "/second") == 0);
  expect("/second", "first");
  FAILS(open("/first", O_RDONLY), ENOENT);
  /* An open file goes on under its new name, and without any. */
  int fd = open("/second", O_RDWR);
  CHECK(fd >= 0 && mkdir("/sub", 0755) == 0 && rename("/second", "/sub/a much longer name than before.text") == 0);
  CHECK(pwrite(fd, "F", 1, 0) == 1 && pwrite(fd, "more", 4, 5) == 4);
  struct stat status;
  CHECK(stat("/sub/a much longer name than before.text", &status) == 0 && status.st_size == 9);
  CHECK(close(fd) == 0);
  expect("/sub/A MUCH longer name than before.text", "Firstmore");
  fd = open("/sub/a much longer name than before.text", O_RDWR);
  CHECK(fd >= 0 && unlink("/sub/a much longer name than before.text") == 0);
  FAILS(open("/sub/a much longer name than before.text", O_RDONLY), ENOENT);
  CHECK(pread(fd, buffer, 16, 0) == 9 && pwrite(fd, "still there", 11, 100000) == 11 && ftruncate(fd, 7) == 0);
  CHECK(pread(fd, buffer, 16, 0) == 7 && memcmp(buffer, "Firstmo", 7) == 0 && fstat(fd, &status) == 0 && status.st_size == 7);
  CHECK(close(fd) == 0 && rmdir("/sub") == 0);
  FAILS(rename("/sizes", "/sizes/inside"), EINVAL);
  FAILS(rename("/nothing", "/something"), ENOENT);
  FILE* temporary = tmpfile();
  if (temporary == NULL) {
    CHECK(mkdir("/tmp", 0755) == 0);
    temporary = tmpfile();
  }
  CHECK(temporary != NULL && fputs("temporary", temporary) >= 0 && fclose(temporary) == 0);
}

static void descriptors(void) {
  const int fd = open("/descriptors", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  CHECK(fd == 3);
  const int copy = dup(fd);
  CHECK(copy == 4 && write(fd, "abc", 3) == 3 && lseek(copy, 0, SEEK_CUR) == 3);
  CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0 && fcntl(copy, F_SETFD, FD_CLOEXEC) == 0 &&
        fcntl(copy, F_GETFD) == FD_CLOEXEC);
  CHECK(dup2(fd, 20) == 20 && fcntl(fd, F_DUPFD, 10) == 10 && dup3(fd, 21, O_CLOEXEC) == 21);
  CHECK((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR && fcntl(fd, F_SETFL, O_APPEND) == 0 &&
        (fcntl(copy, F_GETFL) & O_APPEND) != 0);
  struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0x40000000, .l_len = 1};
  CHECK(fcntl(fd, F_SETLK, &lock) == 0);
  lock.l_type = F_RDLCK;
  CHECK(fcntl(copy, F_GETLK, &lock) == 0 && lock.l_type == F_UNLCK);
  CHECK(close(fd) == 0 && write(copy, "def", 3) == 3 && close(copy) == 0 && close(20) == 0 && close(10) == 0 && close(21) == 0);
  FAILS(close(21), EBADF);
  expect("/descriptors", "abcdef");
  const int reader = open("/descriptors", O_RDONLY);
  FAILS(write(reader, "x", 1), EBADF);
  CHECK(close(reader) == 0);
  int count = 0;
  while (open("/descriptors", O_RDONLY) >= 0) ++count;
  CHECK(errno == EMFILE && count == 253);
  for (int i = 3; i < 256; ++i) CHECK(close(i) == 0);
  CHECK(isatty(1) == 1 && dup2(1, 30) == 30 && dprintf(30, "through a copy of 1\n") == 20);
  CHECK(unlink("/descriptors") == 0);
}

static void devices(void) {
  char bytes[32] = "x";
  int fd = open("/dev/null", O_RDWR);
  CHECK(fd >= 0 && write(fd, "gone", 4) == 4 && read(fd, bytes, 4) == 0 && close(fd) == 0);
  fd = open("/dev/zero", O_RDONLY);
  CHECK(fd >= 0 && read(fd, bytes, 1) == 1 && bytes[0] == 0 && close(fd) == 0);
  fd = open("/dev/urandom", O_RDONLY);
  CHECK(fd >= 0 && read(fd, bytes, 32) == 32 && memcmp(bytes, bytes + 16, 16) != 0 && close(fd) == 0);
  struct stat status;
  CHECK(stat("/dev/tty", &status) == 0 && S_ISCHR(status.st_mode));
}

static void errors(void) {
  char name[300];
  memset(name, 'n', sizeof name);
  name[0] = '/';
  name[299] = 0;
  put("/plain", "file");
  FAILS(open("/none/file", O_RDONLY), ENOENT);
  FAILS(open("/none/file", O_RDWR | O_CREAT, 0644), ENOENT);
  FAILS(open("/plain/file", O_RDONLY), ENOTDIR);
  FAILS(open("/plain/", O_RDONLY), ENOTDIR);
  FAILS(open("/plain", O_RDWR | O_CREAT | O_EXCL, 0644), EEXIST);
  FAILS(open("/plain", O_RDONLY | O_DIRECTORY), ENOTDIR);
  FAILS(open("/", O_RDWR), EISDIR);
  FAILS(open(name, O_RDONLY), ENAMETOOLONG);
  FAILS(open("/bad:name", O_RDWR | O_CREAT, 0644), EINVAL);
  FAILS(open("", O_RDONLY), ENOENT);
  FAILS(mkdir("/plain", 0755), EEXIST);
  FAILS(rmdir("/plain"), ENOTDIR);
  FAILS(unlink("/sizes"), EISDIR);
  FAILS(chdir("/plain"), ENOTDIR);
  FAILS(readlink("/plain", name, 10), EINVAL);
  FAILS(read(77, name, 1), EBADF);
  FAILS(lseek(1, 0, SEEK_SET), ESPIPE);
  const int fd = open("/plain", O_RDWR);
  FAILS(ftruncate(fd, 0x100000000), EFBIG);
  FAILS(pwrite(fd, "x", 1, 0xffffffff), EFBIG);
  FAILS(pread(fd, name, 1, -1), EINVAL);
  const int directory = open("/", O_RDONLY);
  FAILS(read(directory, name, 1), EISDIR);
  CHECK(close(fd) == 0 && close(directory) == 0 && unlink("/plain") == 0);
}

static void* write_much(void* argument) {
  const long number = (long)argument;
  char name[32], text[100];
  sprintf(name, "/thread %ld", number);
  memset(text, 'a' + (int)number, sizeof text);
  const int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
  CHECK(fd >= 0);
  for (int i = 0; i < 300; ++i) CHECK(write(fd, text, sizeof text) == sizeof text);
  char back[100];
  for (int i = 0; i < 300; ++i)
    CHECK(pread(fd, back, sizeof back, i * 100) == sizeof back && memcmp(back, text, sizeof text) == 0);
  CHECK(close(fd) == 0 && unlink(name) == 0);
  return NULL;
}

static void threads(void) {
  pthread_t all[8];
  for (long i = 0; i < 8; ++i) CHECK(pthread_create(&all[i], NULL, write_much, (void*)i) == 0);
  for (int i = 0; i < 8; ++i) CHECK(pthread_join(all[i], NULL) == 0);
}

static void full(void) {
  static char block[4096];
  const int fd = open("/large", O_RDWR | O_CREAT, 0644);
  CHECK(fd >= 0);
  ssize_t size = 0, written;
  while ((written = write(fd, block, sizeof block)) == sizeof block) size += written;
  CHECK(written == -1 && errno == ENOSPC);
  while ((written = write(fd, block, 512)) == 512) size += written;
  CHECK(written == -1 && errno == ENOSPC);
  CHECK(lseek(fd, 0, SEEK_END) == size && fsync(fd) == 0);
  FAILS(mkdir("/directory", 0755), ENOSPC);
  CHECK(ftruncate(fd, size / 2) == 0 && mkdir("/directory", 0755) == 0 && rmdir("/directory") == 0);
  CHECK(pwrite(fd, "end", 3, size / 2) == 3);
  CHECK(close(fd) == 0 && unlink("/large") == 0);
  struct statfs system;
  CHECK(statfs("/", &system) == 0 && system.f_bfree * system.f_bsize >= (size_t)size);
}

static void corrupt(void) {
  static char block[65536];
  const int fd = open("/data", O_RDONLY);
  CHECK(fd >= 0);
  FAILS(read(fd, block, sizeof block), EIO);
  const int other = open("/new", O_RDWR | O_CREAT, 0644);
  FAILS(other < 0 ? -1 : write(other, "x", 1), ENOSPC);
}

static void begin(const char* path) {
  const int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
  CHECK(fd >= 0 && write(fd, "not closed", 10) == 10);
  const int gone = open("/gone", O_RDWR | O_CREAT, 0644);
  CHECK(gone >= 0 && ftruncate(gone, 300000) == 0 && unlink("/gone") == 0);
}

int main(int argc, char** argv) {
  static const struct {
    const char* name;
    void (*run)(void);
  } parts[] = {{"host", host},
               {"sizes", sizes},
               {"again", again},
               {"move", move},
               {"directories", directories},
               {"names", names},
               {"descriptors", descriptors},
               {"devices", devices},
               {"errors", errors},
               {"threads", threads},
               {"full", full},
               {"corrupt", corrupt}};
  const char* what = argc > 1 ? argv[1] : "";
  for (size_t i = 0; i < sizeof parts / sizeof *parts; ++i) {
    if (strcmp(parts[i].name, what) != 0) continue;
    parts[i].run();
    printf("%s: in order\n", what);
    return 0;
  }
  if (strcmp(what, "leave") == 0) {
    begin("/left");
    puts("leave: in order");
    exit(3);
  }
  if (strcmp(what, "crash") == 0) {
    begin("/crashed");
    *(volatile int*)NULL = 1;
  }
  if (strcmp(what, "left") == 0) {
    expect("/left", "not closed");
    expect("/crashed", "not closed");
    puts("left: in order");
  }
  return 0;
}
