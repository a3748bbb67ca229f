//! Column names for formats whose columns are known by name.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};

/// The names of the columns, repeated ones told apart by `_1`, `_2` and so on.
pub fn unique_names(schema: &Schema) -> Vec<String> {
    let given: HashSet<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut used: HashSet<String> = HashSet::new();
    let mut names = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let name = field.name();
        let unique = match used.contains(name) {
            false => name.clone(),
            true => {
                let mut numbered = (1..).map(|n| format!("{name}_{n}"));
                numbered.find(|n| !used.contains(n) && !given.contains(n.as_str())).expect("numbers do not end")
            }
        };
        used.insert(unique.clone());
        names.push(unique);
    }
    names
}

/// The schema with repeated names told apart.
pub fn unique_schema(schema: &SchemaRef) -> SchemaRef {
    let names = unique_names(schema).into_iter().zip(schema.fields());
    let fields = names.map(|(name, field)| field.as_ref().clone().with_name(name));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{DataType, Field};

    #[test]
    fn repeated_names_are_told_apart() {
        let check = |given: &str, expected: &str| {
            let fields = given.split(' ').map(|name| Field::new(name, DataType::Null, true));
            assert_eq!(unique_names(&Schema::new(fields.collect::<Vec<_>>())).join(" "), expected);
        };
        check("a b c", "a b c");
        check("a a a", "a a_1 a_2");
        check("a a a_1", "a a_2 a_1");
        check("a_1 a a a_1", "a_1 a a_2 a_1_1");
    }
}
