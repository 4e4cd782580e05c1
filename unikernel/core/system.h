/* What a program's image is made of: one file of C, which `xtask app` writes for each program, defines ax_system and with it
 * names the services. What nobody names is not linked. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct ax_service;

/* Each is a part of the runtime. */
extern const struct ax_service ax_service_app, ax_service_clock, ax_service_console, ax_service_disk, ax_service_epoll, ax_service_files,
    ax_service_memory, ax_service_paths, ax_service_pipes, ax_service_poll, ax_service_random, ax_service_select, ax_service_signals,
    ax_service_threads;

struct ax_system {
  const char* name;      /* of the program: its argv[0] where the machine passes none */
  unsigned cpus;         /* most that are used */
  unsigned log_level;    /* ax::log::Level */
  const struct ax_service* const* services;
  unsigned long service_count;
};
extern const struct ax_system ax_system;

/* A ready-made program, for ax_service_app. */
struct ax_app {
  const char* path;           /* on the disk, or as the program itself sees it */
  const unsigned char* begin; /* its file in the image; 0: on the disk */
  const unsigned char* end;
};
extern const struct ax_app ax_app;

/* What stands in for main(): `arguments` are followed by a null pointer, the environment and another one. Does not return. */
void ax_run_app(char** arguments);

#ifdef __cplusplus
}
#endif
