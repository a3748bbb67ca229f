/* Two kernels in C: the length of a hypotenuse, and the sum of squares.
 *
 *     cc -O2 -shared -fPIC -I include examples/plugin-c/kernels.c -o libkernels.so -lm
 *     millstream --load ./libkernels.so -c "SELECT hypotenuse(3, 4)"
 */
#include "millstream_kernel.h"

#include <math.h>

/* hypotenuse(DOUBLE, DOUBLE) -> DOUBLE */

static int32_t hypotenuse(const struct ArrowArray *const *args, int64_t rows, struct ArrowArray *out,
                          struct MillstreamError *error) {
  (void)error;
  const double *restrict a = args[0]->buffers[1];
  const double *restrict b = args[1]->buffers[1];
  double *restrict result = (double *)out->buffers[1];
  for (int64_t row = 0; row < rows; row++) {
    result[row] = sqrt(a[row] * a[row] + b[row] * b[row]);
  }
  return 0;
}

const struct MillstreamKernel *hypotenuse_kernel(void) {
  static const struct MillstreamKernel kernel = {
      .abi_version = MILLSTREAM_KERNEL_ABI_VERSION,
      .struct_size = sizeof(struct MillstreamKernel),
      .name = "hypotenuse",
      .signature = "(DOUBLE, DOUBLE) -> DOUBLE",
      .doc = "The longest side of a right triangle.",
      .flags = MILLSTREAM_INFALLIBLE,
      .evaluate = hypotenuse,
  };
  return &kernel;
}

/* squares(DOUBLE) -> DOUBLE, an aggregate */

struct Squares {
  double sum;
};

static void squares_init(void *state) { ((struct Squares *)state)->sum = 0; }

static void add(struct Squares *states, const uint32_t *groups, const uint64_t *mask, const double *values,
                int64_t rows, double sign) {
  for (int64_t row = 0; row < rows; row++) {
    if (!mask || mask[row / 64] >> (row % 64) & 1) {
      states[groups[row]].sum += sign * values[row] * values[row];
    }
  }
}

static int32_t squares_update(void *states, const uint32_t *groups, const uint64_t *mask,
                              const struct ArrowArray *const *args, int64_t rows, struct MillstreamError *error) {
  (void)error;
  add(states, groups, mask, args[0]->buffers[1], rows, 1);
  return 0;
}

/* All rows of one group: sixteen sums, so that one addition need not wait for the one before. */
enum { LANES = 16 };

static int32_t squares_update_one(void *state, const uint64_t *mask, const struct ArrowArray *const *args, int64_t rows,
                                  struct MillstreamError *error) {
  (void)error;
  const double *values = args[0]->buffers[1];
  double sums[LANES] = {0};
  int64_t row = 0;
  for (; !mask && row + LANES <= rows; row += LANES) {
    for (int lane = 0; lane < LANES; lane++) sums[lane] += values[row + lane] * values[row + lane];
  }
  for (; row + LANES <= rows; row += LANES) {
    uint32_t there = (uint32_t)(mask[row / 64] >> (row % 64));
    for (int lane = 0; lane < LANES; lane++) {
      double square = values[row + lane] * values[row + lane];
      sums[lane] += there & (1u << lane) ? square : 0;
    }
  }
  for (; row < rows; row++) {
    if (!mask || mask[row / 64] >> (row % 64) & 1) sums[row % LANES] += values[row] * values[row];
  }
  for (int lane = 0; lane < LANES; lane++) ((struct Squares *)state)->sum += sums[lane];
  return 0;
}

static int32_t squares_retract(void *states, const uint32_t *groups, const uint64_t *mask,
                               const struct ArrowArray *const *args, int64_t rows, struct MillstreamError *error) {
  (void)error;
  add(states, groups, mask, args[0]->buffers[1], rows, -1);
  return 0;
}

static int32_t squares_merge(void *state, const void *other, struct MillstreamError *error) {
  (void)error;
  ((struct Squares *)state)->sum += ((const struct Squares *)other)->sum;
  return 0;
}

static int32_t squares_finish(const void *states, const uint32_t *groups, int64_t rows, struct ArrowArray *out,
                              struct MillstreamError *error) {
  (void)error;
  double *result = (double *)out->buffers[1];
  for (int64_t row = 0; row < rows; row++) {
    result[row] = ((const struct Squares *)states)[groups[row]].sum;
  }
  return 0;
}

const struct MillstreamKernel *squares_kernel(void) {
  static const struct MillstreamKernel kernel = {
      .abi_version = MILLSTREAM_KERNEL_ABI_VERSION,
      .struct_size = sizeof(struct MillstreamKernel),
      .name = "squares",
      .signature = "(DOUBLE) -> DOUBLE",
      .doc = "The sum of squares.",
      .state_size = sizeof(struct Squares),
      .init = squares_init,
      .update = squares_update,
      .merge = squares_merge,
      .finish = squares_finish,
      .retract = squares_retract,
      .update_one = squares_update_one,
  };
  return &kernel;
}

const struct MillstreamKernel *const *millstream_kernels(void) {
  static const struct MillstreamKernel *all[3];
  all[0] = hypotenuse_kernel();
  all[1] = squares_kernel();
  return all;
}
