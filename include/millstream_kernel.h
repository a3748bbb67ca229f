/* Kernels for Millstream that are loaded at run time.
 *
 * A shared library exports functions that return a description of a kernel:
 *
 *     const struct MillstreamKernel *my_kernel(void);
 *
 * and, for `--load lib.so`, one that returns all of them, a null pointer last:
 *
 *     const struct MillstreamKernel *const *millstream_kernels(void);
 *
 * Columns cross the boundary in the Arrow C Data Interface (https://arrow.apache.org/docs/format/CDataInterface.html),
 * and nothing else does. Arguments are lent for the call: do not release or keep them. They have offset 0, `length` is
 * the number of rows, and what stands under nulls is some value of the type.
 *
 * Types, by the Arrow format of their columns:
 *
 *     BOOLEAN b   TINYINT c   SMALLINT s   INT i   BIGINT l   (UNSIGNED: C S I L)   REAL f   DOUBLE g
 *     DATE tdD    TIMESTAMP tsu:    VARCHAR u (32-bit offsets)    BYTEA z
 *
 * Rule for versions: within a major version structures only grow at their end, and `struct_size` says how far they go.
 */
#ifndef MILLSTREAM_KERNEL_H
#define MILLSTREAM_KERNEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MILLSTREAM_KERNEL_ABI_MAJOR 1
#define MILLSTREAM_KERNEL_ABI_MINOR 1
#define MILLSTREAM_KERNEL_ABI_VERSION ((uint32_t)(MILLSTREAM_KERNEL_ABI_MAJOR << 16 | MILLSTREAM_KERNEL_ABI_MINOR))

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

struct ArrowArray {
  int64_t length;
  int64_t null_count;
  int64_t offset;
  int64_t n_buffers;
  int64_t n_children;
  const void **buffers;
  struct ArrowArray **children;
  struct ArrowArray *dictionary;
  void (*release)(struct ArrowArray *);
  void *private_data;
};

#endif

/* Flags of a kernel. */
#define MILLSTREAM_VOLATILE 1u        /* equal arguments may give other results */
#define MILLSTREAM_INFALLIBLE 2u      /* no argument makes it fail */
#define MILLSTREAM_TAKES_NULLS 4u     /* it is given nulls; else a null argument makes a null result */
#define MILLSTREAM_ORDER_SENSITIVE 8u /* an aggregate whose result depends on the order of the rows */

/* Where a failing call puts its reason, UTF-8 with a zero byte at the end. */
struct MillstreamError {
  char message[256];
};

struct MillstreamKernel {
  uint32_t abi_version; /* MILLSTREAM_KERNEL_ABI_VERSION */
  uint32_t struct_size; /* sizeof(struct MillstreamKernel) */
  const char *name;
  const char *signature; /* "(BIGINT, DOUBLE) -> DOUBLE" */
  const char *doc;       /* what it does, in a sentence; may be null */
  uint32_t flags;

  /* A scalar kernel has `evaluate`; an aggregate has null here and the functions behind it.
   *
   * `out` has `rows` rows. For types of fixed width its buffers are there to be written: buffers[1] has room for the
   * values (bits for BOOLEAN, all zero before), buffers[0] is a validity bitmap with all bits set, of which those of
   * null rows are cleared. For VARCHAR and BYTEA the kernel makes the array: offsets and bytes of its own, and a
   * `release` that frees them. Returns 0, or another number after writing the reason into `error`. */
  int32_t (*evaluate)(const struct ArrowArray *const *args, int64_t rows, struct ArrowArray *out,
                      struct MillstreamError *error);

  /* Aggregates: a state of fixed size per group, in memory of the engine, moved and saved byte by byte. */
  uint64_t state_size; /* a multiple of 8; states lie at multiples of 8 */
  void (*init)(void *state);
  /* For each row r: takes it into the state at `states + groups[r] * state_size`, if `mask` is null or bit r of it is
   * set. Rows with nulls are masked, unless MILLSTREAM_TAKES_NULLS. */
  int32_t (*update)(void *states, const uint32_t *groups, const uint64_t *mask, const struct ArrowArray *const *args,
                    int64_t rows, struct MillstreamError *error);
  int32_t (*merge)(void *state, const void *other, struct MillstreamError *error);
  /* Writes the results of `rows` groups, as `evaluate` does. */
  int32_t (*finish)(const void *states, const uint32_t *groups, int64_t rows, struct ArrowArray *out,
                    struct MillstreamError *error);
  /* Takes rows out again that were taken in; null where that cannot be. Like `update`. */
  int32_t (*retract)(void *states, const uint32_t *groups, const uint64_t *mask, const struct ArrowArray *const *args,
                     int64_t rows, struct MillstreamError *error);

  /* Since 1.1. Takes all rows of the mask into one state, as `update` does with a group for each; may be null. */
  int32_t (*update_one)(void *state, const uint64_t *mask, const struct ArrowArray *const *args, int64_t rows,
                        struct MillstreamError *error);
};

#ifdef __cplusplus
}
#endif

#endif /* MILLSTREAM_KERNEL_H */
