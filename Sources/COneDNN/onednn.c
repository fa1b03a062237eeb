// Products through oneDNN, opened at run time: the program works without the library, and builds without its
// header. One context belongs to one thread, because a primitive's scratch is its own.
#include "COneDNN.h"

#if __has_include(<dnnl.h>)
#include <dlfcn.h>
#include <dnnl.h>
#include <stdio.h>
#include <string.h>

enum { CACHE_SIZE = 128 };

#define FUNCTIONS(X)                                                                          \
  X(dnnl_engine_create) X(dnnl_engine_destroy) X(dnnl_stream_create) X(dnnl_stream_destroy)   \
  X(dnnl_stream_wait) X(dnnl_primitive_attr_create) X(dnnl_primitive_attr_destroy)            \
  X(dnnl_primitive_attr_set_post_ops) X(dnnl_post_ops_create) X(dnnl_post_ops_destroy)        \
  X(dnnl_post_ops_append_sum) X(dnnl_primitive_desc_destroy) X(dnnl_primitive_create)         \
  X(dnnl_primitive_destroy) X(dnnl_primitive_execute) X(dnnl_memory_create)                   \
  X(dnnl_memory_destroy) X(dnnl_memory_set_data_handle) X(dnnl_memory_desc_get_size)          \
  X(dnnl_primitive_desc_query_md) X(dnnl_primitive_attr_set_scratchpad_mode) VERSIONED(X)

#if DNNL_VERSION_MAJOR >= 3
#define VERSIONED(X)                                                                  \
  X(dnnl_memory_desc_create_with_strides) X(dnnl_memory_desc_destroy)                 \
  X(dnnl_matmul_primitive_desc_create)
#else
#define VERSIONED(X)                                                                  \
  X(dnnl_memory_desc_init_by_strides) X(dnnl_matmul_desc_init) X(dnnl_primitive_desc_create)
#endif

typedef struct {
  graft_onednn_product product;
  dnnl_primitive_t primitive;
  // a, b, c and the scratch.
  dnnl_memory_t memory[4];
  int64_t scratch_bytes;
} entry;

struct graft_onednn {
  void *library;
  void (*set_threads)(int);
#define FIELD(name) __typeof__(&name) name;
  FUNCTIONS(FIELD)
#undef FIELD
  dnnl_engine_t engine;
  dnnl_stream_t stream;
  entry cache[CACHE_SIZE];
  entry *prepared;
  int32_t used, next;
};

int64_t graft_onednn_size(void) { return sizeof(graft_onednn); }

static void *open_library(void) {
  char name[32];
  snprintf(name, sizeof name, "libdnnl.so.%d", DNNL_VERSION_MAJOR);
  return dlopen(name, RTLD_NOW | RTLD_LOCAL);
}

int graft_onednn_is_available(void) {
  void *library = open_library();
  if (!library) return 0;
  dlclose(library);
  return 1;
}

