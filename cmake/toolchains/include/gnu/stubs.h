// glibc's <features.h> wants this file to list unimplemented functions per ABI. Freestanding code calls none of them.
