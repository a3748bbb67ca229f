#include "duckdb_extension.h"

duckdb_state register_haversine_km(duckdb_connection connection);

DUCKDB_EXTENSION_ENTRYPOINT(duckdb_connection connection, duckdb_extension_info info, struct duckdb_extension_access *access) {
  if (register_haversine_km(connection) == DuckDBSuccess) return true;
  access->set_error(info, "haversine_km cannot be registered");
  return false;
}