int graft_onednn_open(graft_onednn *x) {
  memset(x, 0, sizeof *x);
  x->library = open_library();
  if (!x->library) return 0;
#define FIND(name)                                                            \
  *(void **)&x->name = dlsym(x->library, #name);                              \
  if (!x->name) {                                                             \
    dlclose(x->library);                                                      \
    x->library = 0;                                                           \
    return 0;                                                                 \
  }
  FUNCTIONS(FIND)
#undef FIND
  // The library's own threads are not wanted; a build without OpenMP has no such function.
  *(void **)&x->set_threads = dlsym(x->library, "omp_set_num_threads");
  if (x->dnnl_engine_create(&x->engine, dnnl_cpu, 0) != dnnl_success ||
      x->dnnl_stream_create(&x->stream, x->engine, dnnl_stream_default_flags) != dnnl_success) {
    graft_onednn_close(x);
    return 0;
  }
  return 1;
}

static void forget(graft_onednn *x, entry *e) {
  if (e->primitive) x->dnnl_primitive_destroy(e->primitive);
  for (int i = 0; i < 4; i++)
    if (e->memory[i]) x->dnnl_memory_destroy(e->memory[i]);
  memset(e, 0, sizeof *e);
}

void graft_onednn_close(graft_onednn *x) {
  if (!x->library) return;
  for (int i = 0; i < x->used; i++) forget(x, &x->cache[i]);
  if (x->stream) x->dnnl_stream_destroy(x->stream);
  if (x->engine) x->dnnl_engine_destroy(x->engine);
  dlclose(x->library);
  x->library = 0;
}

// The two generations differ in how descriptors are owned.
#if DNNL_VERSION_MAJOR >= 3
typedef dnnl_memory_desc_t description;
static dnnl_status_t describe(
  graft_onednn *x, description *d, dnnl_dims_t dims, dnnl_data_type_t type, dnnl_dims_t strides) {
  return x->dnnl_memory_desc_create_with_strides(d, 2, dims, type, strides);
}
static dnnl_status_t make_descriptor(
  graft_onednn *x, dnnl_primitive_desc_t *pd, description *d, dnnl_primitive_attr_t attributes) {
  return x->dnnl_matmul_primitive_desc_create(pd, x->engine, d[0], d[1], NULL, d[2], attributes);
}
static dnnl_status_t make_memory(graft_onednn *x, dnnl_memory_t *memory, description d) {
  return x->dnnl_memory_create(memory, d, x->engine, DNNL_MEMORY_NONE);
}
static void release(graft_onednn *x, description *d) {
  if (*d) x->dnnl_memory_desc_destroy(*d);
}
static dnnl_status_t append_sum(graft_onednn *x, dnnl_post_ops_t operations) {
  return x->dnnl_post_ops_append_sum(operations, 1.0f, 0, dnnl_data_type_undef);
}
#else
typedef dnnl_memory_desc_t description;
static dnnl_status_t describe(
  graft_onednn *x, description *d, dnnl_dims_t dims, dnnl_data_type_t type, dnnl_dims_t strides) {
  return x->dnnl_memory_desc_init_by_strides(d, 2, dims, type, strides);
}
static dnnl_status_t make_descriptor(
  graft_onednn *x, dnnl_primitive_desc_t *pd, description *d, dnnl_primitive_attr_t attributes) {
  dnnl_matmul_desc_t matmul;
  dnnl_status_t status = x->dnnl_matmul_desc_init(&matmul, &d[0], &d[1], NULL, &d[2]);
  return status ? status : x->dnnl_primitive_desc_create(pd, &matmul, attributes, x->engine, NULL);
}
static dnnl_status_t make_memory(graft_onednn *x, dnnl_memory_t *memory, description d) {
  return x->dnnl_memory_create(memory, &d, x->engine, DNNL_MEMORY_NONE);
}
static void release(graft_onednn *x, description *d) { (void)x, (void)d; }
static dnnl_status_t append_sum(graft_onednn *x, dnnl_post_ops_t operations) {
  return x->dnnl_post_ops_append_sum(operations, 1.0f);
}
#endif

static int64_t scratch_bytes(graft_onednn *x, dnnl_primitive_desc_t pd) {
  return x->dnnl_memory_desc_get_size(
    x->dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0));
}

static dnnl_status_t make_scratch(graft_onednn *x, dnnl_memory_t *memory, dnnl_primitive_desc_t pd) {
  return x->dnnl_memory_create(
    memory, x->dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0), x->engine,
    DNNL_MEMORY_NONE);
}

// The product in the library's words; `d` has the three operands, and goes back with `release`.
static dnnl_status_t make_product(
  graft_onednn *x, const graft_onednn_product *p, description d[3], dnnl_primitive_desc_t *pd) {
  dnnl_dims_t dims[3] = {{p->m, p->k}, {p->k, p->n}, {p->m, p->n}};
  dnnl_dims_t strides[3] = {{p->a_row, p->a_column}, {p->b_row, p->b_column}, {p->c_row, 1}};
  memset(d, 0, 3 * sizeof *d);
  dnnl_primitive_attr_t attributes = NULL;
  dnnl_post_ops_t operations = NULL;
  dnnl_status_t status = x->dnnl_primitive_attr_create(&attributes);
  // The caller's scratch: the library's own would come and go with every product, and nobody would know how much it is.
  if (!status)
    status = x->dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user);
  if (!status && p->accumulate) {
    status = x->dnnl_post_ops_create(&operations);
    if (!status) status = append_sum(x, operations);
    if (!status) status = x->dnnl_primitive_attr_set_post_ops(attributes, operations);
  }
  for (int i = 0; !status && i < 3; i++)
    status = describe(
      x, &d[i], dims[i], (i == 2 ? p->c_is_f32 : p->is_f32) ? dnnl_f32 : dnnl_bf16, strides[i]);
  if (!status) status = make_descriptor(x, pd, d, attributes);
  if (operations) x->dnnl_post_ops_destroy(operations);
  if (attributes) x->dnnl_primitive_attr_destroy(attributes);
  return status;
}

