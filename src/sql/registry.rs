//! A catalog as the registry that packages of DataFusion's functions register themselves with.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::{Result as PlanResult, not_impl_err, plan_datafusion_err};
use datafusion_expr::planner::ExprPlanner;
use datafusion_expr::registry::FunctionRegistry;
use datafusion_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};

use super::plan::FUNCTIONS;
use super::users::UserFunctions;

/// What a package registers its functions with; they are known to the engine when it is dropped.
pub struct Registry<'a> {
    functions: UserFunctions,
    done: Box<dyn FnMut(UserFunctions) + 'a>,
}

impl<'a> Registry<'a> {
    /// A registry that begins with `functions` and hands them over, with what was added, when it is dropped.
    pub fn new(functions: UserFunctions, done: impl FnMut(UserFunctions) + 'a) -> Self {
        Registry { functions, done: Box::new(done) }
    }
}

impl Drop for Registry<'_> {
    fn drop(&mut self) {
        (self.done)(std::mem::take(&mut self.functions));
    }
}

impl FunctionRegistry for Registry<'_> {
    fn udfs(&self) -> HashSet<String> {
        self.functions.scalars.keys().chain(FUNCTIONS.scalars.keys()).cloned().collect()
    }

    fn higher_order_function_names(&self) -> HashSet<String> {
        HashSet::new()
    }

    fn udafs(&self) -> HashSet<String> {
        self.functions.aggregates.keys().chain(FUNCTIONS.aggregates.keys()).cloned().collect()
    }

    fn udwfs(&self) -> HashSet<String> {
        self.functions.windows.keys().chain(FUNCTIONS.windows.keys()).cloned().collect()
    }

    fn udf(&self, name: &str) -> PlanResult<Arc<ScalarUDF>> {
        let found = self.functions.scalars.get(name).or_else(|| FUNCTIONS.scalars.get(name));
        found.cloned().ok_or_else(|| plan_datafusion_err!("function not found: {name}"))
    }

    fn higher_order_function(&self, name: &str) -> PlanResult<Arc<HigherOrderUDF>> {
        not_impl_err!("functions that take functions: {name}")
    }

    fn udaf(&self, name: &str) -> PlanResult<Arc<AggregateUDF>> {
        let found = self.functions.aggregates.get(name).or_else(|| FUNCTIONS.aggregates.get(name));
        found.cloned().ok_or_else(|| plan_datafusion_err!("function not found: {name}"))
    }

    fn udwf(&self, name: &str) -> PlanResult<Arc<WindowUDF>> {
        let found = self.functions.windows.get(name).or_else(|| FUNCTIONS.windows.get(name));
        found.cloned().ok_or_else(|| plan_datafusion_err!("function not found: {name}"))
    }

    fn register_udf(&mut self, function: Arc<ScalarUDF>) -> PlanResult<Option<Arc<ScalarUDF>>> {
        Ok(self.functions.add_udf(function))
    }

    fn register_udaf(&mut self, function: Arc<AggregateUDF>) -> PlanResult<Option<Arc<AggregateUDF>>> {
        Ok(self.functions.add_udaf(function))
    }

    fn register_udwf(&mut self, function: Arc<WindowUDF>) -> PlanResult<Option<Arc<WindowUDF>>> {
        Ok(self.functions.add_udwf(function))
    }

    fn deregister_udf(&mut self, name: &str) -> PlanResult<Option<Arc<ScalarUDF>>> {
        Ok(self.functions.scalars.remove(name))
    }

    fn deregister_udaf(&mut self, name: &str) -> PlanResult<Option<Arc<AggregateUDF>>> {
        Ok(self.functions.aggregates.remove(name))
    }

    fn deregister_udwf(&mut self, name: &str) -> PlanResult<Option<Arc<WindowUDF>>> {
        Ok(self.functions.windows.remove(name))
    }

    fn expr_planners(&self) -> Vec<Arc<dyn ExprPlanner>> {
        FUNCTIONS.planners.clone()
    }
}
