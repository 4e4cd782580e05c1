/* What a program's image is made of: one file of C, which `xtask app` writes for each program, defines ax_system and with it
 * names the services. What nobody names is not linked. */
#pragma once

#ifdef __cplusplus
extern "C" {
#endif

struct ax_service;

/* Each is a part of the runtime. */
extern const struct ax_service ax_service_console, ax_service_memory, ax_service_random, ax_service_threads;

struct ax_system {
  const char* name;      /* of the program: its argv[0] where the machine passes none */
  unsigned cpus;         /* most that are used */
  unsigned log_level;    /* ax::log::Level */
  const struct ax_service* const* services;
  unsigned long service_count;
};
extern const struct ax_system ax_system;

#ifdef __cplusplus
}
#endif
