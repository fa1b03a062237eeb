#pragma once

#include <hdf5.h>
#include <stdint.h>
#include <string.h>
#include <zlib.h>

#include "bytes.h"

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
static inline hid_t graft_h5t_text(void) { return H5T_C_S1; }

static inline hid_t graft_h5p_file_create(void) { return H5P_FILE_CREATE; }
static inline hid_t graft_h5p_file_access(void) { return H5P_FILE_ACCESS; }
static inline hid_t graft_h5p_group_create(void) { return H5P_GROUP_CREATE; }
static inline hid_t graft_h5p_dataset_create(void) { return H5P_DATASET_CREATE; }

static inline unsigned graft_h5f_truncate(void) { return H5F_ACC_TRUNC; }
static inline haddr_t graft_h5_no_address(void) { return HADDR_UNDEF; }

/// Sets the most bytes of structure that the library keeps of a file. The settings are a record with room for a long
/// path, which Swift would see as a tuple of a thousand characters.
static inline herr_t graft_h5p_limit_cache(hid_t access, size_t byteCount) {
  H5AC_cache_config_t settings;
  settings.version = H5AC__CURR_CACHE_CONFIG_VERSION;
  if (H5Pget_mdc_config(access, &settings) < 0) return -1;
  settings.max_size = byteCount;
  if (settings.min_size > byteCount) settings.min_size = byteCount;
  if (settings.initial_size > byteCount) settings.initial_size = byteCount;
  return H5Pset_mdc_config(access, &settings);
}