static int64_t failure(dnnl_status_t status) {
  return status == dnnl_out_of_memory ? GRAFT_ONEDNN_NO_MEMORY : GRAFT_ONEDNN_CANNOT;
}

int64_t graft_onednn_scratch(graft_onednn *x, const graft_onednn_product *product) {
  if (x->set_threads) x->set_threads(1);
  description d[3];
  dnnl_primitive_desc_t pd = NULL;
  dnnl_status_t status = make_product(x, product, d, &pd);
  int64_t bytes = status ? failure(status) : scratch_bytes(x, pd);
  if (pd) x->dnnl_primitive_desc_destroy(pd);
  for (int i = 0; i < 3; i++) release(x, &d[i]);
  return bytes;
}

static dnnl_status_t build(graft_onednn *x, entry *e, const graft_onednn_product *p) {
  description d[3];
  dnnl_primitive_desc_t pd = NULL;
  dnnl_status_t status = make_product(x, p, d, &pd);
  if (!status) status = x->dnnl_primitive_create(&e->primitive, pd);
  for (int i = 0; !status && i < 3; i++) status = make_memory(x, &e->memory[i], d[i]);
  if (!status) status = make_scratch(x, &e->memory[3], pd);
  if (!status) e->scratch_bytes = scratch_bytes(x, pd);
  for (int i = 0; i < 3; i++) release(x, &d[i]);
  if (pd) x->dnnl_primitive_desc_destroy(pd);
  e->product = *p;
  if (status) forget(x, e);
  return status;
}

static dnnl_status_t find(graft_onednn *x, const graft_onednn_product *p, entry **found) {
  for (int i = 0; i < x->used; i++)
    if (memcmp(&x->cache[i].product, p, sizeof *p) == 0) {
      *found = &x->cache[i];
      return dnnl_success;
    }
  entry *e = &x->cache[x->next];
  if (x->used < CACHE_SIZE) x->used++;
  x->next = (x->next + 1) % CACHE_SIZE;
  forget(x, e);
  *found = e;
  return build(x, e, p);
}

int64_t graft_onednn_prepare(graft_onednn *x, const graft_onednn_product *product) {
  if (x->set_threads) x->set_threads(1);
  dnnl_status_t status = find(x, product, &x->prepared);
  return status ? failure(status) : x->prepared->scratch_bytes;
}

int graft_onednn_run(graft_onednn *x, const void *a, const void *b, void *c, void *scratch) {
  entry *e = x->prepared;
  x->dnnl_memory_set_data_handle(e->memory[0], (void *)a);
  x->dnnl_memory_set_data_handle(e->memory[1], (void *)b);
  x->dnnl_memory_set_data_handle(e->memory[2], c);
  x->dnnl_memory_set_data_handle(e->memory[3], scratch);
  dnnl_exec_arg_t arguments[4] = {
    {DNNL_ARG_SRC, e->memory[0]}, {DNNL_ARG_WEIGHTS, e->memory[1]}, {DNNL_ARG_DST, e->memory[2]},
    {DNNL_ARG_SCRATCHPAD, e->memory[3]}};
  return x->dnnl_primitive_execute(e->primitive, x->stream, 4, arguments) == dnnl_success &&
         x->dnnl_stream_wait(x->stream) == dnnl_success;
}

#else

struct graft_onednn {
  int unused;
};

int64_t graft_onednn_size(void) { return sizeof(graft_onednn); }
int graft_onednn_is_available(void) { return 0; }
int graft_onednn_open(graft_onednn *context) { return (void)context, 0; }
void graft_onednn_close(graft_onednn *context) { (void)context; }
int64_t graft_onednn_scratch(graft_onednn *context, const graft_onednn_product *product) {
  return (void)context, (void)product, GRAFT_ONEDNN_CANNOT;
}
int64_t graft_onednn_prepare(graft_onednn *context, const graft_onednn_product *product) {
  return (void)context, (void)product, GRAFT_ONEDNN_CANNOT;
}
int graft_onednn_run(
  graft_onednn *context, const void *a, const void *b, void *c, void *scratch) {
  return (void)context, (void)a, (void)b, (void)c, (void)scratch, 0;
}

#endif
