/* Streams and files. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "check.h"

void check_streams(void) {
  char text[100], *line = NULL;
  size_t room = 0;
  FILE* file = tmpfile();
  CHECK(file == NULL || fclose(file) == 0);
  CHECK((file = fopen("/stream", "w+")) != NULL);
  CHECK(fputs("first\nsecond\nlast", file) >= 0 && ftell(file) == 17 && fseek(file, -4, SEEK_END) == 0 && fgetc(file) == 'l');
  CHECK(ungetc('X', file) == 'X' && ftell(file) == 13 && fgetc(file) == 'X' && fgetc(file) == 'a');
  rewind(file);
  CHECK(fgets(text, 4, file) == text && strcmp(text, "fir") == 0 && fgets(text, sizeof text, file) && strcmp(text, "st\n") == 0);
  CHECK(getline(&line, &room, file) == 7 && strcmp(line, "second\n") == 0 && getdelim(&line, &room, 't', file) == 4 &&
        !feof(file));
  CHECK(getline(&line, &room, file) == -1 && feof(file) && !ferror(file));
  free(line);
  /* At the end of the file fgets() leaves the buffer alone. */
  strcpy(text, "before");
  CHECK(fgets(text, sizeof text, file) == NULL && strcmp(text, "before") == 0);
  clearerr(file);
  /* What was not written yet counts for the position. */
  CHECK(fseek(file, 0, SEEK_END) == 0 && fputs("more", file) >= 0 && ftello(file) == 21 && fflush(file) == 0);
  CHECK(fseeko(file, -1, SEEK_SET) == -1 && errno == EINVAL);
  CHECK(freopen("/stream", "a", file) == file && fputs("!", file) >= 0 && fclose(file) == 0);
  CHECK((file = fopen("/stream", "r")) != NULL && fread(text, 1, sizeof text, file) == 22 && memcmp(text + 17, "more!", 5) == 0);
  CHECK(fputc('x', file) == EOF && ferror(file));
  fclose(file);
  CHECK(fopen("/absent", "r") == NULL && errno == ENOENT && fopen("/stream", "wx") == NULL && errno == EEXIST &&
        fopen("/stream", "?") == NULL && errno == EINVAL);
  CHECK((file = fopen("/stream", "w")) != NULL && setvbuf(file, text, _IOFBF, sizeof text) == 0);
  for (int i = 0; i < 1000; ++i) fprintf(file, "%d\n", i);
  CHECK(fclose(file) == 0);
  CHECK((file = fopen("/stream", "r")) != NULL);
  int number, sum = 0;
  while (fscanf(file, "%d", &number) == 1) sum += number;
  CHECK(sum == 499500 && feof(file) && fclose(file) == 0);
  /* Streams in memory. */
  char* grown;
  size_t size;
  CHECK((file = open_memstream(&grown, &size)) != NULL && fputs("hello", file) >= 0 && fflush(file) == 0 && size == 5 &&
        strcmp(grown, "hello") == 0);
  CHECK(fseek(file, 8, SEEK_SET) == 0 && fputc('!', file) == '!' && fclose(file) == 0 && size == 9 &&
        memcmp(grown, "hello\0\0\0!", 9) == 0);
  free(grown);
  char store[8] = "abc";
  CHECK((file = fmemopen(store, sizeof store, "r+")) != NULL && fgetc(file) == 'a' && fseek(file, 0, SEEK_END) == 0 &&
        ftell(file) == 8);
  CHECK(fseek(file, 3, SEEK_SET) == 0 && fputs("def", file) >= 0 && fclose(file) == 0 && strcmp(store, "abcdef") == 0);
  wchar_t* wide;
  CHECK((file = open_wmemstream(&wide, &size)) != NULL && fputws(L"wide", file) >= 0 && fclose(file) == 0 && size == 4 &&
        wcscmp(wide, L"wide") == 0);
  free(wide);
  /* Pipes as streams. */
  int ends[2];
  CHECK(pipe(ends) == 0);
  FILE *in = fdopen(ends[0], "r"), *out = fdopen(ends[1], "w");
  CHECK(in && out && fprintf(out, "%s %d\n", "through", 7) > 0 && fflush(out) == 0);
  CHECK(fscanf(in, "%99s %d", text, &number) == 2 && strcmp(text, "through") == 0 && number == 7);
  CHECK(fseek(in, 0, SEEK_SET) == -1 && errno == ESPIPE);
  struct pollfd wait = {.fd = ends[0], .events = POLLIN};
  CHECK(fgetc(in) == '\n' && poll(&wait, 1, 0) == 0 && fputs("x", out) >= 0 && fflush(out) == 0 && poll(&wait, 1, 1000) == 1 &&
        wait.revents == POLLIN);
  fd_set set;
  FD_ZERO(&set);
  FD_SET(ends[0], &set);
  CHECK(select(ends[0] + 1, &set, NULL, NULL, &(struct timeval){1, 0}) == 1 && FD_ISSET(ends[0], &set));
  CHECK(fclose(out) == 0 && fgetc(in) == 'x' && fgetc(in) == EOF && feof(in) && fclose(in) == 0);
  CHECK(dprintf(1, "%s", "") == 0);
  flockfile(stdout);
  CHECK(ftrylockfile(stdout) == 0);
  funlockfile(stdout);
  funlockfile(stdout);
  CHECK(unlink("/stream") == 0);
}

