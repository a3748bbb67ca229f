//! Rows pushed from a thread per source partition: whatever the threads' timing, the answer is the same.

use std::sync::Arc;

use rand::SeedableRng;
use rand::rngs::StdRng;

use millstream::engine::Engine;
use millstream::stream::source::push::{Capacity, channels};

use super::cell::difference;
use super::spec::Spec;
use super::world::{World, schema};
use super::{cases, naive, run};

#[test]
fn windows_over_pushed_rows_are_as_defined() {
    cases(25, 0xfe, |seed, settings| {
        let world = World::random(seed);
        let spec = Spec::random(&mut StdRng::seed_from_u64(!seed), true, world.partitions.len() == 1);
        let expected = naive::answer(&[&world], &spec, false);
        for setting in settings {
            let engine = Engine::new(setting.config());
            engine.execute(&format!("CREATE TABLE t ({})", world.columns())).expect("a declaration");
            let capacity = Capacity { rows: 100, bytes: usize::MAX };
            let (handles, table) = channels(schema(), world.partitions.len(), capacity);
            engine.register_table("t", Arc::new(table)).expect("a table");
            let given = std::thread::scope(|scope| {
                for (handle, batches) in handles.into_iter().zip(world.batches()) {
                    scope.spawn(move || {
                        batches.into_iter().for_each(|batch| handle.push(batch).expect("room for a batch"))
                    });
                }
                run::run(&engine, &spec.sql(), spec.group_columns())
            });
            let compared = given.and_then(|given| match difference(&given.lines, &expected.lines) {
                Some(difference) => Err(difference),
                None if given.metrics.late_rows != expected.late => {
                    Err(format!("{} late, expected {}", given.metrics.late_rows, expected.late))
                }
                None => Ok(()),
            });
            compared
                .map_err(|failure| format!("{}, delay {}\n{}\n{failure}", setting.show(), world.delay, spec.sql()))?;
        }
        Ok(())
    });
}
