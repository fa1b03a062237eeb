#pragma once

#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// libhdf5 trusts some numbers of a file and dies of others: of the published hostile files several crash 1.10.8 in
// H5Fopen or H5Oopen, where no check of ours comes before. So a child process does first what the reader is about
// to do. C, because between fork and exit a child of a process with threads may rely on little: libc keeps malloc
// usable, Swift's runtime promises nothing.

/// What the reader asks of an attribute.
static inline herr_t graft_rehearse_attribute(
    hid_t object, const char *name, const H5A_info_t *info, void *context) {
  (void)info, (void)context;
  hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
  hid_t type = H5Aget_type(attribute), space = H5Aget_space(attribute);
  if (H5Tget_class(type) == H5T_STRING && H5Sget_simple_extent_npoints(space) == 1) {
    char *text = NULL;
    if (H5Tis_variable_str(type) > 0 && H5Aread(attribute, type, &text) >= 0) H5free_memory(text);
  }
  H5Sclose(space);
  H5Tclose(type);
  H5Aclose(attribute);
  return 0;
}

/// What the reader asks of an object, the whole index of its chunks included.
static inline herr_t graft_rehearse_object(
    hid_t root, const char *name, const H5O_info_t *info, void *context) {
  // A cycle of groups: the library doesn't notice one whose counts of links lie. The reader will name it.
  int depth = 0;
  for (const char *c = name; *c; c++) depth += *c == '/';
  if (depth > *(const int *)context) return 1;
  hid_t object = H5Oopen(root, name, H5P_DEFAULT);
  if (object < 0) return 1;
  hsize_t position = 0;
  if (info->num_attrs > 0)
    H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &position, graft_rehearse_attribute, NULL);
  if (info->type == H5O_TYPE_DATASET) {
    hid_t properties = H5Dget_create_plist(object);
    H5Tclose(H5Dget_type(object));
    H5Sclose(H5Dget_space(object));
    H5Dget_offset(object);
    if (H5Pget_layout(properties) == H5D_CHUNKED) {
      hsize_t count = 0;
      hid_t space = H5Dget_space(object);
      H5Dget_num_chunks(object, space, &count);
      H5Sclose(space);
    }
    H5Pclose(properties);
  }
  H5Oclose(object);
  return 0;
}

/// Opens a file and everything in it in a child process.
///
/// Call it while no other thread is in libhdf5. Returns the signal that killed the child, or 0: then the library can
/// be asked itself, also for the error if there is one. Where no child can be made the answer is 0.
static inline int graft_rehearse(const char *path, hid_t access, int maximumDepth) {
  pid_t child = fork();
  if (child < 0) return 0;
  if (child == 0) {
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM, SIGXCPU};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], SIG_DFL);
    struct rlimit none = {0, 0}, seconds = {10, 10};
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_CPU, &seconds);
    alarm(60);
    int quiet = open("/dev/null", O_WRONLY);
    dup2(quiet, STDOUT_FILENO);
    dup2(quiet, STDERR_FILENO);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file >= 0) {
      H5Ovisit2(
          file, H5_INDEX_NAME, H5_ITER_INC, graft_rehearse_object, &maximumDepth,
          H5O_INFO_BASIC | H5O_INFO_NUM_ATTRS);
      H5Fclose(file);
    }
    _exit(0);
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return 0;
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}
