#pragma once

#include <hdf5.h>
#include <stdint.h>
#include <zlib.h>

#include "rehearse.h"

// libhdf5 names its types, property classes and flags by macros that open the library on the way; Swift doesn't
// see macros with calls in them. Each accessor below is one of those names.

static inline hid_t graft_h5t_u8(void) { return H5T_STD_U8LE; }
static inline hid_t graft_h5t_i8(void) { return H5T_STD_I8LE; }
static inline hid_t graft_h5t_u16(void) { return H5T_STD_U16LE; }
static inline hid_t graft_h5t_i16(void) { return H5T_STD_I16LE; }
static inline hid_t graft_h5t_u32(void) { return H5T_STD_U32LE; }
static inline hid_t graft_h5t_i32(void) { return H5T_STD_I32LE; }
static inline hid_t graft_h5t_u64(void) { return H5T_STD_U64LE; }
static inline hid_t graft_h5t_i64(void) { return H5T_STD_I64LE; }
static inline hid_t graft_h5t_f32(void) { return H5T_IEEE_F32LE; }
static inline hid_t graft_h5t_f64(void) { return H5T_IEEE_F64LE; }

static inline hid_t graft_h5p_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t graft_h5p_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t graft_h5p_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t graft_h5p_dataset_create(void) { return H5P_DATASET_CREATE; }

static inline unsigned graft_h5f_read_only(void) { return H5F_ACC_RDONLY; }
static inline unsigned graft_h5f_truncate(void) { return H5F_ACC_TRUNC; }
static inline haddr_t graft_h5_no_address(void) { return HADDR_UNDEF; }

/// Calls `visit` for the links of a group in the order of their names (a macro in later versions of the library).
static inline herr_t graft_h5_visit_links(hid_t group, H5L_iterate_t visit, void *context) {
  hsize_t position = 0;
  return H5Literate(group, H5_INDEX_NAME, H5_ITER_INC, &position, visit, context);
}

/// Calls `visit` for the attributes of an object in the order of their names.
static inline herr_t graft_h5_visit_attributes(
    hid_t object, H5A_operator2_t visit, void *context) {
  hsize_t position = 0;
  return H5Aiterate2(object, H5_INDEX_NAME, H5_ITER_INC, &position, visit, context);
}

/// Moves byte `b` of element `e` to place `b * count + e`: HDF5's shuffle filter.
static inline void graft_shuffle(
    uint8_t *target, const uint8_t *source, size_t elementBytes, size_t count) {
  for (size_t b = 0; b < elementBytes; b++)
    for (size_t e = 0; e < count; e++) target[b * count + e] = source[e * elementBytes + b];
}

/// Undoes `graft_shuffle`.
static inline void graft_unshuffle(
    uint8_t *target, const uint8_t *source, size_t elementBytes, size_t count) {
  for (size_t b = 0; b < elementBytes; b++)
    for (size_t e = 0; e < count; e++) target[e * elementBytes + b] = source[b * count + e];
}
