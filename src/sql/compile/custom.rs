//! Users' operators over the rows of a table.

use super::types::engine_schema;
use super::{Compiler, Result};
use crate::error::Error;
use crate::pipeline::{CustomSpec, EventTime, NodeId, Spec, time_unit};
use crate::sql::plan::OperatorNode;

impl Compiler {
    pub(super) fn custom(&mut self, node: &OperatorNode) -> Result<NodeId> {
        let mut input = self.plan(&node.input)?;
        if !node.operator.takes_changes {
            input = self.folded(
                input,
                &format!("the operator {}", node.name),
                "it says that it takes changes, if it does",
            )?;
        }
        let schema = engine_schema(&node.schema);
        let time = match (&self.nodes[input].time, node.operator.event_time) {
            (Some(_), Some(column)) => {
                let field = schema.field(column);
                let unit = time_unit(field.data_type()).ok_or_else(|| {
                    Error::user(format!("the event time of {} is no TIMESTAMP: {}", node.name, field.name()))
                })?;
                Some(EventTime { column, unit })
            }
            _ => None,
        };
        let spec = Spec::Custom(CustomSpec { name: node.name.clone(), operator: node.operator.clone() });
        Ok(self.add_above(input, spec, schema, time))
    }
}