void check_files(void) {
  char name[] = "/tmpXXXXXX", folder[] = "/dirXXXXXX", text[64];
  int file = mkstemp(name);
  struct stat status;
  CHECK(file >= 0 && strcmp(name, "/tmpXXXXXX") != 0 && fstat(file, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size == 0);
  CHECK(write(file, "0123456789", 10) == 10 && lseek(file, 0, SEEK_CUR) == 10 && pread(file, text, 4, 3) == 4 &&
        memcmp(text, "3456", 4) == 0);
  CHECK(pwrite(file, "ab", 2, 12) == 2 && fstat(file, &status) == 0 && status.st_size == 14 && pread(file, text, 14, 0) == 14 &&
        text[10] == 0);
  CHECK(lseek(file, -1, SEEK_SET) == -1 && errno == EINVAL && lseek(file, 100, SEEK_END) == 114 && read(file, text, 1) == 0);
  CHECK(ftruncate(file, 5) == 0 && fstat(file, &status) == 0 && status.st_size == 5);
  struct iovec parts[2] = {{text, 2}, {text + 10, 3}};
  CHECK(lseek(file, 0, SEEK_SET) == 0 && readv(file, parts, 2) == 5 && memcmp(text, "01", 2) == 0 &&
        memcmp(text + 10, "234", 3) == 0);
  const int other = dup(file);
  CHECK(other > file && lseek(other, 2, SEEK_SET) == 2 && lseek(file, 0, SEEK_CUR) == 2 && close(other) == 0 &&
        close(other) == -1 && errno == EBADF);
  CHECK((fcntl(file, F_GETFL) & O_ACCMODE) == O_RDWR && fcntl(file, F_GETFD) == 0 && fcntl(file, F_SETFD, FD_CLOEXEC) == 0 &&
        fcntl(file, F_GETFD) == FD_CLOEXEC);
  CHECK(fcntl(file, F_DUPFD, 20) == 20 && close(20) == 0);
  char* mapped = mmap(NULL, 5, PROT_READ, MAP_PRIVATE, file, 0);
  CHECK(mapped != MAP_FAILED && memcmp(mapped, "01234", 5) == 0 && munmap(mapped, 5) == 0);
  /* A time that the file system can tell: it counts in twos. */
  const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
  if (futimens(file, times) == 0) CHECK(fstat(file, &status) == 0 && status.st_mtime == 1000000000);
  CHECK(close(file) == 0 && access(name, R_OK | W_OK) == 0 && rename(name, "/renamed") == 0 && access(name, F_OK) == -1 &&
        errno == ENOENT);
  CHECK(stat("/renamed", &status) == 0 && status.st_size == 5 && unlink("/renamed") == 0);
  CHECK(mkdtemp(folder) == folder && stat(folder, &status) == 0 && S_ISDIR(status.st_mode) && mkdir(folder, 0700) == -1 &&
        errno == EEXIST);
  CHECK(chdir(folder) == 0 && getcwd(text, sizeof text) == text && strcmp(text, folder) == 0 && getcwd(text, 3) == NULL &&
        errno == ERANGE);
  for (int i = 0; i < 30; ++i) {
    snprintf(text, sizeof text, "entry number %d", i);
    CHECK((file = open(text, O_CREAT | O_WRONLY, 0644)) >= 0 && close(file) == 0);
  }
  DIR* listing = opendir(".");
  int count = 0;
  for (const struct dirent* entry; (entry = readdir(listing)) != NULL;) count += strncmp(entry->d_name, "entry number ", 13) == 0;
  CHECK(count == 30);
  rewinddir(listing);
  CHECK(readdir(listing) != NULL && closedir(listing) == 0);
  struct dirent** entries;
  const int found = scandir(".", &entries, NULL, alphasort);
  CHECK(found >= 30 && strcmp(entries[found - 1]->d_name, "entry number 9") == 0);
  for (int i = 0; i < found; ++i) free(entries[i]);
  free(entries);
  CHECK(rmdir(folder) == -1 && (errno == ENOTEMPTY || errno == EBUSY) && open("none/x", O_RDONLY) == -1 && errno == ENOENT);
  for (int i = 0; i < 30; ++i) {
    snprintf(text, sizeof text, "entry number %d", i);
    CHECK(unlink(text) == 0);
  }
  CHECK(chdir("/") == 0 && rmdir(folder) == 0 && open("/", O_WRONLY) == -1 && errno == EISDIR);
  struct statvfs volume;
  CHECK(statvfs("/", &volume) == 0 && volume.f_bsize > 0 && volume.f_bfree <= volume.f_blocks && volume.f_namemax >= 255);
  CHECK((file = open("/large", O_CREAT | O_RDWR, 0644)) >= 0 && lseek(file, (off_t)1 << 33, SEEK_SET) == (off_t)1 << 33);
  CHECK(write(file, "x", 1) == -1 && (errno == EFBIG || errno == ENOSPC) && close(file) == 0 && unlink("/large") == 0);
  CHECK(read(99, text, 1) == -1 && errno == EBADF && open("", O_RDONLY) == -1 && errno == ENOENT &&
        stat("/absent/x", &status) == -1 && errno == ENOENT);
  char* real = realpath("/./../", NULL);
  CHECK_TEXT(real, "/");
  free(real);
}
