#include "duckdb_extension.h"
#include <math.h>

DUCKDB_EXTENSION_EXTERN

// Sum and weight as of a time, in microseconds.
typedef struct {
  double sum, weight;
  int64_t last;
} weighted;

static idx_t size(duckdb_function_info info) {
  (void)info;
  return sizeof(weighted);
}

static void init(duckdb_function_info info, duckdb_aggregate_state state) {
  (void)info;
  *(weighted *)state = (weighted){0.0, 0.0, INT64_MIN};
}

// Both fade to the later time: a minute halves a weight.
static void add(weighted *state, const weighted *other) {
  int64_t last = state->last > other->last ? state->last : other->last;
  double mine = exp2(((double)state->last - (double)last) / 60e6), theirs = exp2(((double)other->last - (double)last) / 60e6);
  state->sum = state->sum * mine + other->sum * theirs;
  state->weight = state->weight * mine + other->weight * theirs;
  state->last = last;
}

static void update(duckdb_function_info info, duckdb_data_chunk input, duckdb_aggregate_state *states) {
  (void)info;
  duckdb_vector values = duckdb_data_chunk_get_vector(input, 0), times = duckdb_data_chunk_get_vector(input, 1);
  double *x = (double *)duckdb_vector_get_data(values);
  duckdb_timestamp *at = (duckdb_timestamp *)duckdb_vector_get_data(times);
  uint64_t *x_valid = duckdb_vector_get_validity(values), *at_valid = duckdb_vector_get_validity(times);
  for (idx_t row = 0; row < duckdb_data_chunk_get_size(input); row++) {
    if (!duckdb_validity_row_is_valid(x_valid, row) || !duckdb_validity_row_is_valid(at_valid, row)) continue;
    weighted one = {x[row], 1.0, at[row].micros};
    add((weighted *)states[row], &one);
  }
}

static void combine(duckdb_function_info info, duckdb_aggregate_state *source, duckdb_aggregate_state *target, idx_t count) {
  (void)info;
  for (idx_t row = 0; row < count; row++) add((weighted *)target[row], (const weighted *)source[row]);
}

static void finalize(duckdb_function_info info, duckdb_aggregate_state *source, duckdb_vector result, idx_t count, idx_t offset) {
  (void)info;
  double *out = (double *)duckdb_vector_get_data(result);
  duckdb_vector_ensure_validity_writable(result);
  for (idx_t row = 0; row < count; row++) {
    const weighted *state = (const weighted *)source[row];
    if (state->weight > 0.0) out[offset + row] = state->sum / state->weight;
    else duckdb_validity_set_row_invalid(duckdb_vector_get_validity(result), offset + row);
  }
}

duckdb_state register_ewma(duckdb_connection connection) {
  duckdb_aggregate_function function = duckdb_create_aggregate_function();
  duckdb_aggregate_function_set_name(function, "ewma");
  duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE);
  duckdb_logical_type time = duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP);
  duckdb_aggregate_function_add_parameter(function, number);
  duckdb_aggregate_function_add_parameter(function, time);
  duckdb_aggregate_function_set_return_type(function, number);
  duckdb_aggregate_function_set_functions(function, size, init, update, combine, finalize);
  duckdb_destroy_logical_type(&number);
  duckdb_destroy_logical_type(&time);
  duckdb_state state = duckdb_register_aggregate_function(connection, function);
  duckdb_destroy_aggregate_function(&function);
  return state;
}
