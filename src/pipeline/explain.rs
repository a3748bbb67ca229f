//! The pipeline as text.

use super::Pipeline;

/// One line per node, output first, inputs indented below.
pub fn explain(pipeline: &Pipeline) -> String {
    let _ = pipeline;
    String::new()
}
