#include "duckdb_extension.h"
#include <math.h>

DUCKDB_EXTENSION_EXTERN

static void haversine_km(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  (void)info;
  double *columns[4];
  for (int column = 0; column < 4; column++)
    columns[column] = (double *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, column));
  double *out = (double *)duckdb_vector_get_data(output);
  const double radians = acos(-1.0) / 180.0;
  // Rows with a NULL are left out by DuckDB, unless special handling is asked for.
  for (idx_t row = 0; row < duckdb_data_chunk_get_size(input); row++) {
    double lat1 = columns[0][row], lon1 = columns[1][row], lat2 = columns[2][row], lon2 = columns[3][row];
    double lat = sin((lat2 - lat1) * radians / 2.0), lon = sin((lon2 - lon1) * radians / 2.0);
    out[row] = 12742.0 * asin(sqrt(lat * lat + cos(lat1 * radians) * cos(lat2 * radians) * lon * lon));
  }
}

duckdb_state register_haversine_km(duckdb_connection connection) {
  duckdb_scalar_function function = duckdb_create_scalar_function();
  duckdb_scalar_function_set_name(function, "haversine_km");
  duckdb_logical_type type = duckdb_create_logical_type(DUCKDB_TYPE_DOUBLE);
  for (int column = 0; column < 4; column++) duckdb_scalar_function_add_parameter(function, type);
  duckdb_scalar_function_set_return_type(function, type);
  duckdb_scalar_function_set_function(function, haversine_km);
  duckdb_destroy_logical_type(&type);
  duckdb_state state = duckdb_register_scalar_function(connection, function);
  duckdb_destroy_scalar_function(&function);
  return state;
}
